"""The compiled loop over a page's images against the rules for one image after another, row by row and sum by sum."""

import json
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.worker.archive_files import extract_bytes, http_response, image_link, warc_record, wat_document, wat_record
from udfs import archive_rows, pair_columns
from udfs.alt_text import pair_id
from udfs.archive_rows import BATCH_ROWS, ArchiveRows
from udfs.html_pairs import read_html
from udfs.link_kernels import link_kernel
from udfs.page_pairs import PagePairs, PageTags
from udfs.pair_kernels import REASONS
from udfs.schemas import PAIRS, SOURCES
from udfs.tag_layout import HREF, IS_PLAIN, SRC, TAG_COLUMNS, UNMODELLED
from udfs.urls import plain_folder
from udfs.wat_pairs import read_wat_record

FUZZ = settings(max_examples=3000, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)

URL_PARTS = ["/", "//", "a", "b.jpg", ".", "..", "../", "./", "?", "?q=1&r=/x", "#", ";", ":", "http:", "https://"]
URL_PARTS += ["http://", "h.org", "h.org/", "data:", "%20", " ", "\t", "\n", "é", "東", "x@y", "[", "]", "\\", "=", "*"]
URL_PARTS += [
    ":80",
    "~",
    "javascript:",
    "HTTP://",
    "\xa0",
    "\u3000",
    "\u2003",
    "\x85",
    ".hidden",
    "...",
    "()",
    "'",
    "$",
]
BASES = ["http://h.org", "http://h.org/", "http://h.org/a/b/c.html", "https://h.org/a//b/", "http://h.org?x/y", ""]
BASES += ["http://h.org/a;p/b?x=/y/z", "http://h.org/a?q", "http://h.org#a/b", "file:///a/b", "http://[bad", "a/b"]
BASES += [
    "http://h.org/../x/./y",
    "HTTP://H/a/b",
    "//h/a/b",
    "http:///x/y",
    "http:/a/b",
    "mailto:a/b",
    "http://h:80/a/",
]
BASES += [
    "https://h.org/a/b/c/d?e=f/g#/h/i",
    "http://h.org/é/b",
    "http://h.org/a/é",
    "http://h.org/a/b c",
    "http://h.org/a:b/c",
]
TEXT_PARTS = [
    "a",
    "dog",
    " ",
    "\n",
    "\r",
    "\t",
    "\x1c",
    "\x0b",
    "\x00",
    "\xa0",
    "\x85",
    "\u1680",
    "\u2003",
    "\u2028",
    "\u202f",
]
TEXT_PARTS += ["\u205f", "\u3000", "\u200b", "é", "ん", "東京", "😀", "᚛", "\u2010", "c" * 70, "x\u2003y"]

urls = st.lists(st.sampled_from(URL_PARTS), max_size=6).map("".join)
texts = st.lists(st.sampled_from(TEXT_PARTS), max_size=5).map("".join)
images = st.tuples(st.none() | urls, st.dictionaries(st.sampled_from(SOURCES), texts, max_size=3))
Image = tuple[str | None, dict[str, str]]


def page_of(images: list[Image], base: str, *, are_plain: bool = True) -> PagePairs:
    """Lays the values of images down as the scanners find them."""
    content = b"<"
    rows = np.full((len(images), TAG_COLUMNS), -1, np.int64)
    for row, (src, named) in zip(rows, images, strict=True):
        row[IS_PLAIN] = are_plain
        for at, value in zip(range(SRC, HREF, 2), (src, *(named.get(source) for source in SOURCES)), strict=True):
            if value is not None:
                row[at], row[at + 1] = len(content), len(content) + len(value.encode())
                content += value.encode() + b'"'
    return PagePairs("http://page.org/", base, PageTags(content, rows, {}))


def rows_of(pages: list[PagePairs]) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]], Counter[str], Counter[str]]:
    """Adds pages to an archive and gives its pairs, rejects, numbers and reasons."""
    rows = ArchiveRows("a")
    for number, page in enumerate(pages):
        rows.add_page(number, page)
    batches = list(rows._close(0, "", 0))
    found: dict[str, list[dict[str, Any]]] = {"pair": [], "reject": [], "archive": []}
    for batch in batches:
        batch.validate(full=True)
        for row in batch.to_pylist():
            found[row["kind"]].append(row)
    names = [*PAIRS.names]
    pairs = sorted(tuple(row[name] for name in names) for row in found["pair"])
    rejects = [(row["reason"], row["example"], row["record_offset"]) for row in found["reject"]]
    return pairs, rejects, rows.numbers, rows.rejected


