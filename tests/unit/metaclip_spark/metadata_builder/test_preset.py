"""The list of a language by MetaCLIP 2's rule, against the rule in plain Python."""

import bz2
import math
import os
import unicodedata
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from metaclip_spark.config.metadata import MetadataThresholds
from metaclip_spark.metadata_builder.entry_list import is_dropped_worldwide
from tests.support.jobs import call
from tests.support.metadata_builds import FILES, described
from tests.unit.metaclip_spark.metadata_builder.test_build import independent_counts
from tests.unit.udfs.wikipedia import test_wikitext
from tests.unit.udfs.wikipedia.test_dumps import page
from udfs.wikipedia.words import words_in

DATA = os.environ.get("METACLIP_TEST_DATA")
pytestmark = pytest.mark.usefixtures("spark")

WORDS = {f"слово{number}": 1000 - number for number in range(97)} | {"…": 2000, "12": 1500, "x" * 257: 1400}
PAIRS = {(f"слово{number}", f"слово{number + 1}"): 4 + number % 7 for number in range(59)}
VIEWS = {f"Дума {number}": number for number in range(101)}


def sources_by_source(output):
    found = {}
    for row in pq.read_table(output / "metadata.parquet").to_pylist():
        found.setdefault(row["source"], []).append(row["entry_text"])
    return found


def build(folder, output, *options):
    (folder / "u.tsv").write_text("".join(f"{word}\t{count}\n" for word, count in WORDS.items()))
    (folder / "b.tsv").write_text("".join(f"{a}\t{b}\t{count}\n" for (a, b), count in PAIRS.items()))
    (folder / "t.tsv").write_text("".join(f"{title}\t{views}\n" for title, views in VIEWS.items()))
    counts = ("--unigram-counts", folder / "u.tsv", "--bigram-counts", folder / "b.tsv")
    return call("build_metadata", *counts, "--title-views", folder / "t.tsv", "--output", output, *options)


def by_pmi():
    total = sum(WORDS.values())
    scored = {
        " ".join(pair): math.log2(count * total / WORDS[pair[0]] / WORDS[pair[1]])
        for pair, count in PAIRS.items()
        if count >= 5
    }
    return sorted(scored, key=lambda text: (-scored[text], text))


@pytest.fixture(scope="module")
def by_the_preset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("preset")
    assert build(folder, folder / "list", "--language", "bg", "--preset", "metaclip2") == 0
    return folder


def test_shares_of_the_candidates_are_kept(by_the_preset):
    found = sources_by_source(by_the_preset / "list")
    # Of the first tenth of 100 tokens a mark, a number and a long one are no entries, or entries already.
    top = sorted(WORDS, key=lambda word: (-WORDS[word], word))[:10]
    assert found["unigram"] == [word for word in top if word.startswith("слово")] == [f"слово{i}" for i in range(7)]
    assert found["bigram"] == by_pmi()[:2]
    viewed = sorted((title for title in VIEWS if VIEWS[title]), key=lambda title: (-VIEWS[title], title))
    assert found["title"] == viewed[:76]
    assert found["number"] == [str(number) for number in range(100)]
    reports = {report["source"]: report for report in described(by_the_preset / "list")["reports"]}
    assert (reports["unigram"]["reached"], reports["unigram"]["overlap"], reports["unigram"]["dropped"]) == (10, 1, 2)
    assert reports["unigram"]["border"][-1] == ["слово11", 989, False]


def test_the_same_bytes_twice(by_the_preset):
    again = by_the_preset / "again"
    assert build(by_the_preset, again, "--language", "bg", "--preset", "metaclip2") == 0
    for name in FILES:
        assert (again / name).read_bytes() == (by_the_preset / "list" / name).read_bytes(), name


def test_a_threshold_that_is_given_takes_the_place_of_the_presets(tmp_path):
    options = ("--preset", "metaclip2", "--language", "bg", "--min-bigram-count", 10, "--title-budget", 2)
    assert build(tmp_path, tmp_path / "list", *options) == 0
    found = sources_by_source(tmp_path / "list")
    assert found["title"] == ["Дума 100", "Дума 99"]
    assert [PAIRS[tuple(bigram.split(" "))] for bigram in found["bigram"]] == [10, 10]
    assert described(tmp_path / "list")["thresholds"]["min_pmi"] == "none"


def test_the_english_list_keeps_the_first_papers_rule():
    assert MetadataThresholds(preset="metaclip2").filled("en") == MetadataThresholds(
        "metaclip2", 100, 0, 30.0, 1, 0, 70, 50, 0
    )
    assert MetadataThresholds().filled("ja") == MetadataThresholds("metaclip1", 100, 0, 30.0, 1, 0, 70, 50, 0)
    assert not MetadataThresholds(preset="metaclip2").takes_shares("en")


