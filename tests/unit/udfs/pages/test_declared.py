"""What a page declares: languages, preferences, and where both are read from."""

import json
from typing import Any

import pytest

from tests.support.archive_files import extract_bytes, http_response, image_link, warc_record, wat_document, wat_record
from udfs.pages.declared.language import pack_language, page_language, unpack_language
from udfs.pages.declared.preferences import header_preferences, meta_preferences
from udfs.pages.image_table import Declared
from udfs.pages.wat import read_wat_record
from udfs.preferences import PREFERENCES

IMAGE = b"<img src=/a.jpg alt='a dog'>"


def bits(*names: str) -> int:
    return sum(1 << PREFERENCES.index(name) for name in names)


@pytest.mark.parametrize(
    ("tag", "code"),
    [
        ("en", "en"),
        (" EN-us\n", "en"),
        ("pt_BR", "pt"),
        ("eng", "en"),
        ("zho-Hant-TW", "zh"),
        ("ger", "de"),
        ("nb-NO", "no"),
        ("nob", "no"),
        ("nn", "nn"),
        ("iw", "he"),
        ("in-ID", "id"),
        ("zh-yue", "yue"),
        ("ZH_Yue-HK", "yue"),
        ("zh-yuex", "zh"),
        ("zh-min-nan", "zh"),
        ("yue", "yue"),
        ("ckb-IR", "ckb"),
        ("en-", "en"),
        *(
            (odd, None)
            for odd in ("", " ", "e", "-en", "english", "en,de", "en de", "x-klingon", "i-default", "jp", "xx")
        ),
        *((odd, None) for odd in ("und", "mul-x", "zxx", "mis", "e\xf1", "\xa0en", "K", "12", "*")),
        (None, None),
    ],
)
def test_languages(tag: str | None, code: str | None) -> None:
    assert page_language(tag) == code
    assert unpack_language(pack_language(code)) == code


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("noai, noimageai", bits("noai", "noimageai")),
        ("NoIndex ,\tnofollow", bits("noindex")),
        ("none", bits("noindex")),
        ("all,noimageindex", bits("noimageindex")),
        ("max-snippet:-1, max-image-preview:large, noai", bits("noai")),
        ("unavailable_after: Wed, 03 Dec 2025 13:09:53 GMT, noai", bits("noai")),
        ("googlebot: noai, noindex", 0),
        ("noindex, somebot: noai, noimageai", bits("noindex")),
        ("somebot: noai, *: noindex", bits("noindex")),
        ("noai noindex", 0),
        ("noai; noindex", 0),
        (": noai", 0),
        ("", 0),
        (",,", 0),
    ],
)
def test_directives_to_robots(value: str, found: int) -> None:
    assert header_preferences("X-Robots-Tag", value) == meta_preferences(" Robots ", value) == found
    assert header_preferences("robots", value) == meta_preferences("x-robots-tag", value) == 0


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("ccbot: noai, noimageai", bits("noai", "noimageai")),
        ("CCBot : NOAI, somebot: noindex", bits("noai")),
        ("somebot: noai, ccbot: noindex, other: noimageai", bits("noindex")),
        ("noimageindex, i2d: noai", bits("noimageindex", "noai")),
        ("ccbot: max-snippet:-1, noai", bits("noai")),
        ("ccbot: unavailable_after: 3 Dec 2025 13:09:53 GMT, noai", bits("noai")),
        ("ccbot/2.0: noai", 0),
        ("cc bot: noai", 0),
        ("\u212aai: noai", 0),
        ("ccbot: all", 0),
    ],
)
def test_directives_to_agents(value: str, found: int) -> None:
    agents = ("ccbot", "i2d", "kai")
    assert header_preferences("X-Robots-Tag", value, agents) == meta_preferences("robots", value, agents) == found
    of_all = header_preferences("X-Robots-Tag", value)
    assert of_all == found & bits("noimageindex")
    assert meta_preferences(" I2D", "noindex, x: noai", agents) == bits("noindex")
    assert meta_preferences("I2D", "noindex") == meta_preferences("\u212aai", "noindex", agents) == 0


@pytest.mark.parametrize(("name", "value"), [("tdm-reservation", "ccbot: 1"), ("content-usage", "ccbot: train-ai=n")])
def test_other_headers_name_no_agent(name: str, value: str) -> None:
    assert header_preferences(name, value, ("ccbot",)) == meta_preferences(name, value, ("ccbot",)) == 0


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("TDM-Reservation", " 1 ", bits("tdm-reservation")),
        ("tdm-reservation", "0", 0),
        ("tdm-reservation", "1, 1", 0),
        ("Content-Usage", "train-ai=n", bits("train-ai=n")),
        ("content-usage", "search=y, train-ai=n;x=1", bits("train-ai=n")),
        ("content-usage", "train-ai=y", 0),
        ("content-usage", "train-ai = n", 0),
    ],
)
def test_other_headers(name: str, value: str, found: int) -> None:
    assert header_preferences(name, value) == found
    assert meta_preferences(name, value) == (found if name.lower() == "tdm-reservation" else 0)


def declared_in(record: bytes) -> list[tuple[str | None, int | None]]:
    return [(pair["page_language"], pair["page_preferences"]) for pair in extract_bytes(record).pairs]


