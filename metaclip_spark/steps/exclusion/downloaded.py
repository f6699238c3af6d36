"""What was downloaded, as a rule: pairs without an image leave, and of pairs with one image all but one."""

from typing import Literal

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from metaclip_spark.inputs.downloads import SUCCESS, DownloadTally
from metaclip_spark.steps.exclusion.user_tables import with_url_digest
from udfs.schemas import URL_DIGEST

DOWNLOAD_REASON, IMAGE_HASH = "download_reason", "image_hash"

NOT_ATTEMPTED, FAILED, DUPLICATE = "image.not_attempted", "image.download_failed", "image.duplicate"

MOST_ERRORS = 20
"""Kinds of errors that are told; the rest is `OTHER_ERRORS`."""

OTHER_ERRORS = "other"
"""What no pattern fits, too: a message may hold a URL, and the numbers by kind stay in the run's log for ever."""

_NO_STATUS = "no status"

_NO_MESSAGE = ("failed_to_download", "failed_to_resize", _NO_STATUS)
"""What tells of a row without a message."""

_ERRORS = (
    ("control characters|unknown url type|no host given|nonnumeric port|ascii. codec can.t encode", "bad_url"),
    ("X-Robots-Tag", "opted_out"),
    ("timed out|timeout", "timeout"),
    ("SSL|certificate", "certificate"),
    ("name or service|name resolution|nodename|getaddrinfo|no address associated|idna", "no_such_host"),
    ("refused|reset by peer|closed connection|unreachable|IncompleteRead|Broken pipe", "connection"),
    ("decoding error|cannot identify image|imdecode", "not_an_image"),
    ("image too small|image area too large|aspect ratio too large", "unwanted_size"),
    ("hash mismatch", "other_content"),
)
"""Patterns of img2dataset's messages, and what they are called; the first that fits."""


def pair_downloads(matched: DataFrame, downloads: DataFrame, key: Literal["pair_id", "image_url"]) -> DataFrame:
    """Gives what became of the images of pairs. By URL it is one shuffle of all pairs; by pair_id, of the download.

    Args:
        matched: Columns `pair_id` and `image_url`, of any buckets.
        downloads: Columns of `udfs.schemas.DOWNLOADS`.
        key: What says whose image a row is of. URLs are compared by their keys, so that http is https.

    Returns:
        One row for each pair with a row of the download: `pair_id`, whether it `is_downloaded` (any of its rows is a
        success), and the smallest hash of its image. By pair_id there may be pairs that are not in `matched`.
    """
    of_key = _by_key(downloads, key)
    if key == "pair_id":
        return of_key.select("pair_id", "is_downloaded", IMAGE_HASH)
    pairs = with_url_digest(matched.select("pair_id", "image_url")).select("pair_id", URL_DIGEST)
    return pairs.join(of_key, URL_DIGEST).select("pair_id", "is_downloaded", IMAGE_HASH)


def download_reasons(matched: DataFrame, downloaded: DataFrame) -> DataFrame:
    """Adds the reason by which the download excludes each pair.

    Args:
        matched: Columns of `udfs.schemas.MATCHED`, and any others.
        downloaded: What `pair_downloads` gives.

    Returns:
        The same rows, with `download_reason` (`image.not_attempted` for pairs without a row, `image.download_failed`
        for those without a success, else null) and `image_hash`.
    """
    reason = (
        F.when(F.col("is_downloaded").isNull(), F.lit(NOT_ATTEMPTED))
        .when(~F.col("is_downloaded"), F.lit(FAILED))
        .alias(DOWNLOAD_REASON)
    )
    return matched.join(downloaded, "pair_id", "left").select(*map(F.col, matched.columns), reason, IMAGE_HASH)


def duplicate_images(pairs: DataFrame, alike: Literal["text", "image"]) -> DataFrame:
    """Finds pairs whose image is that of another pair, by one shuffle of all pairs.

    Args:
        pairs: Columns `pair_id`, `image_hash` and `alt_text` of all pairs that no other rule excludes, of all buckets.
        alike: Whether pairs are duplicates that have an image and a text in common, or an image alone.

    Returns:
        Column `pair_id`: of pairs that are alike, all but the smallest. What has no hash is no duplicate.
    """
    keys = [F.col(IMAGE_HASH)]
    if alike == "text":
        keys.append(F.sha2("alt_text", 256).alias("text_digest"))
    hashed = pairs.where(F.col(IMAGE_HASH).isNotNull()).select("pair_id", *keys)
    names = [name for name in hashed.columns if name != "pair_id"]
    smallest = F.min("pair_id").over(Window.partitionBy(*names))
    return hashed.withColumn("smallest", smallest).where(F.col("pair_id") > F.col("smallest")).select("pair_id")


