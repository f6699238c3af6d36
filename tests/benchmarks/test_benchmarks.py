"""Keeps the benchmarks alive, at toy size; nothing here is timed.

The peers that need an environment of their own (cc2dataset, selectolax before 0.4) run in `make bench` only: CI does
not install them. In their place the project's own extraction stands on both sides.
"""

import json
import sys
from dataclasses import replace

import pytest

from tests.benchmarks import (
    bench_extract,
    bench_match,
    bench_scale,
    bench_start,
    earlier_sources,
    extrapolate,
    run_benchmarks,
)
from tests.benchmarks.synthetic_archives import warc_records, wat_records, write_archive
from tests.benchmarks.synthetic_pages import LATIN_1, MIXTURE, mixed_pages, plain_pages
from tests.support.archive_files import extract_path


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
    each = bench_extract.Input("P3", "pages", bench_extract.archive("warc"), bench_extract.Targets(5.0, 0.5))
    rival = bench_extract.Rival("ourselves", [sys.executable, "earlier.py", str(bench_extract.CHECKOUT)])
    ratio, share, of_inflating = bench_extract.results(each, rival, [], repeats=2)
    assert [(row["id"], row["target"], row["equal"]) for row in (ratio, share, of_inflating)] == [
        ("P3a", 5.0, True),
        ("P3b", 0.5, True),
        ("P3c", None, True),
    ]
    assert ratio["input"]["pairs"] == ratio["input"]["found"]["ours"]["pairs"] > 0
    assert 0 < sum(ratio["input"]["reference_records"].values()) < ratio["input"]["records"]
    assert {side: len(rounds) for side, rounds in ratio["rounds"].items()} == {
        "ours": 2, "ourselves": 2, "floor": 2, "inflate": 2
    }  # fmt: skip
    assert share["reached"] == ratio["medians"]["floor"] / ratio["medians"]["ours"]
    assert of_inflating["reached"] == ratio["medians"]["inflate"] / ratio["medians"]["ours"]


def test_outputs_must_be_those_that_were_made():
    each = bench_extract.Input("P2", "records", "", bench_extract.Targets(), made="a")
    assert bench_extract.is_equal(each, {"ours": "a", "rival": "a"})
    assert not bench_extract.is_equal(each, {"ours": "a", "rival": "b"})
    assert not bench_extract.is_equal(each, {"ours": "b", "rival": "b"})
    assert bench_extract.is_equal(replace(each, agreed=False), {"ours": "a", "rival": "b"})
    assert not bench_extract.is_equal(replace(each, agreed=False), {"ours": "b", "rival": "a"})


@pytest.mark.parametrize(
    ("pages", "write"), [(plain_pages, wat_records), (plain_pages, warc_records), (mixed_pages, warc_records)]
)
def test_what_a_synthetic_crawl_was_made_of_is_found_in_it(tmp_path, pages, write):
    made, path = pages(20), tmp_path / "crawl.gz"
    write_archive(path, write(made))
    found = [(pair["image_url"], pair["alt_text"]) for pair in extract_path(path).pairs]
    assert found == [pair for page in made for pair in page.pairs(("alt", "title"))]
    assert len(found) > 100


def test_a_synthetic_crawl_has_three_records_for_each_page_and_what_it_says():
    pages = [replace(page, html_bytes=0) for page in mixed_pages(50)]
    records = list(warc_records(pages))
    assert len(records) == 1 + 3 * len(pages)
    blocks = [block for headers, block in records if headers["WARC-Type"] == "response"]
    for name, word in (
        ("a base", b"<base href="),
        ("a robots meta", b'name="robots"'),
        ("a robots meta with noindex", b'content="noindex'),
        ("an X-Robots-Tag", b"\r\nx-robots-tag: "),
        ("Content-Type application/octet-stream", b"\r\ncontent-type: application/octet-stream"),
        ("charset shift_jis", b"charset=shift_jis"),
        ("charset gb2312", b"charset=gb2312"),
    ):
        assert sum(word in block.lower() for block in blocks) == max(1, round(MIXTURE[name].share * len(pages))), name
    assert sum(b"<html>" in block for block in blocks) == round(MIXTURE["no lang attribute"].share * len(pages))
    assert sum(page.charset != "utf-8" for page in pages) == 4 + round(MIXTURE[LATIN_1].share * len(pages))


def test_a_synthetic_crawl_is_always_the_same():
    once, again = (list(wat_records(plain_pages(3))) for _ in range(2))
    assert once == again


def test_plain_pages_are_all_read_by_the_loop(tmp_path):
    write_archive(tmp_path / "crawl.gz", wat_records(plain_pages(5)))
    facts = bench_extract.facts_of(str(tmp_path / "crawl.gz"))
    assert (facts["records"], facts["pages"], facts["reference_records"]) == (16, 5, {})
    assert facts["bytes"] < facts["plain_bytes"] < facts["inflated_bytes"]


def test_kernels_are_loaded_in_a_process_of_their_own():
    assert bench_start.kernel_seconds() > 0


def test_a_checkout_without_history_measures_no_earlier_sources(monkeypatch, capsys):
    monkeypatch.setattr(earlier_sources, "WITHOUT_LOOP", "0" * 40)
    assert earlier_sources.without_loop() is None
    assert "not measured" in capsys.readouterr().out


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


def test_the_extrapolation_follows_its_rates():
    rates = extrapolate.measured_rates()
    faster = replace(rates, work={step: 2 * rate for step, rate in rates.work.items()})
    once = extrapolate.core_hours(1e9, 1e8, rates)
    assert once == {step: 2 * hours for step, hours in extrapolate.core_hours(1e9, 1e8, faster).items()}


def test_the_extrapolation_has_as_many_pairs_in_a_byte_as_it_assumes(capsys):
    rates = extrapolate.measured_rates(extrapolate.AS_ASSUMED)
    assert rates.bytes_per_pair == pytest.approx(extrapolate.BYTES_PER_PAIR, rel=0.02)
    assert extrapolate.measured_rates(extrapolate.DENSE).bytes_per_pair < rates.bytes_per_pair / 2
    extrapolate.main()
    printed = capsys.readouterr().out
    for method in extrapolate.METHODS:
        for code in extrapolate.CODES.values():
            assert f"{code}, by the rate of {method.name}".upper() in printed


@pytest.mark.spark
def test_one_run_at_toy_size_tells_seconds_memory_and_bytes(tmp_path):
    report = bench_scale.measure(tmp_path / "scale", pairs=3000, entries=500, target=500, memory="1g")
    assert {"extract", *extrapolate.STEPS} <= set(report["steps"])
    assert report["steps"]["match"]["numbers"]["pairs_in"] == 3000
    assert set(report["peaks"]) == {"python driver", "JVM of driver and executor", "python worker"}
    assert report["moved"]["Shuffle Bytes Written"] > 0
    assert all(report["bytes"][table] for table in extrapolate.TABLES)
