"""The requests that the documentation shows for EMR: the test sends what the reader reads."""

import json
from pathlib import Path

from tests.support.doc_blocks import DOCS, blocks


def request_of_page(name: str, folder: Path = DOCS / "deploy") -> dict:
    """Reads the first JSON block of a page of docs/deploy."""
    [request, *_] = blocks((folder / f"{name}.md").read_text(encoding="utf-8"), "json")
    return json.loads(request)
