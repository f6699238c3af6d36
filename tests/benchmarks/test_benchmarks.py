"""Keeps the benchmarks alive, at toy size; nothing here is timed."""

import json

from tests.benchmarks import bench_match


def test_matching_agrees_with_the_published_way(capsys, monkeypatch):
    monkeypatch.delenv("METACLIP_WORDNET", raising=False)
    assert bench_match.main(["--entries", "3000", "--texts", "2000", "--repeats", "1"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["id"] == "P1"
    assert report["equal"] is True
    assert report["matches_per_text"] > 3
    assert report["ratio"] > 0
