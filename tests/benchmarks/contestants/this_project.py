"""This project's extraction, as a worker runs it: from an archive's path to Arrow batches.

With a second argument only the texts of that source count for the comparison.
"""

import sys
from contextlib import suppress

import pyarrow as pa
from loop import Pair, compete

# Where earlier sources have both.
from udfs.pairs.extract import ExtractOptions, extract_batches
from udfs.schemas import ARCHIVE_PATHS


def extract(path: str) -> list[pa.RecordBatch]:
    """Extracts an archive."""
    paths = pa.RecordBatch.from_arrays([pa.array([path]), pa.array([path])], schema=ARCHIVE_PATHS)
    return list(extract_batches(iter([paths]), options=ExtractOptions()))


def pairs_of(batches: list[pa.RecordBatch]) -> list[Pair]:
    """Takes the pairs out of the batches."""
    rows = pa.Table.from_batches(batches).select(["kind", "image_url", "alt_text", "source"]).to_pylist()
    found = [row for row in rows if row["kind"] == "pair" and row["source"] in SOURCES]
    return [(row["image_url"], row["alt_text"]) for row in found]


SOURCES = sys.argv[2:] or ["alt", "title", "data-image-title"]
# Earlier sources, which `earlier.py` runs, compile without being told to.
with suppress(ImportError):
    from udfs.pairs.loop import KERNELS

    KERNELS.compile()
compete(extract, pairs_of)
