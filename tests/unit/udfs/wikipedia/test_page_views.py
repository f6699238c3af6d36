"""Lines of page-view dumps and of ready count files, good and bad."""

import bz2
import gzip
import io
import lzma
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from udfs.schemas import COUNT_FILES, VIEW_FILES
from udfs.sources.lines import LARGEST_LINE_BYTES
from udfs.wikipedia.count_files import read_count_files, read_count_line
from udfs.wikipedia.page_views import COMPLETE, HOURLY, ViewRules, count_views, read_line, wiki_of


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"en Main_Page 120 0", ("", "Main Page", 120)),
        (b"en Caf%C3%A9 50 0", ("", "Café", 50)),
        ("en Café 50 0".encode(), ("", "Café", 50)),
        (b"en 100%_Hits 50 0", ("", "100% Hits", 50)),
        (b"en _Spaced_ 50 0", ("", "Spaced", 50)),
        (b"en Bad%FF%FE 50 0", ("line.percent_encoding", "", 50)),
        (b"en \xff\xfe 50 0", ("line.encoding", "", 50)),
        (b"en Main_Page 120", ("line.fields", "", 0)),
        (b"en Two words 120 0", ("line.fields", "", 0)),
        (b"en Main_Page -5 0", ("line.views", "", 0)),
        (b"en Main_Page many 0", ("line.views", "", 0)),
        (b"en Main_Page " + b"9" * 5000 + b" 0", ("line.views", "", 0)),
        (b"en Main_Page 49 0", ("line.skipped_few_views", "", 0)),
        (b"en Talk:Dog 120 0", ("line.skipped_colon", "Talk:Dog", 120)),
        (b"en _ 120 0", ("line.skipped_no_title", "", 120)),
        (b"en.m Main_Page 120 0", ("line.skipped_domain", "", 0)),
        (b"de Main_Page 120 0", ("line.skipped_domain", "", 0)),
        (b"en.d Main_Page 120 0", ("line.skipped_domain", "", 0)),
        (b"", ("line.skipped_blank", "", 0)),
    ],
)
def test_hourly_lines(line, expected):
    assert read_line(line, HOURLY, ViewRules()) == expected


@pytest.mark.parametrize(
    ("line", "rules", "expected"),
    [
        (b"en.wikipedia Dog 4269567 desktop 7 A3B4", ViewRules(), ("", "Dog", 7)),
        (b"en.wikipedia Dog 4269567 mobile-web 7 A7", ViewRules(), ("line.skipped_domain", "", 0)),
        (b"en.wikipedia Dog 4269567 mobile-web 7 A7", ViewRules(include_mobile=True), ("", "Dog", 7)),
        (b"en.wiktionary Dog 1 desktop 7 A7", ViewRules(), ("line.skipped_domain", "", 0)),
        (b"en.wikipedia Dog desktop 7 A7", ViewRules(), ("line.fields", "", 0)),
    ],
)
def test_lines_of_complete_dumps_have_no_hourly_limit(line, rules, expected):
    assert read_line(line, COMPLETE, rules) == expected


def views_of(content, form=HOURLY, **rules):
    batch = pa.RecordBatch.from_pylist([{"file": "f", "path": "f", "form": form}], schema=VIEW_FILES)
    views, tally = Counter(), {}
    for found in count_views([batch], opener=lambda _: io.BytesIO(content), rules=ViewRules(**rules)):
        for row in found.to_pylist():
            if row["kind"] == "title":
                views[row["word"]] += row["count"]
            else:
                tally[row["word"]] = row["count"]
    return views, tally


def test_views_are_summed_and_every_line_is_accounted_for():
    content = b"en Dog 60 0\nen Dog 70 0\nen Cat 10 0\nde Hund 90 0\nen broken\nen Bad%FF 80 0\nen A 99 0"
    for pack in (bytes, gzip.compress, bz2.compress, lzma.compress, zstandard.compress):
        views, tally = views_of(pack(content), most_held=1)
        assert views == {"Dog": 130, "A": 99}
        assert tally["lines"] == 7 == sum(number for reason, number in tally.items() if reason != "lines")
    assert views_of(b"en Dog 60 0\nen.m Dog 70 0\n", include_mobile=True)[0] == {"Dog": 130}


