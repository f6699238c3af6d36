"""The language filter over the matched pairs, applied alike by count and sample."""

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from metaclip_spark.steps.schemas import require_columns
from udfs.schemas import MATCHED


def filter_languages(
    matched: DataFrame, languages: Sequence[str], *, min_language_probability: float = 0.0
) -> DataFrame:
    """Keeps the pairs whose text is in one of the languages.

    Args:
        matched: Columns of `udfs.schemas.MATCHED`, matched with `identify_language`.
        languages: fastText codes such as en; without any, every pair passes.
        min_language_probability: Smallest probability of the text's language, from 0 to 1.

    Returns:
        Columns of `udfs.schemas.MATCHED`.

    Raises:
        SchemaMismatchError: If `matched` lacks a column.
    """
    rows = require_columns(matched, MATCHED)
    if not languages:
        return rows
    return rows.where(
        F.col("language").isin(*languages) & (F.col("language_probability") >= F.lit(min_language_probability))
    )
