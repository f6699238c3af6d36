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
from metaclip_spark.steps.exclusion.hosts import host_of
from metaclip_spark.steps.exclusion.lists import SharedLists, list_reason
from metaclip_spark.steps.exclusion.preferences import preference_reason
from metaclip_spark.steps.exclusion.scores import SCORE_REASON, score_reasons
from metaclip_spark.steps.schemas import matched_columns
from udfs.exclusion.kinds import REASONS
from udfs.schemas import ELIGIBLE, EXCLUDED

REASON = "reason"
"""The column with the reason, null for eligible pairs."""

_LOOKED_AT = ("pair_id", "image_url", "page_url", "alt_text", "page_preferences")
"""The columns of matched pairs that rules look at: of the others only what is told of excluded pairs goes with them."""

_TOLD = ("page_language", "metadata_language", "entry_ids")


@dataclass(frozen=True)
class Evidence:
    """What rules go by, besides the pairs themselves.

    Attributes:
        lists: What is listed, where something is.
        listed_elsewhere: `pair_id` and `reason` of pairs that are listed by more than their own columns.
        downloaded: What `pair_downloads` gives, where the download is known.
        scores: The key, each once, and the columns of the conditions.
        score_key: The column that says whose scores a row has.
        keep: The conditions.
    """

    lists: SharedLists | None = None
    listed_elsewhere: DataFrame | None = None
    downloaded: DataFrame | None = None
    scores: DataFrame | None = None
    score_key: str = ""
    keep: tuple[KeepRule, ...] = ()


def before_duplicates(matched: DataFrame, config: ExcludeConfig, evidence: Evidence) -> DataFrame:
    """Adds to each matched pair the first reason of the rules on one pair alone: lists, preferences, download.

    Args:
        matched: The columns of `udfs.schemas.MATCHED` that rules look at, and any others.
        config: The rules.
        evidence: What they go by.

    Returns:
        The same rows, with `image_hash` and `reason`, null for pairs that stay.
    """
    if evidence.downloaded is None:
        nothing = F.lit(None).cast("string")
        pairs = matched.withColumns({DOWNLOAD_REASON: nothing, IMAGE_HASH: nothing})
    else:
        pairs = download_reasons(matched, evidence.downloaded)
    listed = (
        pairs.withColumn(REASON, F.lit(None).cast("string"))
        if evidence.lists is None
        else list_reason(pairs, evidence.lists, evidence.listed_elsewhere)
    )
    preference = preference_reason(config.respect_preferences, drop_unknown=config.unknown_preferences == "drop")
    return listed.withColumn(REASON, F.coalesce(REASON, preference, DOWNLOAD_REASON)).drop(DOWNLOAD_REASON)


def excluded_pairs(
    matched: DataFrame, config: ExcludeConfig, evidence: Evidence, duplicates: DataFrame | None = None
) -> DataFrame:
    """Finds the matched pairs that a rule excludes, and the first reason of each.

    Args:
        matched: Columns of `udfs.schemas.MATCHED`.
        config: The rules.
        evidence: What they go by.
        duplicates: The pair_ids of duplicates among the pairs of all buckets that stay so far.

    Returns:
        Columns of `udfs.schemas.EXCLUDED`.

    Raises:
        SchemaMismatchError: If `matched` lacks a column.
    """
    judged = before_duplicates(matched_columns(matched).select(*_LOOKED_AT, *_TOLD), config, evidence)
    if duplicates is not None:
        marked = duplicates.select("pair_id", F.lit(DUPLICATE).alias("duplicate"))
        judged = judged.join(marked, "pair_id", "left").withColumn(REASON, F.coalesce(REASON, "duplicate"))
    if evidence.scores is not None:
        keep_unscored = config.unscored == "keep"
        scored = score_reasons(judged, evidence.scores, evidence.score_key, evidence.keep, keep_unscored=keep_unscored)
        judged = scored.withColumn(REASON, F.coalesce(REASON, SCORE_REASON))
    unnamed = ~F.col(REASON).isin(*REASONS)
    told = {"image_host": host_of(F.col("image_url")), "entry_ids": F.col("entry_ids")}
    excluded = judged.where(F.col(REASON).isNotNull())
    return excluded.withColumns({name: F.when(unnamed, value) for name, value in told.items()}).select(EXCLUDED.names)


def eligible_pairs(matched: DataFrame, excluded: DataFrame | None) -> DataFrame:
    """Gives the matched pairs that no rule excludes.

    Args:
        matched: Columns of `udfs.schemas.MATCHED`; of `ELIGIBLE` where a first draw has thinned them.
        excluded: What `excluded_pairs` gives, kept in a table; None where it is empty.

    Returns:
        Columns of `udfs.schemas.ELIGIBLE`.

    Raises:
        SchemaMismatchError: If `matched` lacks a column.
    """
    pairs = matched_columns(matched)
    if "first_keep_probability" not in pairs.columns:
        pairs = pairs.withColumn("first_keep_probability", F.lit(None).cast("double"))
    left = pairs if excluded is None else pairs.join(excluded.select("pair_id"), "pair_id", "left_anti")
    return left.select(ELIGIBLE.names)
