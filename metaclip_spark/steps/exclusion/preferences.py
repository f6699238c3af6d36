"""What pages declare about the use of their content, as a rule."""

from collections.abc import Sequence

from pyspark.sql import Column
from pyspark.sql import functions as F

from udfs.preferences import PREFERENCES

UNKNOWN = "preference.unknown"
"""The reason of pairs whose pages' preferences were not read, where those are to leave."""


def preference_reason(respected: Sequence[str], *, drop_unknown: bool) -> Column:
    """Gives the reason by which a pair's page excludes it, null where it does not.

    Args:
        respected: Names of `udfs.preferences.PREFERENCES`; of several that a page declares, the lowest bit is told.
        drop_unknown: Whether pairs leave whose `page_preferences` are null.

    Returns:
        A column of strings: `preference.<name>`.
    """
    bits = [(1 << bit, f"preference.{name}") for bit, name in enumerate(PREFERENCES) if name in respected]
    declared = [F.when(F.col("page_preferences").bitwiseAND(F.lit(bit)) != 0, F.lit(reason)) for bit, reason in bits]
    unknown = [F.when(F.col("page_preferences").isNull(), F.lit(UNKNOWN))] if drop_unknown and bits else []
    return F.coalesce(*declared, *unknown, F.lit(None).cast("string"))
