"""A pool in several buckets gives the same rows, and is resumed bucket by bucket."""

import json
import shutil

import pytest

from tests.driver.jobs import METADATA, SAMPLE, call, content

BALANCE = ("--metadata", METADATA, "--threshold-t", 20, "--seed", 5)
pytestmark = pytest.mark.usefixtures("spark")


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    folder = tmp_path_factory.mktemp("archives")
    for path in sorted(SAMPLE.glob("*.warc.gz"))[:3]:
        shutil.copy(path, folder)
    return folder


@pytest.fixture(scope="module")
def output(archives, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "reference"
    assert call("curate", "--archives", archives, *BALANCE, "--output", folder) == 0
    return folder


@pytest.fixture(scope="module")
def split(archives, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "split"
    assert call("curate", "--archives", archives, *BALANCE, "--output", folder, "--buckets", 3) == 0
    return folder


def test_the_rows_are_the_same(output, split):
    assert content(split) == content(output)
    assert sorted(path.name for path in (split / "pool").iterdir()) == ["bucket=000", "bucket=001", "bucket=002"]
    numbers = [json.loads((run / "run.json").read_text())["steps"]["match"]["numbers"] for run in (output, split)]
    assert numbers[0] == numbers[1]


def test_a_wave_has_one_file_of_pairs_per_bucket(split):
    waves = [path for path in (split / "extracted").iterdir() if path.name.startswith("wave=")]
    files = [path for wave in waves for path in (wave / "kind=pair").rglob("*.parquet")]
    assert len(waves) == 1
    assert len(files) == 3


def test_only_the_missing_bucket_is_done_again(split, archives, output):
    written = {path: path.stat().st_mtime_ns for path in (split / "matched").rglob("*.parquet")}
    (split / "manifests" / "match-001.json").unlink()
    assert call("curate", "--archives", archives, *BALANCE, "--output", split, "--resume") == 0
    kept = {path for path, time in written.items() if path.exists() and path.stat().st_mtime_ns == time}
    assert {path.parent.name for path in kept} == {"bucket=000", "bucket=002"}
    assert content(split) == content(output)


def test_another_number_of_buckets_is_refused(split, archives, capfd):
    command = ("curate", "--archives", archives, *BALANCE, "--output", split, "--resume")
    assert call(*command, "--buckets", 5) == 2
    assert "--buckets is 5, but" in capfd.readouterr().err


def test_a_changed_archive_is_extracted_again_when_accepted(archives, output, tmp_path, capfd):
    folder = tmp_path / "archives"
    shutil.copytree(archives, folder)
    first, second, _ = sorted(folder.iterdir())
    run = ("--archives", folder, *BALANCE, "--output", tmp_path / "out", "--resume", "--max-parallel-archives", 2)
    original = first.read_bytes()
    first.write_bytes(second.read_bytes())
    assert call("curate", *run) == 0
    assert content(tmp_path / "out") != content(output)
    first.write_bytes(original)
    assert call("curate", *run) == 2
    assert "give --accept-changed" in capfd.readouterr().err
    assert call("curate", *run, "--accept-changed") == 0
    for table in ("pool", "matched", "curated", "entry_counts"):
        assert content(tmp_path / "out")[table] == content(output)[table], table


def test_failed_archives_are_tried_again(tmp_path, capfd):
    paths = tmp_path / "list.txt"
    paths.write_text("http://127.0.0.1:9/missing.warc.gz\n")
    (tmp_path / "list2.txt").write_text(f"{tmp_path}/missing.warc.gz\n")
    output = tmp_path / "out"
    assert call("extract_pool", "--archives", tmp_path / "list2.txt", "--output", output, "--attempts", 2) == 1
    assert "1 archives could not be read" in capfd.readouterr().err
    assert len(list((output / "ledger").iterdir())) == 2
