"""Article dumps as byte streams: whole, cut, corrupt, in parts; and how their words are counted."""

import bz2
import gzip
import io
import lzma
import time
import tracemalloc
from collections import Counter

import pyarrow as pa
import pytest
import zstandard

from udfs.schemas import DUMP_PARTS, WORD_COUNTS
from udfs.sources.codecs import LARGEST_OUTPUT_BYTES
from udfs.sources.compression import read_chunks
from udfs.sources.lines import LARGEST_LINE_BYTES
from udfs.wikipedia.articles import ArticleRules, count_articles
from udfs.wikipedia.dumps import unpack, unpacked_lines
from udfs.wikipedia.ngrams import NgramCounts, count_batches, token_runs
from udfs.wikipedia.pages import as_utf8, namespace_names, page_fragments, parse_page

HEAD = '<mediawiki><siteinfo><namespaces><namespace key="6" case="x">Файл</namespace></namespaces></siteinfo>\n'


PACKS = {"bzip2": bz2.compress, "gzip": gzip.compress, "xz": lzma.compress, "zstd": zstandard.compress}
every_pack = pytest.mark.parametrize("pack", PACKS.values(), ids=PACKS)


def page(title, text, namespace=0, extra=""):
    return (
        f"<page><title>{title}</title><ns>{namespace}</ns>{extra}<revision>"
        f"<model>wikitext</model><text>{text}</text></revision></page>\n"
    )


def counted(dump, part=None, attempt=0, **rules):
    """Counts one dump; gives unigrams, bigrams, the tally and the rejects."""
    row = {"dump": "d.bz2", "path": "d.bz2", "start": 0, "end": None, "pages": None} | (part or {})
    batch = pa.RecordBatch.from_pylist([row], schema=DUMP_PARTS)
    rows = []
    options = {"opener": lambda _: io.BytesIO(dump), "rules": ArticleRules(**rules), "attempt": attempt}
    for found in count_articles([batch], **options):
        assert found.schema == WORD_COUNTS
        rows += found.to_pylist()
    unigrams, bigrams = Counter(), Counter()
    for item in rows:
        if item["kind"] == "unigram":
            unigrams[item["word"]] += item["count"]
        if item["kind"] == "bigram":
            bigrams[item["word"], item["next_word"]] += item["count"]
    tally = {item["word"]: item["count"] for item in rows if item["kind"] == "tally"}
    rejects = [(item["word"], item["next_word"]) for item in rows if item["kind"] == "reject"]
    assert tally.get("pages", 0) == sum(
        number for reason, number in tally.items() if reason == "articles" or reason.startswith("page.")
    )
    return unigrams, bigrams, tally, rejects


def test_tokens_are_those_that_matching_can_find():
    text = 'A dog, (a "big" one)… St.Louis; don\'t  stop\n«Да» x`y\tz ()'
    assert list(token_runs(text)) == [
        ["A", "dog"],
        ["a", "big", "one)…", "St"],
        ["Louis"],
        ["don't", "stop"],
        ["Да", "x"],
        ["y", "z"],
    ]


def test_bigrams_never_cross_a_mark_or_a_paragraph():
    unigrams, bigrams, tally, _ = counted(bz2.compress(page("A", "a b. c d\ne a b").encode()))
    assert unigrams == {"a": 2, "b": 2, "c": 1, "d": 1, "e": 1}
    assert bigrams == {("a", "b"): 2, ("c", "d"): 1, ("e", "a"): 1}
    assert tally == {"pages": 1, "articles": 1}


def test_pages_that_are_no_articles_are_skipped_and_counted():
    pages = [
        page("A", "text"),
        page("Talk:A", "talk", namespace=1),
        page("B", "see A", extra='<redirect title="A" />'),
        page("C", "#REDIRECT [[A]]"),
        page("D", "* A\n{{disambiguation}}"),
        page("E", "").replace("wikitext", "json"),
        page("F", ""),
    ]
    unigrams, _, tally, rejects = counted((HEAD + "".join(pages) + "</mediawiki>").encode())
    assert unigrams == {"text": 1}
    assert tally == {
        "pages": 7,
        "articles": 1,
        "page.skipped_namespace": 1,
        "page.skipped_redirect": 2,
        "page.skipped_disambiguation": 1,
        "page.skipped_model": 1,
        "page.no_text": 1,
    }
    assert rejects == [("page.no_text", "d.bz2: F")]


@pytest.mark.parametrize("pack", [bytes, *PACKS.values()], ids=["plain", *PACKS])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_packing_and_encoding_do_not_matter(pack, encoding):
    unigrams, _, _, _ = counted(pack((HEAD + page("A", "Да 東京")).encode(encoding)))
    assert unigrams == {"Да": 1, "東京": 1}


