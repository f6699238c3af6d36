"""A run's report as pandas frames, and the paper's facts beside it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from metaclip_spark.errors import counted
from metaclip_spark.reports.figures.plan import PlanRow
from metaclip_spark.reports.records import Coverage, ListedEntry, Move, Report, SamplePair

if TYPE_CHECKING:
    import pandas as pd

PAPER_ENTRIES = 500_000
PAPER = {
    "matches per matched pair": 3.5,
    "entries never matched": 114_000 / PAPER_ENTRIES,
    "entries that exceed t": 16_000 / PAPER_ENTRIES,
    "tail share at t": 0.055,
}
"""Facts of the paper's pool of 1.6 billion English texts at t = 20,000 (sections 3.2 and 3.3); shares of the list."""

PAPER_HEAD = ("of", "in", "and", "for", "the", "The", "with", "to", "photo", "a", "image")
"""The most frequent entries of the paper's pool."""


def funnel_frame(report: Report) -> "pd.DataFrame":
    """Lists what came in, what went on, and what left at each stage; one row per result and per reason."""
    rows = []
    for line in report.funnel:
        left = {f"- {reason}": number for reason, number in line.reasons.items() if number}
        for name, number in {line.went_out: line.out_number, **left}.items():
            rows.append((line.came_in, name, number, number / max(1, line.in_number)))
    return _frame(rows, columns=["from", "to", "count", "share"])


def entries_frame(rows: list[ListedEntry]) -> "pd.DataFrame":
    """Lists entries of the report, such as the most cut ones, with their first sample pair's text."""
    named = ("entry_text", "entry_count", "entry_probability", "expected_kept", "kept")
    return _frame(
        [{name: getattr(row, name) for name in named} | {"such as": _first_text(row.pairs)} for row in rows],
        columns=[*named, "such as"],
    )


def coverage_frame(rows: list[Coverage]) -> "pd.DataFrame":
    """Lists the numbers of entries by their number of pairs."""
    return _frame(msgspec.to_builtins(rows), columns=["from", "to", "matched", "curated"])


def moves_frame(rows: list[Move]) -> "pd.DataFrame":
    """Lists the entries whose share of all matches differs most."""
    return _frame(msgspec.to_builtins(rows), columns=list(Move.__struct_fields__))


def plan_frame(rows: list[PlanRow]) -> "pd.DataFrame":
    """Lists what each threshold would give."""
    return _frame(msgspec.to_builtins(rows), columns=list(PlanRow.__struct_fields__))


def paper_frame(facts: Mapping[str, float], head: Sequence[str]) -> "pd.DataFrame":
    """Puts the paper's facts about its pool beside a run's: columns fact, paper and run."""
    rows: list[tuple[str, float | str, float | str]] = [(fact, PAPER[fact], facts[fact]) for fact in PAPER]
    rows.append(("most frequent entries", ", ".join(PAPER_HEAD), ", ".join(head[: len(PAPER_HEAD)])))
    return _frame(rows, columns=["fact", "paper", "run"])


def differences_from_paper(entries: int, languages: Sequence[str]) -> list[str]:
    """Lists why the paper's facts cannot be held against a run with that many entries and that language filter."""
    reasons = []
    if entries != PAPER_ENTRIES:
        reasons.append(f"the list has {counted(entries, 'entry', 'entries')} (paper: {PAPER_ENTRIES:,})")
    if list(languages) != ["en"]:
        reasons.append("texts were not filtered to English")
    return reasons


def paper_verdict(reasons: Sequence[str]) -> str:
    """Says whether the paper's facts can be held against a run; "Not comparable" and the reasons where not."""
    if reasons:
        return f"Not comparable: {' and '.join(reasons)}."
    return "The metadata list has 500,000 entries and the texts are English: the paper's figures should be near."


def _frame(rows: Any, columns: Sequence[str]) -> "pd.DataFrame":
    import pandas as pd  # noqa: PLC0415 - slow to import, and needed by notebooks only

    return pd.DataFrame(rows, columns=list(columns))


def _first_text(pairs: list[SamplePair]) -> str:
    return pairs[0].alt_text if pairs else ""
