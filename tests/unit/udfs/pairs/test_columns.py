"""The compiled loop over a page's images against the rules for one image after another, row by row and sum by sum."""

import json
import os
import subprocess
import sys
from collections import Counter
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.support.archive_files import (
    extract_bytes,
    http_response,
    image_link,
    read_images,
    warc_record,
    wat_document,
    wat_record,
)
from tests.support.page_grammar import (
    BASES,
    NAMES,
    ODD_BASES,
    ODD_NAMES,
    ODD_PREFIXES,
    ODD_QUERIES,
    ODD_WORDS,
    PREFIXES,
    QUERIES,
    WORDS,
    Image,
    make_base,
    make_image,
    page_of,
)
from tests.support.paths import CHECKOUT
from udfs.pages.html import read_html
from udfs.pages.image_table import IS_PLAIN, TAG_COLUMNS, UNMODELLED, Declared, PageImages
from udfs.pages.wat import read_wat_record
from udfs.pages.wat_kernel import link_kernel
from udfs.pairs import ExtractOptions, archive_batch
from udfs.pairs.archive_batch import BATCH_ROWS, ArchiveRows
from udfs.pairs.columns import PairColumns
from udfs.pairs.image_urls import plain_folder
from udfs.pairs.kernel import REASONS
from udfs.pairs.rules import FoundPair, pair_id
from udfs.schemas import OPTIONAL_COLUMNS, PAIRS, SOURCES

URL_PARTS = (PREFIXES, ODD_PREFIXES, NAMES, ODD_NAMES, QUERIES, ODD_QUERIES, ["/"])


def any_url(random: Random) -> str:
    return "".join(random.choice(random.choice(URL_PARTS)) for _ in range(random.randint(0, 6)))


def any_text(random: Random) -> str:
    return "".join(random.choice(random.choice((WORDS, ODD_WORDS))) for _ in range(random.randint(0, 5)))


def any_image(random: Random) -> Image:
    named = {source: any_text(random) for source in random.sample(SOURCES, random.randint(0, 3))}
    return None if random.random() < 0.1 else any_url(random), named


def rows_of(pages: list[PageImages]) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]], Counter[str], Counter[str]]:
    """Adds pages to an archive and gives its pairs, rejects, numbers and reasons."""
    rows = ArchiveRows("a")
    for number, page in enumerate(pages):
        rows.add_record(number, page)
    batches = list(rows.closing_batches())
    found: dict[str, list[dict[str, Any]]] = {"pair": [], "reject": [], "archive": []}
    for batch in batches:
        batch.validate(full=True)
        for row in batch.to_pylist():
            found[row["kind"]].append(row)
    names = [*PAIRS.names]
    pairs = sorted((tuple(row[name] for name in names) for row in found["pair"]), key=repr)
    rejects = [(row["reason"], row["example"], row["record_offset"]) for row in found["reject"]]
    return pairs, rejects, rows.numbers, rows.rejected


def check(pages: list[tuple[list[Image], str]]) -> None:
    compiled = rows_of([page_of(*page) for page in pages])
    assert compiled == rows_of([page_of(*page, are_plain=False) for page in pages])
    assert all(row[0] == pair_id(row[1], row[2]) for row in compiled[0])


@pytest.mark.parametrize("seed", range(2))
def test_any_urls_and_texts(seed: int) -> None:
    random = Random(seed)
    for _ in range(500):
        pages = [[any_image(random) for _ in range(random.randint(0, 3))] for _ in range(random.randint(1, 3))]
        check([(images, random.choice(BASES + ODD_BASES)) for images in pages])


@pytest.mark.parametrize("seed", range(3))
def test_pages_of_a_grammar(seed: int) -> None:
    """Most images go through the loop, so that the test looks at it and not at two ways in Python."""
    random = Random(seed)
    pages = [([make_image(random) for _ in range(20)], make_base(random)) for _ in range(200)]
    check(pages)
    columns = PairColumns(4000)
    for reason in REASONS:
        columns.stop_sampling(reason)
    refused = [place for page in pages for place in columns.add_page(page_of(*page), 0, 0)[1]]
    assert len(columns) > 3000
    assert 200 < len(refused) < 1500


