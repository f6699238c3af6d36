"""Balancing several metadata lists in a run: each number of each language against plain Python."""

import json
import math
import re
import shutil
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metaclip_spark.balance import threshold_for_tail_share
from metaclip_spark.config.curation import ExtractConfig, LanguageConfig, MatchConfig, OutputConfig, SampleConfig
from metaclip_spark.config.fields import digest
from metaclip_spark.entries import Metadata, MetadataList
from metaclip_spark.errors import ConfigError
from metaclip_spark.list_thresholds import EntryLists
from metaclip_spark.pipeline import check_before_start, run_count, run_extract, run_match
from metaclip_spark.reports.plan import _anchor_of
from metaclip_spark.runs.entry_tables import digest_of_counts
from metaclip_spark.runs.open import begin_run
from metaclip_spark.runs.paths import find_inputs
from tests.support.jobs import call, manifest_of, rows, state_of
from udfs.balancing.draw import pair_draws
from udfs.schemas import THRESHOLDS

pytestmark = pytest.mark.usefixtures("spark")

WORDS = {
    "de": ["Hund", "Katze", "Haus", "Auto", "nie"],
    # Languages of 1, 5, 8 and 9 matches, each with an entry that is never seen.
    **{f"l{matches}": [f"one{matches}", f"nothing{matches}"] for matches in (1, 5, 8, 9)},
    "en": ["dog", "cat", "house", "rare", "never"],
    "zu": ["inja", "ikati", "a zu word"],
}
CODES = sorted(WORDS)
ENTRIES = [entry for code in CODES for entry in WORDS[code]]
FIRST_IDS = {code: sum(len(WORDS[before]) for before in CODES if before < code) for code in CODES}
OF_ENTRY = [code for code in CODES for _ in WORDS[code]]
LISTS = tuple(MetadataList(code, FIRST_IDS[code], len(WORDS[code]), code) for code in CODES)
METADATA = Metadata(tuple(ENTRIES), "lists" * 8, LISTS, anchor="en")
SEED = 5


def texts():
    for number in range(240):
        yield "dog" + " cat" * (number % 3 == 0) + " house" * (number % 20 == 0) + " rare" * (number % 60 == 0)
    for number in range(90):
        yield "Hund" + " Katze" * (number % 2) + " Haus" * (number % 9 == 0) + " Auto" * (number == 7)
    for matches in (1, 5, 8, 9):
        yield from [f"one{matches}"] * matches
    for number in range(20):
        yield "inja" if number % 4 else "ikati"


@pytest.fixture(scope="module")
def counted_run(request, tmp_path_factory):
    """A run up to its counts; texts hold words of one list only."""
    request.getfixturevalue("spark")
    folder = tmp_path_factory.mktemp("lists")
    pool = [{"url": f"https://example.org/{number}.jpg", "text": text} for number, text in enumerate(texts())]
    pq.write_table(pa.Table.from_pylist(pool), folder / "pool.parquet")
    extract = ExtractConfig(pool=(str(folder / "pool.parquet"),))
    with begin_run(OutputConfig(str(folder / "run")), "lists") as run:
        run_extract(run, extract, find_inputs(extract))
        run_match(run, MatchConfig("lists"), LanguageConfig(), Metadata(METADATA.entries, METADATA.digest))
        run_count(run, LanguageConfig(), METADATA)
    return folder / "run"


@pytest.fixture(scope="module")
def without_anchor(counted_run, tmp_path_factory):
    """The same run, with a folder of lists that names no anchor."""
    output = shutil.copytree(counted_run, tmp_path_factory.mktemp("without_anchor") / "run")
    with begin_run(OutputConfig(str(output), resume=True), "lists") as run:
        run_count(run, LanguageConfig(), replace(METADATA, anchor=None))
    return output


@pytest.fixture(scope="module")
def matched(counted_run):
    return rows(counted_run, "matched")


@pytest.fixture(scope="module")
def counts(counted_run):
    table = sorted(rows(counted_run, "entry_counts"), key=lambda row: row["entry_id"])
    assert [row["entry_text"] for row in table] == ENTRIES
    assert [row["metadata_language"] for row in table] == OF_ENTRY
    return [row["entry_count"] for row in table]


def of_list(code, numbers):
    return numbers[FIRST_IDS[code] : FIRST_IDS[code] + len(WORDS[code])]


