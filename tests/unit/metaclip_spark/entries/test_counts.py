import gzip
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metaclip_spark.entries import (
    DIGEST_KEY,
    Metadata,
    load_entry_counts,
    load_summed_counts,
    load_summed_list_counts,
    read_any_counts,
)
from metaclip_spark.errors import MetadataError
from udfs.schemas import ENTRY_COUNTS

METADATA = Metadata(("a", "b", "c"), "digest")


def counts_table(texts=("a", "b", "c"), counts=(3, 0, 2**40), digest=None):
    schema = ENTRY_COUNTS.with_metadata({DIGEST_KEY: digest}) if digest else ENTRY_COUNTS
    return pa.table([list(range(len(texts))), list(texts), list(counts)], schema=schema)


def test_counts_of_every_form(tmp_path):
    expected = np.array([3, 0, 2**40])
    (tmp_path / "c.json").write_text(json.dumps({"c": 2**40, "a": 3, "b": 0}))
    (tmp_path / "c.json.gz").write_bytes(gzip.compress(json.dumps({"c": 2**40, "a": 3, "b": 0}).encode()))
    pq.write_table(counts_table(digest="digest"), tmp_path / "c.parquet")
    folder = tmp_path / "counts"
    folder.mkdir()
    pq.write_table(counts_table(digest="digest")[:1], folder / "part-1.parquet")
    pq.write_table(counts_table()[1:], folder / "part-0.parquet")
    (folder / "_SUCCESS").touch()
    (folder / ".part-0.parquet.crc").touch()
    (folder / "_half.parquet").touch()
    for name in ("c.json", "c.json.gz", "c.parquet", "counts"):
        counts = load_entry_counts(str(tmp_path / name), METADATA)
        assert counts.dtype == np.int64
        assert (counts == expected).all()


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"a": 1, "b": 1}, "1 entry of the list is missing, such as 'c'"),
        ({"a": 1, "b": 1, "c": 1, "d": 1}, "1 entry is not in the list, such as 'd'"),
        ({"a": 1, "b": -1, "c": 1}, "1 count that is not a whole number from 0 to 2\\^63 - 1: 'b': -1"),
        ({"a": 1, "b": 1.0, "c": 1}, "'b': 1.0"),
        ({"a": 1, "b": True, "c": 1}, "'b': True"),
        ({"a": 1, "b": None, "c": 1}, "'b': None"),
        ({"a": 1, "b": float("nan"), "c": 1}, "'b': nan"),
        ({"a": 1, "b": 2**63, "c": 1}, "'b': 9223372036854775808"),
        ([1, 2, 3], "neither a JSON object of entry to count nor Parquet"),
    ],
)
def test_unusable_counts_are_refused(counts, message, tmp_path):
    path = tmp_path / "counts.json"
    path.write_text(json.dumps(counts))
    with pytest.raises(MetadataError, match=message):
        load_entry_counts(str(path), METADATA)


@pytest.mark.parametrize(
    ("counts_of_a", "total"),
    [
        ([2**62, 2**62 - 1], 2**63 - 1),
        ([2**63 - 1, 0], 2**63 - 1),
        ([2**62, 2**62], None),
        ([2**63 - 1, 1], None),
        ([1, 2**63 - 1, 5], None),
        # Wraps around to a harmless number.
        ([2**62, 2**62, 2**62, 2**62, 7], None),
    ],
)
def test_counts_of_several_files_add_up_or_are_refused(tmp_path, counts_of_a, total):
    paths = [str(tmp_path / f"counts-{place}.json") for place in range(len(counts_of_a))]
    for path, count in zip(paths, counts_of_a, strict=True):
        Path(path).write_text(json.dumps({"a": count, "b": 1, "c": 0}))
    if total is not None:
        assert load_summed_counts(paths, METADATA).tolist() == [total, len(paths), 0]
        return
    with pytest.raises(
        MetadataError,
        match=r"before it, the counts add up to \d{19} for the entry 'a'.* at most 2\^63",
    ):
        load_summed_counts(paths, METADATA)


def test_counts_of_another_list_or_twice_are_refused(tmp_path):
    path = str(tmp_path / "counts.parquet")
    pq.write_table(counts_table(digest="another"), path)
    with pytest.raises(MetadataError, match=r"another.*digest"):
        load_entry_counts(path, METADATA)
    pq.write_table(counts_table(("a", "b", "c", "a"), (1, 1, 1, 1)), path)
    with pytest.raises(MetadataError, match="names 1 entry more than once"):
        load_entry_counts(path, METADATA)
    (tmp_path / "twice.json").write_text('{"a": 1, "b": 1, "c": 1, "a": 2}')
    with pytest.raises(MetadataError, match="names 1 entry more than once"):
        load_entry_counts(str(tmp_path / "twice.json"), METADATA)
    pq.write_table(counts_table(counts=(1, None, 1)), path)
    with pytest.raises(MetadataError, match="without nulls"):
        load_entry_counts(path, METADATA)
    (tmp_path / "empty").mkdir()
    with pytest.raises(MetadataError, match="holds no Parquet file of entry counts"):
        load_entry_counts(str(tmp_path / "empty"), METADATA)
    with pytest.raises(MetadataError, match="no such file"):
        load_entry_counts(str(tmp_path / "absent"), METADATA)


