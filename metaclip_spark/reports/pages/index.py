"""The index of many runs as one HTML page, in the style of the report and with the same care for strangers' texts."""

from collections.abc import Sequence
from urllib.parse import quote

from metaclip_spark.errors import InputError
from metaclip_spark.reports.index import IndexRow
from metaclip_spark.reports.pages.html import page_environment, run_name
from metaclip_spark.stores.storage import Storage

PAGE = "index.html"
_GENERATOR = "metaclip-spark index"
"""What a page says that wrote it, so that no other one is overwritten."""


def render_index(rows: Sequence[IndexRow], folder: str) -> str:
    """Renders the runs of a folder as an HTML document; links are relative to that folder."""
    environment = page_environment()
    environment.filters["href"] = _href
    return environment.get_template("index.html.j2").render(
        rows=rows, folder=folder, name=run_name(folder), generator=_GENERATOR
    )


def put_index(storage: Storage, page: str) -> str:
    """Puts the page into the folder, over an earlier one, and gives its path.

    Raises:
        InputError: If the folder has an index.html that is none of ours.
    """
    there = storage.read_object(PAGE)
    if there is not None and _mark().encode() not in there:
        raise InputError(f"--index: {storage.root}/{PAGE} is not an index of runs: move it, or give another folder")
    storage.put_text(PAGE, page)
    return f"{storage.root}/{PAGE}"


def _mark() -> str:
    return f'<meta name="generator" content="{_GENERATOR}">'


def _href(path: str) -> str:
    """Gives a link to a path below the page's folder, whatever characters it has."""
    return f"./{quote(path, errors='surrogateescape')}"
