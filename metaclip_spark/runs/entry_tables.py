"""Tables of a run with one row per entry where there are several metadata lists, and what they tell of the lists.

There the tables have a column `metadata_language` more, so that counting and sampling need no metadata folder.
"""

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from metaclip_spark.entries import Metadata, MetadataList
from metaclip_spark.errors import InputError
from metaclip_spark.list_thresholds import EntryLists, Threshold
from metaclip_spark.runs.layout import THRESHOLDS as THRESHOLDS_TABLE
from metaclip_spark.runs.run import Run
from udfs.arrow import numpy_numbers
from udfs.schemas import ENTRY_COUNTS, THRESHOLDS

_DIGESTED_AT_ONCE = 1 << 20
_LIST = "metadata_language"
_COUNTS = pa.schema([field for field in ENTRY_COUNTS if field.name != "entry_text"])
_TEXTS = pa.schema([field for field in ENTRY_COUNTS if field.name != "entry_count"])


def lists_of(metadata: Metadata) -> EntryLists | None:
    """Tells where each metadata list begins; None where there is but one, without a code."""
    if not metadata.lists:
        return None
    return EntryLists(tuple(each.code for each in metadata.lists), metadata.starts)


def with_lists(table: pa.Table, lists: EntryLists | None) -> pa.Table:
    """Adds the column of the lists to a table with one row per entry, where there are several."""
    if lists is None:
        return table
    return table.append_column(pa.field(_LIST, pa.string()), languages_of(lists))


def languages_of(lists: EntryLists) -> pa.Array:
    """Gives the code of each entry's list."""
    places = np.repeat(np.arange(len(lists), dtype=np.int32), np.diff(lists.starts))
    return pa.array(lists.codes, pa.string()).take(pa.array(places))


def read_lists(run: Run) -> EntryLists | None:
    """Reads from the counts of a run where each metadata list begins; None where there is but one, without a code."""
    written = run.state.written("entry_counts")
    codes: list[str] = []
    ends: list[int] = []
    before = 0
    for name in written.sizes if written else ():
        file = pq.ParquetFile(pa.BufferReader(run.storage.read_bytes(name)))
        if _LIST not in file.schema_arrow.names:
            return None
        for chunk in file.read(columns=[_LIST])[_LIST].chunks:
            runs = pc.run_end_encode(chunk, run_end_type=pa.int64())
            for code, end in zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True):
                if codes and codes[-1] == code:
                    ends[-1] = before + end
                else:
                    codes.append(code)
                    ends.append(before + end)
            before += len(chunk)
    return EntryLists(tuple(codes), np.array([0, *ends], np.int64)) if codes else None


def read_counts(run: Run, table: str = "entry_counts") -> NDArray[np.int64]:
    """Reads the count of each entry without the entries' texts."""
    counts: NDArray[np.int64] = numpy_numbers(_by_id(run.read_rows(table, _COUNTS), "entry_count"))
    return counts


def digest_of_counts(counts: NDArray[np.int64]) -> str:
    """Digests counts as `config.fields.digest` does a list of them, without a list of millions of numbers."""
    hashed = hashlib.sha256(b"[")
    for start in range(0, counts.size, _DIGESTED_AT_ONCE):
        text = ",".join(map(str, counts[start : start + _DIGESTED_AT_ONCE].tolist()))
        hashed.update(f"{',' if start else ''}{text}".encode())
    hashed.update(b"]")
    return hashed.hexdigest()


def read_texts(run: Run) -> pa.Array:
    """Reads the texts of all entries."""
    return _by_id(run.read_rows("entry_counts", _TEXTS), "entry_text")


def _by_id(rows: pa.Table, column: str) -> pa.Array:
    """Gives a column in the order of entry_id, in which rows are as a rule."""
    ids = numpy_numbers(rows["entry_id"].combine_chunks())
    values = rows[column].combine_chunks()
    return values if (ids[1:] > ids[:-1]).all() else values.take(pa.array(np.argsort(ids)))


def metadata_lists(lists: EntryLists | None) -> tuple[MetadataList, ...]:
    """Gives the lists as a metadata folder has them; their digests are not told by a run's tables."""
    if lists is None:
        return ()
    sizes = np.diff(lists.starts).tolist()
    starts = lists.starts[:-1].tolist()
    return tuple(
        MetadataList(code, start, size, "") for code, start, size in zip(lists.codes, starts, sizes, strict=True)
    )


def read_thresholds(run: Run, lists: EntryLists) -> list[Threshold]:
    """Reads the threshold of each metadata list of a run whose sample step is done.

    Raises:
        InputError: If the table is of other lists.
    """
    rows = run.read_rows(THRESHOLDS_TABLE, THRESHOLDS)
    if tuple(rows[_LIST].to_pylist()) != lists.codes:
        raise InputError(f"{run.storage.root} has thresholds of other lists than its counts: run sample again")
    return [float("inf") if threshold is None else threshold for threshold in rows["threshold_t"].to_pylist()]
