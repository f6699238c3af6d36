"""Thresholds and their expected sizes, as values for notebooks."""

from typing import TYPE_CHECKING

from metaclip_spark.errors import counted
from metaclip_spark.library.report import Chart
from metaclip_spark.reports import charts, frames
from metaclip_spark.reports.figures import plan
from metaclip_spark.reports.plan import plan_lines

if TYPE_CHECKING:
    import pandas as pd


class ThresholdPlan(plan.ThresholdPlan):
    """What each threshold t would give, without sampling.

    Attributes:
        pairs: Number of matched pairs that pass the language filter.
        chosen: The threshold found for a tail share or a number of pairs; None where neither was asked for.
        rows: For each threshold, ascending: threshold_t, expected_size and standard_error (pairs), tail_share (from 0
            to 1), head_entries_cut (entries).
        first: Which run's pairs these are, where they are what is left of another run's; else empty.

    Example:
        >>> from metaclip_spark import open_run
        >>> plan = open_run("demo-output").plan(tail_share=0.06)
        >>> plan.chosen
        5
        >>> plan.to_pandas().columns.tolist()
        ['threshold_t', 'expected_size', 'standard_error', 'tail_share', 'head_entries_cut']
        >>> plan.plot().save("sizes.svg")
    """

    def to_pandas(self) -> "pd.DataFrame":
        """Gives the rows as a pandas DataFrame.

        Returns:
            One row per threshold; the columns are the fields of `rows`.
        """
        return frames.plan_frame(self.rows)

    def plot(self) -> Chart:
        """Draws the expected size against t, with the chosen threshold marked.

        Returns:
            The chart; both axes are logarithmic.
        """
        return Chart(charts.size_chart(self.rows, self.chosen))

    def __str__(self) -> str:
        """The table that `metaclip-spark plan` prints."""
        return "\n".join(plan_lines(self))

    def __repr__(self) -> str:
        """One line: the rows would fill a page."""
        return f"ThresholdPlan(pairs={self.pairs:,}, chosen={self.chosen}, {counted(len(self.rows), 'row')})"
