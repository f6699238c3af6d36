import pytest

from metaclip_spark import curate
from tests.end_to_end.command import SAMPLE, install_outside
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
