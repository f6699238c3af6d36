"""A report in plain text for the terminal, and its figures for logs."""

from collections.abc import Sequence
from textwrap import wrap

import msgspec

from metaclip_spark.errors import counted, percent
from metaclip_spark.reports.checks import check_lines
from metaclip_spark.reports.records import HeadEntry, ListFigures, Report
from metaclip_spark.runs.records import threshold_in_words
from metaclip_spark.stores.storage import JsonObject

COLUMNS = 80
"""The width of a terminal that nobody has widened."""

_LISTED = 10


def summary_lines(report: Report) -> list[str]:
    """Puts a report into plain text for the terminal."""
    head = [f"{_named(each)}\u00a0{each.entry_count:,}" for each in report.head_entries]
    threshold = threshold_in_words(report.threshold_t, report.threshold_of)
    lines = ["", "Funnel"]
    for line in report.funnel:
        lines.append(f"  {line.in_number:>14,} {line.came_in:<8} -> {line.out_number:>14,} {line.went_out}")
        lines += [f"  {number:>33,}   - {reason}" for reason, number in line.reasons.items() if number]
    if report.reference_records:
        lines += ["", "Reading", *_wrapped(_reading(report))]
    lines += [
        "",
        "Matches",
        *_wrapped(
            f"{counted(report.matches, 'match', 'matches')}, {report.matches_per_matched_pair:.2f} per matched pair; "
            f"{report.entries_never_matched:,} of {counted(report.entries, 'entry', 'entries')} never matched"
        ),
        *_wrapped(f"Head entries: {', '.join(head)}"),
        "",
        "Balance",
        f"  {threshold}: tail share {percent(report.tail_share)}, "
        f"{counted(report.head_entries_cut, 'head entry', 'head entries')} thinned",
        f"  expected {report.expected_size:,.1f} ± {report.standard_error:,.1f} pairs, curated {report.real_size:,}",
    ]
    if report.list_tail_share is not None:
        lines.insert(-1, f"  tail share that each language was to have: {percent(report.list_tail_share)}")
    if report.lists:
        lines += ["", "Languages, by matched pairs", *_list_lines(report.lists)]
    for warning in report.warnings:
        lines += _wrapped(f"Warning: {warning}")
    if report.checks:
        lines += ["", "Checks", *(f"  {line}" for line in check_lines(report.checks))]
    return lines


def _named(entry: HeadEntry) -> str:
    of_list = entry.metadata_language
    return f"{entry.entry_text}\u00a0({of_list})" if isinstance(of_list, str) else entry.entry_text


def _list_lines(lists: Sequence[ListFigures]) -> list[str]:
    """Tells of the largest languages one by one, and of how many others there are."""
    width = max(len(each.metadata_language) for each in lists[:_LISTED])
    told = [
        f"  {each.metadata_language:<{width}} {each.pairs:>14,} matched -> {each.kept:>12,} curated, "
        f"t = {each.threshold_t}"
        for each in lists[:_LISTED]
    ]
    left = len(lists) - _LISTED
    return [*told, f"  and {counted(left, 'more language')}: see the report"] if left > 0 else told


def _reading(report: Report) -> str:
    by_reason = sorted(report.reference_records.items(), key=lambda reason: (-reason[1], reason[0]))
    read, records = sum(report.reference_records.values()), report.funnel[0].in_number
    reasons = ", ".join(f"{reason} {number:,}" for reason, number in by_reason)
    return f"{read:,} of {counted(records, 'record')} ({percent(read / records)}) by the reference reader: {reasons}"


def summary_numbers(report: Report) -> JsonObject:
    """Puts the figures of the summary into an object, for logs."""
    return {
        "funnel": msgspec.to_builtins(report.funnel),
        "reference_records": report.reference_records,
        "matches": report.matches,
        "entries": report.entries,
        "entries_never_matched": report.entries_never_matched,
        "threshold_t": report.threshold_t,
        "tail_share": report.tail_share,
        **({"list_tail_share": report.list_tail_share} if report.list_tail_share is not None else {}),
        "head_entries_cut": report.head_entries_cut,
        "expected_size": report.expected_size,
        "standard_error": report.standard_error,
        "curated": report.real_size,
        **({"lists": msgspec.to_builtins(report.lists)} if report.lists else {}),
        "checks": msgspec.to_builtins(report.checks),
    }


def _wrapped(text: str) -> list[str]:
    """Lines of at most `COLUMNS` columns, broken between words only; an entry stays beside its count."""
    lines = wrap(
        text, COLUMNS, initial_indent="  ", subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )
    return [line.replace("\u00a0", " ") for line in lines]
