"""cc2dataset's own parser of WAT archives, from its package."""

import pathlib

from cc2dataset.main import extract_documents_from_wat
from loop import Pair, compete

LINE_BREAKS = str.maketrans("\r\n", "  ")


def extract(path: str) -> list[Pair]:
    """Extracts the pairs, their texts cleaned as everybody's here, so that they can be compared."""
    with pathlib.Path(path).open("rb") as stream:
        links = extract_documents_from_wat(stream, "image")
    cleaned = [(link["url"], link["alt"].strip().translate(LINE_BREAKS)) for link in links]
    return [pair for pair in cleaned if pair[1]]


compete(extract)
