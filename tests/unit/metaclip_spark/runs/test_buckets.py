"""A pool in several buckets gives the same rows, and is resumed bucket by bucket."""

import shutil

import msgspec
import pyarrow.parquet as pq
import pytest
from pyspark.sql import functions as F

from metaclip_spark.runs.buckets import bucket_of, combine, is_in_bucket
from metaclip_spark.runs.records import DeduplicateManifest, DeduplicateNumbers, NoSettings
from metaclip_spark.runs.step import DEDUPLICATE
from metaclip_spark.stores.storage import Storage
from tests.support.jobs import METADATA, SAMPLE, call, content, manifest_of, run_json, state_of
from tests.support.runs import take_folder

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
    numbers = [run_json(run)["steps"]["match"]["numbers"] for run in (output, split)]
    assert numbers[0] == numbers[1]


def test_a_wave_has_one_file_of_pairs_per_bucket(split):
    waves = [path for path in (split / "extracted").iterdir() if path.name.startswith("wave=")]
    files = [path for wave in waves for path in (wave / "kind=pair").rglob("*.parquet")]
    assert len(waves) == 1
    assert len(files) == 3


def folder_of_bucket(run, table, bucket=1):
    return run / state_of(run).written(table, bucket).folder


def test_only_the_missing_bucket_is_done_again(split, archives, output):
    before = {bucket: folder_of_bucket(split, "matched", bucket) for bucket in range(3)}
    rounds = state_of(split).begins
    shutil.rmtree(before[1])
    assert call("curate", "--archives", archives, *BALANCE, "--output", split, "--resume") == 0
    after = {bucket: folder_of_bucket(split, "matched", bucket) for bucket in range(3)}
    assert [bucket for bucket in range(3) if after[bucket] == before[bucket]] == [0, 2]
    assert state_of(split).begins == rounds
    assert content(split) == content(output)


@pytest.fixture
def broken(split, tmp_path):
    """A run of its own in three buckets, to lose something of."""
    folder = tmp_path / "broken"
    shutil.copytree(split, folder)
    return folder


def numbers_of(run, step):
    return run_json(run)["steps"][step]["numbers"]


def lose_a_row(path, *, same_size=False):
    """Writes a file anew without its first row and under the same name, which no list of files tells."""
    size = path.stat().st_size
    pq.write_table(pq.ParquetFile(path).read().slice(1), path, compression="zstd", compression_level=19)
    if same_size:
        written = path.read_bytes()
        footer = len(written) - 8 - int.from_bytes(written[-8:-4], "little")
        # What lies before the footer is found by offsets from the beginning.
        path.write_bytes(written[:footer] + bytes(size - len(written)) + written[footer:])
    assert (path.stat().st_size == size) == same_size


def begin_again_without(run, step, bucket):
    """Begins a round of a step that takes over all buckets but one."""
    owner = take_folder(Storage(str(run)))
    tables = {part: owner.state.tables[step, part] for part in range(3) if part != bucket}
    number = owner.commit(msgspec.structs.replace(owner.state.begins[step][1], owner=owner.nonce))
    for table in tables.values():
        owner.commit(msgspec.structs.replace(table, owner=owner.nonce, begin=number))
    owner.leave()


REDO = {
    "match_pool": ("--metadata", METADATA),
    "count_entries": ("--metadata", METADATA),
    "sample_pairs": ("--threshold-t", 20, "--seed", 5),
}


@pytest.mark.parametrize(
    ("table", "step", "job"), [("pool", "deduplicate", "match_pool"), ("matched", "match", "count_entries")]
)
def test_what_one_bucket_lost_stops_the_step_that_reads_it(broken, capfd, table, step, job):
    lost = next(folder_of_bucket(broken, table).glob("*.parquet"))
    lost.unlink()
    assert call(job, *REDO[job], "--output", broken, "--overwrite") == 2
    message = f"1 file of the step '{step}' is gone from {broken}, such as {lost.relative_to(broken)}"
    assert message in capfd.readouterr().err
    begin_again_without(broken, step, 1)
    assert call(job, *REDO[job], "--output", broken, "--overwrite") == 2
    assert f"has only 2 of 3 buckets of step '{step}'" in capfd.readouterr().err


def test_rows_lost_in_one_bucket_of_the_extracted_pairs_are_extracted_again(broken, archives, output, capfd):
    lose_a_row(next((broken / "extracted").rglob("kind=pair/bucket=1/*.parquet")))
    extract = ("extract_pool", "--archives", archives, "--output", broken, "--resume")
    # The pool that was made before still counts, and nothing is read of what was lost.
    assert call(*extract) == 0
    assert "extracted again" not in capfd.readouterr().err
    shutil.rmtree(folder_of_bucket(broken, "pool"))
    assert call(*extract) == 0
    assert "extract: files of 1 wave are gone: extracted again" in capfd.readouterr().err
    assert content(broken)["pool"] == content(output)["pool"]
    assert manifest_of(broken, "extract")["numbers"]["pairs"] == numbers_of(output, "extract")["pairs"]


def test_rows_lost_in_one_bucket_of_the_matched_pairs_stop_the_run(broken, capfd):
    pairs = numbers_of(broken, "count")["pairs"]
    lost = next(folder_of_bucket(broken, "matched").glob("*.parquet"))
    whole = lost.read_bytes()
    lose_a_row(lost, same_size=True)
    for job, what in (("sample_pairs", "matched pairs that pass the filter"), ("count_entries", "matched pairs")):
        assert call(job, *REDO[job], "--output", broken, "--overwrite") == 2
        assert f"{pairs - 1:,} {what} were read where {pairs:,} were written" in capfd.readouterr().err
    lost.write_bytes(whole)
    lose_a_row(lost)
    for job in ("sample_pairs", "count_entries"):
        assert call(job, *REDO[job], "--output", broken, "--overwrite") == 2
        assert f"1 file of the step 'match' is gone from {broken}" in capfd.readouterr().err


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
    assert " could not be read" in capfd.readouterr().err
    assert len(state_of(output).waves) == 2


@pytest.mark.parametrize("buckets", [1, 3, 7, 16, 255, 256])
def test_the_bounds_of_a_bucket_are_those_of_its_pairs(spark, buckets):
    pairs = spark.createDataFrame([(f"{byte:02x}{rest * 30}",) for byte in range(256) for rest in "0f"], ["pair_id"])
    of_bucket = pairs.select("pair_id", bucket_of(F.col("pair_id"), buckets).alias("bucket")).collect()
    bucket = buckets // 2
    wanted = {row.pair_id for row in of_bucket if row.bucket == bucket}
    assert {row.pair_id for row in pairs.where(is_in_bucket(bucket, buckets)).collect()} == wanted
    assert pairs.where(is_in_bucket(buckets - 1, buckets)).count() == [row.bucket for row in of_bucket].count(
        buckets - 1
    )


@pytest.mark.parametrize("pairs", [(2, 2), (2, 3), (0, 0)])
def test_a_step_that_was_made_bucket_by_bucket_was_made_from_the_whole_step_before(pairs):
    """Buckets with equal numbers have one digest, which is not that of the whole."""
    before = [part("extract", number) for number in pairs]
    after = [part(manifest.digest, 1) for manifest in before]
    assert combine(after, DEDUPLICATE, before).input == combine(before, None, ()).digest


def part(made_from, pairs):
    """Gives the manifest of a bucket."""
    numbers = DeduplicateNumbers(pairs_in=pairs, duplicates=0, pairs=pairs)
    return DeduplicateManifest(
        step="deduplicate", config=NoSettings(), input=made_from, numbers=numbers, settings={}, seconds=0.0
    )