HEADERS = [
    (["X-Robots-Tag: noai"], bits("noai")),
    (["x-robots-tag: somebot: noai", "X-ROBOTS-TAG: noindex", "X-Robots-Tag: noimageai"], bits("noindex", "noimageai")),
    (["TDM-Reservation: 1", "Content-Usage: train-ai=n"], bits("tdm-reservation", "train-ai=n")),
    (["X-Robots-Tag: somebot: noai"], 0),
    (["X-Robots: noai"], 0),
]


@pytest.mark.parametrize(("headers", "found"), HEADERS)
def test_warc_and_wat_say_the_same(headers: list[str], found: int) -> None:
    html = b"<html lang=en-GB><head><meta name=robots content=noimageindex></head>" + IMAGE
    page = declared_in(warc_record(http_response(html, *headers)))
    document = wat_document((image_link("/a.jpg", "a dog"),))
    response = document["Envelope"]["Payload-Metadata"]["HTTP-Response-Metadata"]
    by_name: dict[str, list[str]] = {}
    for name, _, value in (header.partition(": ") for header in headers):
        by_name.setdefault(name.lower(), []).append(value)
    response["Headers"] = {name: values if len(values) > 1 else values[0] for name, values in by_name.items()}
    metas = [{"name": "robots", "content": "noimageindex"}, {"name": "HTML@/lang", "content": "en-GB"}]
    response["HTML-Metadata"]["Head"]["Metas"] = metas
    assert page == declared_in(wat_record(document)) == [("en", found | bits("noimageindex"))]


@pytest.mark.parametrize(
    "head",
    [
        b"X-Robots-Tag: nofollow,\r\n noai\r\n",
        b"X-Robots-Tag : noai\r\n",
        b"\tx-robots-tag:noai\n",
        b"Content-Type: text/html\nX-Robots-Tag: noai\n",
    ],
)
def test_odd_heads_of_responses(head: bytes) -> None:
    block = b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + IMAGE
    assert declared_in(warc_record(block)) == [(None, bits("noai"))]


def test_the_answer_of_a_proxy_declares_nothing() -> None:
    proxy = b"HTTP/1.1 200 Connection established\r\nX-Robots-Tag: noai\r\n\r\n"
    assert declared_in(warc_record(proxy + http_response(IMAGE))) == [(None, 0)]


def test_pages_without_a_response_have_a_head_of_their_own() -> None:
    html = b"<html lang=fr><meta name=robots content=noai>" + IMAGE
    assert declared_in(warc_record(html, kind="resource", content_type="text/html")) == [("fr", bits("noai"))]
    arc = b"http://example.org/ 127.0.0.1 20100101000000 text/html %d\n" % len(html) + html + b"\n"
    header = b"filedesc://a.arc 0.0.0.0 20100101000000 text/plain 21\n1 0 Test\nURL IP-addr\n\n"
    assert declared_in(header + arc) == [("fr", bits("noai"))]


def in_wat(metas: object, headers: object = None) -> list[Declared]:
    """Reads a WAT record by both readers in Python: another link's wrong type is for the tolerant one."""
    found = []
    for links in ((image_link("/a", "a"),), (image_link("/a", "a"), {"path": "A@/href", "url": 5})):
        document = wat_document(links)
        response: dict[str, Any] = document["Envelope"]["Payload-Metadata"]["HTTP-Response-Metadata"]
        response["HTML-Metadata"]["Head"]["Metas"], response["Headers"] = metas, headers
        found.append(read_wat_record(json.dumps(document).encode()).declared)
    return found


@pytest.mark.parametrize(
    ("metas", "language"),
    [
        ([{"name": "HTML@/lang", "content": "de"}, {"name": "HTML@/lang", "content": "en"}], "de"),
        ([{"http-equiv": "Content-Language", "content": "fr"}, {"name": "HTML@/lang", "content": "de"}], "de"),
        ([{"http-equiv": "Content-Language", "content": "fr"}, {"name": "HTML@/lang", "content": ""}], None),
        ([{"http-equiv": "Content-Language", "content": "fr"}, {"name": "HTML@/lang", "content": 5}], "fr"),
        (
            [{"http-equiv": "content-language", "content": "fr"}, {"http-equiv": "content-language", "content": "de"}],
            "fr",
        ),
        ([{"name": "content-language", "content": "fr"}], None),
        ([{"content": "de"}, None, 5, "HTML@/lang", {"name": ["HTML@/lang"], "content": "de"}], None),
        ({"name": "HTML@/lang", "content": "de"}, None),
        ("de", None),
        (None, None),
    ],
)
def test_the_language_in_a_wat(metas: object, language: str | None) -> None:
    assert in_wat(metas) == [Declared(language, 0)] * 2


@pytest.mark.parametrize(
    "headers", [None, [], "X-Robots-Tag: noai", {"X-Robots-Tag": [5, None, ["noai"]]}, {"": "noai"}]
)
def test_headers_of_another_form_in_a_wat(headers: object) -> None:
    assert in_wat([{"name": "robots", "content": "\ud800, noai"}], headers) == [Declared(None, bits("noai"))] * 2
