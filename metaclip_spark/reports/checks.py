"""Judges a finished run by what its user requires of it: `--require`."""

from collections.abc import Sequence

from metaclip_spark.config.requirements import QUANTITIES, Requirement
from metaclip_spark.errors import RequirementError
from metaclip_spark.reports.records import Check, Report
from metaclip_spark.runs.records import Number
from metaclip_spark.runs.waves import bad_records

_MOST_DECIMALS = 15
"""Of a percentage: all that a float has."""


def judge(report: Report, requirements: Sequence[Requirement]) -> list[Check]:
    """Compares a report's numbers with what is required of them, in the order in which that was given."""
    values = quantities_of(report)
    return [
        Check(
            check=each.text,
            quantity=each.quantity,
            operator=each.operator,
            bound=each.bound,
            value=values[each.quantity],
            passed=each.is_met_by(values[each.quantity]),
        )
        for each in requirements
    ]


def quantities_of(report: Report) -> dict[str, Number]:
    """Gives the value of each of `QUANTITIES`."""
    stages = {line.went_out: line for line in report.funnel}
    pages, images, pairs = stages["pages"], stages["images kept"], stages["pairs"]
    pool, matched, curated = stages["pool"], stages["matched"], stages["curated"]
    bad = sum(bad_records(pages.reasons).values())
    entries_matched = report.entries - report.entries_never_matched
    return {
        "archives": report.archives["archives"],
        "failed_archives": report.archives["archives_failed"],
        "damaged_archives": report.archives["archives_damaged"],
        "empty_archives": report.archives["archives_empty"],
        "pages": pages.out_number,
        "images": images.in_number,
        "images_kept": images.out_number,
        "pairs": pairs.out_number,
        "pool": pool.out_number,
        "matched": matched.out_number,
        "counted": curated.in_number,
        "curated": report.real_size,
        "entries": report.entries,
        "entries_matched": entries_matched,
        "matches": report.matches,
        "head_entries_cut": report.head_entries_cut,
        "warnings": len(report.warnings),
        "rejected_share": _share(bad, pages.out_number + bad),
        "duplicate_share": _share(pool.in_number - pool.out_number, pool.in_number),
        "matched_share": _share(matched.out_number, matched.in_number),
        "counted_share": _share(curated.in_number, matched.out_number),
        "curated_share": _share(curated.out_number, curated.in_number),
        "tail_share": report.tail_share,
        "entries_matched_share": _share(entries_matched, report.entries),
        "matches_per_matched_pair": report.matches_per_matched_pair,
    }


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def status_word(pairs: int, *, is_suspect: bool, is_passed: bool) -> str:
    """Puts a finished run into a word: suspect, empty, failed (a check) or done."""
    if is_suspect or not pairs:
        return "suspect" if is_suspect else "empty"
    return "done" if is_passed else "failed"


def check_lines(checks: Sequence[Check]) -> list[str]:
    """Puts checks into plain text, one line each, as the commands that check a cluster do."""
    return [
        f"{'ok  ' if check.passed else 'FAIL'} {check.check}: {value_shown(check.quantity, check.value, check.bound)}"
        for check in checks
    ]


def failed_lines(checks: Sequence[Check]) -> list[str]:
    """Says of each check that failed what the number is, and what to look at."""
    return [
        f"--require {check.check}: {check.quantity} is {value_shown(check.quantity, check.value, check.bound)}; see "
        f"{look_at(check.quantity)}"
        for check in checks
        if not check.passed
    ]


def check_requirements(report: Report) -> None:
    """Refuses a run that does not fulfil what was required of it.

    Raises:
        RequirementError: If a check failed, with a line for each that did.
    """
    if lines := failed_lines(report.checks):
        raise RequirementError("\n".join(lines))


def look_at(quantity: str) -> str:
    """Names what tells why a quantity is too small or too large, in plain text."""
    return QUANTITIES[quantity].look_at.replace("`", "")


def value_shown(quantity: str, value: Number, bound: Number) -> str:
    """Writes a value, a share as a percentage, with so many digits that it differs from a bound that it is not."""
    if QUANTITIES[quantity].is_share:
        shown = [(f"{value:.{decimals}%}", f"{bound:.{decimals}%}") for decimals in range(1, _MOST_DECIMALS)]
        return next((own for own, other in shown if own != other or value == bound), shown[-1][0]).replace(".0%", "%")
    return f"{value:,}" if isinstance(value, int) else f"{value:.6g}"
