import os
import sys

import pytest

from metaclip_spark.session import SETTINGS


@pytest.fixture(scope="session")
def spark(tmp_path_factory):
    """One local session for all driver tests; small, so that hundreds of tiny jobs stay quick."""
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    scratch = tmp_path_factory.mktemp("spark")
    builder = (
        SparkSession.builder.master("local[2,4]")
        .appName("metaclip-spark driver tests")
        .config(map={**SETTINGS})
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
def metadata_sources(tmp_path_factory):
    """A folder with a small dump of each kind."""
    from tests.driver.metadata_builds import write_sources

    folder = tmp_path_factory.mktemp("sources")
    write_sources(folder)
    return folder


@pytest.fixture(scope="session")
def built_metadata(request, metadata_sources, tmp_path_factory):
    """A list built from them."""
    from tests.driver.metadata_builds import build

    request.getfixturevalue("spark")
    output = tmp_path_factory.mktemp("built") / "list"
    assert build(metadata_sources, output) == 0
    return output
