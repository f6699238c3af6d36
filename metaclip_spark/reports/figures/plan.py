"""What a plan of thresholds says."""

from metaclip_spark.runs.records import Number, Record


class PlanRow(Record):
    """What one threshold would give."""

    threshold_t: int
    expected_size: Number
    standard_error: Number
    tail_share: Number
    head_entries_cut: int


class ThresholdPlan(Record):
    """What each threshold would give, ascending in t.

    Attributes:
        pairs: Matched pairs that pass the language filter.
        chosen: The threshold that was asked for by size or tail share.
        rows: One per threshold.
        first: Which run's pairs these are, where they are what is left of another run's; else empty.
    """

    pairs: int
    chosen: int | None
    rows: list[PlanRow]
    first: str = ""
