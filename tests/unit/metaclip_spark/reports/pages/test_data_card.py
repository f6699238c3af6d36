"""The data card: what it says of filters is true of any rules."""

import msgspec
import pytest

from metaclip_spark.reports.pages.data_card import render_data_card
from tests.support.hostile import hostile_report

CLAIM = "- Nothing was filtered by safety, personal data, image size or licence"


@pytest.mark.parametrize(
    ("options", "reasons", "told"),
    [
        ({}, {"not_drawn": 3, "image.duplicate": 1}, ": filter what you download."),
        (
            {"keep_where": ["safe: nsfw < 0.2"], "downloaded": ["images"]},
            {"filter.safe": 1, "filter.sharp": 2},
            ", but for what these have left out: conditions on scores (safe, sharp); the download, as its options "
            "said. Filter the rest.",
        ),
        (
            {},
            {"removed.url": 1, "image.download_failed": 2},
            ", but for what these have left out: block lists and removals; the download, as its options said. "
            "Filter the rest.",
        ),
    ],
)
def test_what_was_filtered_is_what_the_rules_have_left_out(options, reasons, told):
    report = hostile_report()
    *lines, last = report.funnel
    lines.append(msgspec.structs.replace(last, reasons=reasons))
    settings = {**report.settings, "sample": {"seed": 0, "languages": []}, "exclude": options}
    card = render_data_card(msgspec.structs.replace(report, funnel=lines, settings=settings))
    assert f"{CLAIM}{told}\n" in card
