"""A table of a page as a file to save: the link holds the file, so that the page stays one file without a script."""

import csv
import io
from base64 import b64encode
from collections.abc import Iterable, Mapping

from markupsafe import Markup

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Beginnings by which spreadsheets take a text for a formula."""


def csv_link(rows: Iterable[Mapping[str, object]], name: str) -> Markup:
    """Makes a link that saves rows as `name`.csv; lists in them are left out, numbers by name have a column each."""
    table = [_flat(row) for row in rows]
    if not table:
        return Markup()
    content = io.StringIO()
    writer = csv.DictWriter(content, list(dict.fromkeys(key for row in table for key in row)))
    writer.writeheader()
    writer.writerows({key: _harmless(value) for key, value in row.items()} for row in table)
    # With its mark, without which a spreadsheet guesses another encoding.
    encoded = b64encode(content.getvalue().encode("utf-8-sig", "replace")).decode()
    return Markup(
        '<a class="csv" download="{}.csv" href="data:text/csv;charset=utf-8;base64,{}" title="save the table">CSV</a>'
    ).format(name, encoded)


def _flat(row: Mapping[str, object]) -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in row.items():
        if isinstance(value, Mapping):
            flat.update(value)
        elif not isinstance(value, list):
            flat[key] = value
    return flat


def _harmless(value: object) -> object:
    """A stranger's text is never a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
