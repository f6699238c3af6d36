"""Extraction in the worker agrees with the oracle on every pair of the sample, from WARC and from WAT."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.support import oracle
from tests.support.paths import SAMPLE_FOLDER
from udfs.pairs import ExtractOptions
from udfs.pairs.extract import extract_batches
from udfs.schemas import ARCHIVE_PATHS, PAIRS

ARCHIVES = sorted(SAMPLE_FOLDER.glob("*.gz"))


def _extract(path: Path) -> list[dict[str, Any]]:
    row = {"archive": path.name, "path": str(path)}
    archives = iter([pa.RecordBatch.from_pylist([row], schema=ARCHIVE_PATHS)])
    return [row for batch in extract_batches(archives, options=ExtractOptions()) for row in batch.to_pylist()]


def _in_order(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return sorted((tuple(row[name] for name in PAIRS.names) for row in rows), key=repr)


@pytest.mark.parametrize("path", ARCHIVES, ids=lambda path: path.name)
def test_extraction_equals_the_oracle(path: Path) -> None:
    rows = _extract(path)
    pairs = [row for row in rows if row["kind"] == "pair"]
    (archive,) = [row for row in rows if row["kind"] == "archive"]
    rejected = dict(archive["rejected"])

    assert _in_order(pairs) == _in_order(oracle.oracle_pairs([path]))
    assert archive["status"] == "ok"
    assert archive["pairs"] == len(pairs)
    assert archive["size"] == path.stat().st_size
    for stage, found, kept in (("record", "records", "pages"), ("image", "images", "images_kept")):
        lost = sum(number for reason, number in rejected.items() if reason.startswith(f"{stage}."))
        assert archive[found] == archive[kept] + lost
    assert not any(reason.startswith("record.") and not reason.startswith("record.skipped_") for reason in rejected), (
        rejected
    )
