"""What people look at before they trust a run: report, data card, explanations, plans and comparisons."""

import json
import math
import re
import shutil
from collections import Counter
from urllib.parse import urlsplit

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from bs4 import BeautifulSoup

import metaclip_spark
from metaclip_spark.config.curation import LanguageConfig
from metaclip_spark.config.requirements import QUANTITIES
from metaclip_spark.reports.checks import quantities_of
from metaclip_spark.reports.explain.curation import Curation, read_curation
from metaclip_spark.reports.explain.drawn import drawn_pairs, dropped_pairs
from metaclip_spark.reports.explain.lines import explain_lines
from metaclip_spark.reports.explain.pairs import explain_pair, explain_text
from metaclip_spark.reports.explain.records import Explanation
from metaclip_spark.reports.pages.reasons import meaning_of
from metaclip_spark.reports.profile import TEXT_LENGTHS
from metaclip_spark.runs import open as opening
from metaclip_spark.runs.open import open_run
from metaclip_spark.runs.records import Gate
from metaclip_spark.stores.storage import Storage
from tests.support import oracle
from tests.support.jobs import METADATA, SAMPLE, call, report_of, rows, run_json, state_of
from tests.support.runs import take_folder, tell_again, unfinish, write_newer
from udfs.balancing.draw import pair_draws
from udfs.exclusion.registrable_domain import registrable_domain
from udfs.matching.spacing import spacing
from udfs.pairs.rules import pair_id
from udfs.preferences import PREFERENCES
from udfs.schemas import PAIRS

THRESHOLD = 20
SEED = 5

pytestmark = pytest.mark.usefixtures("spark")


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    options = ("--metadata", METADATA, "--threshold-t", THRESHOLD, "--seed", SEED, "--preset", "metaclip-english")
    checks = ("--require", "curated>=1", "--require", "matched_share>=30%", "failed_archives == 0")
    assert call("curate", "--archives", SAMPLE / "*.warc.gz", *options, *checks, "--output", folder) == 0
    return folder


@pytest.fixture(scope="module")
def tables(output):
    matched = rows(output, "matched")
    return {
        "pool": rows(output, "pool"),
        "matched": matched,
        "passed": [row for row in matched if row["language"] == "en"],
        "curated": rows(output, "curated"),
        "counts": [row["entry_count"] for row in sorted(rows(output, "entry_counts"), key=lambda row: row["entry_id"])],
    }


@pytest.fixture(scope="module")
def report(output):
    return report_of(output)


def report_folder(output):
    """The folder of the report that counts."""
    return output / state_of(output).finished.report


def stored_entries(output):
    """The figures per entry that the report stores."""
    return pq.read_table(report_folder(output) / "entries").to_pylist()


def grouped(tables, key):
    before, after = (Counter(map(key, tables[name])) for name in ("passed", "curated"))
    return [{"group": group, "matched": number, "curated": after[group]} for group, number in before.items()]


def test_what_may_be_required_are_numbers_of_the_tables(output, tables, report):
    archives = rows(output, "archives")
    counts, reasons = np.array(tables["counts"]), Counter()
    for archive in archives:
        reasons.update(dict(archive["rejected"]))
    pages, images, kept, pairs = (
        sum(row[name] for row in archives) for name in ("pages", "images", "images_kept", "pairs")
    )
    bad = sum(number for name, number in reasons.items() if name.startswith("record.") and "skipped" not in name)
    pool, matched, counted, curated = (len(tables[name]) for name in ("pool", "matched", "passed", "curated"))
    occurring = int(np.count_nonzero(counts))
    stored = metaclip_spark.open_run(output).report
    assert quantities_of(stored) == {
        "archives": len(archives),
        **{f"{name}_archives": 0 for name in ("failed", "damaged", "empty")},
        "pages": pages,
        "images": images,
        "images_kept": kept,
        "pairs": pairs,
        "pool": pool,
        "matched": matched,
        "counted": counted,
        "curated": curated,
        "entries": len(counts),
        "entries_matched": occurring,
        "matches": counts.sum(),
        "head_entries_cut": np.count_nonzero(counts > THRESHOLD),
        "warnings": len(report["warnings"]),
        "rejected_share": bad / (pages + bad),
        "duplicate_share": (pairs - pool) / pairs,
        "matched_share": matched / pool,
        "counted_share": counted / matched,
        "curated_share": curated / counted,
        "tail_share": pytest.approx(float(oracle.tail_share(tables["counts"], THRESHOLD))),
        "entries_matched_share": occurring / len(counts),
        "matches_per_matched_pair": counts.sum() / counted,
    }
    assert list(quantities_of(stored)) == list(QUANTITIES)
    assert 0 < counted < matched < pool < pairs
    told = {check.check: check.passed for check in stored.check(["counted_share<1", "pool > 9k", "tail_share==100%"])}
    assert told == {"counted_share<1": True, "pool>9k": pool > 9000, "tail_share==100%": False}
    with pytest.raises(
        metaclip_spark.ConfigError, match=r"^require 'pol>1': no number is called pol; did you mean pool\?"
    ):
        stored.check("pol>1")