def by_anchor(counts, threshold, given=()):
    """The threshold of each list, slowly."""
    english = of_list("en", counts)
    share = Fraction(sum(count for count in english if count < threshold), sum(english))
    found = {}
    for code in CODES:
        mine = of_list(code, counts)
        achieved = {t: Fraction(sum(count for count in mine if count < t), sum(mine)) for t in range(1, max(mine) + 2)}
        found[code] = min(achieved, key=lambda t: (abs(achieved[t] - share), t))
    return found | {"en": threshold} | dict(given)


def expected_of(matched, counts, thresholds):
    """Each list's keep probabilities, by pair_id, and the pairs that the draw keeps."""
    keep = {}
    for row in matched:
        lost = 1.0
        for entry in row["entry_ids"]:
            lost *= 1 - min(1, thresholds[OF_ENTRY[entry]] / max(1, counts[entry]))
        keep[row["pair_id"]] = 1 - lost
    draws = dict(zip(keep, pair_draws(pa.array(list(keep)), SEED).tolist(), strict=True))
    lists = {row["pair_id"]: OF_ENTRY[row["entry_ids"][0]] for row in matched}
    sizes = dict.fromkeys(CODES, 0.0)
    for pair, chance in keep.items():
        sizes[lists[pair]] += chance
    return sizes, {pair: lists[pair] for pair in keep if draws[pair] < keep[pair]}


def sampled(run, *options):
    assert call("sample_pairs", "--output", run, "--seed", SEED, *options, "--overwrite") == 0
    return {row["metadata_language"]: row for row in rows(run, "thresholds")}


def check_table(run, table, matched, counts, thresholds):
    sizes, kept = expected_of(matched, counts, thresholds)
    numbers, config = manifest_of(run, "sample")["numbers"], manifest_of(run, "sample")["config"]
    assert {row["pair_id"] for row in rows(run, "curated")} == kept.keys()
    assert list(table) == CODES
    for code, row in table.items():
        mine, t = of_list(code, counts), thresholds[code]
        assert row.keys() == set(THRESHOLDS.names)
        assert row["threshold_t"] == (None if t == math.inf else t)
        assert row["matches"] == sum(mine)
        assert row["tail_share"] == sum(count for count in mine if count < t) / sum(mine)
        assert row["pairs"] == sum(OF_ENTRY[pair["entry_ids"][0]] == code for pair in matched)
        assert row["expected_size"] == pytest.approx(sizes[code], abs=1e-6)
        assert row["expected_size"] >= 1 - 1e-6
        assert row["kept"] == list(kept.values()).count(code)
        assert (row["entries"], row["entries_matched"]) == (len(mine), np.count_nonzero(mine))
    assert numbers["pairs"] == sum(row["kept"] for row in table.values())
    assert numbers["expected_size"] == pytest.approx(sum(row["expected_size"] for row in table.values()))
    assert numbers["pairs_in"] == numbers["gated_out"] + numbers["not_drawn"] + numbers["pairs"]
    assert numbers["threshold_t"] == ("inf" if thresholds["en"] == math.inf else thresholds["en"])
    assert (numbers["threshold_of"], config["anchor"]) == ("en", "en")
    tail = sum(count for count, code in zip(counts, OF_ENTRY, strict=True) if count < thresholds[code])
    assert numbers["tail_share"] == tail / sum(counts)


@pytest.mark.parametrize("threshold", [1, 13, 100, 241, "inf"])
def test_every_number_of_every_language_for_a_threshold_of_the_anchor(counted_run, matched, counts, threshold, capfd):
    table = sampled(counted_run, "--threshold-t", threshold)
    thresholds = dict.fromkeys(CODES, math.inf) if threshold == "inf" else by_anchor(counts, threshold)
    check_table(counted_run, table, matched, counts, thresholds)
    assert not any(row["floor_applied"] for row in table.values())
    warned = "leaves en no tail, whose rarest matched entry has 4 pairs; so t is 1" in capfd.readouterr().err
    assert warned == (threshold == 1)
    taken = None if threshold == "inf" else table["en"]["tail_share"]
    assert manifest_of(counted_run, "sample")["numbers"].get("list_tail_share") == taken
    if threshold in {241, "inf"}:
        assert all(row["kept"] == row["pairs"] for row in table.values())


