import gzip

import pytest

from metaclip_spark import ConfigError, Damage, InputError, Pair, pairs_from_html, pairs_from_record, read_archive
from tests.support import oracle
from tests.support.archive_files import http_response, members, page_record, warc_record, wat_document, wat_record
from tests.support.paths import SAMPLE_FOLDER
from udfs.pairs.rules import pair_id

URL = "https://example.org/page"


def test_every_text_of_an_image_is_a_pair():
    html = b'<img src="no-text.png"><p><img src="a.png" alt=" one\ntwo " title="three" data-image-title="">'
    url = "https://example.org/a.png"
    assert pairs_from_html(html, URL) == [
        Pair(pair_id(url, "one two"), url, "one two", "alt", URL, 1, None, 0),
        Pair(pair_id(url, "three"), url, "three", "title", URL, 1, None, 0),
    ]


def test_a_page_may_have_no_image():
    assert pairs_from_html(b"", URL) == []
    assert pairs_from_html(b"<p>text", URL) == []


@pytest.mark.parametrize(
    ("html", "content_type"),
    [
        ('<img src="a" alt="é">'.encode("latin-1"), "text/html; charset=iso-8859-1"),
        ('<meta charset="latin1"><img src="a" alt="é">'.encode("latin-1"), ""),
        ('<img src="a" alt="é">'.encode(), "text/html; charset=utf-8"),
    ],
)
def test_the_encoding_is_found_as_in_a_browser(html, content_type):
    assert [pair.alt_text for pair in pairs_from_html(html, URL, content_type=content_type)] == ["é"]


@pytest.mark.parametrize(
    ("html", "url", "message"),
    [(b"<p>", "", "url is empty"), ("<p>", URL, r"html is str: pass the page's bytes, such as text\.encode\(\)")],
)
def test_what_is_no_page_is_refused(html, url, message):
    with pytest.raises(ConfigError, match=message):
        pairs_from_html(html, url)


@pytest.mark.parametrize("kind", ["warc.gz", "warc.wat.gz"])
def test_the_pairs_of_an_archive_are_those_of_the_oracle(kind):
    path = SAMPLE_FOLDER / f"sample-00001.{kind}"
    columns = ("image_url", "alt_text", "source", "page_url", "image_index", "page_language", "page_preferences")
    found = [
        (record.offset, *(getattr(pair, name) for name in columns))
        for record in read_archive(path)
        for pair in pairs_from_record(record)
    ]
    expected = [tuple(row[name] for name in ("record_offset", *columns)) for row in oracle.oracle_pairs([path])]
    assert sorted(found, key=repr) == sorted(expected, key=repr)
    assert len(found) > 500


def test_a_page_declares_its_language_and_preferences():
    html = b"<html lang=de-AT><meta name=robots content='noai, noindex'><img src=a alt=b>"
    (pair,) = pairs_from_html(html, URL)
    assert (pair.page_language, pair.page_preferences) == ("de", 1 | 4)


def test_damage_is_told_and_gives_no_pairs(tmp_path):
    first, second, third = members([page_record(number, 4000) for number in range(3)])
    path = tmp_path / "damaged.warc.gz"
    path.write_bytes(first + second[:40] + bytes(40) + second[80:] + third)
    items = list(read_archive(path))
    assert [item.reason for item in items if isinstance(item, Damage)] == ["archive.corrupt"]
    assert [len(pairs_from_record(item)) for item in items if isinstance(item, Damage)] == [0]
    assert sum(len(pairs_from_record(item)) for item in items) > 0


def test_records_without_a_page_give_no_pairs(tmp_path):
    records = [
        warc_record(http_response(b"gone", status="404 Not Found")),
        warc_record(b"{}", kind="metadata", content_type="application/json"),
        wat_record(wat_document()),
    ]
    path = tmp_path / "none.warc.gz"
    path.write_bytes(b"".join(members(records)))
    found = [pairs_from_record(record) for record in read_archive(path)]
    assert found == [[], [], []]


def test_a_page_that_cannot_be_read_is_an_error_with_its_reason(tmp_path):
    broken = warc_record(http_response(b"\x1f\x8b broken", "Content-Encoding: gzip"))
    path = tmp_path / "broken.warc"
    path.write_bytes(broken)
    (record,) = read_archive(path)
    with pytest.raises(InputError, match=r"^record\.undecodable: "):
        pairs_from_record(record)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"missing\.warc\.gz: no such file"),
        (b"<html><h1>403", r"is not an archive: it begins with '<html>"),
        (gzip.compress(b"\x1b[31mred"), r"is not an archive: it begins with '\\x1b\[31mred'"),
    ],
)
def test_a_path_without_an_archive_is_refused(tmp_path, content, message):
    path = tmp_path / "missing.warc.gz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        list(read_archive(path))


def test_a_missing_archive_is_refused_before_the_first_record(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_archive(tmp_path / "missing.warc.gz")


def test_an_empty_archive_has_no_records(tmp_path):
    path = tmp_path / "empty.warc.gz"
    path.write_bytes(b"")
    assert list(read_archive(path)) == []
