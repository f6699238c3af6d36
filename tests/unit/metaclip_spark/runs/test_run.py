"""A run's tables and steps: what counts at each moment, whatever kills the run then."""

from functools import partial
from itertools import count

import pyarrow as pa
import pytest

from metaclip_spark.config.curation import ExtractConfig, OutputConfig
from metaclip_spark.errors import OutputExistsError
from metaclip_spark.inputs.archive_path import ArchivePath
from metaclip_spark.pipeline import run_extract
from metaclip_spark.runs.layout import (
    LEDGER,
    MANIFESTS,
    MARKER,
    RUN,
    TABLES,
    delete_run,
    manifest_name,
    mark_as_run,
)
from metaclip_spark.runs.open import prepare_step
from metaclip_spark.runs.records import CountNumbers, CountSettings, Gate, put_record
from metaclip_spark.runs.run import Run
from metaclip_spark.runs.step import COUNT
from metaclip_spark.stores.storage import Storage
from tests.support.runs import Kill, manifest
from udfs.schemas import EXPECTED_KEPT

COUNTED = manifest(
    "count",
    config=CountSettings(gate=Gate(languages=[], min_language_probability=0.0), metadata_digest="x"),
    numbers=CountNumbers(pairs_in=1, gated_out=0, pairs=1, matches=1, entries=1, entries_matched=1),
)


def pass_or_kill(passes):
    if next(passes, None) is None:
        raise Kill


def finished_run(folder):
    storage = Storage(str(folder))
    mark_as_run(storage)
    for name in (*(f"{table}/part-0.parquet" for table in TABLES), "ledger/00000-aa.json", "report/report.json", RUN):
        storage.put_json(name, {})
    for step, bucket in (("deduplicate", 0), ("match", 0), ("match", 1), ("count", None)):
        done = COUNTED if step == "count" else manifest(step)
        put_record(storage, manifest_name(step, bucket), done)
    return storage


def files_of(storage) -> dict[str, bytes]:
    paths = [path for path in storage.root.rglob("*") if path.is_file()]
    return {path.relative_to(storage.root).as_posix(): path.read_bytes() for path in paths}


def killed_at_each_change(folder, change):
    """Kills what changes a finished run at its first put or deletion, at its second, and so on to its last.

    Yields:
        The files before and after, name -> content.
    """
    for passes in count():
        storage = finished_run(folder / str(passes))
        before = files_of(storage)
        storage.guard = partial(pass_or_kill, iter(range(passes)))
        try:
            change(storage)
        except Kill:
            yield before, files_of(storage)
        else:
            return


def test_a_killed_deletion_of_a_run_leaves_no_table_that_counts_and_can_be_begun_again(tmp_path):
    states = list(killed_at_each_change(tmp_path, delete_run))
    assert len(states) > len(TABLES)
    for before, left in states:
        gone = {name.partition("/")[0] for name in before.keys() - left.keys()}
        assert not gone or RUN in gone
        assert gone.isdisjoint(TABLES) or {RUN, MANIFESTS, LEDGER} <= gone
        assert MARKER in left


def test_a_run_whose_step_is_undone_stops_counting_as_finished_first(tmp_path):
    undo = partial(prepare_step, output=OutputConfig(output="x", overwrite=True), step="match")
    states = list(killed_at_each_change(tmp_path, undo))
    assert len(states) > 2
    assert all(RUN not in left or left == before for before, left in states)


def test_a_run_whose_step_works_again_counts_as_finished_at_no_moment(spark, tmp_path):
    def work_again(storage):
        def work():
            storage.delete("entry_counts")
            storage.put_json("entry_counts/part-1.parquet", {})
            return COUNTED.numbers

        run = Run(spark, storage, OutputConfig(output="x"))
        run.do(COUNT, config=COUNTED.config, settings={}, input_digest="now", work=work)

    states = list(killed_at_each_change(tmp_path, work_again))
    assert len(states) > 3
    for before, left in states:
        assert RUN not in left or left == before
        tables = [{name: files[name] for name in files if name.startswith("entry_counts/")} for files in (before, left)]
        assert manifest_name("count") not in left or tables[0] == tables[1]


def test_a_run_to_which_archives_are_added_does_not_count_as_finished_meanwhile(run, tmp_path, monkeypatch):
    def waves(storage, *_arguments):
        assert storage.read_json(RUN) is None
        raise Kill

    monkeypatch.setattr("metaclip_spark.runs.extraction.run_waves", waves)
    run.storage.put_json(RUN, {})
    with pytest.raises(Kill):
        run_extract(run, ExtractConfig(archives=("a.warc",)), [ArchivePath("a.warc", str(tmp_path / "a.warc"))])


@pytest.fixture
def run(spark, storage):
    return Run(spark, storage, OutputConfig(output=str(storage.root)))


EXPECTED = pa.table({"entry_id": [1, 0], "expected_kept": [0.5, 2.0]}, schema=EXPECTED_KEPT)


def test_rows_of_the_driver_are_read_back_by_both(run):
    run.write_rows(EXPECTED, "expected_kept")
    assert run.read_rows("expected_kept", EXPECTED_KEPT) == EXPECTED
    assert [tuple(row) for row in run.read("expected_kept", EXPECTED_KEPT).collect()] == [(1, 0.5), (0, 2.0)]
    assert run.read_rows("entry_counts", EXPECTED_KEPT).num_rows == 0


def test_rows_written_by_spark_are_read_by_the_driver(run):
    run.write(run.spark.createDataFrame([(7, 1.5), (8, 2.5)], "entry_id int, expected_kept double"), "expected_kept")
    rows = run.read_rows("expected_kept", EXPECTED_KEPT)
    assert sorted(rows.to_pylist(), key=str) == [
        {"entry_id": 7, "expected_kept": 1.5},
        {"entry_id": 8, "expected_kept": 2.5},
    ]


def test_another_write_of_the_same_table_is_noticed(run):
    run.write_rows(EXPECTED, "expected_kept")
    written = manifest(files={"expected_kept": list(run.storage.data_files("expected_kept"))})
    assert run.lost_files(written) == []
    run.write_rows(EXPECTED, "expected_kept")
    assert len(run.lost_files(written)) == 2


@pytest.mark.parametrize("write", ["write", "write_rows"])
def test_who_lost_the_lock_empties_no_table(run, write):
    run.write_rows(EXPECTED, "expected_kept")

    def lost():
        raise OutputExistsError("another has the lock")

    run.storage.guard = lost
    with pytest.raises(OutputExistsError):
        getattr(run, write)(EXPECTED, "expected_kept")
    assert run.read_rows("expected_kept", EXPECTED_KEPT) == EXPECTED