def without_loop(page: PagePairs) -> PagePairs:
    page.read_tags()
    return page


def check(pages: list[tuple[list[Image], str]]) -> None:
    compiled = rows_of([page_of(*page) for page in pages])
    assert compiled == rows_of([without_loop(page_of(*page)) for page in pages])
    assert all(row[0] == pair_id(row[1], row[2]) for row in compiled[0])


@FUZZ
@given(st.lists(st.tuples(st.lists(images, max_size=3), st.sampled_from(BASES)), min_size=1, max_size=3))
def test_any_urls_and_texts(pages: list[tuple[list[Image], str]]) -> None:
    check(pages)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.lists(st.tuples(st.lists(images, max_size=40), st.sampled_from(BASES)), min_size=1, max_size=4))
def test_pages_of_many_images_whose_losses_need_no_more_examples(pages: list[tuple[list[Image], str]]) -> None:
    check(pages)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.lists(st.tuples(st.lists(images, max_size=30), st.sampled_from(BASES)), min_size=1, max_size=4), st.data())
def test_columns_that_are_too_small(pages: list[tuple[list[Image], str]], data: st.DataObject) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(archive_rows, "BATCH_ROWS", data.draw(st.integers(1, 9)))
        patch.setattr(pair_columns, "_DATA_BYTES", data.draw(st.integers(10, 400)))
        check(pages)


@pytest.mark.parametrize(
    ("base", "src", "expected"),
    [
        ("http://h.org/a/b/c.html", "d.png", "http://h.org/a/b/d.png"),
        ("http://h.org/a/b/c.html", "../d.png", "http://h.org/a/d.png"),
        ("http://h.org/a/b/", "../../../d.png", "http://h.org/d.png"),
        ("http://h.org/a/b/", "./.././d.png?x=./../y", "http://h.org/a/d.png?x=./../y"),
        ("http://h.org/a/b?c=/d/", "e//f.png", "http://h.org/a/e/f.png"),
        ("http://h.org/a/b", "/e//f.png", "http://h.org/e//f.png"),
        ("https://h.org/a/b", "//i.org/../f.png", "https://i.org/../f.png"),
        ("https://h.org:80/a/b", "http://i.org/f/?a=b:c;d", "http://i.org/f/?a=b:c;d"),
        ("http://h.org/a/", "東京/é.png", "http://h.org/a/東京/é.png"),
    ],
)
def test_what_the_loop_takes(base: str, src: str, expected: str) -> None:
    columns = pair_columns.PairColumns(10)
    done, refused = columns.add(page_of([(src, {"alt": " a\ndog "})], base), 7, 0)
    assert (done, refused) == (1, [])
    row = {name: column.to_pylist()[0] for name, column in columns.take().items()}
    assert (row["image_url"], row["alt_text"], row["record_offset"]) == (expected, "a dog", 7)
    assert len(columns) == 0


def test_what_is_left_to_the_rules_for_one_image() -> None:
    columns = pair_columns.PairColumns(10)
    left: list[Image] = [(src, {"alt": "a"}) for src in ("a;b", "a#b", "a b", "x:y", "a/", "..", "a/./b", "HTTP://h/a")]
    left += [("a", {}), ("a", {"alt": ""}), ("", {}), (None, {}), ("data:x", {}), ("a", {"alt": "\xa0a"})]
    page = page_of([("a", {"alt": "a"}), *left], "http://h.org/")
    assert columns.add(page, 0, 0) == (len(left) + 1, list(range(1, len(left) + 1)))
    for reason in REASONS:
        columns.need_no_more_examples(reason)
    kept = [1 + place for place, (_, named) in enumerate(left) if named.get("alt", "") and _ != "data:x"]
    assert columns.add(page, 0, 0)[1] == kept
    assert columns.add(page_of(left, "http://h.org/", are_plain=False), 0, 0)[1] == list(range(len(left)))


def test_a_folder_is_plain_only_where_urljoin_keeps_it() -> None:
    folder, root_end = plain_folder("https://h.org:8080/a/b.c/d?e/f#g/h")
    assert (bytes(folder), root_end) == (b"https://h.org:8080/a/b.c/", len("https://h.org:8080/"))
    for base in ("", "http://h.org", "http://h.org/a//b", "http://h.org/./a", "ftp://h.org/a", "http://h.org/a;b/c"):
        assert len(plain_folder(base)[0]) == 0


