"""Pages in WAT records: both readers, every level that may be missing or odd, and bases."""

import copy
import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest

from tests.support.archive_files import (
    ReadPage,
    extract_bytes,
    image_link,
    read_images,
    warc_record,
    wat_document,
    wat_record,
)
from tests.support.loop_inputs import without_kernels
from udfs.pages.image_table import LostRecordError
from udfs.pages.wat import read_wat_record

LINK = image_link("/a.jpg", "a dog", title="Rex")
EXPECTED = [
    (0, "http://example.org/a.jpg", "alt", "a dog"),
    (0, "http://example.org/a.jpg", "title", "Rex"),
]


def read(document: object) -> ReadPage:
    payload = document if isinstance(document, bytes) else json.dumps(document).encode()
    page = read_images(read_wat_record(payload))
    assert page.images == page.images_kept + sum(loss.reason.startswith("image.") for loss in page.losses)
    assert page.texts == len(page.pairs) + sum(loss.reason.startswith("text.") for loss in page.losses)
    return page


def lost(document: object) -> str:
    with pytest.raises(LostRecordError) as loss:
        read(document)
    return loss.value.loss.reason


def tolerantly(document: dict[str, Any]) -> dict[str, Any]:
    """Adds what only the tolerant reader can read, without changing anything that matters."""
    document = copy.deepcopy(document)
    html = document["Envelope"]["Payload-Metadata"]["HTTP-Response-Metadata"]["HTML-Metadata"]
    html["Links"] = [*html["Links"], {"path": "A@/href", "url": 5}]
    return document


@pytest.mark.parametrize("change", [lambda document: document, tolerantly])
def test_both_readers_see_the_same(change: Any) -> None:
    links = (LINK, {"path": "A@/href", "url": "/x", "alt": "no"}, image_link("b.jpg", "b"), image_link("c.jpg"))
    page = read(change(wat_document(links, uri="<http://example.org/dir/>")))
    assert page.page_url == "http://example.org/dir/"
    assert [tuple(pair) for pair in page.pairs] == [*EXPECTED, (1, "http://example.org/dir/b.jpg", "alt", "b")]
    assert [loss.reason for loss in page.losses] == ["image.no_text"]
    assert (page.images, page.images_kept, page.texts) == (3, 2, 3)


def test_only_the_path_of_src_is_an_image() -> None:
    paths = ("IMG@/data-uri", "IMG@/longdesc", "IMG@/srcset", "img@/src", "INPUT@/src", "IMG@/src ", None, 7)
    page = read(wat_document(tuple({**LINK, "path": path} for path in paths)))
    assert (page.images, page.losses) == (0, [])


def test_a_page_without_images_is_a_page() -> None:
    for document in (wat_document(), wat_document(({"path": "A@/href", "url": "x"},)), wat_document(None)):
        assert read(document).images == 0


@pytest.mark.parametrize("payload", [b"", b"{", b'{"Envelope": {"a', b"nonsense", b"[1,", b'{"a":1}{"b":2}', b"\0"])
def test_invalid_json(payload: bytes) -> None:
    assert lost(payload) == "record.invalid_json"
    good = wat_record(wat_document((LINK,)))
    outcome = extract_bytes(good + wat_record(payload) + good)
    assert outcome.rejected == {"record.invalid_json": 1}
    assert outcome.archive["pages"] == 2


@pytest.mark.parametrize("root", [[], [1], "IMG@/src", 3, None, True])
def test_root_that_is_no_object(root: object) -> None:
    assert lost(root) == "record.bad_envelope"


LEVELS = [
    ("Envelope",),
    ("Envelope", "WARC-Header-Metadata"),
    ("Envelope", "WARC-Header-Metadata", "WARC-Type"),
    ("Envelope", "WARC-Header-Metadata", "WARC-Target-URI"),
    ("Envelope", "Payload-Metadata"),
    ("Envelope", "Payload-Metadata", "HTTP-Response-Metadata"),
    ("Envelope", "Payload-Metadata", "HTTP-Response-Metadata", "Response-Message"),
    ("Envelope", "Payload-Metadata", "HTTP-Response-Metadata", "Response-Message", "Status"),
    ("Envelope", "Payload-Metadata", "HTTP-Response-Metadata", "HTML-Metadata"),
    ("Envelope", "Payload-Metadata", "HTTP-Response-Metadata", "HTML-Metadata", "Head"),
    ("Envelope", "Payload-Metadata", "HTTP-Response-Metadata", "HTML-Metadata", "Links"),
]
REMOVED = object()


