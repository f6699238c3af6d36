"""This project's extraction, as a worker runs it: from an archive's path to Arrow batches.

With a second argument only the texts of that source count for the comparison.
"""

import sys

import pyarrow as pa
from loop import Pair, compete

from udfs.extract import ExtractOptions, extract_batches
from udfs.schemas import ARCHIVE_PATHS


def extract(path: str) -> list[Pair]:
    """Extracts an archive; the pairs are taken out of the batches by column."""
    paths = pa.RecordBatch.from_arrays([pa.array([path]), pa.array([path])], schema=ARCHIVE_PATHS)
    pairs = []
    for batch in extract_batches(iter([paths]), options=ExtractOptions()):
        if batch.column("kind")[0].as_py() == "pair":
            columns = (batch.column(name).to_pylist() for name in ("image_url", "alt_text", "source"))
            pairs += [(url, text) for url, text, source in zip(*columns, strict=True) if source in SOURCES]
    return pairs


SOURCES = sys.argv[2:] or ["alt", "title", "data-image-title"]
compete(extract)