def test_what_pages_declare_stands_in_the_rows_of_their_pairs() -> None:
    declared = [Declared("de", 3), Declared(None, 0), Declared(), Declared("yue", 1 << 30)]
    columns = PairColumns(100)
    for number, each in enumerate(declared):
        page = page_of([("a", {"alt": "a", "title": "b"}), ("b;", {"alt": "c"})], "http://h.org/")._replace(
            declared=each
        )
        assert columns.add_page(page, number, 0) == (2, [1])
        assert columns.add_pair(FoundPair(1, "http://h.org/b;", "alt", "c"), page, number)
    found = columns.flush()
    rows = list(zip(*(found[name].to_pylist() for name in OPTIONAL_COLUMNS), strict=True))
    assert rows == [tuple(each) for each in declared for _ in range(3)]


@pytest.mark.parametrize("seed", range(20))
def test_columns_that_are_too_small(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    random = Random(seed)
    monkeypatch.setattr(archive_batch, "BATCH_ROWS", random.randint(1, 5))
    monkeypatch.setattr("udfs.pairs.columns._DATA_BYTES", random.randint(60, 300))
    pages = [([make_image(random) for _ in range(20)], make_base(random)) for _ in range(5)]
    check(pages)
    rows = ArchiveRows("a")
    for page in pages:
        rows.add_record(0, page_of(*page))
    assert len(list(rows.full_batches())) > 10


@pytest.mark.parametrize("name", ["checked_kernels.py", "checked_tables.py"])
def test_no_kernel_reads_or_writes_beyond_its_arrays(name: str) -> None:
    """Compiled code checks no bounds: the same loops run as Python over arrays that do."""
    script = CHECKOUT / "tests" / "support" / name
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "checked\n"), done.stderr


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
    columns = PairColumns(10)
    done, refused = columns.add_page(page_of([(src, {"alt": " a\ndog "})], base), 7, 0)
    assert (done, refused) == (1, [])
    row = {name: column.to_pylist()[0] for name, column in columns.flush().items()}
    assert (row["image_url"], row["alt_text"], row["record_offset"]) == (expected, "a dog", 7)
    assert len(columns) == 0


def test_what_is_left_to_the_rules_for_one_image() -> None:
    columns = PairColumns(10)
    left: list[Image] = [(src, {"alt": "a"}) for src in ("a;b", "a#b", "a b", "x:y", "a/", "..", "a/./b", "HTTP://h/a")]
    left += [("a", {}), ("a", {"alt": ""}), ("", {}), (None, {}), ("data:x", {}), ("a", {"alt": "\xa0a"})]
    page = page_of([("a", {"alt": "a"}), *left], "http://h.org/")
    assert columns.add_page(page, 0, 0) == (len(left) + 1, list(range(1, len(left) + 1)))
    for reason in REASONS:
        columns.stop_sampling(reason)
    kept = [1 + place for place, (src, named) in enumerate(left) if named.get("alt") and src != "data:x"]
    assert columns.add_page(page, 0, 0)[1] == kept
    assert columns.add_page(page_of(left, "http://h.org/", are_plain=False), 0, 0)[1] == list(range(len(left)))


def test_a_folder_is_plain_only_where_urljoin_keeps_it() -> None:
    folder, root_end = plain_folder("https://h.org:8080/a/b.c/d?e/f#g/h")
    assert (bytes(folder), root_end) == (b"https://h.org:8080/a/b.c/", len("https://h.org:8080/"))
    for base in ("", "http://h.org", "http://h.org/a//b", "http://h.org/./a", "ftp://h.org/a", "http://h.org/a;b/c"):
        assert len(plain_folder(base)[0]) == 0
    assert [plain_folder(base)[1] for base in ("", "http://h.org", "http://[h", "http://h℀.org/a")] == [0, 0, -1, -1]


