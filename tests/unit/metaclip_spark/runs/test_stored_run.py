"""Runs that an earlier version wrote: they are read, resumed and reported.

tests/data/stored_run/finished is a whole run; tests/data/stored_run/stopped ended after the match step.
"""

import json
import shutil

import pytest

from tests.support.jobs import SAMPLE, call, rows, run_json
from tests.support.paths import DATA

STORED = DATA / "stored_run"
ENTRIES = STORED / "entries.txt"
CURATE = ("curate", "--archives", SAMPLE / "sample-00000.warc.gz", "--metadata", ENTRIES, "--threshold-t", 5)
pytestmark = pytest.mark.usefixtures("spark")


def report_of(run):
    """The report without what a computer's speed and packages say."""
    report = json.loads((run / "report" / "report.json").read_text())
    return {name: value for name, value in report.items() if name not in {"seconds", "versions", "layout"}}


@pytest.fixture
def finished(tmp_path):
    return shutil.copytree(STORED / "finished", tmp_path / "finished")


@pytest.fixture
def stopped(tmp_path):
    return shutil.copytree(STORED / "stopped", tmp_path / "stopped")


def test_a_finished_run_is_kept_when_it_is_resumed(finished, capfd):
    before = {path: path.stat().st_mtime_ns for path in (finished / "manifests").iterdir()}
    assert call(*CURATE, "--identify-language", "--output", finished, "--resume") == 0
    assert capfd.readouterr().err.count("done before, kept") == 5
    assert {path: path.stat().st_mtime_ns for path in (finished / "manifests").iterdir()} == before
    assert run_json(finished)["steps"] == run_json(STORED / "finished")["steps"]
    assert report_of(finished) == report_of(STORED / "finished")


def test_a_finished_run_is_reported_planned_and_explained(finished, capsys):
    shutil.rmtree(finished / "report")
    assert call("report_curation", "--output", finished, "--against", STORED / "finished") == 0
    assert run_json(finished)["steps"] == run_json(STORED / "finished")["steps"]
    told = report_of(finished)
    assert told.pop("comparison")["rank_correlation"] == pytest.approx(1)
    stored = report_of(STORED / "finished")
    assert stored.pop("comparison") is None
    assert told == stored
    kept = rows(finished, "curated")[0]["pair_id"]
    capsys.readouterr()
    assert call("plan_threshold", "--run", finished, "--thresholds", 5) == 0
    assert f"{stored['expected_size']:,.1f}" in capsys.readouterr().out
    assert call("explain_pair", "--run", finished, "--pair-id", kept) == 0
    assert "in: its draw" in capsys.readouterr().out


def test_a_stopped_run_is_resumed_to_the_same_curated_set(stopped, capfd):
    assert call(*CURATE, "--output", stopped, "--resume") == 0
    assert capfd.readouterr().err.count("done before, kept") == 3
    for table in ("archives", "rejects", "pool", "entry_counts"):
        assert rows(stopped, table) == rows(STORED / "finished", table), table
    curated = [
        [(row["pair_id"], row["keep_probability"]) for row in rows(run, "curated")]
        for run in (stopped, STORED / "finished")
    ]
    assert curated[0] == curated[1]