def test_checks_are_in_the_report_and_in_run_json(output, tables, report):
    assert [(check["check"], check["passed"]) for check in report["checks"]] == [
        ("curated>=1", True),
        ("matched_share>=30%", True),
        ("failed_archives==0", True),
    ]
    assert report["checks"][0] == {
        "check": "curated>=1",
        "quantity": "curated",
        "operator": ">=",
        "bound": 1,
        "value": len(tables["curated"]),
        "passed": True,
    }
    assert run_json(output)["checks"] == report["checks"]
    assert run_json(output)["status"] == "done"


def test_groups_are_those_of_the_tables(tables, report):
    profile = report["profile"]
    assert profile["languages"] == grouped(tables, lambda row: row["language"])
    by_entries = sorted(grouped(tables, lambda row: len(row["entry_ids"])), key=lambda row: row["group"])
    assert profile["entries_per_pair"] == by_entries
    lengths = grouped(tables, lambda row: max(least for least in TEXT_LENGTHS if least <= len(row["alt_text"])))
    assert profile["text_lengths"] == sorted(lengths, key=lambda row: row["group"])
    domains = grouped(tables, lambda row: urlsplit(row["image_url"]).netloc.rpartition("@")[2].lower())
    assert profile["domains"] == sorted(domains, key=lambda row: (-row["matched"], row["group"]))[:20]
    lost = sorted(domains, key=lambda row: (row["curated"] - row["matched"], row["group"]))
    assert profile["domains_lost"] == [row for row in lost if row["curated"] < row["matched"]][:20]
    classes = Counter(min(9, math.floor(row["keep_probability"] * 10)) for row in tables["curated"])
    assert profile["keep_probabilities"] == [classes[place] for place in range(10)]
    matched = {row["pair_id"] for row in tables["matched"]}
    unmatched = [row["alt_text"] for row in tables["pool"] if row["pair_id"] not in matched]
    assert profile["unmatched"]["searched"] == len(unmatched)
    assert {row["text"] for row in profile["unmatched"]["texts"]} <= {text[:300] for text in unmatched}
    word = profile["unmatched"]["words"][0]
    assert word["texts"] == sum(word["word"] in spacing(text[:300]).split() for text in unmatched)


def test_the_table_of_domains_has_every_registrable_domain_of_both_sides(output, tables):
    expected = {}
    for side, column in (("image", "image_url"), ("page", "page_url")):
        before, after = (
            Counter(registrable_domain(urlsplit(row[column]).netloc.rpartition("@")[2].lower()) for row in tables[name])
            for name in ("passed", "curated")
        )
        expected |= {(side, domain): (number, after[domain]) for domain, number in before.items()}
    stored = pq.read_table(report_folder(output) / "domains").to_pylist()
    assert {(row["side"], row["domain"]): (row["matched"], row["curated"]) for row in stored} == expected
    assert len(stored) == len(expected) > 2


