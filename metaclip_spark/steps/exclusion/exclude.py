"""The exclude step: of each matched pair, the first reason by which a rule excludes it."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from metaclip_spark.config.exclusion import ExcludeConfig
from metaclip_spark.steps.exclusion.lists import SharedLists, list_reason
from metaclip_spark.steps.exclusion.preferences import preference_reason
from metaclip_spark.steps.schemas import matched_columns

REASON = "reason"
"""The column with the reason, null for eligible pairs."""


def exclude_pairs(
    matched: DataFrame,
    config: ExcludeConfig,
    lists: SharedLists | None = None,
    listed_pages: DataFrame | None = None,
) -> DataFrame:
    """Adds to each matched pair the first reason by which a rule excludes it.

    Args:
        matched: Columns of `udfs.schemas.MATCHED`; of `ELIGIBLE` where a first draw has thinned them.
        config: The rules.
        lists: What is listed, where something is.
        listed_pages: What `pairs_of_pages` gives, where any page of a pair is compared with lists.

    Returns:
        Columns of `udfs.schemas.ELIGIBLE`, and `reason`, null for eligible pairs.

    Raises:
        SchemaMismatchError: If `matched` lacks a column.
    """
    pairs = matched_columns(matched)
    if "first_keep_probability" not in pairs.columns:
        pairs = pairs.withColumn("first_keep_probability", F.lit(None).cast("double"))
    listed = (
        pairs.withColumn(REASON, F.lit(None).cast("string"))
        if lists is None
        else (list_reason(pairs, lists, listed_pages))
    )
    preference = preference_reason(config.respect_preferences, drop_unknown=config.unknown_preferences == "drop")
    return listed.withColumn(REASON, F.coalesce(REASON, preference))