TEXTS, CODES = ["dog", "rot", "dog", "red"], ["de", "de", "en", "en"]


def lists_table(**columns):
    table = {"entry_id": range(4), "entry_text": TEXTS, "entry_count": [3, 0, 7, 2], "metadata_language": CODES}
    return pa.table({**{name: list(values) for name, values in table.items()}, **columns})


def load_lists(path):
    return load_summed_list_counts([str(path)], pa.array(TEXTS), pa.array(CODES), "digest").tolist()


def test_counts_of_several_lists_may_lie_in_parts_of_other_types(tmp_path):
    whole = lists_table(entry_text=pa.array(TEXTS, pa.large_string()))
    pq.write_table(whole[:1], tmp_path / "part-1.parquet")
    narrow = {"entry_id": pa.array(range(4), pa.int32()), "entry_count": pa.array([3, 0, 7, 2], pa.uint8())}
    pq.write_table(lists_table(**narrow)[1:], tmp_path / "part-0.parquet")
    assert load_lists(tmp_path) == [3, 0, 7, 2]
    texts, codes, counts = read_any_counts(str(tmp_path))
    assert (texts.to_pylist(), codes.to_pylist(), counts.tolist()) == (TEXTS, CODES, [3, 0, 7, 2])


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        (
            "entry_count",
            pa.array([3, 0, 2**63, 2], pa.uint64()),
            r"is uint64: it must hold whole numbers from 0 to 2\^63",
        ),
        ("entry_count", pa.array([[3], [0], [7], [2]]), r"is list<.*>: it must hold whole numbers"),
        ("entry_count", [3, 0, None, 2], "must hold whole numbers from 0 to .*, without nulls"),
        ("entry_count", [3.0, 0.0, 7.0, 2.0], "must hold whole numbers from 0 to .*, without nulls"),
        ("entry_count", [3, 0, -7, 2], "must hold whole numbers from 0 on"),
        ("entry_id", pa.array([[0], [1], [2], [3]]), r"is list<.*>: it must hold whole numbers"),
        ("entry_id", ["a", "b", "c", "d"], "is string: it must hold whole numbers"),
        ("entry_text", pa.array([["dog"], ["rot"], ["dog"], ["red"]]), "is list<.*>: it must hold texts"),
        ("metadata_language", [1, 1, 2, 2], "must hold texts"),
    ],
)
def test_a_column_of_another_type_is_named(tmp_path, column, values, message):
    pq.write_table(lists_table(**{column: values}), tmp_path / "counts.parquet")
    for read in (load_lists, lambda path: read_any_counts(str(path))):
        with pytest.raises(MetadataError, match=f"its column {column} {message}"):
            read(tmp_path / "counts.parquet")


def test_columns_of_a_single_lists_counts_are_named(tmp_path):
    path = str(tmp_path / "counts.parquet")
    pq.write_table(pa.table({"entry_text": [["a"]], "entry_count": [1]}), path)
    for read in (read_any_counts, lambda path: load_entry_counts(path, METADATA)):
        with pytest.raises(MetadataError, match=r"its column entry_text is list<.*>: it must hold texts"):
            read(path)
    pq.write_table(pa.table({"entry_id": [[0]], "entry_text": ["a"], "entry_count": [1]}), path)
    with pytest.raises(MetadataError, match=r"its column entry_id is list<"):
        read_any_counts(path)
    pq.write_table(lists_table().drop_columns("entry_id"), path)
    with pytest.raises(MetadataError, match="has no column entry_id"):
        read_any_counts(path)


def test_counts_of_several_lists_are_none_of_a_single_one(tmp_path):
    path = str(tmp_path / "counts.parquet")
    pq.write_table(lists_table(), path)
    with pytest.raises(MetadataError, match="holds counts of several metadata lists: give counts of this single list"):
        load_entry_counts(path, Metadata(("dog", "rot", "red"), "digest"))


def test_counts_of_any_single_list_are_read_in_every_form(tmp_path):
    (tmp_path / "c.json").write_text(json.dumps({"c": 2, "a": 3}))
    pq.write_table(pa.table({"entry_text": ["c", "a"], "entry_count": [2, 3]}), tmp_path / "c.parquet")
    (tmp_path / "counts").mkdir()
    pq.write_table(counts_table(("c", "a"), (2, 3)), tmp_path / "counts" / "part.parquet")
    for name in ("c.json", "c.parquet", "counts"):
        texts, codes, counts = read_any_counts(str(tmp_path / name))
        assert (texts.to_pylist(), codes, counts.tolist()) == (["c", "a"], None, [2, 3])
