"""A run's tables and steps: what counts at each moment, whatever kills the run then."""

import shutil
from dataclasses import replace
from itertools import count

import pyarrow as pa
import pytest

from metaclip_spark.commits.entries import Finish, Wave
from metaclip_spark.commits.files import lost_files, lost_of, tidy, write_rows
from metaclip_spark.commits.run_file import publish_run_file
from metaclip_spark.commits.state import STEPS_IN_ROUNDS
from metaclip_spark.config.curation import ExtractConfig, OutputConfig
from metaclip_spark.errors import OutputExistsError
from metaclip_spark.inputs.archive_path import ArchivePath
from metaclip_spark.pipeline import run_extract
from metaclip_spark.runs.layout import RUN, TABLES, mark_as_run, place_of, wave_place
from metaclip_spark.runs.open import begin_run, continue_run, read_log
from metaclip_spark.runs.records import CountNumbers, CountSettings, Gate, NoSettings
from metaclip_spark.runs.run import Run
from metaclip_spark.runs.step import COUNT, MATCH, SAMPLE, STEPS, Attempt
from metaclip_spark.stores.storage import Storage
from tests.support.changes import before_each_change
from tests.support.runs import Kill, archive_summary, begin, manifest, take_folder, wave
from udfs.schemas import EXPECTED_KEPT

COUNTED = manifest(
    "count",
    config=CountSettings(gate=Gate(languages=[], min_language_probability=0.0), metadata_digest="x"),
    numbers=CountNumbers(pairs_in=1, gated_out=0, pairs=1, matches=1, entries=1, entries_matched=1),
)
ROWS = pa.table({"row": [1]})


def write_run(folder) -> Storage:
    """Writes a finished run of one bucket with a table of each kind, as a driver does that has left."""
    storage = Storage(str(folder))
    owner = take_folder(storage)
    mark_as_run(storage)
    owner.commit(begin(owner=owner.nonce))
    rows = write_rows(owner, ROWS, wave_place())
    owner.commit(Wave(owner=owner.nonce, wave=0, written=rows, archives=(archive_summary("a"),)))
    for step in STEPS.values():
        if step.by_bucket:
            owner.commit(begin(step.name, owner=owner.nonce))
        number = owner.state.begins[step.name][0] if step.name in STEPS_IN_ROUNDS else 0
        bucket = 0 if step.by_bucket else None
        tables = {name: write_rows(owner, ROWS, place_of(name, bucket)) for name in step.tables}
        told = COUNTED if step is COUNT else manifest(step.name)
        run = Run(None, storage, OutputConfig(output=str(folder)), owner.log, owner)
        run.commit(step, told, Attempt(run, bucket, tables), number)
    report = owner.new_folder("report")
    storage.put_json(f"{report}/report.json", {})
    number = owner.commit(Finish(owner=owner.nonce, sample=owner.state.written("curated").folder, report=report))
    publish_run_file(storage, number, {})
    owner.leave()
    return storage


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory):
    storage = write_run(tmp_path_factory.mktemp("finished") / "run")
    state = read_log(storage).state
    assert state.finished
    assert {step for step, _ in state.tables} == STEPS.keys() - {"sample"}
    assert counting_files_are_there(storage)
    return storage.root


def counting_files_are_there(storage) -> bool:
    state = read_log(storage).state
    entries = [*state.tables.values(), *state.samples[-1:]]
    return not any(lost_files(storage, entry) for entry in entries) and not any(
        lost_of(storage, each.written) for each in state.waves.values()
    )


class KillAfter:
    """Kills what changes a folder at its change after so many, and at all that it tries then."""

    def __init__(self, passes):
        self.left = passes

    def __call__(self, _method, _name, _content):
        self.left -= 1
        if self.left < 0:
            raise Kill