def test_preferences_are_those_of_the_tables(output, tables, report):
    def pairs(name, is_of):
        return sum(is_of(row["page_preferences"]) for row in tables[name])

    expected = {
        **{name: lambda bits, bit=1 << place: bool(bits and bits & bit) for place, name in enumerate(PREFERENCES)},
        "any of these": bool,
        "not read": lambda bits: bits is None,
    }
    assert report["profile"]["preferences"] == [
        {"group": name, "matched": pairs("matched", is_of), "curated": pairs("curated", is_of)}
        for name, is_of in expected.items()
    ]
    card = (report_folder(output) / "DATA_CARD.md").read_text()
    row = report["profile"]["preferences"][0]
    assert f"| noai | {row['matched']:,} | {row['curated']:,} |" in card
    assert "None was left out because of it." in card


def test_the_summary_is_written_with_the_domains_that_are_asked_for(output, tmp_path):
    run = shutil.copytree(output, tmp_path / "run")
    first = (report_folder(run) / "TRAINING_CONTENT.md").read_text()
    assert "the top 10%." in first
    assert "| `example.org` | " in first
    small = ("report_curation", "--output", run, "--resume", "--summary-domains", "top-5%-or-1000")
    assert call(*small) == 0
    assert report_of(run)["summary_domains"] == "top-5%-or-1000"
    second = (report_folder(run) / "TRAINING_CONTENT.md").read_text()
    assert "the top 5% or 1,000, whichever is fewer." in second
    domains = pq.read_table(report_folder(run) / "domains").to_pylist()
    # With other checks alone, what does not depend on them is copied.
    folder = report_folder(run)
    assert call(*small, "--require", "curated>=2") == 0
    assert report_folder(run) != folder
    assert (report_folder(run) / "TRAINING_CONTENT.md").read_text() == second
    assert pq.read_table(report_folder(run) / "domains").to_pylist() == domains
    described = json.loads((report_folder(run) / "croissant.json").read_text())
    assert str(run) not in json.dumps(described)
    assert call(*small, "--summary-domains", "top-1%") == 2


def test_figures_per_entry_are_those_of_the_tables(output, tables, report):
    counts = tables["counts"]
    expected, kept = [0.0] * len(counts), [0] * len(counts)
    for row in tables["passed"]:
        probability = oracle.keep_probability(row["entry_ids"], counts, THRESHOLD)
        for entry in row["entry_ids"]:
            expected[entry] += probability
    for row in tables["curated"]:
        for entry in row["entry_ids"]:
            kept[entry] += 1
    stored = sorted(stored_entries(output), key=lambda row: row["entry_id"])
    assert [row["kept"] for row in stored] == kept
    assert [row["entry_count"] for row in stored] == counts
    assert [row["expected_kept"] for row in stored] == pytest.approx(expected, abs=0.01)
    lost = sorted(range(len(counts)), key=lambda entry: (kept[entry] - counts[entry], entry))[:20]
    assert [row["entry_id"] for row in report["profile"]["most_cut"]] == lost
    curated = {pair["pair_id"] for pair in tables["curated"]}
    for row in report["profile"]["most_cut"]:
        with_it = {pair["pair_id"]: pair for pair in tables["passed"] if row["entry_id"] in pair["entry_ids"]}
        for pairs, is_kept in ((row["pairs"], True), (row["dropped"], False)):
            assert len(pairs) == min(3, sum((pair_id in curated) == is_kept for pair_id in with_it))
            for pair in pairs:
                assert (pair["pair_id"] in curated) == is_kept
                chance = oracle.keep_probability(with_it[pair["pair_id"]]["entry_ids"], counts, THRESHOLD)
                assert pair["keep_probability"] == pytest.approx(chance)
    for line in report["profile"]["coverage"]:
        assert line["matched"] == sum(line["from"] <= count <= line["to"] for count in counts)
        assert line["curated"] == sum(line["from"] <= count <= line["to"] for count in kept)
    assert sum(line["matched"] for line in report["profile"]["coverage"]) == len(counts)


