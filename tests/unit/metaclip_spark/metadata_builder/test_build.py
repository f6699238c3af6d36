"""Building the list from dumps that the tests make, and from excerpts of real ones."""

import bz2
import gzip
import lzma
import math
import os
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import zstandard

from metaclip_spark.entries import load_metadata
from metaclip_spark.errors import ConfigError, InputError
from metaclip_spark.metadata_builder import wiki_dumps
from metaclip_spark.metadata_builder.build import BuiltMetadata
from metaclip_spark.metadata_builder.text_report import build_lines
from metaclip_spark.metadata_builder.wiki_dumps import (
    DumpPart,
    cut_by_index,
    find_files,
    page_view_format,
    plan_article_dumps,
)
from metaclip_spark.metadata_builder.word_counts import count_article_words
from tests.support.jobs import SAMPLE, call, run_json
from tests.support.metadata_builds import FILES, build, described, write_multistream
from tests.unit.udfs.wikipedia.test_dumps import page
from tests.unit.udfs.wikipedia.test_wikitext import independent_text, page_xml
from udfs.matching.spacing import SEPARATOR_MARKS
from udfs.wikipedia.articles import ArticleRules
from udfs.wikipedia.ngrams import SURROUNDING
from udfs.wikipedia.pages import parse_page
from udfs.wikipedia.wikitext import is_disambiguation

DATA = os.environ.get("METACLIP_TEST_DATA")

pytestmark = pytest.mark.usefixtures("spark")
needs_data = pytest.mark.skipif(DATA is None, reason="METACLIP_TEST_DATA is not set")


def test_the_list_holds_each_source_in_its_order(built_metadata):
    rows = pq.read_table(built_metadata / "metadata.parquet").to_pylist()
    assert [row["entry_id"] for row in rows] == list(range(len(rows)))
    by_source = {}
    for row in rows:
        by_source.setdefault(row["source"], []).append((row["entry_text"], row["strength"]))
    assert list(by_source) == ["number", "wordnet", "unigram", "bigram", "title"]
    assert [text for text, _ in by_source["number"]] == [str(number) for number in range(100)]
    assert [text for text, _ in by_source["wordnet"]] == ["galore", "guide dog", "run", "u"]
    every = 12 * 3
    assert by_source["unigram"] == [
        *[(word, every) for word in ("Zürich", "alpha", "beta", "delta", "gamma")],
    ]
    # "alpha beta" always stand together; the PMI in bits is log2(c_xy * N / (c_x * c_y)).
    counts = Counter({"alpha": every, "beta": every, "Zürich": every, "gamma": every, "delta": every})
    total = sum(counts.values()) + every
    assert by_source["bigram"][0][0] == "alpha beta"
    assert by_source["bigram"][0][1] == pytest.approx(math.log2(total / every))
    assert all(strength >= 2 for _, strength in by_source["bigram"])
    assert [strength for _, strength in by_source["bigram"]] == sorted(
        (strength for _, strength in by_source["bigram"]), reverse=True
    )
    assert by_source["title"] == [("Alpha", 180), ("Gamma ray", 120)]
    assert load_metadata(str(built_metadata / "metadata.json")).entries == tuple(row["entry_text"] for row in rows)


def test_the_run_file_says_what_was_seen_and_lost(built_metadata):
    run = described(built_metadata)
    assert run["digest"] == load_metadata(str(built_metadata / "metadata.json")).digest
    assert run["entries"] == len(load_metadata(str(built_metadata / "metadata.json")).entries)
    assert run["thresholds"]["min_unigram_count"] == 6
    assert {name["name"] for name in run["inputs"]} >= {"xxwiki-20260101-pages-articles-multistream.xml.bz2"}
    tally = run["tally"]["xxwiki-20260101-pages-articles-multistream.xml.bz2"]
    assert tally == {"articles": 36, "pages": 36}
    assert run["tally"]["pageviews-20260101-000000.gz"]["line.skipped_few_views"] == 1
    for report in run["reports"]:
        left_out = report["overlap"] + report["dropped"] + report["over_budget"]
        assert report["reached"] == report["kept"] + left_out
    titles = run["reports"][-1]
    assert (titles["seen"], titles["dropped"], titles["highest"]) == (3, 1, ["-", 198])


def test_partitioning_does_not_change_a_byte(metadata_sources, built_metadata, tmp_path, spark, monkeypatch):
    monkeypatch.setattr(wiki_dumps, "PART_BYTES", 1)
    before = spark.conf.get("spark.sql.shuffle.partitions")
    spark.conf.set("spark.sql.shuffle.partitions", "7")
    try:
        assert build(metadata_sources, tmp_path / "again") == 0
    finally:
        spark.conf.set("spark.sql.shuffle.partitions", before)
    for name in FILES:
        assert (tmp_path / "again" / name).read_bytes() == (built_metadata / name).read_bytes(), name


