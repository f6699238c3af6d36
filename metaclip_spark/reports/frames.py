"""What the notebooks call: a run to look at, its tables as small pandas frames, and the paper's facts beside it."""

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

from metaclip_spark import balance
from metaclip_spark.errors import InputError
from metaclip_spark.reports.records import ListedEntry, Report, SamplePair
from metaclip_spark.runs.entry_tables import read_entry_counts
from metaclip_spark.runs.layout import REPORT_JSON
from metaclip_spark.runs.open import is_run, open_run
from metaclip_spark.runs.records import read_record
from metaclip_spark.runs.run import Run
from metaclip_spark.runs.step import COUNT, SAMPLE
from metaclip_spark.stores.storage import Storage

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

RUN_VARIABLE = "METACLIP_RUN"
"""Environment variable that names the run to look at; without it, the one that `make demo` makes."""

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


class Picture:
    """A chart that a notebook shows whatever its plotting settings are."""

    def __init__(self, figure: "Figure") -> None:
        """Takes a figure of `metaclip_spark.reports.charts`, drawn with the palette `ON_PAPER`."""
        self._figure = figure

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self._figure.savefig(buffer, format="png", dpi=110, facecolor="white")
        return buffer.getvalue()


def find_run(path: str | None = None) -> Run:
    """Opens a finished run.

    Args:
        path: The run's folder; otherwise the environment variable METACLIP_RUN, otherwise demo-output in the checkout.

    Returns:
        The run, in the session that is running (on EMR, Dataproc or Databricks) or in a new local one.

    Raises:
        InputError: If there is no run.
    """
    folder = path or os.environ.get(RUN_VARIABLE) or str(Path(__file__).resolve().parents[2] / "demo-output")
    if not is_run(Storage(folder)):
        raise InputError(f"{folder} holds no run: set {RUN_VARIABLE} to the folder of a finished run, or run make demo")
    return open_run(folder, name="notebook")


def read_report(run: Run) -> Report:
    """Reads the report of a finished run.

    Raises:
        InputError: If it is gone.
    """
    report = read_record(run.storage, REPORT_JSON, Report)
    if report is None:
        raise InputError(f"{run.storage.root} has no {REPORT_JSON}: run report_curation on that folder again")
    return report


def funnel_frame(report: Report) -> "pd.DataFrame":
    """Lists what came in, what went on, and what left at each stage; one row per result and per reason."""
    import pandas as pd  # noqa: PLC0415 - slow to import, and needed by notebooks only

    rows = []
    for line in report.funnel:
        left = {f"- {reason}": number for reason, number in line.reasons.items() if number}
        for name, number in {line.went_out: line.out_number, **left}.items():
            rows.append((line.came_in, name, number, number / max(1, line.in_number)))
    return pd.DataFrame(rows, columns=["from", "to", "pieces", "share"])


def entries_frame(rows: list[ListedEntry]) -> "pd.DataFrame":
    """Lists entries of the report, such as the most cut ones, with their first sample pair's text."""
    import pandas as pd  # noqa: PLC0415 - slow to import, and needed by notebooks only

    named = ("entry_text", "entry_count", "entry_probability", "expected_kept", "kept")
    return pd.DataFrame(
        [{name: getattr(row, name) for name in named} | {"such as": _first_text(row.pairs)} for row in rows],
        columns=[*named, "such as"],
    )


def paper_frame(run: Run) -> "pd.DataFrame":
    """Puts the paper's facts about its pool beside a run's: columns fact, paper and run."""
    import pandas as pd  # noqa: PLC0415 - slow to import, and needed by notebooks only

    report = read_report(run)
    entries, counts = read_entry_counts(run)
    threshold = balance.check_threshold(report.threshold_t)
    ours = {
        "matches per matched pair": report.matches_per_matched_pair,
        "entries never matched": report.entries_never_matched / len(entries),
        "entries that exceed t": balance.head_entries_cut(counts, threshold) / len(entries),
        "tail share at t": balance.tail_share(counts, threshold),
    }
    rows: list[tuple[str, float | str, float | str]] = [(fact, PAPER[fact], ours[fact]) for fact in PAPER]
    head = ", ".join(entry.entry_text for entry in report.head_entries[: len(PAPER_HEAD)])
    rows.append(("most frequent entries", ", ".join(PAPER_HEAD), head))
    return pd.DataFrame(rows, columns=["fact", "paper", "run"])


def paper_verdict(run: Run) -> str:
    """Says whether the paper's facts can be held against a run.

    Args:
        run: A finished run.

    Returns:
        A sentence that begins with "Void" where the metadata list or the language differs from the paper's.
    """
    entries = run.manifest(COUNT).numbers.entries
    languages = run.manifest(SAMPLE).config.gate.languages
    reasons = []
    if entries != PAPER_ENTRIES:
        reasons.append(f"the metadata list has {entries:,} entries, not {PAPER_ENTRIES:,}")
    if languages != ["en"]:
        reasons.append("the texts were not gated to English")
    if reasons:
        return f"Void: {' and '.join(reasons)}, so the paper's figures need not hold here."
    return "The metadata list has 500,000 entries and the texts are English: the paper's figures should be near."


def _first_text(pairs: list[SamplePair]) -> str:
    return pairs[0].alt_text if pairs else ""
