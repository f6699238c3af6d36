"""Runs that an earlier version wrote: they are read, resumed and reported.

tests/data/stored_run/finished is a whole run; tests/data/stored_run/stopped ended after the match step.
"""

import json
import shutil

import pytest

from metaclip_spark.config.curation import OutputConfig
from metaclip_spark.runs.layout import LOCK, MARKER
from metaclip_spark.runs.open import begin_run
from tests.support.jobs import SAMPLE, call, files_of, known_before, report_of, rows, run_json, state_of
from tests.support.paths import DATA

STORED = DATA / "stored_run"
ENTRIES = STORED / "entries.txt"
CURATE = ("curate", "--archives", SAMPLE / "sample-00000.warc.gz", "--metadata", ENTRIES, "--threshold-t", 5)
pytestmark = pytest.mark.usefixtures("spark")


def told_of(run):
    """What earlier versions told, too, but for a computer's speed and packages.

    Pairs are shown as samples, of which no two have the same text any more.
    """
    older = "language gate: none (the paper's English pool: en by top-1 label)"
    newer = "no language filter (the paper keeps texts whose top fastText label is en)"
    report = json.loads(json.dumps(report_of(run)).replace(older, newer))
    *stages, last = [line for line in report["funnel"] if line["out"] != "counted"]
    report["funnel"] = [*stages, {**last, "in": "matched"}]
    for entry in (*report["profile"]["most_cut"], *report["profile"]["most_kept"]):
        del entry["pairs"]
    report = known_before(report, report_of(STORED / "finished"))
    return {name: value for name, value in report.items() if name not in {"seconds", "versions", "layout"}}


def steps_of(run):
    """The steps that run.json tells of."""
    return run_json(run)["steps"]


def files_below(folder):
    return {path.relative_to(folder).as_posix(): path.stat().st_mtime_ns for path in folder.rglob("*.parquet")}


@pytest.fixture
def finished(tmp_path):
    return shutil.copytree(STORED / "finished", tmp_path / "finished")


@pytest.fixture
def stopped(tmp_path):
    return shutil.copytree(STORED / "stopped", tmp_path / "stopped")


def keeps_older_versions_out(run):
    """Tells whether the folder has the lock that those versions never take, and the marker that they refuse."""
    return "layout 2" in (run / LOCK).read_text() and '"layout": 2' in (run / MARKER).read_text()


def test_a_finished_run_is_kept_when_it_is_resumed(finished, capfd):
    tables = ("pool", "matched", "entry_counts", "curated")
    before = {table: files_of(finished, table) for table in tables}
    written = files_below(finished)
    assert call(*CURATE, "--identify-language", "--output", finished, "--resume") == 0
    assert capfd.readouterr().err.count("already done, reused") == 5
    assert {table: files_of(finished, table) for table in tables} == before
    assert {name: time for name, time in files_below(finished).items() if not name.startswith("report/")} == {
        name: time for name, time in written.items() if not name.startswith("report/")
    }
    assert steps_of(finished) == steps_of(STORED / "finished")
    assert told_of(finished) == told_of(STORED / "finished")
    assert keeps_older_versions_out(finished)
    # It has a log now, and is kept by that as well: the report, too, and nobody needs to own the run.
    number = state_of(finished).number
    assert call(*CURATE, "--identify-language", "--output", finished, "--resume") == 0
    assert capfd.readouterr().err.count("already done, reused") == 6
    assert state_of(finished).number == number
    assert steps_of(finished) == steps_of(STORED / "finished")


def test_a_finished_run_is_read_as_it_is(finished, capsys):
    before = files_below(finished)
    kept = rows(finished, "curated")[0]["pair_id"]
    assert call("plan_threshold", "--run", finished, "--thresholds", 5) == 0
    assert f"{report_of(finished)['expected_size']:,.1f}" in capsys.readouterr().out
    assert call("explain_pair", "--run", finished, "--pair-id", kept) == 0
    assert "kept by the draw" in capsys.readouterr().out
    assert files_below(finished) == before
    assert not (finished / "commits").exists()


def test_a_finished_run_is_reported_planned_and_explained(finished, capsys):
    shutil.rmtree(finished / "report")
    assert call("report_curation", "--output", finished, "--against", STORED / "finished") == 0
    assert steps_of(finished) == steps_of(STORED / "finished")
    told = told_of(finished)
    assert told.pop("comparison")["rank_correlation"] == pytest.approx(1)
    stored = told_of(STORED / "finished")
    assert stored.pop("comparison") is None
    assert told == stored
    kept = rows(finished, "curated")[0]["pair_id"]
    capsys.readouterr()
    assert call("plan_threshold", "--run", finished, "--thresholds", 5) == 0
    assert f"{stored['expected_size']:,.1f}" in capsys.readouterr().out
    assert call("explain_pair", "--run", finished, "--pair-id", kept) == 0
    assert "kept by the draw" in capsys.readouterr().out
    assert keeps_older_versions_out(finished)


def test_a_stopped_run_is_resumed_to_the_same_curated_set(stopped, capfd):
    assert call(*CURATE, "--output", stopped, "--resume") == 0
    assert capfd.readouterr().err.count("already done, reused") == 3
    for table in ("archives", "rejects", "pool", "entry_counts"):
        assert rows(stopped, table) == rows(STORED / "finished", table), table
    curated = [
        [(row["pair_id"], row["keep_probability"]) for row in rows(run, "curated")]
        for run in (stopped, STORED / "finished")
    ]
    assert curated[0] == curated[1]
    assert keeps_older_versions_out(stopped)


def test_the_curated_set_of_before_goes_once_a_later_one_counts(finished):
    """And one step that is done again leaves the others' tables as they were."""
    matched = files_of(finished, "matched")
    before = {row["pair_id"]: row["keep_probability"] for row in rows(finished, "curated")}
    again = ("sample_pairs", "--threshold-t", 5, "--output", finished, "--overwrite")
    assert call(*again) == 0
    assert not list((finished / "curated").glob("*.parquet"))
    assert {row["pair_id"]: row["keep_probability"] for row in rows(finished, "curated")} == before
    assert files_of(finished, "matched") == matched


def test_nothing_of_before_is_left_when_it_is_overwritten(finished):
    with begin_run(OutputConfig(output=str(finished), overwrite=True)) as run:
        assert run.state.counting_folders() == set()
    left = {path.relative_to(finished).as_posix() for path in finished.rglob("*") if path.is_file()}
    assert {name for name in left if not name.startswith("commits/")} == {LOCK, MARKER}
    assert keeps_older_versions_out(finished)
