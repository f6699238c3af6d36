"""The matched pairs of a run with what decided on them: the rules, the language filter, the draw."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from metaclip_spark.reports.explain.curation import Curation
from metaclip_spark.reports.figures.rules import named_ids
from metaclip_spark.runs.run import Run
from metaclip_spark.runs.step import SAMPLE
from metaclip_spark.steps.language_filter import passes_filter
from metaclip_spark.steps.sample import draw_pairs
from udfs.schemas import DRAWN, EXCLUDED

LANGUAGE_GATE = "language_gate"
NOT_DRAWN = "not_drawn"
SINCE_BALANCE = "removed.since_balance"


def drawn_pairs(run: Run, curation: Curation, condition: Column | None = None) -> DataFrame:
    """Gives the matched pairs, or some of them, with what decided on each.

    Returns:
        Columns of `udfs.schemas.DRAWN`, and `reason`: why a pair is not in the curated set, as the report's funnel
        names it, null where it is. Keep probability and draw are null where a rule or the language filter drops a pair.
    """
    matched = run.matched()
    chosen = matched if condition is None else matched.where(condition)
    drawn = draw_pairs(chosen, curation.probabilities, seed=curation.seed)
    excluded = F.lit(None).cast("string")
    if run.has_table("excluded"):
        rules = run.read_buckets("excluded", EXCLUDED).select("pair_id", F.col("reason").alias("excluded"))
        drawn, excluded = drawn.join(rules, "pair_id", "left"), F.col("excluded")
    passes = passes_filter(curation.gate.languages, curation.gate.min_language_probability)
    before_draw = F.coalesce(excluded, F.when(~passes, LANGUAGE_GATE))
    decided = {name: F.when(before_draw.isNull(), F.col(name)) for name in ("keep_probability", "draw")}
    not_drawn = F.when(F.col("draw") >= F.col("keep_probability"), NOT_DRAWN)
    reason = F.coalesce(before_draw, not_drawn)
    if run.manifest(SAMPLE).numbers.dropped:
        drawn = drawn.join(removed_since_balance(run), "pair_id", "left")
        reason = F.coalesce(reason, "removed")
    return drawn.withColumns({**decided, "reason": reason}).select(*DRAWN.names, "reason")


def removed_since_balance(run: Run) -> DataFrame:
    """Gives the pairs that removals name, each once, and as `removed` the reason of those that the draw had kept."""
    return named_ids(run).distinct().withColumn("removed", F.lit(SINCE_BALANCE))


def dropped_pairs(run: Run, curation: Curation) -> DataFrame:
    """Gives the matched pairs that are not in the curated set, with the `reason`."""
    return drawn_pairs(run, curation).where(F.col("reason").isNotNull())
