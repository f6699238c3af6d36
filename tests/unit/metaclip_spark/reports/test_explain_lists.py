"""Explaining pairs, texts and entries of a run with several metadata lists, or with other word borders."""

import random
import re
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from metaclip_spark.config.curation import ExtractConfig, LanguageConfig, MatchConfig, OutputConfig, SampleConfig
from metaclip_spark.entries import Metadata
from metaclip_spark.entries.metadata import with_borders
from metaclip_spark.errors import ConfigError, InputError
from metaclip_spark.list_thresholds import EntryLists
from metaclip_spark.pipeline import run_count, run_extract, run_match, run_sample
from metaclip_spark.reports.explain.choice import Router, StoredChoice
from metaclip_spark.reports.explain.curation import CuratedLists, Curation, read_curation
from metaclip_spark.reports.explain.entry import find_entry
from metaclip_spark.reports.explain.pairs import explain_pair, explain_text
from metaclip_spark.reports.explain.words import most_words
from metaclip_spark.runs.open import begin_run, open_run
from metaclip_spark.runs.paths import find_inputs
from metaclip_spark.runs.records import Gate
from tests.support.jobs import call, rows
from tests.support.list_folders import LABELS, LISTS, TEXTS, write_texts
from tests.support.word_borders import ALPHABET, oracle_ids
from udfs.matching.borders import WORD_BORDERS
from udfs.matching.routing import COLUMN, PAGE, TEXT, Routing

ENGLISH = "the red dog in front of the house"
GERMAN = "das rote Haus"
IN_ORDER = [(code, entry) for code in sorted(LISTS) for entry in LISTS[code]]


def router(language_from=TEXT, **more):
    lists = {label: code for label, code in LABELS.items() if code in LISTS}
    return Router(Routing(lists, "other", language_from, **more))


def one_list(entries, word_borders):
    numbers = np.ones(len(entries))
    longest = max(most_words(entry, word_borders) for entry in entries)
    gate = Gate.of(LanguageConfig())
    ids = {entry: place for place, entry in enumerate(entries)}
    return Curation(entries, ids, numbers, numbers, 0, 1, gate, longest, word_borders)


@pytest.mark.parametrize("word_borders", WORD_BORDERS)
def test_entries_are_found_by_the_rule_of_the_run(word_borders):
    chance = random.Random(1)
    for _ in range(300):
        text = "".join(chance.choices(f"{ALPHABET}  ", k=chance.randint(0, 12))).strip()
        entries = sorted({"".join(chance.choices(ALPHABET, k=chance.randint(1, 4))) for _ in range(25)})
        told = explain_text(text, one_list(entries, word_borders))
        assert sorted(entry.entry_id for entry in told.entries) == oracle_ids([told.text], entries, word_borders)[0]
        for entry in told.entries:
            assert all(told.spaced.startswith(entry.entry_text, place) for place in entry.places)


def test_near_misses_go_by_the_borders_of_the_run():
    entries = ["SONY", "cat", "東京"]
    text = "sonyの(cat) 東京駅"
    found = {
        rule: [(near.text, near.reason) for near in explain_text(text, one_list(entries, rule)).near_misses]
        for rule in ("spaces", "script")
    }
    assert found == {
        "spaces": [],
        "script": [("sony", "other letter case"), ("(cat)", "'(' before it and ')' after it")],
    }


def test_entries_and_near_misses_of_a_later_list_have_the_ids_of_the_run():
    told = explain_text("a (dog) and a cat", replace(one_list(["bird", "cat", "dog"], "spaces"), first_id=7))
    assert [(entry.entry_text, entry.entry_id) for entry in told.entries] == [("cat", 8)]
    assert [(near.entry_text, near.entry_id) for near in told.near_misses] == [("dog", 9)]


def of_lists(by_code):
    """Several lists together, as a run has them."""
    texts = [entry for entries in by_code.values() for entry in entries]
    lists = EntryLists(tuple(by_code), np.cumsum([0, *map(len, by_code.values())]))
    curated = CuratedLists(lists, pa.array(texts), [1] * len(by_code), router())
    return replace(one_list(texts, "spaces"), entries=[], ids={}, longest=0, lists=curated)