@pytest.mark.parametrize(
    ("text", "dropped"),
    [("…", True), ("¿?", True), ("- –", True), ("$", True), ("", True), ("।", True), ("a.", False), ("x" * 256, False),
     ("x" * 257, True), ("猫", False), ("7", False)],
)  # fmt: skip
def test_what_is_no_entry_of_any_language(text, dropped):
    assert is_dropped_worldwide(text) is dropped


def test_japanese_is_counted_in_words_and_joined_without_spaces(tmp_path):
    text = "東京タワーの夜景。SONYのカメラ、東京タワーの写真\n" * 6
    (tmp_path / "jawiki-pages-articles.xml.bz2").write_bytes(bz2.compress(page("東京", text).encode()))
    options = ("--language", "ja", "--min-unigram-count", 2, "--min-pmi", "none", "--min-bigram-count", 5)
    assert call("build_metadata", "--articles", tmp_path, "--output", tmp_path / "list", *options) == 0
    found = sources_by_source(tmp_path / "list")
    counts = Counter(words_in("東京タワーの夜景。SONYのカメラ、東京タワーの写真", "ja"))
    rows = pq.read_table(tmp_path / "list" / "metadata.parquet").to_pylist()
    unigrams = {row["entry_text"]: row["strength"] for row in rows if row["source"] == "unigram"}
    assert unigrams == {word: 6 * count for word, count in counts.items()}
    assert {"東京タワーの", "の夜景", "SONY の", "のカメラ", "の写真"} == set(found["bigram"])
    assert all(unicodedata.is_normalized("NFC", text) for text in found["bigram"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--language", "zh-yue"], "--language is 'zh-yue', which is no code of a Wikipedia: write zh_yue"),
        (["--language", "日本"], "--language is '日本', which is no code of a Wikipedia"),
        (["--min-pmi", "nothing"], "--min-pmi is 'nothing': it must be a number from -40 to 60 or none"),
        (["--preset", "metaclip3"], "--preset is 'metaclip3': it must be one of metaclip1, metaclip2"),
        (["--wordnet-lemmas", "missing.tab"], "--wordnet-lemmas: missing.tab"),
    ],
)
def test_bad_input_is_one_line(tmp_path, options, message, capsys):
    assert build(tmp_path, tmp_path / "list", *options) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("error:") == 1
    assert "Traceback" not in error


def test_a_missing_icu_is_told_with_its_extra(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("metaclip_spark.metadata_builder.build.has_icu", lambda: False)
    (tmp_path / "dump.xml").write_text(page("a", "b"))
    options = ("--language", "th", "--output", tmp_path / "list")
    assert call("build_metadata", "--articles", tmp_path / "dump.xml", *options) == 2
    assert "--language th needs the package icu4py" in (error := capsys.readouterr().err)
    assert "pip install '.[worldwide]' here, and icu4py for the executors' Python" in error
    assert not (tmp_path / "list" / "metadata.json").exists()


@pytest.mark.skipif(DATA is None, reason="METACLIP_TEST_DATA is not set")
def test_the_bulgarian_excerpt_counts_as_an_independent_program_does(tmp_path, spark, monkeypatch):
    dump = Path(str(DATA)) / "wiki" / "bgwiki-sample.xml.bz2"
    options = ("--language", "bg", "--preset", "metaclip2", "--output", tmp_path / "list")
    assert call("build_metadata", "--articles", dump, *options) == 0
    # Typed from the wiki, not from the dump's head.
    names = test_wikitext.FILE_NAMESPACES | {"файл", "картинка", "категория", "медия"}
    monkeypatch.setattr(test_wikitext, "FILE_NAMESPACES", names)
    as_utf8 = tmp_path / "utf-8.xml.bz2"
    as_utf8.write_bytes(bz2.compress(bz2.decompress(dump.read_bytes()).decode("utf-16").encode()))
    unigrams, _ = independent_counts(as_utf8)
    stored = spark.read.parquet((tmp_path / "list" / "word_counts").as_uri()).where("kind = 'unigram'").collect()
    assert {row["word"]: row["count"] for row in stored} == unigrams
    found = sources_by_source(tmp_path / "list")
    top = sorted(unigrams, key=lambda word: (-unigrams[word], word))[: len(unigrams) // 10]
    numbers = {str(number) for number in range(100)}
    assert found["unigram"] == [word for word in top if word not in numbers and not is_dropped_worldwide(word)]
    assert 0 < len(found["bigram"]) <= len(found["unigram"]) * 40 // 100