def test_more_pairs_than_a_batch_holds_stay_in_batches() -> None:
    page = page_of([(f"{number}.png", {"alt": "a", "title": "b"}) for number in range(BATCH_ROWS)], "http://h.org/")
    rows = ArchiveRows("a")
    rows.add_record(0, page)
    batches = [batch for batch in rows.closing_batches() if batch["kind"][0].as_py() == "pair"]
    assert [batch.num_rows for batch in batches] == [BATCH_ROWS, BATCH_ROWS]
    assert pa.Table.from_batches(batches)["image_index"].to_pylist() == [n // 2 for n in range(2 * BATCH_ROWS)]


JSON_VALUES = ["IMG@/src", "A@/href", 'a"b', "a\\b", "a/b", "é", "\ud83d\ude00", "a\nb", "", "x" * 40]
OTHER_VALUES = [None, 0, 9, [], ["[{"], {"path": "IMG@/src"}]
KEYS = ["path", "url", "alt", "title", "text", "pa\\th", "x" * 9]


def any_link(random: Random) -> Any:
    kind = random.randrange(4)
    if kind == 0:
        return None
    if kind == 1:
        return image_link(any_url(random), any_text(random))
    keys = random.sample(KEYS, random.randint(0, 4))
    link = {key: random.choice(random.choice((JSON_VALUES, OTHER_VALUES))) for key in keys}
    return link if kind == 2 else {"path": "IMG@/src", **link}


@pytest.mark.parametrize("seed", range(2))
def test_any_links(seed: int) -> None:
    """A last link that is a number makes the record one for the tolerant reader, and changes no pair."""
    random = Random(seed)
    for _ in range(500):
        links = [any_link(random) for _ in range(random.randint(0, 5))]
        documents = [wat_document(tuple(links)), wat_document((*links, {"path": "A@/href", "url": 5}))]
        is_ascii, separators = random.random() < 0.5, random.choice([(",", ":"), (", ", ": "), (" ,\n", "\t: ")])
        pages = []
        for document in documents:
            text = json.dumps(document, ensure_ascii=is_ascii, separators=separators)
            pages.append(read_images(read_wat_record(text.encode("utf-8", "surrogatepass"))))
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
        assert found.rows[:, IS_PLAIN].tolist() == [1]
        assert found.values(0)[1] == [("alt", text)]


def test_a_long_base_before_many_images_is_refused() -> None:
    """What is made of a record depends on it alone, and is bounded as the page itself is."""
    document = wat_document(tuple(image_link(f"{number}.png", "a") for number in range(300)))
    html = document["Envelope"]["Payload-Metadata"]["HTTP-Response-Metadata"]["HTML-Metadata"]
    html["Head"] = {"Base": "http://h.org/" + "a/" * 10_000}
    page = f'<base href="{html["Head"]["Base"]}">' + "<img src=a alt=b>" * 300
    for record in (wat_record(document), warc_record(http_response(page.encode()))):
        outcome = extract_bytes(record, ExtractOptions(max_page_bytes=1 << 20))
        assert outcome.rejected == {"record.page_too_large": 1}
        assert len(extract_bytes(record).pairs) == 300


def test_urls_of_pages_take_bounded_memory() -> None:
    columns = PairColumns(100)
    pair = FoundPair(0, "http://example.org/a.jpg", "alt", "a dog")
    urls = [f"http://example.org/{number}{300_000 * 'a'}" for number in range(5)]
    pages = [PageImages(url, url) for url in urls]
    assert [columns.add_pair(pair, page, number) for number, page in enumerate(pages)] == [True] * 3 + [False] * 2
    assert columns.flush()["page_url"].to_pylist() == urls[:3]
    assert columns.add_pair(pair, pages[3], 3)
