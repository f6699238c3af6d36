"""What a run reports, as values for notebooks: the report, charts, and comparisons."""

import io
from collections.abc import Sequence
from html import escape
from os import PathLike
from typing import TYPE_CHECKING

from metaclip_spark import balance
from metaclip_spark.config.fields import path_text
from metaclip_spark.config.requirements import RequireConfig
from metaclip_spark.errors import ConfigError, counted
from metaclip_spark.library.arguments import arguments_named, configurations
from metaclip_spark.library.entry_counts import EntryCounts
from metaclip_spark.reports import charts, frames, records
from metaclip_spark.reports.checks import judge
from metaclip_spark.reports.pages.html import render_html
from metaclip_spark.reports.summary import summary_lines
from metaclip_spark.thresholds import check_threshold

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


class Chart:
    """A chart, shown as a picture by notebooks whatever their plotting settings are.

    Attributes:
        figure: The matplotlib figure, to change or to draw elsewhere.

    Example:
        >>> from metaclip_spark import open_run
        >>> chart = open_run("demo-output").report.plot_head_and_tail()
        >>> chart.save("head-and-tail.svg")
    """

    def __init__(self, figure: "Figure") -> None:
        """Takes a figure drawn with the palette `ON_PAPER`."""
        self.figure = figure

    def save(self, path: str | PathLike[str]) -> None:
        """Writes the chart to a file.

        Args:
            path: A path that ends in .png or .svg.

        Raises:
            ConfigError: If it has another ending, or cannot be written.
        """
        charts.save_chart(self.figure, path_text(path))

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.figure.savefig(buffer, format="png", dpi=110, facecolor="white")
        return buffer.getvalue()


class Report(records.Report):
    """A run's numbers as one document; the fields are those of report.json.

    Notebooks show it as the page report.html. `print` gives the summary that the job prints.

    Example:
        >>> from metaclip_spark import open_run
        >>> report = open_run("demo-output").report
        >>> report.threshold_t, report.real_size, report.suspect
        (20, 3268, False)
        >>> line = report.funnel[-1]
        >>> line.in_number == line.out_number + sum(line.reasons.values())
        True
    """

    def to_pandas(self) -> "pd.DataFrame":
        """Gives the funnel as a pandas DataFrame.

        Returns:
            Columns from, to, count and share (of what came in); one row per result and per reason of loss.
        """
        return frames.funnel_frame(self)

    def check(self, require: str | Sequence[str]) -> list[records.Check]:
        """Compares numbers of the report with bounds; `checks` has what the run was required to fulfil when it ended.

        Args:
            require: Checks, each a name, an operator (>=, <=, >, < or ==) and a number: "curated>=10k",
                "matched_share>=30%". The report's page of the documentation has the names.

        Returns:
            A `Check` each (`check`, `quantity`, `operator`, `bound`, `value`, `passed`); none is an error.

        Raises:
            ConfigError: If a check has another form, or no number has its name.

        Example:
            >>> from metaclip_spark import open_run
            >>> report = open_run("demo-output").report
            >>> [(check.value, check.passed) for check in report.check(["curated>=1", "failed_archives==0"])]
            [(3268, True), (0, True)]
        """
        with arguments_named(RequireConfig):
            (wanted,) = configurations("check", {"require": require}, RequireConfig)
        return judge(self, wanted.requirements)

    def most_cut(self) -> "pd.DataFrame":
        """Lists the entries that lost the most pairs to balancing.

        Returns:
            Columns entry_text, entry_count, entry_probability, expected_kept, kept, and "such as" (a curated text).
        """
        return frames.entries_frame(self.profile.most_cut)

    def most_kept(self) -> "pd.DataFrame":
        """Lists the entries with the most curated pairs.

        Returns:
            The columns of `most_cut`.
        """
        return frames.entries_frame(self.profile.most_kept)

    def coverage(self) -> "pd.DataFrame":
        """Counts the entries by their number of pairs.

        Returns:
            Columns from and to (a range of pairs), matched and curated (numbers of entries).
        """
        return frames.coverage_frame(self.profile.coverage)

    def plot_head_and_tail(self) -> Chart:
        """Draws the entry counts against their rank, before and after balancing: the paper's figure of head and tail.

        Returns:
            The chart; both axes are logarithmic.
        """
        return Chart(charts.head_tail_chart(self.curves, charts.ON_PAPER))

    def plot_cumulative(self) -> Chart:
        """Draws the share of all matches that entries below a count have; at t it is the tail share.

        Returns:
            The chart; the axis of counts is logarithmic.
        """
        return Chart(charts.cumulative_chart(self.curves, charts.ON_PAPER))

    def __str__(self) -> str:
        """The summary that the job prints."""
        return "\n".join(summary_lines(self)).strip("\n")

    def __repr__(self) -> str:
        """One line: the whole document would fill pages."""
        return f"Report(t={self.threshold_t}, {self.real_size:,} curated pairs)"

    def _repr_html_(self) -> str:
        # The page's styles must not reach the notebook, nor anything in it run there.
        page = escape(render_html(self))
        return f'<iframe sandbox srcdoc="{page}" style="width:100%;height:50em;border:1px solid #d5dae2"></iframe>'


