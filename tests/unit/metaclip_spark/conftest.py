import json

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


@pytest.fixture(scope="session")
def run_of_lists(request, tmp_path_factory):
    """A run with several lists, which are named by the languages of pages where they are likely enough."""
    from tests.support.jobs import call
    from tests.support.list_folders import TEXTS, write_lists, write_texts

    request.getfixturevalue("spark")
    folder = tmp_path_factory.mktemp("lists")
    lists = write_lists(folder / "lists")
    languages = ["pt" if text == "das rote Haus" else None for text in TEXTS]
    pool = write_texts(folder / "pool.parquet", TEXTS, languages)
    thresholds = folder / "thresholds.json"
    thresholds.write_text(json.dumps({"ja": 2, "de": "inf"}))
    options = ("--pool", pool, "--language-column", "tag", "--metadata", lists, "--language-from", "page")
    options += ("--page-language-probability", 0.01, "--language-thresholds", thresholds, "--threshold-t", 5)
    assert call("curate", *options, "--seed", 3, "--output", folder / "run") == 0
    return folder / "run"
