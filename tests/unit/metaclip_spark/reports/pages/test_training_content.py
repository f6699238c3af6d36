"""The summary of training content: which domains it lists, what it says of preferences, and strangers' names."""

import msgspec
import pytest

from metaclip_spark.reports.pages.training_content import listed_domains, render_training_content
from metaclip_spark.reports.public.domains import IMAGE, MOST_LISTED, PAGE, Domains
from metaclip_spark.reports.records import Group, Sources
from tests.support.hostile import HOSTILE, hostile_report


def domains_like(names, number=None, side=IMAGE):
    first = [Group(group=name, matched=9, curated=2) for name in names]
    return Domains(side, number or len(first), number or len(first), first)


def rows_of(page, heading):
    """The rows of the table below a heading."""
    lines = page.partition(f"\n{heading}\n")[2].splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith("| ---"))
    rows = []
    for line in lines[start + 1 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


@pytest.mark.parametrize(
    ("number", "chosen", "listed"),
    [
        (1, "top-10%", 1),
        (10, "top-10%", 1),
        (11, "top-10%", 2),
        (0, "top-10%", 0),
        (100_000, "top-5%-or-1000", 1000),
        (1000, "top-5%-or-1000", 50),
        (1, "top-5%-or-1000", 1),
    ],
)
def test_how_many_domains_are_listed(number, chosen, listed):
    assert listed_domains(Domains(IMAGE, number, number, []), chosen)[0] == listed


def test_a_list_that_is_too_long_says_where_the_others_are():
    # The names that were read are those that may be listed.
    side = domains_like([f"d{place}.example" for place in range(3)], number=MOST_LISTED * 20)
    page = render_training_content(hostile_report(), [side])
    assert "100,000 of 1,000,000 domains with curated pairs. The first 3 are listed here, the others are in" in page
    assert len(rows_of(page, "#### Domains of the images")) == 3


def test_strangers_names_are_text():
    names = [text[:300] for text in HOSTILE]
    page = render_training_content(hostile_report(), [domains_like(names * 10, side=PAGE)])
    rows = rows_of(page, "#### Domains of the pages")
    assert len(rows) == len(HOSTILE)
    assert all(len(row) == 2 and row[0][0] == row[0][-1] == "`" and row[0].count("`") == 2 for row in rows)
    assert not set(page) & {"\x00", "\x1b", "\u202e", "\u2066", "\u200b", "\u2028"}


def test_preferences_are_counted_and_said_to_be_respected_or_not():
    report = hostile_report()
    page = render_training_content(report, [])
    assert ["noai", "3", "2", "–"] in rows_of(page, "### 3.1 Reservations of rights")
    assert "None was respected in making this set" in page
    *lines, last = report.funnel
    last = msgspec.structs.replace(last, reasons={"preference.noai": 1234, "removed.url": 5})
    settings = {**report.settings, "exclude": {"respect_preferences": ["noimageai", "noai"]}}
    respected = msgspec.structs.replace(report, funnel=[*lines, last], settings=settings)
    page = render_training_content(respected, [])
    assert ["noai", "3", "2", "1,234"] in rows_of(page, "### 3.1 Reservations of rights")
    assert "Respected: noai, noimageai." in page
    assert "left 5 matched pairs out" in page


def test_sources_are_named_where_the_archives_tell():
    sources = Sources(files=3, dated=2, crawls=["CC-MAIN-2024-10"], first="2024-02-20", last="2024-03-05")
    page = render_training_content(msgspec.structs.replace(hostile_report(), sources=sources), [])
    assert "| crawls of Common Crawl | CC-MAIN-2024-10 |" in page
    assert "| pages captured | 2024-02-20 to 2024-03-05 (2 of 3 names tell) |" in page
    assert "| collected until | 2024-03-05 |" in page