def test_a_truncated_dump_keeps_the_pages_before_the_cut_and_says_so():
    text = "".join(page(f"P{number}", f"word{number} " * 3000) for number in range(200))
    whole = bz2.compress(text.encode(), 1)
    unigrams, _, tally, _ = counted(whole[: len(whole) * 2 // 3])
    assert 0 < tally["articles"] < 200
    assert tally["dump.truncated"] == 1
    assert unigrams["word0"] == 3000


def test_a_corrupt_stream_loses_only_itself():
    streams = [bz2.compress((page(f"P{number}", f"w{number}") * 50).encode()) for number in range(4)]
    streams[1] = streams[1][:40] + bytes(20) + streams[1][60:]
    unigrams, _, tally, _ = counted(b"".join(streams))
    assert unigrams == {"w0": 50, "w2": 50, "w3": 50}
    assert tally["dump.corrupt_stream"] == 1


def test_bytes_behind_the_last_stream_are_reported():
    _, _, tally, _ = counted(bz2.compress(page("A", "a").encode()) + b"<html>Too many requests</html>")
    assert (tally["articles"], tally["dump.bytes_after_end"]) == (1, 1)


def test_broken_xml_in_the_middle_loses_one_page():
    broken = page("B", "b").replace("</title>", "</tilte>")
    pages = page("A", "a") + broken + page("C", "c") + "<page><title>D</title>" + page("E", "e")
    unigrams, _, tally, rejects = counted(bz2.compress(pages.encode()))
    assert unigrams == {"a": 1, "c": 1, "e": 1}
    assert (tally["pages"], tally["page.broken_xml"], tally["page.unfinished"]) == (5, 1, 1)
    assert rejects[0][0] == "page.broken_xml"
    assert "<title>B" in rejects[0][1]


def test_a_page_of_ten_megabytes_is_left_out_and_a_larger_one_is_never_held():
    ten = page("Ten", "x " * 5_000_000)
    _, _, tally, _ = counted((ten + page("A", "a")).encode())
    assert (tally["articles"], tally["page.too_large"]) == (1, 1)
    chunk = b"x" * 65536
    endless = [page("A", "a").encode(), b"<page><title>B</title>", *[chunk] * 1000, b"</page>", page("C", "c").encode()]
    seen = Counter()
    tracemalloc.start()
    titles = [parse_page(fragment).title for fragment in page_fragments(iter(endless), seen, 2**20)]
    assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    tracemalloc.stop()
    assert titles == ["A", "C"]
    assert seen == {"pages": 3, "page.too_large": 1, "page.unfinished": 0}


def test_parts_of_a_multistream_dump_add_up():
    streams = [bz2.compress(page(f"P{number}", f"w{number} shared").encode()) for number in range(6)]
    dump = b"".join(streams)
    middle = len(b"".join(streams[:3]))
    whole = counted(dump)[0]
    first = counted(dump, {"end": middle, "pages": 3})
    second = counted(dump, {"start": middle, "pages": 4})
    assert first[0] + second[0] == whole
    assert "index.page_missing" not in first[2]
    assert second[2]["index.page_missing"] == 1


def test_what_is_held_is_bounded_and_changes_nothing():
    text = " ".join(f"w{number % 700}" for number in range(5000))
    dump = "".join(page(f"P{number}", text) for number in range(5)).encode()
    assert counted(dump, most_held=100)[:2] == counted(dump)[:2]
    held = NgramCounts(10)
    held.add(text)
    assert held.is_full
    assert sum(batch.num_rows for batch in held.take()) == 700 + 700
    assert not held.is_full


@every_pack
def test_streams_one_after_another_are_read_and_a_cut_is_counted(pack):
    streams = [pack(page(f"P{number}", f"w{number} ").encode()) for number in range(4)]
    whole = b"".join(streams)
    assert counted(whole)[0] == {f"w{number}": 1 for number in range(4)}
    unigrams, _, tally, _ = counted(whole[:-5])
    assert {"w0", "w1", "w2"} <= set(unigrams)
    assert tally["dump.truncated"] == 1
    _, _, tally, _ = counted(whole + b"<html>Too many requests</html>")
    assert (tally["articles"], tally["dump.bytes_after_end"]) == (4, 1)


def test_streams_of_xz_are_found_again_behind_damage_and_padding():
    streams = [lzma.compress((page(f"P{number}", f"w{number}") * 50).encode()) for number in range(4)]
    streams[1] = streams[1][:40] + bytes(20) + streams[1][60:]
    unigrams, _, tally, _ = counted(bytes(8).join(streams))
    assert unigrams == {"w0": 50, "w2": 50, "w3": 50}
    assert tally["dump.corrupt_stream"] == 1


def test_damage_in_zstd_is_counted():
    packed = bytearray(zstandard.ZstdCompressor(write_checksum=True).compress(page("A", "a " * 999).encode()))
    packed[-2] ^= 1
    assert counted(bytes(packed))[2]["dump.corrupt_stream"] == 1
    empty = b"\x50\x2a\x4d\x18\x04\0\0\0meta"
    assert counted(empty + zstandard.compress(page("A", "a").encode()) + empty)[0] == {"a": 1}


def test_a_window_above_the_limit_is_no_damage():
    parameters = zstandard.ZstdCompressionParameters(window_log=30, enable_ldm=True)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    packed = packer.compress(page("A", "a").encode()) + packer.flush()
    assert counted(packed)[2] == {"dump.window_too_large": 1}


@every_pack
def test_unpacking_holds_some_megabytes_at_most(pack):
    bomb = pack(bytes(64 * 2**20))
    tracemalloc.start()
    sizes = [len(output) for output in unpack(read_chunks(io.BytesIO(bomb)), Counter())]
    assert tracemalloc.get_traced_memory()[1] < 16 * 2**20
    tracemalloc.stop()
    assert max(sizes) <= LARGEST_OUTPUT_BYTES
    assert sum(sizes) == 64 * 2**20


@every_pack
def test_packed_line_feeds_are_not_held(pack):
    packed = pack(b"\n" * (4 * 2**20))
    tracemalloc.start()
    assert sum(1 for _ in unpacked_lines([packed], Counter())) == 4 * 2**20
    assert tracemalloc.get_traced_memory()[1] < 20 * 2**20
    tracemalloc.stop()


def test_a_line_that_never_ends_is_counted_and_not_held():
    seen = Counter()
    chunk = b"x" * 65536
    endless = [b"first\n", *[chunk] * 1000, b"end\nlast\n", *[chunk] * 300]
    tracemalloc.start()
    assert list(unpacked_lines(endless, seen)) == [b"first", b"last"]
    assert tracemalloc.get_traced_memory()[1] < 2.5 * LARGEST_LINE_BYTES
    tracemalloc.stop()
    assert seen == {"line.too_large": 2}
    whole = [b"y" * (LARGEST_LINE_BYTES // 4)] * 4
    assert [len(line) for line in unpacked_lines(whole, seen)] == [LARGEST_LINE_BYTES]


@pytest.mark.parametrize(
    "piece",
    [
        *(pack(b"") for pack in PACKS.values()),
        *(pack(b"some words")[:12] for pack in PACKS.values()),
        b'<namespace key="1"',
        b"<page>",
        b"<page></page>",
        b"\n",
    ],
)
def test_any_repeat_is_read_in_time(piece):
    data = piece * (64 * 1024 // len(piece))
    started = time.process_time()
    assert isinstance(list(unpacked_lines([data], Counter())), list)
    assert isinstance(list(page_fragments([data], Counter())), list)
    assert namespace_names(data) == {}
    assert time.process_time() - started < 2


def test_a_page_that_kills_or_holds_up_the_parser_costs_itself_only(monkeypatch, tmp_path):
    # What the child process imports first.
    (tmp_path / "sitecustomize.py").write_text(
        "import os\nimport udfs.wikipedia.articles as counts\nread = counts.read_article\n"
        "def read_article(fragment, rules):\n"
        "    if b'CRASH' in fragment: os.kill(os.getpid(), 11)\n"
        "    while b'HANG' in fragment: pass\n"
        "    if b'ODD' in fragment: raise SystemError('odd')\n"
        "    return read(fragment, rules)\n"
        "counts.read_article = read_article\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    text = "".join(page(title, "a b") for title in ("One", "CRASH", "Two", "HANG", "ODD", "Three"))
    unigrams, bigrams, tally, rejects = counted(text.encode(), attempt=1, page_timeout_seconds=2.0)
    assert (unigrams, bigrams) == ({"a": 3, "b": 3}, {("a", "b"): 3})
    reasons = ("page.parser_crash", "page.parser_timeout", "page.parser_error")
    assert tally == {"pages": 6, "articles": 3, **dict.fromkeys(reasons, 1)}
    assert sorted(rejects) == [
        ("page.parser_crash", "d.bz2: CRASH (exit code -11)"),
        ("page.parser_error", "d.bz2: ODD"),
        ("page.parser_timeout", "d.bz2: HANG (2 s)"),
    ]


def test_a_second_attempt_counts_as_the_first():
    text = page("A", "a b c") + page("B", "#REDIRECT [[A]]") + page("C", "").replace("</title>", "</tilte>")
    assert counted(text.encode(), attempt=1) == counted(text.encode())


@pytest.mark.parametrize("size", [1, 3, 7, 50])
def test_the_size_of_chunks_does_not_matter(size):
    xml = (HEAD + page("A", "a") + page("B", "Да")).encode()
    packed = bz2.compress(xml) + bz2.compress(page("C", "c").encode())
    chunks = [packed[start : start + size] for start in range(0, len(packed), size)]
    tally = Counter()
    titles = [parse_page(found).title for found in page_fragments(as_utf8(unpack(chunks, tally)), tally)]
    assert titles == ["A", "B", "C"]


def test_namespaces_have_their_own_names():
    assert namespace_names(HEAD.encode() + page("A", "a").encode()) == {6: "Файл"}


def test_counts_become_batches_of_the_declared_schema():
    (batch,) = count_batches("bigram", Counter({("a", "b"): 2, ("c", "d"): 0}))
    assert batch.to_pylist() == [{"kind": "bigram", "word": "a", "next_word": "b", "count": 2}]
