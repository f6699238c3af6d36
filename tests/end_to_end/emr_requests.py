"""The requests that the documentation shows for EMR: the test sends what the reader reads."""

import json
import re
from pathlib import Path

DEPLOY = Path(__file__).parents[2] / "docs" / "deploy"


def request_of_page(name: str, folder: Path = DEPLOY) -> dict:
    """Reads the first JSON block of a page of docs/deploy."""
    block = re.search(r"```json\n(.*?)```", (folder / f"{name}.md").read_text(encoding="utf-8"), re.DOTALL)
    assert block, f"the page {name}.md has no JSON block"
    return json.loads(block[1])