def test_stored_counts_can_be_read_again(built_metadata, tmp_path):
    folders = [built_metadata / "word_counts" / f"kind={kind}" for kind in ("unigram", "bigram")]
    options = ("--min-unigram-count", 6, "--min-pmi", 2, "--output", tmp_path / "again")
    counts = ("--unigram-counts", folders[0], "--bigram-counts", folders[1])
    titles = ("--title-views", built_metadata / "title_views" / "kind=title")
    assert call("build_metadata", *counts, *titles, *options) == 0
    found = pq.read_table(tmp_path / "again" / "metadata.parquet").to_pylist()
    wanted = pq.read_table(built_metadata / "metadata.parquet").to_pylist()
    for source in ("unigram", "bigram", "title"):
        again, first = ([row["entry_text"] for row in rows if row["source"] == source] for rows in (found, wanted))
        assert again == first


def test_a_list_is_not_overwritten_unless_asked(metadata_sources, built_metadata, capsys):
    assert build(metadata_sources, built_metadata) == 2
    assert "--overwrite" in capsys.readouterr().err


def test_parts_cover_a_multistream_dump(tmp_path):
    dump, index = write_multistream(tmp_path)
    parts = cut_by_index(dump.name, str(dump), str(index), 1)
    assert len(parts) == 12
    assert [part.end for part in parts[:-1]] == [part.start for part in parts[1:]]
    assert parts[-1].end is None
    assert sum(part.pages for part in parts) == 36
    (whole,) = cut_by_index(dump.name, str(dump), str(index), wiki_dumps.PART_BYTES)
    assert whole.pages == 36
    index.unlink()
    (part,), (note,) = plan_article_dumps([str(tmp_path)])
    assert (part.start, part.end) == (0, None)
    assert "no multistream index" in note


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (b"10:1:A\n", "no bzip2 stream begins at its offset 10"),
        (b"99999999:1:A\n", "outside the dump's"),
        (b"A:1:10\n", "line 1 of the index"),
        (b"", "is empty or damaged"),
    ],
)
def test_an_index_that_does_not_fit_is_refused(tmp_path, lines, message):
    dump, index = write_multistream(tmp_path)
    index.write_bytes(bz2.compress(lines))
    with pytest.raises(InputError, match=message):
        cut_by_index(dump.name, str(dump), str(index), 1)


def test_files_are_found_once_and_named_when_missing(tmp_path):
    (tmp_path / "a.gz").touch()
    (tmp_path / ".hidden").touch()
    assert [name for name, _ in find_files("--pageviews", [str(tmp_path), str(tmp_path / "a.*")])] == ["a.gz"]
    with pytest.raises(InputError, match=r"--pageviews: .*: no such file"):
        find_files("--pageviews", [str(tmp_path / "b.gz")])
    with pytest.raises(ConfigError, match="keep the dumps' own names"):
        page_view_format("views.gz")
    assert page_view_format("pageviews-202601-user.bz2") == "complete"
    for ending in ("", ".zst", ".xz"):
        assert page_view_format(f"pageviews-20260101-000000{ending}") == "hourly"
        assert page_view_format(f"pageviews-202601-user{ending}") == "complete"


