import pytest

from tests.end_to_end.command import BALANCE, LOCAL, SAMPLE, install_outside
from tests.support.jobs import content


@pytest.fixture(scope="session")
def newest(tmp_path_factory):
    """The newest Spark line, with the project's zip only."""
    return install_outside(tmp_path_factory.mktemp("newest"))


@pytest.fixture(scope="session")
def undisturbed(newest):
    """A run on one machine that nothing disturbs."""
    output = newest.folder / "undisturbed"
    newest.submit(LOCAL, "curate", "--archives", SAMPLE, *BALANCE, "--output", output)
    return output


@pytest.fixture(scope="session")
def reference(undisturbed):
    """Its tables, as sets of rows."""
    return content(undisturbed)