def test_the_page_shows_the_numbers_of_run_json(output, report):
    page = (report_folder(output) / "report.html").read_text()
    shown = BeautifulSoup(page, "html5lib").get_text(" ")
    numbers = {step: done["numbers"] for step, done in run_json(output)["steps"].items()}
    for step, figure in (("deduplicate", "pairs"), ("match", "pairs"), ("count", "matches"), ("sample", "not_drawn")):
        assert f"{numbers[step][figure]:,}" in shown
    for reason, number in numbers["extract"]["rejected"].items():
        assert f"{reason}" in shown
        assert f"{number:,}" in shown
    assert f"{numbers['sample']['expected_size']:,.1f}" in shown
    assert report["curves"]["cumulative"]["shares"][-1] == 1
    assert page.count("<svg") == 5
    assert all(meaning_of(reason) for line in report["funnel"] for reason in line["reasons"])
    assert report["output"] == run_json(output)["output"]["output"] == str(output)
    assert report["started"] <= report["ended"]
    (command,) = report["commands"]
    assert command["command"].startswith("python jobs/curate.py --archives ")
    assert run_json(output)["commands"] == report["commands"]
    assert list(run_json(output)["seconds"])[-1] == "report"
    assert len(page.encode()) < 3_000_000
    assert "http" not in " ".join(tag["href"] for tag in BeautifulSoup(page, "html5lib").find_all("a"))


def test_explain_agrees_with_the_job_on_every_pair(output, tables, report):
    curation = read_curation(open_run(str(output)))
    matched = {row["pair_id"]: row for row in tables["matched"]}
    kept = {row["pair_id"]: row for row in tables["curated"]}
    stages = Counter()
    for pair in tables["pool"]:
        found = matched.get(pair["pair_id"], {})
        told = explain_pair(pair, (found.get("language"), found.get("language_probability")), curation)
        stages[told.stage] += 1
        assert sorted(entry.entry_id for entry in told.text.entries) == found.get("entry_ids", [])
        assert [entry.places for entry in told.text.entries] == sorted(entry.places for entry in told.text.entries)
        assert (told.stage == "match") == (not found)
        assert (told.stage == "count") == (found.get("language", "en") != "en")
        assert (told.stage == "curated") == (pair["pair_id"] in kept)
        if told.stage == "curated":
            assert told.text.keep_probability == kept[pair["pair_id"]]["keep_probability"]
        for entry in told.text.entries:
            for place in entry.places:
                assert told.text.spaced[place - 1 :].startswith(f" {entry.entry_text} ")
    funnel = {line["out"]: line for line in report["funnel"]}
    assert stages["match"] == funnel["matched"]["reasons"]["no_entry"]
    assert stages["count"] == funnel["counted"]["reasons"]["language_gate"]
    assert stages["sample"] == funnel["curated"]["reasons"]["not_drawn"]
    assert explain_text("a , a !", curation).entries[0].places == [1, 7]


def test_explain_has_a_draw_that_equals_the_keep_probability_left_out_as_the_job_does():
    pair = {**dict.fromkeys(PAIRS.names), "image_url": "https://example.org/", "alt_text": "dog"}
    pair["pair_id"] = pair_id(pair["image_url"], pair["alt_text"])
    draw = pair_draws(pa.array([pair["pair_id"]]), SEED)

    def stage_at(probability):
        gate = Gate.of(LanguageConfig())
        curation = Curation(
            ("dog",), {"dog": 0}, np.array([9]), probability, seed=SEED, threshold=1, gate=gate, longest=1
        )
        told = explain_pair(pair, (None, None), curation)
        assert told.text.keep_probability == probability[0]
        return told.stage

    assert [stage_at(draw), stage_at(draw + 2.0**-53)] == ["sample", "curated"]


def test_what_pages_ask_for_is_told_by_name():
    gate = Gate.of(LanguageConfig())
    curation = Curation((), {}, np.array([]), np.array([]), seed=SEED, threshold=1, gate=gate, longest=1)
    pair = {**dict.fromkeys(PAIRS.names, ""), "pair_id": pair_id("", ""), "page_language": "yue", "record_offset": 0}
    agents = ["ccbot", "img2dataset"]
    for preferences, heard, told in (
        (None, [], []),
        (0, agents, []),
        (1 | 32, [], ["  pages ask for    noai, train-ai=n"]),
        (2, agents, ["  pages ask for    noimageai (of all agents, or of ccbot or img2dataset)"]),
    ):
        explained = explain_pair({**pair, "page_preferences": preferences}, (None, None), curation)
        nothing = {"entry": None, "text": None, "rejected": None, "removed_by": []}
        lines = explain_lines(
            Explanation(pairs=[explained], pairs_in_all=1, **nothing, preference_agent=heard), threshold=1
        )
        assert [line for line in lines if "page" in line] == ["  page's language  yue", *told]


