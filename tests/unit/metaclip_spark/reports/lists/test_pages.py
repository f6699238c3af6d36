"""What pages and summaries say of the thresholds of several metadata lists."""

import re

import msgspec
import pytest
from bs4 import BeautifulSoup

from metaclip_spark.reports.compare import _figures
from metaclip_spark.reports.pages.data_card import render_data_card
from metaclip_spark.reports.pages.html import render_html
from metaclip_spark.reports.records import ListFigures
from metaclip_spark.reports.summary import summary_lines, summary_numbers
from metaclip_spark.runs.records import BY_LANGUAGE, threshold_in_words
from tests.support.hostile import hostile_report

WITHOUT_ANCHOR = {"threshold_t": BY_LANGUAGE, "list_tail_share": 0.25}
WITH_ANCHOR = {"threshold_t": 20, "threshold_of": "en", "list_tail_share": 0.25}
INFINITE = {"threshold_t": "inf"}
BY_SHARE = {"tail_share": 0.25, "language_thresholds": None}
BY_T = {"tail_share": None, "language_thresholds": None}


def figures_of(code, threshold_t, *, floor_applied=False):
    sizes = dict.fromkeys(("texts", "pairs", "matches", "kept", "entries", "entries_matched"), 9)
    return ListFigures(
        metadata_language=code,
        threshold_t=threshold_t,
        tail_share=0.5,
        expected_size=9.0,
        standard_error=0.0,
        floor_applied=floor_applied,
        **sizes,
    )


def report_with(numbers, *, sample=BY_SHARE, raised=False):
    report = hostile_report()
    lists = [figures_of("aa", 7, floor_applied=raised), figures_of("en", 20)]
    settings = {**report.settings, "sample": {"seed": 0, "languages": [], **sample}}
    return msgspec.structs.replace(report, **{"lists": lists, "settings": settings, "warnings": [], **numbers})


def lead_of(report):
    page = BeautifulSoup(render_html(report), "html5lib")
    return re.sub(r"\s+", " ", page.find(id="lists").find(class_="lead").text).partition(" Texts are")[0]


@pytest.mark.parametrize(
    ("numbers", "sample", "raised", "told"),
    [
        (WITHOUT_ANCHOR, BY_SHARE, False, ": the t whose tail share is nearest to 25%."),
        (WITH_ANCHOR, BY_SHARE, False, ": the t whose tail share is nearest to 25%."),
        (WITH_ANCHOR, BY_T, False, ": the t whose tail share is nearest to 25%, which is taken from en."),
        (
            WITH_ANCHOR,
            {**BY_T, "language_thresholds": "given.json"},
            True,
            ": the t whose tail share is nearest to 25%, which is taken from en, unless --language-thresholds gives it "
            "another, or a larger one where --min-language-pairs has raised it.",
        ),
        (INFINITE, BY_T, False, "."),
    ],
)
def test_the_page_says_of_each_language_only_what_holds_for_it(numbers, sample, raised, told):
    lead = lead_of(report_with(numbers, sample=sample, raised=raised))
    assert lead == f"Each language has a metadata list and a threshold of its own{told}"


def test_without_an_anchor_no_threshold_of_one_language_is_shown_for_all():
    report = report_with(WITHOUT_ANCHOR)
    tiles = BeautifulSoup(render_html(report), "html5lib").find(class_="tiles").text
    assert "25%" in tiles
    assert "tail share, by a threshold for each language" in tiles
    assert "t = " not in tiles
    card = render_data_card(report)
    assert "| threshold t | one for each language |\n| tail share that each language was to have | 25% |\n" in card
    summary = "\n".join(summary_lines(report))
    assert "  a t for each language: tail share 6%, 2 head entries thinned\n" in summary
    assert "  tail share that each language was to have: 25%\n" in summary
    assert summary_numbers(report)["list_tail_share"] == 0.25
    assert threshold_in_words(BY_LANGUAGE) == "a t for each language"


def test_with_an_anchor_its_threshold_is_shown_as_that_of_the_anchor():
    report = report_with(WITH_ANCHOR, sample=BY_T)
    assert "t = 20" in BeautifulSoup(render_html(report), "html5lib").find(class_="tiles").text
    assert "| threshold t of en | 20 |\n| tail share that each language was to have | 25% |\n" in render_data_card(
        report
    )
    assert "  t = 20 for en: tail share 6%" in "\n".join(summary_lines(report))
    compared = _figures(report, report_with(WITHOUT_ANCHOR))[0]
    assert (compared.this, compared.other) == ("20 for en", "by language")


def test_of_a_single_list_nothing_is_said_of_languages():
    report = report_with({"lists": []})
    card, summary = render_data_card(report), "\n".join(summary_lines(report))
    assert "| threshold t | 20 |\n| seed | 0 |\n" in card
    assert "  t = 20: tail share 6%" in summary
    assert "each language" not in card + summary
    assert "list_tail_share" not in summary_numbers(report)