def test_a_truncated_view_dump_keeps_its_whole_lines():
    content = gzip.compress(b"".join(b"en Title%d 100 0\n" % number for number in range(50_000)))
    views, tally = views_of(content[: len(content) // 2])
    assert 0 < len(views) < 50_000
    assert tally["dump.truncated"] == 1
    assert max(views.values()) == 100


def test_a_view_dumps_line_without_an_end_is_counted():
    views, tally = views_of(zstandard.compress(b"en Dog 60 0\n" + bytes(LARGEST_LINE_BYTES + 1) + b"\nen Cat 70 0\n"))
    assert views == {"Dog": 60, "Cat": 70}
    assert tally == {"lines": 3, "counted": 2, "line.too_large": 1}
    rows = counts_of(b"dog\t3\n" + bytes(LARGEST_LINE_BYTES + 1), "unigram")
    assert [row["word"] for row in rows if row["kind"] == "reject"] == ["line.too_large"]


def counts_of(content, kind):
    batch = pa.RecordBatch.from_pylist([{"file": "f.tsv", "path": "f.tsv", "kind": kind}], schema=COUNT_FILES)
    found = read_count_files([batch], opener=lambda _: io.BytesIO(content))
    return [row for part in found for row in part.to_pylist()]


def test_ready_counts_are_read_plain_and_packed():
    content = "\ufeffdog\t3\r\nдом\t5\n\ndog\t1".encode()
    for pack in (bytes, gzip.compress, lzma.compress, zstandard.compress):
        rows = counts_of(pack(content), "unigram")
        assert {row["word"]: row["count"] for row in rows if row["kind"] == "unigram"} == {"dog": 4, "дом": 5}
    bigram = counts_of(b"new\tyork\t7\n", "bigram")[0]
    assert (bigram["word"], bigram["next_word"], bigram["count"]) == ("new", "york", 7)
    assert counts_of(b"New_York\t7\nTalk:A\t9\n", "title")[0]["word"] == "New York"


@pytest.mark.parametrize(
    ("content", "kind", "line", "message"),
    [
        (b"dog\t3\ncat\t-1\n", "unigram", 2, "the count '-1' is not a whole number of at least 0"),
        (b"dog\tmany\n", "unigram", 1, "the count 'many' is not a whole number"),
        (b"dog\t3.5\n", "unigram", 1, "the count '3.5' is not a whole number"),
        (b"dog\t99999999999999999999\n", "unigram", 1, "is not a whole number"),
        (b"dog\t" + b"9" * 5000 + b"\n", "unigram", 1, "is not a whole number of at least 0"),
        (b"dog 3\n", "unigram", 1, "'dog 3' is not a word and a count"),
        (b"new\tyork\t3\nnew\t3\n", "bigram", 2, "is not a word and a next word and a count"),
        (b"\xff\t3\n", "unigram", 1, "is not UTF-8"),
        (b"Bad%FF\t3\n", "title", 1, "is not UTF-8"),
    ],
)
def test_a_bad_line_of_a_count_file_is_named(content, kind, line, message):
    reject = counts_of(content, kind)[-1]
    assert reject["kind"] == "reject"
    assert message in reject["word"]
    assert reject["next_word"] == f"f.tsv, line {line}"


def parquet_counts_of(columns, kind):
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    batch = pa.RecordBatch.from_pylist([{"file": "f.parquet", "path": "f", "kind": kind}], schema=COUNT_FILES)
    found = read_count_files([batch], opener=lambda _: io.BytesIO(sink.getvalue()), most_held=1)
    return [row for part in found for row in part.to_pylist()]


def test_ready_counts_in_parquet_read_as_in_text():
    titles = {"title": ["New_York", "Talk:A", "Zürich", "New York"], "views": pa.array([7, 9, 5, 2], pa.int32())}
    views = Counter()
    for row in parquet_counts_of(titles, "title"):
        views[row["word"]] += row["count"] if row["kind"] == "title" else 0
    assert +views == {"New York": 9, "Zürich": 5}
    pairs = {"next_word": ["york"], "count": [3], "word": pa.array(["new"]).dictionary_encode(), "more": [None]}
    bigram = parquet_counts_of(pairs, "bigram")[0]
    assert (bigram["word"], bigram["next_word"], bigram["count"]) == ("new", "york", 3)


@pytest.mark.parametrize(
    ("columns", "place", "message"),
    [
        ({"word": ["a", "b"], "count": [3, -1]}, "f.parquet, row 2", "('b', -1): no word may be empty or null"),
        ({"word": ["a"], "count": pa.array([None], pa.int64())}, "f.parquet, row 1", "('a', None)"),
        ({"word": [""], "count": [3]}, "f.parquet, row 1", "('', 3)"),
        ({"word": ["a"], "count": [3.5]}, "f.parquet", "it lacks the columns count: it must hold word, count"),
        ({"term": ["a"], "count": [3]}, "f.parquet", "it lacks the columns word"),
    ],
)
def test_a_bad_row_of_a_count_file_is_named(columns, place, message):
    reject = parquet_counts_of(columns, "unigram")[-1]
    assert (reject["kind"], reject["next_word"]) == ("reject", place)
    assert message in reject["word"]


def test_a_file_named_parquet_that_is_none_is_refused():
    batch = pa.RecordBatch.from_pylist([{"file": "f.parquet", "path": "f", "kind": "unigram"}], schema=COUNT_FILES)
    (found,) = read_count_files([batch], opener=lambda _: io.BytesIO(b"a\t3\n"))
    assert found.to_pylist()[0]["next_word"] == "f.parquet"


def test_a_truncated_count_file_is_refused():
    content = gzip.compress(b"".join(b"w%d\t%d\n" % (number, number) for number in range(50_000)))
    rows = counts_of(content[: len(content) // 2], "unigram")
    assert [row["word"] for row in rows if row["kind"] == "reject"] == ["dump.truncated"]


def test_a_good_line_is_words_and_a_count():
    assert read_count_line(b"new\tyork\t7", "bigram") == (("new", "york"), 7)
    with pytest.raises(ValueError, match="separated by tabs"):
        read_count_line(b"new\tyork\t7", "unigram")


@pytest.mark.parametrize(
    ("domain", "form", "wiki"),
    [
        (b"ja", HOURLY, ("ja", False)),
        (b"ja.m", HOURLY, ("ja", True)),
        (b"zh-yue", HOURLY, ("zh_yue", False)),
        (b"zh-min-nan.m", HOURLY, ("zh_min_nan", True)),
        (b"be-tarask", HOURLY, ("be_tarask", False)),
        (b"be-x-old", HOURLY, ("be_tarask", False)),
        (b"nds-nl", HOURLY, ("nds_nl", False)),
        (b"roa-rup", HOURLY, ("roa_rup", False)),
        (b"map-bms", HOURLY, ("map_bms", False)),
        (b"fiu-vro", HOURLY, ("fiu_vro", False)),
        (b"simple", HOURLY, ("simple", False)),
        (b"commons.m", HOURLY, ("", False)),
        (b"meta.m.m", HOURLY, ("", False)),
        (b"en.d", HOURLY, ("", False)),
        (b"www.wd", HOURLY, ("", False)),
        (b"zh-yue.wikipedia", COMPLETE, ("zh_yue", False)),
        (b"en.wiktionary", COMPLETE, ("", False)),
        (b"commons.wikimedia", COMPLETE, ("", False)),
        (b"en", COMPLETE, ("", False)),
    ],
)
def test_a_domain_is_a_wiki_or_another_project(domain, form, wiki):
    assert wiki_of(domain, form) == wiki


def test_the_views_of_all_wikis_are_summed_in_one_pass():
    content = b"en Dog 60 0\nja Dog 7 0\nja Dog 1 0\nzh-yue.m Dog 9 0\nen.d Dog 99 0\ncommons.m Dog 99 0\n"
    for most_held in (1, 100):
        rules = ViewRules(None, include_mobile=True, min_hourly_views=1, most_held=most_held)
        batch = pa.RecordBatch.from_pylist([{"file": "f", "path": "f", "form": HOURLY}], schema=VIEW_FILES)
        views, tally = Counter(), {}
        for part in count_views([batch], opener=lambda _: io.BytesIO(content), rules=rules):
            for row in part.to_pylist():
                if row["kind"] == "title":
                    views[row["next_word"], row["word"]] += row["count"]
                else:
                    tally[row["word"]] = row["count"]
        assert views == {("en", "Dog"): 60, ("ja", "Dog"): 8, ("zh_yue", "Dog"): 9}
        assert tally == {"lines": 6, "counted": 4, "line.skipped_domain": 2}
