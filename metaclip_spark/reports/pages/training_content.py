"""The public summary of training content, as the European Union's template asks for it, as far as a run knows it."""

from collections.abc import Mapping, Sequence

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined

from metaclip_spark.errors import counted, percent
from metaclip_spark.reports.figures.funnel import judged_by_rules
from metaclip_spark.reports.pages.data_card import all_removals, code_span, respected_preferences
from metaclip_spark.reports.public.domains import Domains
from metaclip_spark.reports.records import NOT_READ, Group, Report

SUMMARY = "TRAINING_CONTENT.md"
"""The name of the page in the report's folder."""

SMALL_PROVIDERS_MOST = 1000


def render_training_content(report: Report, domains: Sequence[Domains]) -> str:
    """Renders the summary: Markdown.

    Args:
        report: The run's numbers; `summary_domains` says which domains are listed.
        domains: The domains of each side, of images and of pages.
    """
    environment = Environment(  # noqa: S701 - Markdown; what strangers wrote stands in code spans
        loader=PackageLoader("metaclip_spark.reports", "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"counted": counted, "percent": percent, "code": code_span, "number": "{:,}".format}
    judged = judged_by_rules(report.funnel)
    return environment.get_template("TRAINING_CONTENT.md.j2").render(
        report=msgspec.to_builtins(report),
        size=size_class(report.real_size),
        languages=_languages(report),
        preferences=report.profile.preferences,
        not_read=next((row for row in report.profile.preferences if row.group == NOT_READ), None),
        respected=respected_preferences(report),
        judged=judged,
        respected_before=_beginning_with("preference.", judged.reasons_before),
        removed=sum(_beginning_with("removed.", judged.all_reasons).values()),
        removals=all_removals(report),
        sides=[(side, listed_domains(side, report.summary_domains)) for side in domains],
    )


def listed_domains(side: Domains, chosen: str) -> tuple[int, list[Group]]:
    """Gives how many of a side's domains are to be listed, by `--summary-domains`, and those of them that are known."""
    if chosen == "top-5%-or-1000":
        number = min(-(-side.curated_domains // 20), SMALL_PROVIDERS_MOST)
    else:
        number = -(-side.curated_domains // 10)
    return number, side.first[:number]


def size_class(images: int) -> str:
    """Gives the template's size class of a number of images."""
    if images < 10**6:
        return "less than 1 million images"
    return "1 million to 1 billion images" if images <= 10**9 else "more than 1 billion images"


def _beginning_with(prefix: str, reasons: Mapping[str, int]) -> dict[str, int]:
    return {reason.removeprefix(prefix): number for reason, number in reasons.items() if reason.startswith(prefix)}


def _languages(report: Report) -> list[Group]:
    """Gives the languages that the report lists, and the others as one."""
    listed = report.profile.languages
    rest = report.real_size - sum(row.curated for row in listed)
    others = report.funnel[-1].in_number - sum(row.matched for row in listed)
    return [*listed, *([Group(group="others", matched=others, curated=rest)] if rest else [])]
