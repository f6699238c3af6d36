"""A pool in several buckets gives the same rows, and is resumed bucket by bucket."""

import json
import shutil

import pyarrow.parquet as pq
import pytest

from tests.support.jobs import METADATA, SAMPLE, call, content

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


@pytest.fixture
def broken(split, tmp_path):
    """A run of its own in three buckets, to lose something of."""
    folder = tmp_path / "broken"
    shutil.copytree(split, folder)
    return folder


def numbers_of(run, step):
    return json.loads((run / "manifests" / f"{step}.json").read_text())["numbers"]


def lose_a_row(path):
    """Writes a file anew without its first row and under the same name, which no list of files tells."""
    pq.write_table(pq.ParquetFile(path).read().slice(1), path)
    path.with_name(f".{path.name}.crc").unlink(missing_ok=True)


REDO = {
    "match_pool": ("--metadata", METADATA),
    "count_entries": ("--metadata", METADATA),
    "sample_pairs": ("--threshold-t", 20, "--seed", 5),
}


@pytest.mark.parametrize(
    ("table", "step", "job"), [("pool", "deduplicate", "match_pool"), ("matched", "match", "count_entries")]
)
def test_what_one_bucket_lost_stops_the_step_that_reads_it(broken, capfd, table, step, job):
    lost = next((broken / table / "bucket=001").glob("*.parquet"))
    lost.unlink()
    assert call(job, *REDO[job], "--output", broken, "--overwrite") == 2
    message = f"1 files of the step '{step}' are gone from {broken}, first {table}/bucket=001/{lost.name}"
    assert message in capfd.readouterr().err
    (broken / "manifests" / f"{step}-001.json").unlink()
    assert call(job, *REDO[job], "--output", broken, "--overwrite") == 2
    assert f"has only 2 of 3 buckets of step '{step}'" in capfd.readouterr().err


def test_rows_lost_in_one_bucket_of_the_extracted_pairs_stop_the_run(broken, archives, capfd):
    lose_a_row(next((broken / "extracted").rglob("kind=pair/bucket=1/*.parquet")))
    shutil.rmtree(broken / "pool" / "bucket=001")
    assert call("extract_pool", "--archives", archives, "--output", broken, "--resume") == 2
    pairs = numbers_of(broken, "extract")["pairs"]
    assert f"{pairs - 1:,} raw pairs were read where {pairs:,} were written" in capfd.readouterr().err


def test_rows_lost_in_one_bucket_of_the_matched_pairs_stop_the_run(broken, capfd):
    pairs = numbers_of(broken, "count")["pairs"]
    lose_a_row(next((broken / "matched" / "bucket=001").glob("*.parquet")))
    for job, what in (("sample_pairs", "matched pairs that pass the gate"), ("count_entries", "matched pairs")):
        assert call(job, *REDO[job], "--output", broken, "--overwrite") == 2
        assert f"{pairs - 1:,} {what} were read where {pairs:,} were written" in capfd.readouterr().err


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
