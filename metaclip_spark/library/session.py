"""The Spark session that library functions work in."""

from pyspark.sql import SparkSession

from metaclip_spark.stores.session import get_session


def session_for(spark: SparkSession | None) -> SparkSession:
    """The given session, else the active one, else a new local one; with the project's settings where none are set."""
    if spark is not None:
        activate(spark)
    return get_session("metaclip-spark")


def activate(spark: SparkSession) -> None:
    """Makes a session the active one of this thread, which pyspark has no public function for."""
    jvm = spark._jvm
    assert jvm is not None
    jvm.SparkSession.setActiveSession(spark._jsparkSession)
