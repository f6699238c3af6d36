"""Rows by footers: short and long ones, and what is not a Parquet file."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metaclip_spark.errors import InputError

FOLDER = "pool/bucket=000"


def packed(rows, columns=2):
    table = pa.table({f"column {number}": list(range(rows)) for number in range(columns)})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=max(1, rows // 2))
    return sink.getvalue().to_pybytes()


def put(storage, contents):
    for name, content in contents.items():
        storage.put_bytes(f"{FOLDER}/{name}", content)
    return storage.data_files(FOLDER)


def test_rows_are_counted_by_footers_in_the_order_of_the_files(storage):
    # The last one's footer alone is longer than what is read of a file at first.
    contents = {f"part-{rows:02d}.parquet": packed(rows) for rows in range(40)}
    files = put(storage, {**contents, "part-99.parquet": packed(99, columns=400)})
    expected = {**{f"{FOLDER}/part-{rows:02d}.parquet": rows for rows in range(40)}, f"{FOLDER}/part-99.parquet": 99}
    assert list(storage.parquet_rows(files).items()) == list(expected.items())
    backwards = dict(reversed(files.items()))
    assert list(storage.parquet_rows(backwards)) == list(backwards)
    assert storage.parquet_rows({}) == {}


def test_the_long_footer_of_these_tests_is_long():
    assert int.from_bytes(packed(99, columns=400)[-8:-4], "little") > 64 << 10


def test_a_file_that_is_gone_is_named(storage):
    files = put(storage, {"part-0.parquet": packed(3), "part-1.parquet": packed(4)})
    storage.delete(f"{FOLDER}/part-1.parquet")
    with pytest.raises(InputError, match=rf"{storage.root}/{FOLDER}/part-1\.parquet is gone"):
        storage.parquet_rows(files)


WHOLE = packed(5)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PAR1",
        b"text that is not a Parquet file",
        WHOLE[:-1],
        WHOLE + b"\n",
        WHOLE[-8:],
        b"\xff" * 100 + WHOLE[-8:],
        WHOLE[:-8] + b"\xff\xff\xff\xffPAR1",
        WHOLE[:-8] + b"\0\0\0\0PAR1",
    ],
    ids=["empty", "magic", "text", "cut", "longer", "end", "garbage", "endless", "nothing"],
)
def test_a_file_that_is_no_parquet_is_named(storage, content):
    files = put(storage, {"part-0.parquet": packed(3), "part-1.parquet": content})
    with pytest.raises(InputError, match=rf"part-1\.parquet is not a Parquet file of {len(content)} bytes"):
        storage.parquet_rows(files)


def test_a_file_of_another_size_than_it_was_written_with_is_no_parquet(storage):
    files = put(storage, {"part-0.parquet": packed(3)})
    for size in (files[f"{FOLDER}/part-0.parquet"] + wrong for wrong in (-9, -1, 1, 9, 1000)):
        with pytest.raises(InputError, match=rf"part-0\.parquet is not a Parquet file of {size} bytes"):
            storage.parquet_rows({f"{FOLDER}/part-0.parquet": size})
