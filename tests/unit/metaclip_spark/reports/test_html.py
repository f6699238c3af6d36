"""The report's page with texts that strangers might write, read as markup and opened in a browser."""

import re
from base64 import b64decode
from io import BytesIO
from unicodedata import normalize

import pytest
from bs4 import BeautifulSoup
from pypdf import PdfReader

from metaclip_spark.errors import percent
from metaclip_spark.reports.pages.csv_links import csv_link
from metaclip_spark.reports.pages.html import render_html, seconds, visible_text
from metaclip_spark.reports.pages.reasons import REASONS, STEP_REASONS, meaning_of
from metaclip_spark.reports.samples import LONGEST_SHOWN
from tests.support.browser import CHROMIUM, HOSTILE_HOST, open_tab, visit
from tests.support.hostile import HOSTILE, MARK, NAME, hostile_report

OURS = {"script", "img", "iframe", "link", "base", "form", "input", "object", "embed", "a"}


@pytest.fixture(scope="module")
def page():
    return render_html(hostile_report())


def test_hostile_texts_make_no_element_and_no_attribute(page):
    soup = BeautifulSoup(page, "html5lib")
    assert {link["href"].split(";")[0][:13] for link in soup.find_all("a") if link["href"][0] != "#"} == {
        "data:text/csv"
    }
    assert not {tag.name for tag in soup.find_all(OURS - {"a"})}
    assert not [name for tag in soup.find_all() for name in tag.attrs if name.startswith("on") or name == "src"]
    assert len(soup.find_all("style")) == 1
    assert [meta.get("http-equiv") for meta in soup.find_all("meta") if meta.get("http-equiv")] == [
        "Content-Security-Policy"
    ]
    assert len(soup.find_all("main")) == len(soup.find_all("body")) == 1


def test_hostile_texts_show_as_they_are(page):
    shown = BeautifulSoup(page, "html5lib").get_text()
    for text in HOSTILE[:12]:
        assert text in shown
    assert "after the end" in shown
    assert "left U+202E right to left U+2066 isolated U+202A and never closed" in shown
    assert "nul U+0000 bell U+0007 escape U+001B[31m delete U+007F next line U+0085" in shown
    assert not set(page) & {"\x00", "\x1b", "\u202e", "\u2066", "\u200b", "\u2028"}


def test_long_texts_are_cut_with_a_note_and_the_page_stays_small(page):
    assert "… cut, 100,000 characters in all" in page
    assert "… cut, 120,000 characters in all" in page
    assert "x" * LONGEST_SHOWN in page
    assert "x" * (LONGEST_SHOWN + 1) not in page
    assert len(page.encode()) < 3_000_000


def test_the_page_is_the_same_each_time_and_its_ids_are_distinct(page):
    assert render_html(hostile_report()) == page
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_checks_stand_at_the_top_with_what_to_look_at(page):
    soup = BeautifulSoup(page, "html5lib")
    assert soup.main.section["id"] == "checks"
    rows = [[cell.text for cell in row.find_all("td")] for row in soup.main.section.find_all("tr")[1:]]
    assert [row[1:] for row in rows] == [
        ["49.999%", "failed: see the unmatched texts in the report, and the metadata list"],
        [f"{2**63 - 1:,}", "passed"],
        ["0.25", "failed: see the unmatched texts in the report, and the metadata list"],
    ]
    assert [row[0] for row in rows] == [HOSTILE[0], "curated>=1", HOSTILE[2]]
    assert soup.find(class_="badge bad").text == "2 failed checks"


def test_nothing_is_shown_as_nothing():
    assert "nothing" in visible_text("")
    assert "nothing" in visible_text(None)
    assert visible_text("e\u0301 東京") == '<bdi class="theirs">e\u0301 東京</bdi>'


@pytest.mark.parametrize(("share", "shown"), [(0, "0%"), (0.0004, "<0.1%"), (0.055, "5.5%"), (1, "100%")])
def test_shares(share, shown):
    assert percent(share) == shown