def tally_downloads(matched: DataFrame, downloads: DataFrame, key: Literal["pair_id", "image_url"]) -> DownloadTally:
    """Counts what a download has to do with all matched pairs, by one job.

    Args:
        matched: Columns `pair_id` and `image_url` of all buckets.
        downloads: Columns of `udfs.schemas.DOWNLOADS`.
        key: As for `pair_downloads`.

    Returns:
        The numbers. Errors are told by their kinds, never by a message.
    """
    name = "pair_id" if key == "pair_id" else URL_DIGEST
    of_run = matched.select("pair_id", "image_url")
    keyed = of_run if key == "pair_id" else with_url_digest(of_run)
    pairs = keyed.groupBy(name).agg(F.count(F.lit(1)).alias("pairs"))
    joined = _by_key(downloads, key).join(pairs, name, "left")
    of_errors = joined.groupBy("error").agg(
        F.sum("rows").alias("rows"),
        F.sum(F.when(F.col("pairs").isNull(), F.col("rows"))).alias("unknown"),
        F.sum("pairs").alias("pairs"),
        F.sum("successes").alias("successes"),
        F.min("other_status").alias("other_status"),
    )
    place = F.row_number().over(Window.orderBy(F.col("error").isNull(), F.col("pairs").desc_nulls_last(), "error"))
    told = F.when(F.col("error").isNull() | (F.col("place") < MOST_ERRORS), F.col("error")).otherwise(OTHER_ERRORS)
    sums = [F.sum(column).alias(column) for column in ("rows", "unknown", "pairs", "successes")]
    found = (
        of_errors.withColumn("place", place)
        .groupBy(told.alias("error"))
        .agg(*sums, F.min("other_status").alias("other_status"))
        .collect()
    )
    failed = {row.error: row.pairs for row in found if row.error is not None and row.pairs}
    return DownloadTally(
        rows=sum(row.rows for row in found),
        unknown=sum(row.unknown or 0 for row in found),
        pairs=sum(row.pairs or 0 for row in found),
        failed=dict(sorted(failed.items(), key=lambda item: (-item[1], item[0]))),
        successes=sum(row.successes for row in found),
        status=min((row.other_status for row in found if row.other_status is not None), default=None),
    )


def _by_key(downloads: DataFrame, key: Literal["pair_id", "image_url"]) -> DataFrame:
    """Puts the rows of each key together; rows without one stay together, too, under null."""
    name = "pair_id" if key == "pair_id" else URL_DIGEST
    keyed = downloads if key == "pair_id" else with_url_digest(downloads)
    is_success = F.col("status").eqNullSafe(SUCCESS)
    grouped = keyed.groupBy(name).agg(
        F.count(F.lit(1)).alias("rows"),
        F.max(is_success).alias("is_downloaded"),
        F.min(F.when(is_success, F.lower(IMAGE_HASH))).alias(IMAGE_HASH),
        F.min(F.when(~is_success, _error())).alias("error"),
        F.sum(is_success.cast("long")).alias("successes"),
        F.min(F.when(~is_success, F.col("status"))).alias("other_status"),
    )
    return grouped.withColumn("error", F.when(~F.col("is_downloaded"), F.col("error")))


def _error() -> Column:
    """Names the kind of an error."""
    message = F.coalesce(F.col("error_message"), F.col("status"), F.lit(_NO_STATUS))
    code = F.regexp_extract(message, r"HTTP Error (\d{3})", 1)
    kinds = F.when(code != "", F.concat(F.lit("http_"), code))
    for pattern, name in _ERRORS:
        kinds = kinds.when(message.rlike(f"(?i){pattern}"), F.lit(name))
    return kinds.when(message.isin(*_NO_MESSAGE), message).otherwise(OTHER_ERRORS)