def test_the_explain_job(output, tables, capsys):
    pair = next(row for row in tables["curated"] if row["page_language"])
    assert call("explain_pair", "--run", output, "--pair-id", pair["pair_id"]) == 0
    told = capsys.readouterr().out
    assert pair["pair_id"] in told
    assert f"keep probability {pair['keep_probability']:.6f}" in told
    assert "verdict          kept by the draw: 0." in told
    assert f"  page's language  {pair['page_language']}\n" in told
    assert "pages ask for" not in told
    assert call("explain_pair", "--run", output, "--url", pair["image_url"]) == 0
    assert pair["pair_id"] in capsys.readouterr().out
    other_spelling = re.sub("^https?://([^/]+)", lambda url: f"HTTP://{url[1].upper()}:80", pair["image_url"])
    assert call("explain_pair", "--run", output, "--url", f"{other_spelling}#there") == 0
    told = capsys.readouterr().out
    assert told.startswith("no pair has this URL as it was given; of other spellings of it there are:\n\npair ")
    assert pair["pair_id"] in told
    assert "verdict          kept by the draw: 0." in told
    assert call("explain_pair", "--run", output, "--url", f"{other_spelling}/there") == 0
    assert "not in the pool" in capsys.readouterr().out
    assert call("explain_pair", "--run", output, "--text", f"  {pair['alt_text']}\n") == 0
    assert pair["pair_id"] in capsys.readouterr().out
    archive = rows(output, "archives")[0]
    options = ("--text", "never \u202e a dog", "--archive", archive["archive"])
    assert call("explain_pair", "--run", output, *options) == 0
    told = capsys.readouterr().out
    assert "not in the pool: no archive had this pair, or extraction dropped it" in told
    assert "entry            'dog'" in told
    assert "\u202e" not in told
    for reason, number in archive["rejected"]:
        assert f"{number:,}   {reason}" in told
    assert call("explain_pair", "--run", output, "--text", "never \u202e in a dog") == 0
    told = capsys.readouterr().out
    # Of a text alone: what it matches, in its own order, and no funnel.
    assert (
        told.index("entry            'in'") < told.index("entry            'a'") < told.index("entry            'dog'")
    )
    assert told.endswith(f"the pool has no pair with this text\n\n{following('explain', output)} --entry never\n")
    assert call("explain_pair", "--run", output, "--text", "zzz") == 0
    assert capsys.readouterr().out.endswith(f"\n\n{following('plan', output)}\n")


def following(verb, output):
    return f"Next: metaclip-spark {verb} --run {output}"


def test_the_pairs_of_an_entry_are_shown_with_what_became_of_them(output, tables, capsys):
    dog = next(row["entry_id"] for row in stored_entries(output) if row["entry_text"] == "dog")
    matched, passed, curated = (
        {row["pair_id"] for row in tables[name] if dog in row["entry_ids"]} for name in ("matched", "passed", "curated")
    )
    assert call("explain_pair", "--run", output, "--entry", "dog", "--dropped", "--limit", 3) == 0
    told = capsys.readouterr().out
    assert told.startswith(f"entry 'dog': {len(matched)} matched pairs\n  kept             {len(curated)}\n")
    assert f"  dropped          {len(matched - passed)} by the language filter\n" in told
    assert f"  dropped          {len(passed - curated)} by the draw\n" in told
    assert [line.split()[1] for line in told.splitlines() if line.startswith("pair ")] == sorted(matched - curated)[:3]
    assert told.count("verdict          dropped by the ") == 3
    last = f"{len(matched - curated)} pairs in all; --limit shows more than 3\n\n{following('plan', output)}\n"
    assert told.endswith(last)
    assert call("explain_pair", "--run", output, "--entry", "dog", "--limit", 1000) == 0
    told = capsys.readouterr().out
    assert told.count("\npair ") == len(matched)
    assert told.endswith(f"{following('explain', output)} --entry dog --dropped\n")
    assert call("explain_pair", "--run", output, "--entry", "doggg") == 2
    told = capsys.readouterr().err
    assert told.endswith(
        "--entry 'doggg' is not in the metadata list of the run; did you mean 'dogging', 'doggo' or 'dog'?\n"
    )