def test_every_number_for_a_tail_share_of_every_language(counted_run, matched, counts):
    table = sampled(counted_run, "--tail-share", 0.06)
    thresholds = {code: threshold_for_tail_share(np.array(of_list(code, counts)), 0.06) for code in CODES}
    check_table(counted_run, table, matched, counts, thresholds)
    assert manifest_of(counted_run, "sample")["numbers"]["list_tail_share"] == 0.06


def test_without_an_anchor_no_list_stands_for_all(without_anchor, counts, capfd):
    table = sampled(without_anchor, "--tail-share", 0.06)
    told = {code: threshold_for_tail_share(np.array(of_list(code, counts)), 0.06) for code in CODES}
    assert {code: row["threshold_t"] for code, row in table.items()} == told
    numbers = manifest_of(without_anchor, "sample")["numbers"]
    assert (numbers["threshold_t"], numbers["list_tail_share"]) == ("by language", 0.06)
    assert "threshold_of" not in numbers
    assert "sample: a t for each language, expected size " in capfd.readouterr().err
    sampled(without_anchor, "--threshold-t", "inf")
    numbers = manifest_of(without_anchor, "sample")["numbers"]
    assert numbers["threshold_t"] == "inf"
    assert not numbers.keys() & {"threshold_of", "list_tail_share"}


def test_the_share_that_all_take_stands_where_the_anchors_own_threshold_is_given_or_raised(
    counted_run, counts, tmp_path, capfd
):
    file = tmp_path / "given.json"
    file.write_text(json.dumps({"en": 1}))
    capfd.readouterr()
    table = sampled(counted_run, "--threshold-t", 100, "--language-thresholds", file)
    english = of_list("en", counts)
    share = sum(count for count in english if count < 100) / sum(english)
    assert 0 < share == manifest_of(counted_run, "sample")["numbers"]["list_tail_share"]
    assert (table["en"]["tail_share"], table["de"]["threshold_t"]) == (0, by_anchor(counts, 100)["de"])
    assert "the tail share is 0" not in capfd.readouterr().err
    table = sampled(counted_run, "--threshold-t", 1, "--min-language-pairs", 200)
    assert table["en"]["tail_share"] > 0 == manifest_of(counted_run, "sample")["numbers"]["list_tail_share"]


def test_the_smallest_threshold_of_the_anchor_that_reaches_a_target(counted_run, matched, counts):
    table = sampled(counted_run, "--target-pairs", 150)
    sizes = {t: sum(expected_of(matched, counts, by_anchor(counts, t))[0].values()) for t in range(1, 242)}
    found = next(t for t, size in sizes.items() if size >= 150)
    check_table(counted_run, table, matched, counts, by_anchor(counts, found))
    everything = sampled(counted_run, "--target-pairs", len(matched))
    assert sum(row["kept"] for row in everything.values()) == len(matched)


def test_given_thresholds_and_a_floor(counted_run, matched, counts, tmp_path):
    file = tmp_path / "given.json"
    file.write_text(json.dumps({"l9": 4, "zu": "inf"}))
    table = sampled(counted_run, "--threshold-t", 100, "--language-thresholds", file, "--min-language-pairs", 40)
    thresholds = {code: row["threshold_t"] or math.inf for code, row in table.items()}
    given = {"l9": 4, "zu": math.inf}
    before = by_anchor(counts, 100, given.items())
    check_table(counted_run, table, matched, counts, thresholds)
    sizes, _ = expected_of(matched, counts, before)
    for code, row in table.items():
        wanted = min(40, row["pairs"])
        assert row["floor_applied"] == (code not in given and sizes[code] < wanted), code
        if not row["floor_applied"]:
            assert thresholds[code] == before[code]
            continue
        assert row["expected_size"] >= wanted
        one_less = expected_of(matched, counts, thresholds | {code: thresholds[code] - 1})[0][code]
        assert thresholds[code] == 1 or one_less < wanted
    config = manifest_of(counted_run, "sample")["config"]
    assert config["min_language_pairs"] == 40
    assert config["thresholds"] == digest({"l9": "4", "zu": "inf"})


