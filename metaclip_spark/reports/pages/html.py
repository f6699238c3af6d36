"""The report as one HTML page: no server, no script, no request.

Alternative texts, URLs and metadata entries come from strangers. Jinja2 escapes every value; `visible_text` shows what
would act on the page's reader (control and bidirectional characters) and cuts what is long; a content security policy
forbids scripts and requests should both fail.
"""

import unicodedata
from collections.abc import Callable

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from metaclip_spark.errors import counted, percent
from metaclip_spark.reports import charts
from metaclip_spark.reports.checks import look_at, value_shown
from metaclip_spark.reports.figures.funnel import judged_by_rules
from metaclip_spark.reports.pages.csv_links import csv_link
from metaclip_spark.reports.pages.reasons import meaning_of
from metaclip_spark.reports.profile import KEEP_CLASSES, MOST_ENTRIES_PER_PAIR, TEXT_LENGTHS
from metaclip_spark.reports.records import Report
from metaclip_spark.reports.samples import LONGEST_SHOWN

INVISIBLE = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})
"""Unicode categories that show as nothing or act on other characters: controls, formats, line separators."""

_MOST_MARKS = 3
"""Combining marks on one character that are shown; more of them climb over the lines above."""


def render_html(report: Report) -> str:
    """Renders a report as an HTML document."""
    return (
        page_environment()
        .get_template("report.html.j2")
        .render(
            report=msgspec.to_builtins(report),
            pictures=_pictures(report),
            name=run_name(report.output),
            judged=judged_by_rules(report.funnel),
        )
    )


def page_environment() -> Environment:
    """Gives Jinja2's environment for pages: every value is escaped, and one that is not there is an error."""
    environment = Environment(
        loader=PackageLoader("metaclip_spark.reports", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Callable[..., str]] = {
        "visible": visible_text,
        "domain": domain_text,
        "number": lambda number: f"{number:,}",
        "decimal": lambda number: f"{number:,.1f}",
        "percent": percent,
        "seconds": seconds,
        "time": time_text,
        "counted": counted,
        "gloss": meaning_of,
        "look_at": look_at,
        "value_shown": value_shown,
        "csv": csv_link,
    }
    environment.filters.update(filters)
    return environment


def run_name(output: str) -> str:
    """Names a run by the last part of its folder's path, as a page's title can hold it."""
    name = output.rstrip("/").rpartition("/")[2][:80]
    return "".join(character if character.isprintable() else "\ufffd" for character in name)


def time_text(time: str) -> str:
    """Writes a time of the log, such as 2026-11-27T04:48:49Z, for people."""
    return f"{time[:10]} {time[11:16]}\u00a0UTC" if time else "unknown"


def domain_text(domain: str) -> Markup:
    """Shows a domain, which may be broken behind its dots."""
    shown: Markup = visible_text(domain)
    return shown.replace(".", Markup(".<wbr>"))


def visible_text(text: str | None, characters: int | None = None, limit: int = LONGEST_SHOWN) -> Markup:
    """Shows a stranger's text as text.

    Args:
        text: Any text.
        characters: Its whole length, where `text` was cut before.
        limit: How many characters are shown.

    Returns:
        Escaped text in an element of its own direction; characters that show as nothing stand as their code point, and
        what lies beyond the limit is replaced by a note.
    """
    if not text:
        return Markup('<span class="nothing">nothing</span>')
    whole = characters if characters is not None else len(text)
    shown = Markup("").join(_shown_characters(text[:limit]))
    note = Markup(' <span class="note">… cut, {} characters in all</span>').format(f"{whole:,}")
    return Markup('<bdi class="theirs">{}</bdi>{}').format(shown, note if whole > limit else "")


def seconds(duration: float) -> str:
    """Writes a duration, such as 0.4 s, 12 min 5 s, or 3 h 20 min."""
    minutes, rest = divmod(duration, 60)
    if not minutes:
        return f"{duration:.1f}\u00a0s"
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}\u00a0h {minutes}\u00a0min" if hours else f"{minutes}\u00a0min {rest:.0f}\u00a0s"


def _shown_characters(text: str) -> list[str | Markup]:
    shown: list[str | Markup] = []
    marks = 0
    for character in text:
        category = unicodedata.category(character)
        marks = marks + 1 if category in {"Mn", "Me"} else 0
        if category in INVISIBLE or marks > _MOST_MARKS:
            shown.append(Markup('<span class="code">U+{}</span>').format(f"{ord(character):04X}"))
        else:
            shown.append(character)
    return shown


def _pictures(report: Report) -> dict[str, Markup]:
    """Draws the charts that have something to show."""
    figures = {}
    if report.matches:
        figures["head_tail"] = (
            charts.head_tail_chart(report.curves),
            "Entry counts by rank, before and after balancing",
        )
        figures["cumulative"] = (charts.cumulative_chart(report.curves), "Share of all matches below each entry count")
    for name, rows, description, class_name in (
        (
            "entries_per_pair",
            report.profile.entries_per_pair,
            "Pairs by number of matched entries",
            _entries_per_pair_name,
        ),
        ("text_lengths", report.profile.text_lengths, "Pairs by length of their text", _length_name),
    ):
        if rows:
            groups = [class_name(int(row.group)) for row in rows]
            series = {"matched": [row.matched for row in rows], "curated": [row.curated for row in rows]}
            figures[name] = (charts.bars_chart(groups, series), description)
    keep = report.profile.keep_probabilities
    if any(keep):
        classes = [f"{place / KEEP_CLASSES:.1f}-{(place + 1) / KEEP_CLASSES:.1f}" for place in range(KEEP_CLASSES)]
        figures["keep_probabilities"] = (
            charts.bars_chart(classes, {"curated": keep}),
            "Curated pairs by keep probability",
        )
    return {
        name: Markup(charts.inline_svg(figure, name, description))  # noqa: S704 - our own drawing
        for name, (figure, description) in figures.items()
    }


def _entries_per_pair_name(entries: int) -> str:
    return f"{entries}+" if entries == MOST_ENTRIES_PER_PAIR else str(entries)


def _length_name(smallest: int) -> str:
    larger = [length for length in TEXT_LENGTHS if length > smallest]
    return f"{smallest}-{larger[0] - 1}" if larger else f"{smallest}+"
