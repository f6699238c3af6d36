"""The Spark session that library functions work in."""

from pyspark.sql import SparkSession

from metaclip_spark.errors import ConfigError, wrong_type
from metaclip_spark.stores.session import get_session


def session_for(spark: SparkSession | None) -> SparkSession:
    """The given session, else the active one, else a new local one; with the project's settings where none are set."""
    activate(spark)
    return get_session("metaclip-spark")


def activate(spark: SparkSession | None) -> None:
    """Makes a given session the active one of this thread, where the steps of a run find it."""
    if spark is not None and not isinstance(spark, SparkSession):
        raise ConfigError(wrong_type("spark", spark, "a SparkSession, or None for the active one"))
    if spark is not None:
        # pyspark has no function for that alone, but the session that makes a DataFrame becomes the active one.
        spark.createDataFrame([], "unused int")