@pytest.mark.parametrize("links", [(LINK,), ()])
@pytest.mark.parametrize("value", [REMOVED, None, "text", 5, 1.5, [], ["x"], {}, {"x": 1}, True])
@pytest.mark.parametrize("level", LEVELS, ids=lambda level: level[-1])
def test_levels_missing_or_of_the_wrong_type(level: tuple[str, ...], value: object, links: Any) -> None:
    """Whatever stands at a level, the record is a page, a skip or a reject, and the next record is read."""
    document = wat_document(links)
    parent: dict[str, Any] = document
    for name in level[:-1]:
        parent = parent[name]
    if value is REMOVED:
        del parent[level[-1]]
    else:
        parent[level[-1]] = value
    outcome = extract_bytes(wat_record(document) + wat_record(wat_document((image_link("/ok.jpg", "ok"),))))
    assert outcome.archive["records"] == 2
    assert outcome.texts[-1] == "ok"
    assert "record.parser_error" not in outcome.rejected
    is_object_level = level[-1] not in {"WARC-Type", "WARC-Target-URI", "Status", "Links"}
    if is_object_level and value is not REMOVED and value is not None and not isinstance(value, dict):
        assert outcome.rejected == {"record.bad_envelope": 1}
    if level[-1] == "Links" and value not in (REMOVED, None, [], ["x"]):
        assert outcome.rejected == {"record.bad_links": 1}
    if level[-1] == "Head" and (value in (REMOVED, None) or isinstance(value, dict)):
        assert outcome.archive["pages"] == 2


def test_reasons_of_missing_levels() -> None:
    envelope = wat_document()["Envelope"]
    without_payload = {"Envelope": {**envelope, "Payload-Metadata": None}}
    assert lost({}) == "record.no_envelope"
    assert lost({"Envelope": {}}) == "record.bad_envelope"
    assert lost(without_payload) == "record.bad_envelope"
    assert lost({"Envelope": {**envelope, "Payload-Metadata": {}}}) == "record.bad_envelope"
    document = wat_document()
    del document["Envelope"]["Payload-Metadata"]["HTTP-Response-Metadata"]["HTML-Metadata"]
    assert lost(document) == "record.skipped_not_html"


@pytest.mark.parametrize("links", ["IMG@/src", 5, {"path": "IMG@/src"}, True])
def test_links_that_are_no_list(links: object) -> None:
    assert lost(wat_document(links)) == "record.bad_links"


def test_links_of_the_wrong_type() -> None:
    page = read(wat_document((None, 5, "IMG@/src", [], LINK, image_link(None, "x"), image_link(7, "x"))))
    assert [tuple(pair) for pair in page.pairs] == [(4, *rest) for _, *rest in EXPECTED]
    assert [loss.reason for loss in page.losses] == ["image.bad_link"] * 4 + ["image.no_url", "image.bad_link"]
    without_images = read(wat_document((None, {"path": "A@/href"})))
    assert [loss.reason for loss in without_images.losses] == ["image.bad_link"]
    without_url = {"path": "IMG@/src", "alt": "x"}
    assert [loss.reason for loss in read(wat_document((without_url,))).losses] == ["image.no_url"]


@pytest.mark.parametrize("alt", [5, ["a"], {"a": 1}, True, 1.5])
def test_texts_of_the_wrong_type(alt: object) -> None:
    page = read(wat_document((image_link("/a.jpg", alt, title="Rex"), image_link("/b.jpg", "b"))))
    assert [pair.alt_text for pair in page.pairs] == ["Rex", "b"]
    assert [loss.reason for loss in page.losses] == ["text.not_a_string"]
    assert (page.images_kept, page.texts) == (2, 3)


def test_lone_surrogates() -> None:
    payload = json.dumps(wat_document((image_link("/a\ud83d.jpg", "a \ud83d dog \ude00"),))).encode()
    assert b"\\ud83d" in payload
    outcome = extract_bytes(wat_record(payload))
    assert outcome.texts == ["a \ufffd dog \ufffd"]
    assert outcome.urls == ["http://example.org/a\ufffd.jpg"]
    whole = json.dumps(wat_document((image_link("/a.jpg", "a \U0001f600"),))).encode()
    assert extract_bytes(wat_record(whole)).texts == ["a \U0001f600"]


@pytest.mark.parametrize("uri", ["", "  ", "<>"])
def test_missing_target_uri(uri: str) -> None:
    assert lost(wat_document((LINK,), uri=uri)) == "record.no_target_uri"


def test_arc_based_wat() -> None:
    envelope = wat_document((LINK,))["Envelope"]
    del envelope["WARC-Header-Metadata"]
    envelope["ARC-Header-Metadata"] = {"Target-URI": "http://example.org/page", "Date": "20100101000000"}
    assert [tuple(pair) for pair in read({"Envelope": envelope}).pairs] == EXPECTED
    envelope["ARC-Header-Metadata"] = {"Target-URI": "filedesc://a.arc.gz"}
    envelope["Payload-Metadata"] = {"ARC-Info": {}}
    assert lost({"Envelope": envelope}) == "record.skipped_not_html"


@pytest.mark.parametrize(
    ("base", "expected"),
    [("", "http://example.org/dir/a"), ("/b/", "http://example.org/b/a"), ("http://c.example/", "http://c.example/a")],
)
def test_base(base: str, expected: str) -> None:
    page = read(wat_document((image_link("a", "x"),), uri="http://example.org/dir/page", base=base))
    assert [pair.image_url for pair in page.pairs] == [expected]


