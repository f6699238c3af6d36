"""Keeps the benchmarks of whole jobs alive, at toy size in one warm session: their checks hold, no time is asked."""

import os

import pytest

from tests.benchmarks import bench_choices, bench_first_draw, bench_jobs, bench_settings
from tests.support.jobs import load

ENTRIES = 400


@pytest.fixture(autouse=True)
def small_and_warm(tmp_path, monkeypatch, spark):
    assert spark

    def submit(script, *arguments, memory=None, **_settings):
        assert not load(script).main([str(argument) for argument in arguments])
        if memory is not None:
            memory.look(os.getpid())
        return 1.0

    monkeypatch.setattr(bench_jobs, "submit", submit)
    for module in (bench_jobs, bench_choices, bench_settings):
        monkeypatch.setattr(module, "DATA", tmp_path)


def test_match_is_compared_with_a_copy_and_the_naive_job():
    results = bench_jobs.spark(rows=600, entries=ENTRIES, repeats=1)
    assert [result["id"] for result in results] == ["P4a", "P4b", "P4c"]
    assert all(result["equal"] is True for result in results)


def test_workers_and_their_tables_are_seen(monkeypatch):
    # The workers of a job of a hundred pairs hold their tables for less than half a second.
    monkeypatch.setattr(bench_jobs, "SECONDS_BETWEEN_LOOKS", 0.02)
    time, memory, tables = bench_jobs.growth(rows=100, entries=ENTRIES, repeats=1)
    assert time["medians"].keys() == {"1x", "8x"}
    assert 20 < memory["reached"] < 2000
    assert tables["input"]["workers"] > 0
    # In one warm session a worker may keep the tables of the first job while another one has those of the second.
    assert 0 < tables["reached"] <= 1.01 * tables["input"]["workers"]


def test_languages_equal_those_of_fasttext():
    results = bench_jobs.language(rows=200, entries=ENTRIES, repeats=1)
    assert [result["id"] for result in results] == ["P7a", "P7b"]
    assert all(result["equal"] is True for result in results)
    assert 90 <= results[0]["input"]["matched"] <= 100


def test_both_ways_of_each_choice_give_the_same_rows(spark):
    report = bench_choices.measure(spark, rows=500, entries=ENTRIES, repeats=1)
    assert all(report[step]["equal"] for step in ("match", "sample", "count"))


def test_deduplication_gives_the_same_rows_before_and_after_matching(spark):
    report = bench_settings.measure(spark, rows=300, entries=ENTRIES, copies=2, repeats=1)
    assert report["deduplicate"]["equal"] is True
    assert 140 <= report["deduplicate"]["matched pairs"] <= 150
    assert all(report["write"]["bytes"].values())
    assert all(number > 0 for number in report["deduplicate"]["shuffled bytes of a raw pair"].values())


def test_a_second_draw_is_near_the_ideal_and_the_naive_one_is_not(spark, tmp_path):
    report = bench_first_draw.measure(
        spark, tmp_path / "scale", pairs=3_000, entries=ENTRIES, shares=(0.5, 0.2), lost=0.25
    )
    sizes = report["sizes"]
    assert report["within the bound of the ideal"]
    assert abs(sizes["estimated"]["pairs"] - sizes["ideal"]["pairs"]) < 0.1 * sizes["ideal"]["pairs"]
    assert sizes["naive"]["pairs"] > 1.1 * sizes["ideal"]["pairs"]
