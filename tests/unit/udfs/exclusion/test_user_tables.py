"""Parquet files of a user's in the worker: parts of files as batches of one schema, and URLs by their keys."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from udfs.exclusion.digest_table import short_digest
from udfs.exclusion.url_key import url_key
from udfs.exclusion.user_tables import read_parts, url_digests
from udfs.schemas import FILE_PARTS
from udfs.sources import open_archive

SCHEMA = pa.schema([("a", pa.string()), ("b", pa.float64()), ("none", pa.int32())])


def parts(*rows):
    columns = list(zip(*rows, strict=True))
    return pa.RecordBatch.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, FILE_PARTS, strict=True)], schema=FILE_PARTS
    )


def test_parts_of_files_become_batches_of_one_schema(tmp_path):
    first, second = str(tmp_path / "1.parquet"), str(tmp_path / "2.parquet")
    text = pa.array(["x", None, "z", "x", "ß"]).dictionary_encode()
    pq.write_table(pa.table({"other": [0] * 5, "text": text, "number": pa.array(range(5), pa.int8())}), first,
                   row_group_size=2)  # fmt: skip
    pq.write_table(pa.table({"a": pa.array(["l"], pa.large_string()), "b": [0.5]}), second)
    asked = [(first, 1, 2, ["text", "number", ""]), (second, 0, 1, ["a", "b", ""])]
    found = pa.Table.from_batches(read_parts(iter([parts(*asked)]), SCHEMA, open_archive), SCHEMA)
    assert found.to_pydict() == {"a": ["z", "x", "ß", "l"], "b": [2.0, 3.0, 4.0, 0.5], "none": [None] * 4}


def test_one_column_may_be_wanted_twice(tmp_path):
    path = str(tmp_path / "1.parquet")
    pq.write_table(pa.table({"x": ["1"]}), path)
    schema = pa.schema([("a", pa.string()), ("b", pa.int64())])
    found = pa.Table.from_batches(read_parts(iter([parts((path, 0, 1, ["x", "x"]))]), schema, open_archive), schema)
    assert found.to_pydict() == {"a": ["1"], "b": [1]}


def test_a_value_that_does_not_fit_is_no_other_value(tmp_path):
    path = str(tmp_path / "1.parquet")
    pq.write_table(pa.table({"x": [1 << 40]}), path)
    with pytest.raises(pa.ArrowInvalid):
        list(read_parts(iter([parts((path, 0, 1, ["x"]))]), pa.schema([("a", pa.int32())]), open_archive))


URLS = ["http://EXAMPLE.org:80/a%7eb.jpg#x", "https://example.org/a~b.jpg", None, "//bücher.example/ä", "no url", ""]


def test_urls_have_the_digests_of_their_keys():
    expected = [None if url is None else short_digest(url_key(url).text) for url in URLS]
    assert expected[0] == expected[1]
    whole = pa.array(URLS, pa.string())
    assert url_digests(whole).to_pylist() == expected
    assert url_digests(whole.slice(1, 4)).to_pylist() == expected[1:5]
    assert url_digests(whole.slice(0, 0)).to_pylist() == []