class Comparison(records.Comparison):
    """Entry counts of two runs, or of a run and other counts, side by side.

    Attributes:
        name: What the run is compared with.
        runs: Figures of both runs, written out; empty where the other is not a run.
        sentence: A warning where the metadata lists differ; else empty.
        shared: Number of entries in both metadata lists.
        rank_correlation: Spearman's rank correlation of the counts of shared entries, from -1 to 1; None where either
            does not vary.
        missing_there: Entries that the other lacks.
        missing_here: Entries that this run lacks.
        moves: Entries whose share of all matches differs most.

    Example:
        >>> from metaclip_spark import open_run
        >>> run = open_run("demo-output")
        >>> comparison = run.compare(run.entry_counts)
        >>> comparison.shared, comparison.rank_correlation, len(comparison.moves)
        (86654, 1.0, 0)
    """

    def to_pandas(self) -> "pd.DataFrame":
        """Gives the entries whose share of all matches differs most as a pandas DataFrame.

        Returns:
            Columns entry_text, and count, rank and share here and there.
        """
        return frames.moves_frame(self.moves)

    def __str__(self) -> str:
        """The figures of both, and how their counts agree."""
        lines = [f"{row.figure}: {row.this} here, {row.other} there" for row in self.runs]
        correlation = "none" if self.rank_correlation is None else f"{self.rank_correlation:.4f}"
        lines += [
            f"{counted(self.shared, 'entry', 'entries')} in both, rank correlation of their counts: {correlation}"
        ]
        return "\n".join([*lines, self.sentence] if self.sentence else lines)

    def __repr__(self) -> str:
        """One line: the lists would fill pages."""
        return f"Comparison(name={self.name!r}, shared={self.shared}, rank_correlation={self.rank_correlation})"


class PaperComparison:
    """A run beside the paper's facts about its pool of 1.6 billion English texts at t = 20,000.

    Attributes:
        is_valid: Whether the facts can be held against the run: it has 500,000 entries and English texts only.
        verdict: The same in one sentence, with the reason.

    Example:
        >>> from metaclip_spark import open_run
        >>> comparison = open_run("demo-output").compare_with_paper()
        >>> comparison.is_valid
        False
        >>> comparison.to_pandas().columns.tolist()
        ['fact', 'paper', 'run']
    """

    def __init__(self, report: Report, entry_counts: EntryCounts, languages: list[str]) -> None:
        """Takes a run's report, counts and language filter.

        Raises:
            ConfigError: If the run has several metadata lists, whose entries have no common threshold.
        """
        if report.lists:
            raise ConfigError(
                f"compare_with_paper is for runs with one metadata list, as the paper's is, and this one has "
                f"{counted(len(report.lists), 'list')}: the table thresholds tells of each"
            )
        reasons = frames.differences_from_paper(len(entry_counts.entries), languages)
        self.is_valid = not reasons
        self.verdict = frames.paper_verdict(reasons)
        threshold = check_threshold(report.threshold_t)
        entries = len(entry_counts.entries)
        self._frame = frames.paper_frame(
            {
                "matches per matched pair": report.matches_per_matched_pair,
                "entries never matched": report.entries_never_matched / entries,
                "entries that exceed t": balance.head_entries_cut(entry_counts.counts, threshold) / entries,
                "tail share at t": entry_counts.tail_share(threshold),
            },
            [entry.entry_text for entry in report.head_entries],
        )

    def to_pandas(self) -> "pd.DataFrame":
        """Gives the facts side by side as a pandas DataFrame.

        Returns:
            Columns fact, paper and run. Numbers of entries are shares of the list.
        """
        return self._frame

    def __repr__(self) -> str:
        """The verdict."""
        return f"PaperComparison({self.verdict!r})"