def test_another_anchor_and_counts_of_another_run_are_balanced_with(counted_run, matched, counts):
    with_counts = ("--entry-counts", counted_run, counted_run)
    table = sampled(counted_run, "--threshold-t", 26, *with_counts)
    assert {row["entry_count"] for row in rows(counted_run, "balance_counts")} == {2 * count for count in counts}
    assert {row["metadata_language"] for row in rows(counted_run, "balance_counts")} == set(CODES)
    assert {row["metadata_language"] for row in rows(counted_run, "expected_kept")} == set(CODES)
    doubled = [2 * count for count in counts]
    thresholds = by_anchor(doubled, 26)
    assert {code: row["threshold_t"] for code, row in table.items()} == thresholds
    _, kept = expected_of(matched, doubled, thresholds)
    assert {row["pair_id"] for row in rows(counted_run, "curated")} == kept.keys()
    table = sampled(counted_run, "--threshold-t", 6, "--anchor-language", "zu")
    assert table["zu"]["threshold_t"] == 6
    assert manifest_of(counted_run, "sample")["numbers"]["threshold_of"] == "zu"
    again = ("--output", counted_run, "--seed", SEED, "--threshold-t", 6, "--anchor-language", "zu")
    before = state_of(counted_run).number
    assert call("sample_pairs", *again, "--resume") == 0
    first = rows(counted_run, "curated")
    assert call("sample_pairs", *again[:-1], "en", "--resume") == 0
    assert rows(counted_run, "curated") != first
    assert state_of(counted_run).number > before


def test_a_plan_gives_the_size_of_all_lists_for_thresholds_of_the_anchor(counted_run, matched, counts, capfd):
    sizes = {t: sum(expected_of(matched, counts, by_anchor(counts, t))[0].values()) for t in (13, 100)}
    capfd.readouterr()
    assert call("plan_threshold", "--run", counted_run, "--thresholds", 13, 100, "--target-pairs", 150) == 0
    shown = [line.split() for line in capfd.readouterr().out.splitlines()]
    found = {line[0]: float(line[1]) for line in shown if line and line[0] in {"13", "100", "241"}}
    assert found == {"13": round(sizes[13], 1), "100": round(sizes[100], 1), "241": len(matched)}
    assert call("plan_threshold", "--run", counted_run, "--tail-share", 0.06) == 0
    marked = next(line for line in capfd.readouterr().out.splitlines() if "<- chosen" in line)
    assert int(marked.split()[0]) == threshold_for_tail_share(np.array(of_list("en", counts)), 0.06)


def test_a_plan_with_several_lists_takes_other_counts(counted_run, matched, counts, tmp_path, capfd):
    tripled = [3 * count for count in counts]
    table = [{**row, "entry_count": 3 * row["entry_count"]} for row in rows(counted_run, "entry_counts")]
    pq.write_table(pa.Table.from_pylist(table), tmp_path / "tripled.parquet")
    for given, numbers in ((tmp_path / "tripled.parquet", tripled), (counted_run, counts)):
        size = sum(expected_of(matched, numbers, by_anchor(numbers, 13))[0].values())
        assert call("plan_threshold", "--run", counted_run, "--at-counts", given, "--thresholds", 13) == 0
        (line,) = [line.split() for line in capfd.readouterr().out.splitlines() if line.split()[:1] == ["13"]]
        assert line[1] == f"{size:,.1f}"
    pq.write_table(pa.Table.from_pylist(table[1:]), tmp_path / "fewer.parquet")
    assert call("plan_threshold", "--run", counted_run, "--at-counts", tmp_path / "fewer.parquet") == 2
    assert f"--at-counts {tmp_path}/fewer.parquet holds counts of other metadata lists" in capfd.readouterr().err
    assert call("plan_threshold", "--run", counted_run, "--at-counts", f"{counted_run}/entry_counts/none") == 2
    assert f"error: --at-counts {counted_run}/entry_counts/none" in capfd.readouterr().err


def test_a_plan_without_an_anchor_asks_for_one_and_goes_on_with_it(without_anchor, capfd):
    capfd.readouterr()
    plan = ("plan_threshold", "--run", without_anchor, "--thresholds", 6)
    assert call(*plan) == 2
    told = capfd.readouterr().err
    assert told.count("\n") == 1
    assert told.endswith("names no anchor, whose t is planned: give --anchor-language\n")
    assert call(*plan, "--anchor-language", "xx") == 2
    assert "--anchor-language 'xx': there is no such metadata list" in capfd.readouterr().err
    assert call(*plan, "--anchor-language", "zu") == 0
    told = capfd.readouterr().out
    table = sampled(without_anchor, "--threshold-t", 6, "--anchor-language", "zu")
    (row,) = [line.split() for line in told.splitlines() if line.split()[:1] == ["6"]]
    assert float(row[1]) == pytest.approx(sum(line["expected_size"] for line in table.values()), abs=0.05)
    assert re.search(r"--threshold-t T --anchor-language zu( --overwrite)?\n$", told)
    with pytest.raises(ConfigError, match=r"no match of the anchor's list en is counted, .*: give --anchor-l\S+ with"):
        _anchor_of(EntryLists(("en",), np.array([0, 2])), np.array([0, 0]), "en")