def test_what_was_dropped_has_the_reasons_of_the_funnel(output, report):
    run = open_run(str(output))
    drawn = drawn_pairs(run, read_curation(run))
    dropped = dropped_pairs(run, read_curation(run))
    reasons = {row.reason: row["count"] for row in dropped.groupBy("reason").count().collect()}
    funnel = {line["out"]: line for line in report["funnel"]}
    assert reasons == funnel["counted"]["reasons"] | funnel["curated"]["reasons"]
    assert drawn.where("draw IS NULL").count() == reasons["language_gate"] > 0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a (cat)", [("(cat)", "cat", 3, "'(' before it and ')' after it")]),
        ("Cat!", [("Cat", "cat", 1, "other letter case")]),
        ("_Cat", [("_Cat", "cat", 1, "'_' before it, other letter case")]),
        ("the new york'", [("new york'", "New York", 5, '"\'" after it, other letter case')]),
        ("New York", []),
        ("cat-like --- (?)", []),
        ("Cat " * 12, [("Cat", "cat", 1 + 4 * place, "other letter case") for place in range(10)]),
    ],
)
def test_near_misses_say_what_keeps_words_from_matching(text, told):
    entries = ("cat", "New York", "york", "a")
    ids = {entry: place for place, entry in enumerate(entries)}
    numbers = np.ones(4)
    curation = Curation(entries, ids, numbers, numbers, seed=0, threshold=1, gate=Gate.of(LanguageConfig()), longest=2)
    found = explain_text(text, curation).near_misses
    assert [(near.text, near.entry_text, near.place, near.reason) for near in found] == told


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--dropped", "--text", "a"), "--dropped needs --entry"),
        (("--entry", "a", "--limit", "0"), "--limit is 0: it must be an integer from 1 to 1,000"),
        (("--pair-id", "1dd6"), "--pair-id is '1dd6': it must be 32 hex digits"),
        (("--pair-id", "0" * 32, "--text", "a"), "exactly one of --pair-id, --url, --text and --entry"),
        ((), "exactly one of --pair-id, --url, --text and --entry"),
    ],
)
def test_bad_questions_are_refused_in_one_line(output, capsys, options, message):
    assert call("explain_pair", "--run", output, *options) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1


def test_the_plan_is_what_sampling_would_give(output, tables, tmp_path, capsys):
    curve = tmp_path / "curve.svg"
    options = ("--thresholds", 7, THRESHOLD, "--target-pairs", "2k", "--curve", curve)
    assert call("plan_threshold", "--run", output, *options) == 0
    told = capsys.readouterr().out
    lines = {line.split()[0]: line for line in told.splitlines() if line[:1] == " "}
    for threshold in (1, 7, THRESHOLD):
        expected = oracle.expected_size(tables["passed"], tables["counts"], threshold)
        assert f"{expected:,.1f}" in lines[str(threshold)]
    assert f"{float(oracle.tail_share(tables['counts'], THRESHOLD)):.2%}" in lines[str(THRESHOLD)]
    chosen = int(next(threshold for threshold, line in lines.items() if "<- chosen" in line))
    below, reached = (oracle.expected_size(tables["passed"], tables["counts"], chosen - less) for less in (1, 0))
    assert below < 2000 <= reached
    assert "nothing is thinned" in told
    assert curve.read_text().startswith("<?xml")
    png = tmp_path / "curve.png"
    assert call("plan_threshold", "--run", output, "--at-counts", output, "--curve", png, "--tail-share", 0.06) == 0
    assert f"{oracle.tail_share_threshold(tables['counts'], '0.06'):>15,}" in capsys.readouterr().out
    assert png.read_bytes().startswith(b"\x89PNG")
    assert call("plan_threshold", "--run", output, "--target-pairs", "1M") == 2
    assert f"is more than the {len(tables['passed']):,} matched pairs" in capsys.readouterr().err
    assert call("plan_threshold", "--run", output, "--curve", tmp_path / "curve.pdf") == 2
    assert "must end in one of .png, .svg" in capsys.readouterr().err
    assert call("plan_threshold", "--run", output, "--anchor-language", "en") == 2
    assert "--anchor-language is for runs with a folder of metadata lists, and this" in capsys.readouterr().err