def test_an_entry_that_looks_like_one_of_a_list_is_found_by_its_whole_text():
    curation = of_lists({"en": ["cat", "pro:con"], "other": ["en:dog", "en:cat"]})
    for asked, entry in (("en:dog", 2), ("other:en:dog", 2), ("en:cat", 0), ("other:en:cat", 3), ("pro:con", 1)):
        assert find_entry(asked, curation) == entry
    with pytest.raises(ConfigError, match=r"^--entry 'en:dot' is not in the list en; did you mean 'en:dog'\?$"):
        find_entry("en:dot", of_lists({"en": ["dog"], "other": ["dot"]}))
    with pytest.raises(ConfigError, match=r"^--entry 'en:dog' is in the lists de and other: give --entry 'de:en:dog'"):
        find_entry("en:dog", of_lists({"de": ["en:dog"], "en": ["cat"], "other": ["en:dog"]}))


@pytest.mark.parametrize(
    ("asked", "page", "code", "told"),
    [
        (router(), None, "de", r"de is the likeliest language of the text \(0\.\d+\)"),
        (router(), "en", "de", r"de is the likeliest language of the text \(0\.\d+\)"),
        (
            router(PAGE, page_language_probability=0.1),
            "pt",
            "de",
            r"de is .*; its page's language pt is not among the five likeliest with 0\.1 or more",
        ),
        (
            router(PAGE, page_language_probability=0.01),
            "pt",
            "other",
            r"its page's language pt is likely enough for the text \(0\.016\), whose likeliest one is de, and no list "
            "is for pt",
        ),
        (router(min_list_probability=1.0), None, "other", r"de is .*, which is less likely than 1\.0"),
        (router(COLUMN), "ja", "ja", "the pool's column says ja"),
        (router(COLUMN), None, "other", "no column says its language"),
        (Router(Routing({}, None)), None, None, r"de is .*, and no list is for de, and there is no list other"),
    ],
)
def test_the_reason_for_a_list(asked, page, code, told):
    chosen = asked.choose(GERMAN, page)
    assert chosen.code == code
    assert re.fullmatch(told, chosen.reason), chosen.reason


def test_what_match_has_stored_stands_where_the_model_is_gone():
    gone = Router(Routing({}, None, model_file="gone.bin"), missing_model="gone.bin")
    stored = StoredChoice("de", "de", 0.25)
    chosen = gone.choose(GERMAN, None, stored)
    assert (chosen.code, chosen.language, chosen.probability) == ("de", "de", 0.25)
    assert chosen.reason == "as match has stored it"
    with pytest.raises(InputError, match=r"^gone\.bin, the model that the run was matched with, is gone"):
        gone.choose(GERMAN, None)
    assert router().choose(GERMAN, None, StoredChoice("en", "en", 0.75)).reason == "as match has stored it"
    assert router().choose(GERMAN, None, StoredChoice("de", "de", 0.95)).reason.startswith("de is the likeliest")


@pytest.fixture(scope="module")
def output(run_of_lists):
    return run_of_lists


@pytest.fixture(scope="module")
def curation(output):
    return read_curation(open_run(str(output)))


