"""Keeps the benchmarks alive, at toy size; nothing here is timed.

The peers that need an environment of their own (cc2dataset, selectolax before 0.4) run in `make bench` only: CI does
not install them. In their place the project's own extraction stands on both sides.
"""

import json
import sys
from dataclasses import replace

import pytest

from tests.benchmarks import bench_extract, bench_match, bench_scale, extrapolate, run_benchmarks


def test_matching_agrees_with_the_published_way(capsys, monkeypatch):
    monkeypatch.delenv("METACLIP_WORDNET", raising=False)
    assert bench_match.main(["--entries", "3000", "--texts", "2000", "--repeats", "1"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["id"] == "P1"
    assert report["equal"] is True
    assert report["matches_per_text"] > 3
    assert report["ratio"] > 0


def test_contestants_run_in_turns(monkeypatch):
    monkeypatch.delenv("METACLIP_TEST_DATA", raising=False)
    path = bench_extract.archive("warc")
    rival = bench_extract.Rival("ourselves", [sys.executable, "this_project.py"], 5.0)
    ratio, share = bench_extract.results("P3", path, rival, [], repeats=2)
    assert ratio["equal"] is True
    assert ratio["input"]["found"]["ours"]["pairs"] > 0
    assert len(ratio["rounds"]["floor"]) == 2
    assert share["medians"]["floor"] > 0


def test_the_report_of_one_benchmark(tmp_path, monkeypatch, capsys):
    output = tmp_path / "benchmarks.json"
    options = ["--only", "P1", "--entries", "2000", "--texts", "1000", "--repeats", "1", "--output", str(output)]
    monkeypatch.setattr(bench_match, "LIBRARIES", ())
    monkeypatch.setattr(sys, "argv", ["run_benchmarks.py", *options])
    assert run_benchmarks.main() == 0
    result, tables = json.loads(output.read_text("utf-8"))["results"]
    assert (result["id"], result["target"], result["equal"]) == ("P1", 10.0, True)
    assert (tables["id"], tables["target"]) == ("P6b", 2.0)
    assert result["reached"] > 0
    assert capsys.readouterr().out.startswith("P1 ")


def test_the_extrapolation_follows_its_rates(capsys):
    rates = extrapolate.measured_rates()
    faster = replace(rates, work={step: 2 * rate for step, rate in rates.work.items()})
    once = extrapolate.core_hours(1e9, 1e8, rates)
    assert once == {step: 2 * hours for step, hours in extrapolate.core_hours(1e9, 1e8, faster).items()}
    extrapolate.main()
    assert "wall hours" in capsys.readouterr().out


@pytest.mark.spark
def test_one_run_at_toy_size_tells_seconds_memory_and_bytes(tmp_path):
    report = bench_scale.measure(tmp_path / "scale", pairs=3000, entries=500, target=500, memory="1g")
    assert {"extract", *extrapolate.STEPS} <= set(report["steps"])
    assert report["steps"]["match"]["numbers"]["pairs_in"] == 3000
    assert set(report["peaks"]) == {"python driver", "JVM of driver and executor", "python worker"}
    assert report["moved"]["Shuffle Bytes Written"] > 0
    assert all(report["bytes"][table] for table in extrapolate.TABLES)
