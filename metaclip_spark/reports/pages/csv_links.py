"""A table of a page as a file to save: the link holds the file, so that the page stays one file without a script."""

import csv
import io
from base64 import b64encode
from collections.abc import Iterable, Mapping

from markupsafe import Markup

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Beginnings by which spreadsheets take a text for a formula."""


def csv_link(rows: Iterable[Mapping[str, object]], name: str) -> Markup:
    """Makes a link that saves rows as `name`.csv, columns as in the first row; lists in them are left out."""
    table = [{key: value for key, value in row.items() if not isinstance(value, list)} for row in rows]
    if not table:
        return Markup()
    content = io.StringIO()
    writer = csv.DictWriter(content, list(table[0]))
    writer.writeheader()
    writer.writerows({key: _harmless(value) for key, value in row.items()} for row in table)
    # With its mark, without which a spreadsheet guesses another encoding.
    encoded = b64encode(content.getvalue().encode("utf-8-sig", "replace")).decode()
    return Markup(
        '<a class="csv" download="{}.csv" href="data:text/csv;charset=utf-8;base64,{}" title="save the table">CSV</a>'
    ).format(name, encoded)


def _harmless(value: object) -> object:
    """A stranger's text is never a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