def test_the_data_card_and_the_set_load(output, tables, report, tmp_path, monkeypatch):
    for name, value in (("HF_HUB_OFFLINE", "1"), ("HF_HOME", str(tmp_path / "home"))):
        monkeypatch.setenv(name, value)
    datasets = pytest.importorskip("datasets", reason="the package datasets is not installed")
    card = (report_folder(output) / "DATA_CARD.md").read_text()
    _, head, body = card.split("---\n", 2)
    fields = yaml.safe_load(head)
    assert fields["size_categories"] == ["1K<n<10K"]
    assert fields["language"] == ["en"]
    assert f"| actual size | {len(tables['curated']):,} |" in body
    assert report["metadata_digest"] in body
    assert f"| run | finished | `{report['ended'][:10]} {report['ended'][11:16]} UTC` |" in body
    assert f"| run | output | `{output}` |" in body
    assert f"| run | command | `python jobs/curate.py --archives '{SAMPLE}/*.warc.gz' --metadata " in body
    assert "| versions | metaclip-spark | `" in body
    assert "| extract | max_failed_archives | `0` |" in body
    assert "| `entry_ids` | list<int32> |" in body
    # As the card says: beside what is exported.
    metaclip_spark.open_run(output).export_curated(tmp_path / "curated")
    files = str(tmp_path / fields["configs"][0]["data_files"][0]["path"])
    loaded = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path / "cache"))
    assert loaded.num_rows == len(tables["curated"])
    assert set(loaded["pair_id"]) == {row["pair_id"] for row in tables["curated"]}
    for name in loaded.column_names:
        assert f"| `{name}` |" in body


def test_the_index_has_the_figures_of_the_run_and_needs_no_spark(output, report, monkeypatch):
    monkeypatch.setattr(opening, "get_session", None)
    (output.parent / "index.html").unlink(missing_ok=True)
    assert call("report_curation", "--index", output.parent) == 0
    page = BeautifulSoup((output.parent / "index.html").read_text(), "html5lib")
    (row,) = [row for row in page.select("tbody.item") if row.a and row.a.get_text() == output.name]
    assert (output.parent / row.a["href"]).samefile(report_folder(output) / "report.html")
    shown = row.get_text(" ")
    figures = (line["out_number"] for line in report["funnel"][2:])
    assert all(f"{figure:,}" in shown for figure in (*figures, THRESHOLD, SEED))
    assert f"{report['ended'][:10]} {report['ended'][11:16]}" in shown
    assert report["versions"]["metaclip-spark"] in shown


