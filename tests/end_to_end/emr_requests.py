"""The requests that the documentation shows for EMR: the test sends what the reader reads."""

import json
from pathlib import Path

from tests.support.doc_blocks import DOCS, blocks


def request_of_page(name: str, folder: Path = DOCS / "deploy", place: int = 0) -> dict:
    """Reads a JSON block of a page of docs/deploy, the first by default."""
    return json.loads(blocks((folder / f"{name}.md").read_text(encoding="utf-8"), "json")[place])
