import pytest

from metaclip_spark.stores.storage import Storage


@pytest.fixture
def storage(tmp_path):
    """A folder that nobody has written to."""
    return Storage(str(tmp_path / "out"))


@pytest.fixture(scope="session")
def metadata_sources(tmp_path_factory):
    """A folder with a small dump of each kind."""
    from tests.support.metadata_builds import write_sources

    folder = tmp_path_factory.mktemp("sources")
    write_sources(folder)
    return folder


@pytest.fixture(scope="session")
def built_metadata(request, metadata_sources, tmp_path_factory):
    """A list built from them."""
    from tests.support.metadata_builds import build

    request.getfixturevalue("spark")
    output = tmp_path_factory.mktemp("built") / "list"
    assert build(metadata_sources, output) == 0
    return output
