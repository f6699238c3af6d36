"""The language filter over the matched pairs, applied alike by count and sample."""

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from metaclip_spark.steps.schemas import matched_columns


def filter_languages(
    matched: DataFrame, languages: Sequence[str], *, min_language_probability: float = 0.0
) -> DataFrame:
    """Keeps the pairs whose text is in one of the languages.

    Args:
        matched: Columns of `udfs.schemas.MATCHED` or `ELIGIBLE`, matched with `identify_language`.
        languages: fastText codes such as en; without any, every pair passes.
        min_language_probability: Smallest probability of the text's language, from 0 to 1.

    Returns:
        The same columns.

    Raises:
        SchemaMismatchError: If `matched` lacks a column.
    """
    rows = matched_columns(matched)
    return rows.where(passes_filter(languages, min_language_probability)) if languages else rows


def passes_filter(languages: Sequence[str], min_language_probability: float) -> Column:
    """Tells of a matched pair whether the filter keeps it; without languages, of every pair that it does."""
    if not languages:
        return F.lit(True)  # noqa: FBT003 - Spark's own signature
    wanted = F.col("language").isin(*languages) & (F.col("language_probability") >= F.lit(min_language_probability))
    return F.coalesce(wanted, F.lit(False))  # noqa: FBT003
