"""The folders of attempts: a mismatch is written again once, then refused by name; what cannot count is deleted."""

import threading

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from py4j.protocol import Py4JJavaError

from metaclip_spark.commits import files
from metaclip_spark.commits.entries import FileWritten, Reset, Table, Written
from metaclip_spark.commits.log import Log
from metaclip_spark.commits.owner import Applicant, take
from metaclip_spark.errors import InputError
from metaclip_spark.stores.spark_io import prepare_tables
from metaclip_spark.stores.storage import Storage

ROWS = pa.table({"number": [1, 2, 3]})


@pytest.fixture
def owner(tmp_path):
    storage = Storage(str(tmp_path / "run"))
    log = Log(storage)
    log.read_all()
    return take(log, storage, Applicant("test"))


def table(owner, written):
    return Table(owner=owner.nonce, step="count", tables={"entry_counts": written}, manifest={})


def test_rows_of_the_driver_are_one_file_that_the_footer_agrees_with(owner):
    written = files.write_rows(owner, ROWS, "entry_counts")
    assert written == files.look_at(owner.storage, written.folder)
    assert written.rows == 3
    assert files.lost_of(owner.storage, written) == []


@pytest.mark.parametrize("change", ["gone", "other", "more"])
def test_files_that_are_gone_changed_or_strange_are_named(owner, change):
    written = files.write_rows(owner, ROWS, "entry_counts")
    (name,) = written.sizes
    strange = f"{written.folder}/part-9.parquet"
    if change == "gone":
        owner.storage.delete(name)
    else:
        owner.storage.put_table(strange if change == "more" else name, ROWS.slice(0, 1 if change == "other" else 3))
    assert files.lost_of(owner.storage, written) == [strange if change == "more" else name]
    assert files.lost_files(owner.storage, table(owner, written)) == files.lost_of(owner.storage, written)


def test_a_folder_of_layout_1_is_read_and_deleted_file_by_file(owner):
    owner.storage.put_table("pool/bucket=000/part-0.parquet", ROWS)
    new = files.write_rows(owner, ROWS, "pool/bucket=000")
    old = Written("pool/bucket=000", (FileWritten("part-0.parquet", -1, -1),))
    assert files.lost_of(owner.storage, old) == []
    assert files.readable_paths(owner.storage, old) == [owner.storage.location("pool/bucket=000/part-0.parquet")]
    assert files.readable_paths(owner.storage, new) == [owner.storage.location(new.folder)]
    files.delete_attempt(owner.storage, "pool/bucket=000")
    assert list(owner.storage.data_files("pool")) == list(new.sizes)


def test_only_what_cannot_count_is_deleted(owner):
    replaced, counts, own = (files.write_rows(owner, ROWS, "entry_counts") for _ in range(3))
    owner.commit(table(owner, replaced))
    owner.commit(table(owner, counts))
    for folder in ("entry_counts/00000000-12345678", "entry_counts/00000009-12345678", "entry_counts/mine"):
        owner.storage.put_table(f"{folder}/part-0.parquet", ROWS)
    files.tidy(owner, "entry_counts")
    left = {counts.folder, own.folder, "entry_counts/00000009-12345678", "entry_counts/mine"}
    assert {f"entry_counts/{name}" for name in owner.storage.names("entry_counts")} == left
    owner.commit(Reset(owner=owner.nonce))
    files.tidy(owner, "entry_counts")
    assert f"entry_counts/{counts.folder.rpartition('/')[2]}" not in owner.storage.names("entry_counts")


@pytest.mark.parametrize("losses", [1, 2])
def test_a_lost_file_is_written_again_once(spark, owner, monkeypatch, losses):
    look_at, looks = files.look_at, []

    def losing(storage, folder):
        looks.append(folder)
        if len(looks) <= losses:
            storage.delete(next(iter(storage.data_files(folder))))
        return look_at(storage, folder)

    monkeypatch.setattr(files, "look_at", losing)
    rows = spark.range(10).repartition(2)
    if losses == 1:
        assert files.write_to(owner, rows, "pool", lambda writer: writer).rows == 10
    else:
        with pytest.raises(InputError, match=r"rows where 10 were written, twice \(its files: part-"):
            files.write_to(owner, rows, "pool", lambda writer: writer)
    assert len(set(looks)) == 2


def test_a_table_without_rows_is_written_and_checked(spark, owner):
    assert files.write_to(owner, spark.range(0), "pool", lambda writer: writer).rows == 0


def test_hadoop_leaves_no_checksum_files_beside_a_table(spark, owner):
    rows = spark.range(10).repartition(2).selectExpr("id", "id % 2 kind")
    written = files.write_to(owner, rows, "pool", lambda writer: writer.partitionBy("kind"))
    assert len(written.files) == 4
    assert {*owner.storage.files(written.folder)} == {f"{written.folder}/_SUCCESS", *written.sizes}


def test_a_page_that_a_disk_has_changed_stops_the_job_that_reads_it(spark, owner):
    prepare_tables(spark, owner.storage, allow_rename_committer=False)
    written = files.write_to(owner, spark.range(1000).coalesce(1), "pool", lambda writer: writer)
    path = owner.storage.root / next(iter(written.sizes))
    column = pq.ParquetFile(path).metadata.row_group(0).column(0)
    content = bytearray(path.read_bytes())
    content[column.data_page_offset + column.total_compressed_size - 9] ^= 1
    path.write_bytes(content)
    with pytest.raises(Py4JJavaError, match="CRC checksum verification failed"):
        spark.read.parquet(str(path)).agg({"id": "sum"}).collect()


def test_rows_that_spark_never_tells_are_not_waited_for_without_end(monkeypatch):
    class Silent:
        @property
        def get(self):
            threading.Event().wait()

    monkeypatch.setattr(files, "SECONDS_UNTIL_COUNTED", 0.05)
    assert files._rows_of(Silent()) is None