def test_every_pair_of_every_list_is_explained_as_the_job_decided(output, curation):
    thresholds = {row["metadata_language"]: row["threshold_t"] or "inf" for row in rows(output, "thresholds")}
    counts = {row["entry_id"]: row["entry_count"] for row in rows(output, "entry_counts")}
    matched = {row["pair_id"]: row for row in rows(output, "matched")}
    curated = {row["pair_id"]: row["keep_probability"] for row in rows(output, "curated")}
    stages = set()
    for pair in rows(output, "pool"):
        row = matched.get(pair["pair_id"], {})
        language = (row.get("language"), row.get("language_probability"))
        told = explain_pair(pair, language, curation, None, row.get("metadata_language"))
        assert explain_pair(pair, (None, None), curation).text == told.text, "asked anew it is the same"
        stages.add((told.text.choice.metadata_language, told.stage))
        assert sorted(entry.entry_id for entry in told.text.entries) == row.get("entry_ids", [])
        assert (told.stage == "match") == (not row)
        assert (told.stage == "curated") == (pair["pair_id"] in curated)
        code = told.text.choice.metadata_language
        if row:
            assert code == row["metadata_language"]
            assert (told.text.choice.language, told.text.choice.probability) == language
        assert told.text.choice.threshold_t == thresholds[code]
        for entry in told.text.entries:
            assert (code, entry.entry_text) == IN_ORDER[entry.entry_id]
            assert entry.entry_count == counts[entry.entry_id]
            assert entry.entry_probability == min(1, float(thresholds[code]) / entry.entry_count)
        if told.stage == "curated":
            assert told.text.keep_probability == curated[pair["pair_id"]]
    assert stages >= {("en", "curated"), ("en", "sample"), ("en", "match"), ("ja", "sample"), ("other", "curated")}


def test_the_command_says_which_list_and_why(output, capsys):
    assert call("explain_pair", "--run", output, "--text", "東京タワーの夜景と犬の写真0") == 0
    told = capsys.readouterr().out
    assert "  word borders     script\n" in told
    assert "  metadata list    ja: ja is the likeliest language of the text (0.999)\n" in told
    assert "  entry            '東京' at 1: probability 0.500000 = min(1, 2 / 4)\n" in told
    assert "\n  language  " not in told
    assert told.endswith(" --entry 'ja:東京'\n")
    assert call("explain_pair", "--run", output, "--text", "a text of no pair, le chien est rouge") == 0
    told = capsys.readouterr().out
    assert re.search(r"  metadata list    other: fr is the likeliest language of the text \(0\.\d+\)\n", told)
    assert "  entry            'chien' at " in told
    assert "the pool has no pair with this text" in told


def test_an_entry_of_several_lists_is_named_with_one_of_them(output, capsys):
    matched = [row for row in rows(output, "matched") if IN_ORDER.index(("en", "dog")) in row["entry_ids"]]
    for asked in ("en:dog", "en:dog", "red"):
        assert call("explain_pair", "--run", output, "--entry", asked, "--limit", 2) == 0
        told = capsys.readouterr().out
        if asked == "en:dog":
            assert told.startswith(f"entry 'dog' of the list en: {len(matched)} matched pairs\n")
            assert f"probability      {5 / len(matched):.6f} = min(1, 5 / {len(matched)})" in told
            assert told.endswith(" --entry en:dog --dropped\n")
    for asked, said in (
        ("dog", "is in the lists de, en, ja and other: give --entry 'de:dog' for that of de"),
        ("xx:dog", "is not in any metadata list of the run"),
        ("en:dot", "is not in the list en; did you mean 'en:dog'?"),
        ("hund ", "is not in any metadata list of the run; did you mean 'de:Hund'?"),
        ("ja:house", "is not in the list ja"),
    ):
        assert call("explain_pair", "--run", output, "--entry", asked) == 2
        told = capsys.readouterr().err
        assert told.count("\n") == 1
        assert told.endswith(f"--entry {asked!r} {said}\n")


@pytest.mark.usefixtures("spark")
def test_a_single_list_with_borders_of_scripts(tmp_path):
    metadata = with_borders(Metadata.from_entries(["犬", "東京", "the"]), "script")
    extract = ExtractConfig(pool=(str(write_texts(tmp_path / "pool.parquet", TEXTS)),))
    with begin_run(OutputConfig(str(tmp_path / "run")), "single") as run:
        run_extract(run, extract, find_inputs(extract))
        run_match(run, MatchConfig("single"), LanguageConfig(), metadata)
        run_count(run, LanguageConfig(), metadata)
        run_sample(run, SampleConfig(threshold_t="inf"), LanguageConfig())
        told = explain_text("東京タワーの夜景と犬の写真0", read_curation(run))
    assert [(entry.entry_text, entry.places, entry.entry_count) for entry in told.entries] == [
        ("東京", [1], 4),
        ("犬", [10], 4),
    ]
    assert (told.word_borders, told.choice) == ("script", None)