def killed_at_each_change(finished_run, tmp_path, monkeypatch, change):
    """Kills what changes a finished run at its first change, at its second, and so on to its last.

    Yields:
        The folder as it was left.
    """
    for passes in count():
        output = OutputConfig(output=str(shutil.copytree(finished_run, tmp_path / str(passes))))
        with monkeypatch.context() as patch:
            before_each_change(patch, KillAfter(passes))
            try:
                change(output)
            except Kill:
                yield Storage(output.output)
            else:
                return


def tells_the_truth(storage) -> bool:
    """Tells whether there is a run.json only where the run is finished, and all that counts is there."""
    finished = read_log(storage).state.finished is not None
    return (finished or storage.read_object(RUN) is None) and counting_files_are_there(storage)


def test_a_killed_overwriting_leaves_all_or_nothing_and_can_be_begun_again(spark, finished_run, tmp_path, monkeypatch):
    def overwrite(output):
        with begin_run(replace(output, overwrite=True)):
            pass

    monkeypatch.setattr("metaclip_spark.commits.owner.SECONDS_OF_SILENCE", 0.0)
    before = read_log(Storage(str(finished_run))).state
    lefts = []
    for storage in killed_at_each_change(finished_run, tmp_path, monkeypatch, overwrite):
        assert tells_the_truth(storage)
        state = read_log(storage).state
        assert state.counting_folders() in (before.counting_folders(), set())
        lefts.append(bool(state.counting_folders()))
    assert len(lefts) > len(TABLES)
    # Something is deleted only once it does not count.
    assert lefts == sorted(lefts, reverse=True)
    assert {True, False} == set(lefts)
    for more in ({"resume": True}, {"overwrite": True}):
        with begin_run(OutputConfig(output=str(storage.root), **more)) as run:
            assert run.state.counting_folders() == set()
    assert {name for name in storage.files("") if not name.startswith("commits/")} == {"lock.json", "output.json"}
    assert spark


def test_a_run_whose_step_is_done_again_stops_counting_as_finished_first(spark, finished_run, tmp_path, monkeypatch):
    def begin_again(output):
        with continue_run(replace(output, overwrite=True), "match") as run:
            assert run.begin(MATCH, NoSettings(), "before") == run.state.number
            assert run.state.finished is None

    left = list(killed_at_each_change(finished_run, tmp_path, monkeypatch, begin_again))
    assert len(left) > 4
    assert all(tells_the_truth(storage) for storage in left)
    states = [read_log(storage).state for storage in left]
    assert {("match", 0) in state.tables for state in states} == {True, False}
    # Later steps end with it, a curated set stays.
    assert all((("count", None) in state.tables) == (("match", 0) in state.tables) for state in states)
    assert all(state.sample for state in states)
    assert spark


def test_a_run_whose_step_works_again_counts_as_finished_at_no_moment(spark, finished_run, tmp_path, monkeypatch):
    def work_again(output):
        def work(attempt):
            attempt.write_rows(ROWS, "entry_counts")
            return COUNTED.numbers

        with continue_run(replace(output, overwrite=True), "count") as run:
            run.do(COUNT, config=COUNTED.config, settings={}, input_digest="now", work=work)
            assert run.state.finished is None

    left = list(killed_at_each_change(finished_run, tmp_path, monkeypatch, work_again))
    assert len(left) > 5
    assert all(tells_the_truth(storage) for storage in left)
    inputs = [read_log(storage).state.tables["count", None].manifest["input"] for storage in left]
    assert inputs == sorted(inputs)
    assert set(inputs) == {"before", "now"}
    assert spark


