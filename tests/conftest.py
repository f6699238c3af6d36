"""What holds for all tests."""

import os
import sys

import pytest
from hypothesis import settings

from tests.support.class_archive import java_options

# The same examples on every machine, and none fails because the machine is slow.
settings.load_profile("ci")

os.environ.setdefault("JAVA_TOOL_OPTIONS", java_options())

JVM_FIXTURES = {"spark", "hdfs", "newest", "run_folder", "bench_spark"}
"""Fixtures that start a JVM: what asks for one of them, itself or through another, gets the marker `spark`."""


def pytest_make_parametrize_id(val, argname):
    """Packed bytes hold the time of packing, and every test process must collect the same names."""
    return argname if isinstance(val, bytes) and not val.isascii() else None


def pytest_collection_modifyitems(items):
    for item in items:
        if JVM_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.spark)


@pytest.fixture(scope="session")
def spark(tmp_path_factory):
    """One local session for all tests that share one; small, so that hundreds of tiny jobs stay quick."""
    from pyspark.sql import SparkSession

    from metaclip_spark.stores.session import LOCAL_SETTINGS, SETTINGS

    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    scratch = tmp_path_factory.mktemp("spark")
    builder = (
        SparkSession.builder.master("local[2,4]")
        .appName("metaclip-spark tests")
        .config(map={**SETTINGS, **LOCAL_SETTINGS})
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "3")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.sql.warehouse.dir", str(scratch / "warehouse"))
        .config("spark.local.dir", str(scratch))
    )
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


@pytest.fixture(scope="session")
def hdfs(tmp_path_factory):
    """One HDFS for all tests that need one."""
    from tests.cluster.hadoop import hadoop_jars
    from tests.cluster.hdfs_server import hdfs_server

    try:
        hadoop_jars()
    except OSError as error:
        pytest.skip(f"Maven Central, which has Hadoop's servers, cannot be reached: {error}")
    with hdfs_server(tmp_path_factory.mktemp("hdfs")) as server:
        yield server


@pytest.fixture(scope="session")
def gcs(spark, tmp_path_factory):
    """One server of gs:// for all tests that need one, which the session of `spark` reaches."""
    from tests.cluster.gcs_server import connector_jar, gcs_program, gcs_server, let_reach

    try:
        connector_jar()
        gcs_program()
    except OSError as error:
        pytest.skip(f"gs:// cannot be tried here: {error}")
    with gcs_server(tmp_path_factory.mktemp("gcs")) as server:
        let_reach(spark, server)
        yield server
