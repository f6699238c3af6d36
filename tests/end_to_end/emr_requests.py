"""The requests that the README shows for EMR: the test sends what the reader reads."""

import json
import re
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def request_of_readme(title: str, readme: Path = README) -> dict:
    """Reads the JSON block that follows a line with its title."""
    block = re.search(rf"{re.escape(title)}.*?```json\n(.*?)```", readme.read_text(encoding="utf-8"), re.DOTALL)
    assert block, f"the README has no JSON block for {title!r}"
    return json.loads(block[1])