def test_two_runs_and_a_file_of_counts_side_by_side(output, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(output, run)
    assert call("report_curation", "--output", run, "--against", output, "--require", "pages<1", "pool>0") == 3
    told = capsys.readouterr()
    pages = sum(row["pages"] for row in rows(run, "archives"))
    assert told.err.endswith(f"error: --require pages<1: pages is {pages}; see the funnel in the report\n")
    assert run_json(run)["status"] == "failed"
    comparison = report_of(run)["comparison"]
    assert comparison["rank_correlation"] == pytest.approx(1)
    assert comparison["moves"] == []
    assert comparison["sentence"] == ""
    assert comparison["runs"][0] == {"figure": "threshold t", "this": 20, "other": 20, "difference": ""}
    assert comparison["runs"][-1]["difference"] == "+0"
    assert comparison["settings"] == []
    assert comparison["curated"] == {"both": report_of(run)["real_size"], "only_this": 0, "only_other": 0}
    assert f"Comparison with {output}: in the report" in told.out
    assert report_of(run)["commands"] == report_of(output)["commands"]
    assert report_of(run)["ended"] == report_of(output)["ended"]
    counts = tmp_path / "counts.json"
    counts.write_text(json.dumps({"dog": 5, "cat": 900, "no such entry <b>": 3}))
    assert call("report_curation", "--output", run, "--against", counts) == 0
    comparison = report_of(run)["comparison"]
    assert comparison["shared"] == 2
    assert comparison["missing_here"] == {"entries": 1, "first": ["no such entry <b>"]}
    assert {row["entry_text"] for row in comparison["moves"]} == {"dog", "cat"}
    page = (report_folder(run) / "report.html").read_text()
    assert "The metadata lists differ: 2 entries are in both" in page
    assert "no such entry &lt;b&gt;" in page
    counts.write_text(json.dumps({"dog": -5}))
    capsys.readouterr()
    assert call("report_curation", "--output", run, "--against", counts) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_unfinished_runs_and_runs_of_other_versions_are_refused_in_one_line(output, tmp_path, capsys):
    run = tmp_path / "run"
    jobs = (("explain_pair", "--run", run, "--text", "a"), ("report_curation", "--output", output, "--against", run))
    shutil.copytree(output, run)
    write_newer(run)
    for job in jobs:
        assert call(*job) == 2
        told = capsys.readouterr().err
        assert "was written by a newer version of metaclip-spark, in layout 99" in told
        assert told.count("\n") == 1
    shutil.rmtree(run)
    shutil.copytree(output, run)
    unfinish(run)
    for job in jobs:
        assert call(*job) == 2
        told = capsys.readouterr().err
        assert f"{run} is unfinished: give the folder of a finished run" in told
        assert told.count("\n") == 1
    owner = take_folder(Storage(str(run)))
    stored = owner.state.sample
    lacking = {name: number for name, number in stored.manifest["numbers"].items() if name != "head_entries_cut"}
    manifest = {**stored.manifest, "numbers": lacking}
    owner.commit(msgspec.structs.replace(stored, owner=owner.nonce, manifest=manifest))
    owner.leave()
    assert call("report_curation", "--output", run) == 2
    told = capsys.readouterr().err
    assert "the step 'sample' lacks head_entries_cut: it was done by another version" in told
    tell_again(run, without="sample")
    assert call("report_curation", "--output", run) == 2
    assert "has no finished step 'sample'" in capsys.readouterr().err
    assert call("explain_pair", "--run", tmp_path / "nowhere", "--text", "a") == 2
    assert "is not a run" in capsys.readouterr().err


def test_the_next_report_puts_a_run_json_right_that_was_lost_or_is_older(output, tmp_path):
    """The log tells that a run is finished, whatever a late delete or put has left."""
    run = shutil.copytree(output, tmp_path / "run")
    (run / "run.json").unlink()
    assert call("explain_pair", "--run", run, "--text", "a") == 0
    assert call("report_curation", "--output", run) == 0
    assert run_json(run)["steps"] == run_json(output)["steps"]
    assert run_json(run)["commit"] == state_of(run).finish_number > run_json(output)["commit"]
    older = {**run_json(output), "status": "older"}
    (run / "run.json").write_text(json.dumps(older))
    assert call("report_curation", "--output", run) == 0
    assert run_json(run)["status"] == "done"
    assert run_json(run)["report"] == state_of(run).finished.report
    assert [f"report/{path.name}" for path in (run / "report").iterdir()] == [state_of(run).finished.report]


@pytest.mark.parametrize(
    ("entries", "sentences"),
    [
        (
            ["zebra"],
            ["No text of the pool holds a metadata entry", "No pair was matched. There are no pairs to describe."],
        ),
        (["dog"], ["No entry has more than t pairs, so nothing is thinned.", "No pair was lost."]),
    ],
)
def test_runs_with_nothing_to_show_say_so(tmp_path, entries, sentences):
    texts = ["a dog", "the dog", "a cat"]
    pool = tmp_path / "pool.parquet"
    pq.write_table(pa.table({"url": [f"http://a.example/{text[0]}" for text in texts], "text": texts}), pool)
    (tmp_path / "metadata.json").write_text(json.dumps(entries))
    run = tmp_path / "run"
    options = ("--metadata", tmp_path / "metadata.json", "--threshold-t", 1000, "--output", run)
    assert call("curate", "--pool", pool, *options) == (3 if entries == ["zebra"] else 0)
    page = (report_folder(run) / "report.html").read_text()
    for sentence in sentences:
        assert sentence in page
    assert page.count("<svg") == (5 if entries == ["dog"] else 0)
    assert pair_id("http://a.example/t", "the dog") in {row["pair_id"] for row in rows(run, "pool")}
    assert math.isfinite(report_of(run)["expected_size"])
