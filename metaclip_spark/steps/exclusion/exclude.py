"""The exclude step: of each matched pair, the first reason by which a rule excludes it."""

from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from metaclip_spark.config.exclusion import ExcludeConfig
from metaclip_spark.inputs.scores import KeepRule
from metaclip_spark.steps.exclusion.downloaded import (
    DOWNLOAD_REASON,
    DUPLICATE,
    IMAGE_HASH,
    download_reasons,
)
from metaclip_spark.steps.exclusion.lists import SharedLists, list_reason
from metaclip_spark.steps.exclusion.preferences import preference_reason
from metaclip_spark.steps.exclusion.scores import SCORE_REASON, score_reasons
from metaclip_spark.steps.schemas import matched_columns
from udfs.schemas import ELIGIBLE

REASON = "reason"
"""The column with the reason, null for eligible pairs."""


@dataclass(frozen=True)
class Evidence:
    """What rules go by, besides the pairs themselves.

    Attributes:
        lists: What is listed, where something is.
        listed_pages: What `pairs_of_pages` gives, where any page of a pair is compared with lists.
        downloaded: What `pair_downloads` gives, where the download is known.
        scores: The key, each once, and the columns of the conditions.
        score_key: The column that says whose scores a row has.
        keep: The conditions.
    """

    lists: SharedLists | None = None
    listed_pages: DataFrame | None = None
    downloaded: DataFrame | None = None
    scores: DataFrame | None = None
    score_key: str = ""
    keep: tuple[KeepRule, ...] = ()


def before_duplicates(matched: DataFrame, config: ExcludeConfig, evidence: Evidence) -> DataFrame:
    """Adds to each matched pair the first reason of the rules on one pair alone: lists, preferences, download.

    Args:
        matched: Columns of `udfs.schemas.MATCHED`; of `ELIGIBLE` where a first draw has thinned them.
        config: The rules.
        evidence: What they go by.

    Returns:
        Columns of `udfs.schemas.ELIGIBLE`, `image_hash`, and `reason`, null for pairs that stay.

    Raises:
        SchemaMismatchError: If `matched` lacks a column.
    """
    pairs = matched_columns(matched)
    if "first_keep_probability" not in pairs.columns:
        pairs = pairs.withColumn("first_keep_probability", F.lit(None).cast("double"))
    if evidence.downloaded is None:
        nothing = F.lit(None).cast("string")
        pairs = pairs.withColumns({DOWNLOAD_REASON: nothing, IMAGE_HASH: nothing})
    else:
        pairs = download_reasons(pairs, evidence.downloaded)
    listed = (
        pairs.withColumn(REASON, F.lit(None).cast("string"))
        if evidence.lists is None
        else list_reason(pairs, evidence.lists, evidence.listed_pages)
    )
    preference = preference_reason(config.respect_preferences, drop_unknown=config.unknown_preferences == "drop")
    return listed.withColumn(REASON, F.coalesce(REASON, preference, DOWNLOAD_REASON)).drop(DOWNLOAD_REASON)


def exclude_pairs(
    matched: DataFrame, config: ExcludeConfig, evidence: Evidence, duplicates: DataFrame | None = None
) -> DataFrame:
    """Adds to each matched pair the first reason by which a rule excludes it.

    Args:
        matched: Columns of `udfs.schemas.MATCHED`; of `ELIGIBLE` where a first draw has thinned them.
        config: The rules.
        evidence: What they go by.
        duplicates: The pair_ids of duplicates among the pairs of all buckets that stay so far.

    Returns:
        Columns of `udfs.schemas.ELIGIBLE`, and `reason`, null for eligible pairs.

    Raises:
        SchemaMismatchError: If `matched` lacks a column.
    """
    judged = before_duplicates(matched, config, evidence)
    if duplicates is not None:
        marked = duplicates.select("pair_id", F.lit(DUPLICATE).alias("duplicate"))
        judged = judged.join(marked, "pair_id", "left").withColumn(REASON, F.coalesce(REASON, "duplicate"))
    if evidence.scores is not None:
        keep_unscored = config.unscored == "keep"
        scored = score_reasons(judged, evidence.scores, evidence.score_key, evidence.keep, keep_unscored=keep_unscored)
        judged = scored.withColumn(REASON, F.coalesce(REASON, SCORE_REASON))
    return judged.select(*ELIGIBLE.names, REASON)
