"""The matched pairs of a run with what the draw decided by, and those that it or the language filter dropped."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from metaclip_spark.reports.explain.curation import Curation
from metaclip_spark.runs.run import Run
from metaclip_spark.steps.language_filter import passes_filter
from metaclip_spark.steps.sample import draw_pairs
from udfs.schemas import MATCHED

LANGUAGE_GATE = "language_gate"
NOT_DRAWN = "not_drawn"


def drawn_pairs(run: Run, curation: Curation, condition: Column | None = None) -> DataFrame:
    """Gives the matched pairs, or some of them, with keep probability and draw: null where the filter drops a pair."""
    matched = run.read_buckets("matched", MATCHED)
    chosen = matched if condition is None else matched.where(condition)
    passes = passes_filter(curation.gate.languages, curation.gate.min_language_probability)
    drawn = draw_pairs(chosen, curation.probabilities, seed=curation.seed)
    return drawn.withColumns({name: F.when(passes, F.col(name)) for name in ("keep_probability", "draw")})


def dropped_of(drawn: DataFrame) -> DataFrame:
    """Keeps the pairs that are not in the curated set, with the `reason`, as the report's funnel names it."""
    return with_reason(drawn).where(F.col("reason").isNotNull())


def with_reason(drawn: DataFrame) -> DataFrame:
    """Adds why a pair is not in the curated set; null where it is."""
    reason = F.when(F.col("draw").isNull(), LANGUAGE_GATE).when(F.col("draw") >= F.col("keep_probability"), NOT_DRAWN)
    return drawn.withColumn("reason", reason)
