"""The curated pairs by image, for a download that fetches each image once."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from metaclip_spark.steps.schemas import require_columns
from udfs.schemas import CURATED


def group_by_image(curated: DataFrame, partitions: int) -> DataFrame:
    """Collects the curated pairs of each image.

    Args:
        curated: Columns of `udfs.schemas.CURATED`.
        partitions: Number of partitions of the result.

    Returns:
        Columns of `udfs.schemas.CURATED_IMAGES`, one row per image_url. The lists of a row are in the order of pair_id;
        within each partition rows are in the order of their first pair_id, which mixes the hosts: in the order of
        image_url a download would ask one host for many images in a row.

    Raises:
        SchemaMismatchError: If `curated` lacks a column.
    """
    pair = F.struct("pair_id", "alt_text", "keep_probability")
    rows = require_columns(curated, CURATED).repartition(partitions, "image_url")
    images = rows.groupBy("image_url").agg(F.sort_array(F.collect_list(pair)).alias("pairs"))
    return images.select(
        "image_url",
        F.col("pairs.alt_text").alias("texts"),
        F.col("pairs.pair_id").alias("pair_ids"),
        F.col("pairs.keep_probability").alias("keep_probabilities"),
    ).sortWithinPartitions(F.col("pair_ids")[0])
