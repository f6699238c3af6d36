import subprocess
import sys

import pytest

from metaclip_spark import curate
from tests.cluster.yarn_server import yarn_server
from tests.end_to_end.command import CHECKOUT, SAMPLE, install_outside
from tests.end_to_end.yarn import on_yarn
from tests.support.jobs import METADATA, content


@pytest.fixture(scope="session")
def newest(tmp_path_factory):
    """The newest Spark line, with the project's zip only."""
    return install_outside(tmp_path_factory.mktemp("newest"))


@pytest.fixture(scope="session")
def undisturbed(spark, tmp_path_factory):
    """A run on one machine that nothing disturbs, with the settings of `BALANCE`."""
    output = tmp_path_factory.mktemp("undisturbed") / "out"
    curate(SAMPLE, metadata=METADATA, threshold_t=20, seed=5, output=output, spark=spark)
    return output


@pytest.fixture(scope="session")
def reference(undisturbed):
    """Its tables, as sets of rows."""
    return content(undisturbed)


@pytest.fixture(scope="session")
def pack(tmp_path_factory):
    """What `make pack` builds."""
    folder = tmp_path_factory.mktemp("pack")
    done = subprocess.run(
        [sys.executable, CHECKOUT / ".ci" / "pack.py", folder], capture_output=True, text=True, check=False
    )
    if done.returncode == 2:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr[-3000:]
    (archive,) = folder.glob("metaclip-spark-cpython3*.tar.gz")
    return archive


@pytest.fixture(scope="module")
def installation(newest, hdfs, tmp_path_factory):
    """Jobs run on a YARN of one node."""
    with yarn_server(tmp_path_factory.mktemp("yarn"), hdfs) as yarn:
        yield on_yarn(newest, yarn)