@pytest.mark.parametrize(
    ("options", "content", "told"),
    [
        (("--anchor-language", "xx"), None, "--anchor-language 'xx': there is no such metadata list; there are de, en"),
        (("--target-pairs", 10**6), None, "--target-pairs 1,000,000 is more than the 373 matched pairs"),
        (("--min-language-pairs", -1), None, "--min-language-pairs is -1: it must be an integer of at least 0"),
        ((), None, "given.json: no such file"),
        ((), "{", "given.json is not valid JSON"),
        ((), "[1]", "given.json must hold a JSON object of language to t"),
        ((), "{}", "given.json must hold a JSON object of language to t"),
        ((), '{"xx": 1}', "given.json names 'xx': there is no such metadata list; there are de, en"),
        ((), '{"de": 1, "de": 2}', "given.json names 'de' twice"),
        ((), '{"de": 0}', "given.json: the t of de must be a whole number, 1 or more, or inf (got 0)"),
        ((), '{"de": 1e400}', 'given.json: the t of de is beyond all numbers: for infinity give "inf"'),
        ((), '{"de": -1e1000000}', "given.json: the t of de is beyond all numbers"),
        ((), '{"de": Infinity}', "given.json: the t of de is beyond all numbers"),
        ((), '{"de": 1.5}', "given.json: the t of de must be a whole number"),
        ((), '{"de": null}', "given.json: the t of de must be a whole number"),
        ((), '{"de": true}', "given.json: the t of de must be a whole number"),
        ((), '{"de": "many"}', "given.json: the t of de must be a whole number"),
    ],
)
def test_bad_options_are_one_line(counted_run, tmp_path, capfd, options, content, told):
    file = tmp_path / "given.json"
    if content is not None:
        file.write_text(content)
    given = options or ("--language-thresholds", file)
    choice = () if "--target-pairs" in options else ("--threshold-t", 5)
    capfd.readouterr()
    assert call("sample_pairs", "--output", counted_run, *choice, *given, "--overwrite") == 2
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("error")]
    assert len(lines) == 1
    assert told in lines[0]


def test_counts_of_other_lists_are_one_line(counted_run, tmp_path, capfd):
    (tmp_path / "plain.json").write_text(json.dumps(dict.fromkeys(ENTRIES, 1)))
    table = pa.Table.from_pylist(rows(counted_run, "entry_counts"))
    pq.write_table(table.set_column(3, "metadata_language", pa.array(["xx"] * len(ENTRIES))), tmp_path / "xx.parquet")
    for name, told in (("plain.json", "holds counts without languages"), ("xx.parquet", "of other metadata lists")):
        given = ("--entry-counts", tmp_path / name)
        assert call("sample_pairs", "--output", counted_run, "--threshold-t", 5, *given, "--overwrite") == 2
        assert told in capfd.readouterr().err


def test_options_for_several_lists_are_refused_with_one_list():
    one = Metadata(("dog",), "x")
    for options in ({"anchor_language": "en"}, {"language_thresholds": "x.json"}, {"min_language_pairs": 1}):
        with pytest.raises(ConfigError, match=r"^--\S+ is for a folder of metadata lists, but .*: leave it out$"):
            check_before_start(SampleConfig(threshold_t=1, **options), one)
    check_before_start(SampleConfig(threshold_t=1), one)


def test_counts_are_digested_like_a_list_of_them(monkeypatch):
    monkeypatch.setattr("metaclip_spark.runs.entry_tables._DIGESTED_AT_ONCE", 3)
    for counts in ([0], [1, 2, 3], [4, 5, 6, 7], list(range(20)), [2**63 - 1]):
        assert digest_of_counts(np.array(counts, np.int64)) == digest(counts)