def test_a_run_to_which_archives_are_added_does_not_count_as_finished_meanwhile(
    spark, finished_run, tmp_path, monkeypatch
):
    def waves(owner, *_arguments):
        # What counts is unchanged until the first wave is in.
        assert owner.state.finished is not None
        owner.commit(wave("00009-aa", archive_summary("b.warc"), owner=owner.nonce))
        assert owner.storage.read_object(RUN) is None
        assert owner.state.finished is None
        raise Kill

    monkeypatch.setattr("metaclip_spark.runs.extraction.run_waves", waves)
    output = OutputConfig(output=str(shutil.copytree(finished_run, tmp_path / "run")), resume=True)
    archives = [ArchivePath("b.warc", str(tmp_path / "b.warc"))]
    with pytest.raises(Kill), begin_run(output) as run:
        run_extract(run, ExtractConfig(archives=("b.warc",), max_page_bytes=5), archives)
    assert spark


@pytest.fixture
def run(spark, storage):
    owner = take_folder(storage)
    return Run(lambda: spark, storage, OutputConfig(output=str(storage.root)), owner.log, owner)


EXPECTED = pa.table({"entry_id": [1, 0], "expected_kept": [0.5, 2.0]}, schema=EXPECTED_KEPT)


def commit(run, write, rows, name="expected_kept"):
    """Writes a table by a method of `Attempt`, and makes it count."""
    attempt = Attempt(run)
    getattr(attempt, write)(rows, name)
    run.commit(SAMPLE, manifest("sample"), attempt)
    return run.state.sample


def test_rows_of_the_driver_are_read_back_by_both(run):
    commit(run, "write_rows", EXPECTED)
    assert run.read_rows("expected_kept", EXPECTED_KEPT) == EXPECTED
    assert [tuple(row) for row in run.read("expected_kept", EXPECTED_KEPT).collect()] == [(1, 0.5), (0, 2.0)]
    assert run.read_rows("entry_counts", EXPECTED_KEPT).num_rows == 0


def test_rows_written_by_spark_are_read_by_the_driver(run):
    commit(run, "write", run.spark.createDataFrame([(7, 1.5), (8, 2.5)], "entry_id int, expected_kept double"))
    rows = run.read_rows("expected_kept", EXPECTED_KEPT)
    assert sorted(rows.to_pylist(), key=str) == [
        {"entry_id": 7, "expected_kept": 1.5},
        {"entry_id": 8, "expected_kept": 2.5},
    ]


def test_another_write_of_the_same_table_changes_nothing_of_the_first(run):
    first = commit(run, "write_rows", EXPECTED)
    Attempt(run).write_rows(EXPECTED.slice(1), "expected_kept")
    assert lost_files(run.storage, first) == []
    assert run.read_rows("expected_kept", EXPECTED_KEPT) == EXPECTED
    # A file beside those that it wrote is noticed.
    folder = first.tables["expected_kept"].folder
    run.storage.put_table(f"{folder}/part-00001.parquet", EXPECTED)
    assert lost_files(run.storage, first) == [f"{folder}/part-00001.parquet"]


@pytest.mark.parametrize("write", ["write", "write_rows"])
def test_who_lost_the_run_changes_no_table(run, write):
    rows = run.spark.createDataFrame(EXPECTED.to_pandas()) if write == "write" else EXPECTED
    commit(run, write, rows)
    other = replace(run, owner=take_folder(run.storage))
    other = replace(other, log=other.owner.log)
    second = commit(other, write, rows)
    before = run.storage.files("")
    assert second.tables["expected_kept"].folder != run.state.sample.tables["expected_kept"].folder
    tidy(run.owned, "expected_kept")
    assert run.storage.files("") == before
    with pytest.raises(OutputExistsError, match="another driver has taken the run over"):
        commit(run, write, rows)
    tidy(run.owned, "expected_kept")
    reader = Run(lambda: run.spark, run.storage, run.output, read_log(run.storage))
    assert reader.state.sample == second
    assert lost_files(run.storage, second) == []
    assert reader.read_rows("expected_kept", EXPECTED_KEPT).num_rows == 2


def test_a_run_that_is_read_is_not_written_to(storage):
    with pytest.raises(RuntimeError, match="was opened for reading"):
        _ = Run(None, storage, OutputConfig(output=str(storage.root)), read_log(storage)).owned