def test_odd_bases() -> None:
    assert read(wat_document((LINK,), base="http://[bad")).pairs[0].image_url == EXPECTED[0][1]
    assert lost(wat_document((LINK,), base=["/x/"])) == "record.bad_envelope"
    payload = json.dumps(wat_document((image_link("a", "x"),), base="/one/")).encode()
    twice = payload.replace(b'{"Base": "/one/"}', b'{"Base": "/one/", "Base": "/two/"}')
    assert [pair.image_url for pair in read(twice).pairs] == ["http://example.org/two/a"]


def test_huge_data_urls() -> None:
    page = read(wat_document((image_link("data:image/png;base64," + "A" * 3_000_000, "x"), LINK)))
    assert [loss.reason for loss in page.losses] == ["image.data_url"]
    assert len(page.pairs) == 2


def test_invalid_utf_8_and_control_characters() -> None:
    payload = json.dumps(wat_document((image_link("/a.jpg", "a DOG"),))).encode()
    assert [pair.alt_text for pair in read(payload.replace(b"DOG", b"d\xffg")).pairs] == ["a d\ufffdg"]
    assert [pair.alt_text for pair in read(payload.replace(b"DOG", b"d\ng")).pairs] == ["a d g"]
    assert [pair.alt_text for pair in read(b"\xef\xbb\xbf" + payload).pairs] == ["a DOG"]


def test_entities_are_left_as_they_are() -> None:
    page = read(wat_document((image_link("/a.jpg", "AT&amp;T &#39;x&#39;"),)))
    assert [pair.alt_text for pair in page.pairs] == ["AT&amp;T &#39;x&#39;"]


def test_headers_that_are_lists() -> None:
    document = wat_document((LINK,))
    response = document["Envelope"]["Payload-Metadata"]["HTTP-Response-Metadata"]
    response["Headers"] = {"Content-Type": ["text/html", "text/html"], "Set-Cookie": ["a", "b"]}
    assert [tuple(pair) for pair in read(document).pairs] == EXPECTED


def test_statuses() -> None:
    for good in ("200", 200, "206"):
        assert len(read(wat_document((LINK,), status=good)).pairs) == 2
    for bad in ("404", 301, "2", "2000", "", "OK", True):
        assert lost(wat_document((LINK,), status=bad)) in {"record.skipped_status", "record.bad_envelope"}


def test_deep_or_huge_values() -> None:
    deep = b'{"Envelope":' + b"[" * 100_000
    assert lost(deep) == "record.invalid_json"
    payload = json.dumps(wat_document((LINK,))).encode()
    huge = payload.replace(b'"WARC-Type"', b'"Number": %s, "WARC-Type"' % (b"9" * 400))
    assert [tuple(pair) for pair in read(huge).pairs] == EXPECTED


@pytest.mark.parametrize("kind", ["request", "metadata", "warcinfo", "revisit", "strange"])
def test_other_captures_are_skipped_by_kind(kind: str) -> None:
    document = wat_document((LINK,))
    document["Envelope"]["WARC-Header-Metadata"]["WARC-Type"] = kind
    assert lost(document) == f"record.skipped_{'unknown' if kind == 'strange' else kind}"
    assert lost(wat_document((LINK,), uri="dns:example.org")) == "record.skipped_dns"


def test_a_wat_record_is_known_by_its_type() -> None:
    payload = json.dumps(wat_document((LINK,))).encode()
    assert extract_bytes(warc_record(payload, kind="metadata", content_type="application/json")).texts == [
        "a dog",
        "Rex",
    ]
    assert extract_bytes(warc_record(payload, kind="metadata", content_type="text/plain")).rejected == {
        "record.skipped_metadata": 1
    }


@pytest.mark.parametrize("kernels", [nullcontext, without_kernels])
@pytest.mark.parametrize("links", ["x", {}, 5, True])
def test_what_is_no_page_is_skipped_whatever_its_links_are(
    links: object, kernels: Callable[[], AbstractContextManager[None]]
) -> None:
    no_page, other_capture = wat_document(links, status="404"), wat_document(links)
    other_capture["Envelope"]["WARC-Header-Metadata"]["WARC-Type"] = "request"
    unused = wat_document((LINK,))
    unused["Envelope"]["Payload-Metadata"]["HTML-Metadata"] = {"Links": links}
    with kernels():
        assert lost(wat_document(links)) == "record.bad_links"
        assert lost(no_page) == "record.skipped_status"
        assert lost(other_capture) == "record.skipped_request"
        assert [tuple(pair) for pair in read(unused).pairs] == EXPECTED


@pytest.mark.parametrize("change", [str.lower, str.upper, str.title])
def test_names_of_the_warc_header_in_another_case(change) -> None:
    """The generator copies them as the archive's writer chose them."""
    document = wat_document((image_link("/a.jpg", "a dog"),))
    header = document["Envelope"]["WARC-Header-Metadata"]
    document["Envelope"]["WARC-Header-Metadata"] = {change(name): value for name, value in header.items()}
    outcome = extract_bytes(wat_record(document))
    assert (outcome.texts, outcome.rejected) == (["a dog"], {})
    assert outcome.pairs[0]["page_url"] == "http://example.org/page"