def test_a_damaged_dump_keeps_what_can_be_read_and_warns(tmp_path, capsys):
    text = "".join(page(f"P{number}", f"alpha beta w{number} " * 2000) for number in range(100))
    text = text.replace("<title>P1</title>", "<title>P1</tilte>")
    bomb = page_xml("Bomb", "{{a|" * 100_000).decode()
    dump = tmp_path / "xxwiki-pages-articles.xml.bz2"
    packed = bz2.compress((bomb + text).encode(), 1)
    dump.write_bytes(packed[: len(packed) // 2])
    options = ("--articles", dump, "--min-pmi", 1, "--output", tmp_path / "list")
    assert call("build_metadata", *options) == 0
    run = described(tmp_path / "list")
    tally = run["tally"][dump.name]
    assert 0 < tally["articles"] < 100
    assert (tally["dump.truncated"], tally["page.broken_xml"], tally["page.over_budget"]) == (1, 1, 1)
    assert any("dump.truncated" in warning for warning in run["warnings"])
    shown = capsys.readouterr().out
    assert "warning" in shown
    assert "dump.truncated" in shown
    assert [reason for reason, _ in run["rejects"]] == ["page.broken_xml", "page.over_budget"]


def test_dumps_of_every_packing_count_and_one_without_a_page_is_a_warning(tmp_path, capsys):
    text = page("A", "alpha beta " * 50).encode()
    dumps = tmp_path / "dumps"
    dumps.mkdir()
    (dumps / "a.xml.xz").write_bytes(lzma.compress(text))
    (dumps / "b.xml.zst").write_bytes(zstandard.compress(text))
    (dumps / "c.xml").write_bytes(b"<mediawiki></mediawiki>")
    assert call("build_metadata", "--articles", dumps, "--min-pmi", 1, "--output", tmp_path / "list") == 0
    assert load_metadata(str(tmp_path / "list" / "metadata.json")).entries[100:] == ("alpha", "beta", "alpha beta")
    warning = "c.xml gives no pages: is it an article dump (*-pages-articles*.xml)?"
    assert described(tmp_path / "list")["warnings"] == [warning]
    assert f"warning: {warning}" in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--articles", "--pageviews", "--unigram-counts"])
@pytest.mark.parametrize(("form", "start"), [("7z", b"7z\xbc\xaf\x27\x1c\0\4"), ("zip", b"PK\x03\x04")])
def test_a_container_that_nothing_reads_is_refused_by_name(tmp_path, capsys, option, form, start):
    (tmp_path / "dump.xml.bz2").write_bytes(start)
    assert call("build_metadata", option, tmp_path / "dump.xml.bz2", "--output", tmp_path / "list") == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith(f"error: {option} dump.xml.bz2 is packed as {form}, which is not read: unpack it")


def test_a_page_that_holds_up_the_parser_is_counted_by_the_second_attempt(spark, tmp_path):
    slow = page("Slow", "&lt;b>x&lt;/b>" * 150_000)
    (tmp_path / "a.xml").write_text(page("A", "alpha beta") + slow)
    part = DumpPart("a.xml", str(tmp_path / "a.xml"), 0, None, None)
    counts = count_article_words(spark, [part], ArticleRules(page_timeout_seconds=0.1)).collect()
    assert {(row["word"], row["count"]) for row in counts if row["kind"] == "tally"} == {
        ("pages", 2), ("articles", 1), ("page.parser_timeout", 1)
    }  # fmt: skip


def test_ready_counts_replace_dumps_and_a_source_without_entries_is_a_warning(tmp_path, capsys):
    (tmp_path / "words.tsv").write_text("new\t200\nyork\t150\nthe\t9000\n")
    (tmp_path / "pairs.tsv.gz").write_bytes(gzip.compress(b"new\tyork\t120\nthe\tnew\t5\nnew\tother\t3\n"))
    (tmp_path / "titles.tsv").write_text("New_York\t100\nOdd\t3\n")
    counts = ("--unigram-counts", tmp_path / "words.tsv", "--bigram-counts", tmp_path / "pairs.tsv.gz")
    options = (*counts, "--title-views", tmp_path / "titles.tsv")
    assert call("build_metadata", *options, "--output", tmp_path / "list") == 0
    assert load_metadata(str(tmp_path / "list" / "metadata.json")).entries[100:] == ("the", "new", "york", "New York")
    shown = capsys.readouterr().out
    highest = math.log2(120 * 9350 / (200 * 150))
    assert f"the highest PMI in bits seen is {highest:.6g} ('new york')" in shown
    assert "1 of 3 bigrams left out" in shown
    budget = ("--min-pmi", 1, "--bigram-budget", 1, "--min-title-views", 1, "--max-entries", 105)
    assert call("build_metadata", *options, *budget, "--output", tmp_path / "b") == 0
    entries = load_metadata(str(tmp_path / "b" / "metadata.json")).entries
    assert entries[100:] == ("the", "new", "york", "new york", "New York")


def test_an_empty_list_is_an_error_that_names_the_threshold(tmp_path, capsys):
    (tmp_path / "words.tsv").write_text("new\t20\nyork\t15\n")
    assert call("build_metadata", "--unigram-counts", tmp_path / "words.tsv", "--output", tmp_path / "list") == 2
    error = capsys.readouterr().err
    assert "--min-unigram-count 100" in error
    assert "20" in error
    assert not (tmp_path / "list" / "metadata.json").exists()


@pytest.mark.parametrize("files", [1, 2])
def test_counts_that_add_up_beyond_64_bits_are_refused(tmp_path, capsys, files):
    lines = [f"york\t{2**62}\n", f"york\t{2**62}\n"]
    for number in range(files):
        (tmp_path / f"{number}.tsv").write_text("".join(lines[number::files]) + "new\t200\n")
    named = [tmp_path / f"{number}.tsv" for number in range(files)]
    assert call("build_metadata", "--unigram-counts", *named, "--output", tmp_path / "list") == 2
    (error,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert "the counts of 'york' add up to more than 2^63 - 1" in error
    assert "0.tsv" in error


@pytest.mark.parametrize("count", ["-3", "many"])
def test_a_bad_count_names_its_line(tmp_path, capsys, count):
    (tmp_path / "words.tsv").write_text(f"new\t200\nyork\t{count}\n")
    assert call("build_metadata", "--unigram-counts", tmp_path / "words.tsv", "--output", tmp_path / "list") == 2
    assert "words.tsv, line 2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "no source given"),
        (("--bigram-counts", "x", "--title-views", "y"), "needs --unigram-counts"),
        (("--articles", "x", "--unigram-counts", "y"), "give one of them"),
        (("--articles", "/nothing/here", "--min-pmi", "200"), "--min-pmi"),
        (("--articles", "/nothing/here"), "--articles: /nothing/here: no such file or folder"),
    ],
)
def test_what_a_user_gets_wrong_is_refused_in_one_line(tmp_path, capsys, options, message):
    assert call("build_metadata", *options, "--output", tmp_path / "list") == 2
    assert message in capsys.readouterr().err


def independent_counts(dump):
    """Counts with re and mwparserfromhell's tree, in one process; shares only the lists of tags and of marks."""
    unigrams, bigrams = Counter(), Counter()
    for found in re.findall(rb"<page>.*?</page>", bz2.decompress(dump.read_bytes()), re.DOTALL):
        article = parse_page(found)
        if article.namespace or article.is_redirect or is_disambiguation(article.title, article.wikitext):
            continue
        text = re.sub(f"[{re.escape(SEPARATOR_MARKS)}\n\r]", "\0", independent_text(article.wikitext))
        for run in text.split("\0"):
            tokens = [token for word in re.split("[ \t]", run) if (token := word.strip(SURROUNDING))]
            unigrams.update(tokens)
            bigrams.update(pairwise(tokens))
    return unigrams, bigrams


@pytest.fixture(scope="module")
def english(tmp_path_factory):
    output = tmp_path_factory.mktemp("english") / "list"
    dump = Path(str(DATA)) / "wiki" / "enwiki-206-pages.xml.bz2"
    options = ("--min-unigram-count", 20, "--min-pmi", 12, "--min-bigram-count", 2, "--output", output)
    assert call("build_metadata", "--articles", dump, *options) == 0
    return output, dump


@needs_data
def test_the_english_excerpt_counts_as_an_independent_program_does(english, spark):
    output, dump = english
    unigrams, bigrams = independent_counts(dump)
    stored = spark.read.parquet((output / "word_counts").as_uri())
    rows = stored.where("kind in ('unigram', 'bigram')").collect()
    assert {row["word"]: row["count"] for row in rows if row["kind"] == "unigram"} == unigrams
    assert {(row["word"], row["next_word"]): row["count"] for row in rows if row["kind"] == "bigram"} == bigrams
    total = sum(unigrams.values())
    kept = [row for row in pq.read_table(output / "metadata.parquet").to_pylist() if row["source"] == "bigram"]
    expected = {
        " ".join(pair)
        for pair, count in bigrams.items()
        if " ".join(pair).strip() and count >= 2 and count * total >= 2**12 * unigrams[pair[0]] * unigrams[pair[1]]
    }
    assert {row["entry_text"] for row in kept} == expected
    for row in kept[:100]:
        first, second = row["entry_text"].split(" ")
        pmi = math.log2(bigrams[first, second] * total / (unigrams[first] * unigrams[second]))
        assert row["strength"] == pytest.approx(pmi, abs=1e-8)


@needs_data
def test_from_a_dump_to_a_curated_set(english, tmp_path):
    output, _ = english
    fixed = tmp_path / "metadata.json"
    assert call("lint_metadata", "--metadata", output / "metadata.json", "--fix", fixed) == 0
    assert call("lint_metadata", "--metadata", fixed) == 0
    options = (
        "--archives",
        SAMPLE / "sample-00000.warc.gz",
        "--metadata",
        fixed,
        "--threshold-t",
        20,
        "--output",
        tmp_path / "run",
    )
    assert call("curate", *options) == 0
    run = run_json(tmp_path / "run")
    assert run["status"] == "done"
    assert 0 < run["steps"]["sample"]["numbers"]["pairs"] <= run["steps"]["match"]["numbers"]["pairs"]


@needs_data
def test_the_bulgarian_excerpt_is_read(tmp_path):
    dump = Path(str(DATA)) / "wiki" / "bgwiki-sample.xml.bz2"
    options = ("--min-unigram-count", 10, "--min-pmi", 8, "--output", tmp_path / "list")
    assert call("build_metadata", "--articles", dump, *options) == 0
    run = described(tmp_path / "list")
    assert run["tally"][dump.name]["articles"] > 0
    entries = load_metadata(str(tmp_path / "list" / "metadata.json")).entries
    assert "на" in entries
    assert not any(entry.startswith(("Файл", "<ref", "{{")) for entry in entries)


def test_tallies_have_singular_forms():
    built = BuiltMetadata({}, tally={"a.xml": {"pages": 1, "articles": 2000, "page.broken_xml": 1}})
    assert next(build_lines(built)) == "a.xml: 1 page, 2,000 articles, 1 page.broken_xml"