def test_more_pairs_than_a_batch_holds_stay_in_batches() -> None:
    page = page_of([(f"{number}.png", {"alt": "a", "title": "b"}) for number in range(BATCH_ROWS)], "http://h.org/")
    rows = ArchiveRows("a")
    rows.add_page(0, page)
    batches = [batch for batch in rows._close(0, "", 0) if batch["kind"][0].as_py() == "pair"]
    assert [batch.num_rows for batch in batches] == [BATCH_ROWS, BATCH_ROWS]
    assert pa.Table.from_batches(batches)["image_index"].to_pylist() == [n // 2 for n in range(2 * BATCH_ROWS)]


JSON_VALUES = st.one_of(
    st.sampled_from(["IMG@/src", "A@/href", 'a"b', "a\\b", "a/b", "é", "\ud83d\ude00", "a\nb", "", "x" * 40]),
    st.none(),
    st.integers(0, 9),
    st.lists(st.just("[{"), max_size=1),
    st.just({"path": "IMG@/src"}),
)
KEYS = st.sampled_from(["path", "url", "alt", "title", "text", "pa\\th", "x" * 9])
LINKS = st.lists(
    st.one_of(
        st.dictionaries(KEYS, JSON_VALUES, max_size=4),
        st.dictionaries(KEYS, JSON_VALUES, max_size=4).map(lambda link: {"path": "IMG@/src", **link}),
        st.builds(image_link, urls, texts),
        st.none(),
    ),
    max_size=5,
)


@FUZZ
@given(LINKS, st.booleans(), st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\t: ")]))
def test_any_links(links: list[Any], is_ascii: bool, separators: tuple[str, str]) -> None:
    """A last link that is a number makes the record one for the tolerant reader, and changes no pair."""
    documents = [wat_document(tuple(links)), wat_document((*links, {"path": "A@/href", "url": 5}))]
    pages = []
    for document in documents:
        text = json.dumps(document, ensure_ascii=is_ascii, separators=separators)
        page = read_wat_record(text.encode("utf-8", "surrogatepass"))
        page.read_tags()
        pages.append(page)
    assert pages[0] == pages[1]


@pytest.mark.parametrize(
    ("links", "found"),
    [
        ("[]", 0),
        ("[ ]", 0),
        ('[{"path":"IMG@/src","url":"a","alt":"b"}]', 1),
        ('[ { "alt" : "b" , "path" : "IMG@/src" } , {} , {"path":"A@/href"} ]', 1),
        ('[{"path":"IMG@/src","path":"A@/href"},{"path":"A@/href","path":"IMG@/src"}]', 1),
        (r'[{"path":"A@/href","text":"\"path\":\"IMG@/src\""}]', 0),
        (r'[{"path":"IMG@\/src"}]', UNMODELLED),
        (r'[{"p\u0061th":"IMG@/src"}]', UNMODELLED),
        ('[{"path":"IMG@/src","url":1}]', UNMODELLED),
        ('[{"path":"IMG@/src","url":null}]', UNMODELLED),
        ('[{"path":"IMG@/src","more":{}}]', UNMODELLED),
        ("[null]", UNMODELLED),
        ("{}", UNMODELLED),
        ('["path"]', UNMODELLED),
        ("[" + ",".join(['{"path":"IMG@/src"}'] * 10) + "]", UNMODELLED),
    ],
)
def test_what_the_loop_over_links_models(links: str, found: int) -> None:
    rows = np.empty((9, TAG_COLUMNS), np.int64)
    assert link_kernel()(np.frombuffer(links.encode(), np.uint8), rows) == found


@pytest.mark.parametrize(
    "alt", [b"\xff", b"a\xc3", b"\xed\xa0\x80", b"\xf0\x9f\x98", b"\xc0\xaf", b"a\xe6\x9d\xb1\xff"]
)
def test_invalid_utf_8_is_replaced_in_pages_and_links(alt: bytes) -> None:
    page = extract_bytes(warc_record(http_response(b'<meta charset=utf-8><img src=a alt="' + alt + b'">')))
    link = json.dumps(wat_document((image_link("/a", "ALT"),))).encode().replace(b"ALT", alt)
    for outcome in (page, extract_bytes(wat_record(link))):
        assert outcome.texts == [alt.decode("utf-8", "replace")]


def test_the_scanners_call_valid_texts_plain() -> None:
    text = "é東😀\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff"
    page = read_html(f"<img src=a alt='{text}'>".encode(), "http://h.org/")
    link = read_wat_record(json.dumps(wat_document((image_link("/a", text),)), ensure_ascii=False).encode())
    for found in (page, link):
        assert found.tags is not None
        assert found.tags.rows[:, IS_PLAIN].tolist() == [1]
        assert found.tags.values(0)[1] == [("alt", text)]
