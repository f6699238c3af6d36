"""Spark's archives leave the path of Python workers only where a pyspark of the same Spark is left."""

from pathlib import Path

import pyspark
import pytest

from metaclip_spark.stores.python_daemon import without_archives

HOME = str(Path(pyspark.__file__).parent)
ARCHIVES = [f"{HOME}/python/lib/pyspark.zip", f"{HOME}/jars/spark-core_2.13-4.1.0.jar"]
SITE_PACKAGES = str(Path(HOME).parent)


def test_archives_of_an_installed_spark_leave():
    assert without_archives(["/own.zip", *ARCHIVES, SITE_PACKAGES], HOME) == ["/own.zip", SITE_PACKAGES]


@pytest.mark.parametrize("home", [HOME, "/opt/spark"])
def test_they_stay_where_pyspark_is_in_them_only_or_of_another_spark(home):
    path = [*(place.replace(HOME, home) for place in ARCHIVES), *([SITE_PACKAGES] if home != HOME else [])]
    assert without_archives(path, home) == path


def test_workers_of_a_session_have_none_of_them(spark):
    def archives(_rows):
        import sys

        looked_through = {*sys.path, *sys.path_importer_cache}
        yield [place for place in looked_through if place.startswith(HOME) and place.endswith((".zip", ".jar"))]

    assert spark.sparkContext.parallelize([0], 1).mapPartitions(archives).collect() == [[]]