@pytest.mark.parametrize(
    ("duration", "shown"), [(0.04, "0.0 s"), (59.94, "59.9 s"), (61, "1 min 1 s"), (7300, "2 h 1 min")]
)
def test_durations(duration, shown):
    assert seconds(duration).replace("\u00a0", " ") == shown


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
def test_the_browser_harness_sees_what_a_text_does(tmp_path):
    bad = tmp_path / "bad.html"
    bad.write_text(f"<title>t</title>{HOSTILE[0]}{HOSTILE[1]}<script>console.error('heard')</script>")
    seen = visit(bad, tmp_path)
    assert MARK in BeautifulSoup(seen.dom, "html5lib").title.text
    assert "heard" in seen.console[0]
    assert HOSTILE_HOST in seen.requests[0]


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
@pytest.mark.parametrize("dark", [False, True])
def test_in_a_browser_hostile_texts_do_nothing(tmp_path, page, dark):
    path = tmp_path / "report.html"
    path.write_text(page, encoding="utf-8")
    # A dialog would stop the visit until it times out.
    seen = visit(path, tmp_path, dark=dark)
    assert BeautifulSoup(seen.dom, "html5lib").title.text == f"Curation report: {NAME}"
    assert seen.console == []
    assert seen.requests == []
    # A policy that stops scripts would hide a hole in the escaping.
    path.write_text(re.sub(r"<meta http-equiv[^>]*>", "", page), encoding="utf-8")
    seen = visit(path, tmp_path, dark=dark)
    assert BeautifulSoup(seen.dom, "html5lib").title.text == f"Curation report: {NAME}"
    assert seen.console == []
    assert seen.requests == []


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
def test_nothing_is_cut_off_on_a_screen_a_phone_or_paper(tmp_path, page):
    path = tmp_path / "report.html"
    path.write_text(page, encoding="utf-8")
    with open_tab(tmp_path) as tab:
        tab.open(path)
        assert tab.cut_off() == []
        shown = tab.value("[...document.querySelectorAll('.theirs, tr > :last-child')].map(each => each.textContent)")
        printed = without_spaces("".join(page.extract_text() for page in PdfReader(BytesIO(tab.pdf())).pages))
        # Of other scripts a PDF holds glyphs, which need not stand for one character each.
        texts = {text for text in shown if text.isascii() and text.strip()}
        assert len(texts) > 100
        assert [text for text in texts if without_spaces(text) not in printed] == []
        tab.value("document.body.append(Object.assign(document.createElement('pre'), {textContent: 'x'.repeat(999)}))")
        assert tab.lay_out(390)


def without_spaces(text):
    # A PDF has ligatures.
    return "".join(normalize("NFKC", text).split())


def test_csv_links_hold_the_table_and_no_formula():
    link = BeautifulSoup(
        csv_link([{"entry": "=1+1", "count": 2, "pairs": []}, {"entry": "<b>", "count": 3}], "x"), "html5lib"
    ).a
    content = b64decode(link["href"].partition("base64,")[2]).decode("utf-8-sig")
    assert content == "entry,count\r\n'=1+1,2\r\n<b>,3\r\n"
    assert csv_link([], "x") == ""


def test_numbers_by_name_are_columns_of_a_csv():
    rows = [{"group": "en", "left": 2, "reasons": {"image.duplicate": 1}}, {"group": "others", "domains": 3}]
    link = BeautifulSoup(csv_link(rows, "x"), "html5lib").a
    content = b64decode(link["href"].partition("base64,")[2]).decode("utf-8-sig")
    assert content == "group,left,image.duplicate,domains\r\nen,2,1,\r\nothers,,,3\r\n"


def test_every_reason_of_the_code_has_its_gloss():
    assert all(meaning_of(reason) for reason in (*REASONS, *STEP_REASONS))
    assert meaning_of("record.skipped_revisit") == "not a page: a record of the type revisit"
    assert "`" not in meaning_of("record.page_too_large")
