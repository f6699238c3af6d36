"""What tells one pool from another."""

import shutil

import pytest

from metaclip_spark.clip_benchmark.data.pools.pool_folder import FOLDER, DataFolder, SeededPools

FILES = ("pairs.parquet", "metadata.json", "test/shards.json", "test/00000.tar", "images/000/a.png")


@pytest.fixture
def folder(tmp_path):
    for name in FILES:
        (tmp_path / "pool" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "pool" / name).write_text(name)
    return tmp_path / "pool"


@pytest.mark.parametrize("name", [*FILES, "protected_words.txt"])
def test_another_content_is_another_pool(folder, name):
    before = DataFolder(folder).digest
    (folder / name).write_text("another content")
    assert DataFolder(folder).digest != before


def test_a_picture_of_another_name_is_another_pool(folder):
    before = DataFolder(folder).digest
    (folder / "images/000/a.png").rename(folder / "images/000/b.png")
    assert DataFolder(folder).digest != before


def test_the_same_files_elsewhere_are_the_same_pool(folder, tmp_path):
    before = DataFolder(folder).digest
    elsewhere = shutil.copytree(folder, tmp_path / "other")
    (elsewhere / ".listing").write_text("hidden")
    (elsewhere / ".cache").mkdir()
    (elsewhere / ".cache" / "seen").write_text("hidden, too")
    assert DataFolder(elsewhere).digest == before
    pools = [SeededPools(FOLDER, [DataFolder(each)] * 2).digest for each in (folder, elsewhere)]
    assert pools[0] == pools[1]
