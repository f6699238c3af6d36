"""What paths into a run mean, and that no input lies where a run writes."""

import os
import shutil

import pyarrow as pa
import pytest

from metaclip_spark.commands.inspection import table_path
from metaclip_spark.commits.entries import Begin, Open, Process, Reset, Sample, Table
from metaclip_spark.commits.files import look_at
from metaclip_spark.commits.log import Log
from metaclip_spark.config.curation import ExtractConfig
from metaclip_spark.entries import Metadata, load_summed_counts
from metaclip_spark.errors import ConfigError, InputError
from metaclip_spark.reports.compare import read_count_file
from metaclip_spark.runs.layout import check_apart, resolved_place
from metaclip_spark.runs.paths import check_named, counts_in_run, files_in_run, find_inputs, is_run_folder
from metaclip_spark.runs.step import tables_before
from metaclip_spark.stores.storage import Storage
from tests.support.paths import CHECKOUT
from tests.support.s3_server import CREDENTIALS, new_bucket, s3_server

PAIRS = pa.table({"url": ["http://a.example/1.jpg"], "text": ["a dog"]})
COUNTS = pa.table({"entry_id": pa.array([0, 1], pa.int32()), "entry_text": ["dog", "cat"], "entry_count": [3, 4]})
OLD = CHECKOUT / "tests/data/stored_run"


def put_table(storage, folder, rows=PAIRS):
    storage.put_table(f"{folder}/part-{folder.rpartition('-')[2]}.parquet", rows)
    return look_at(storage, folder)


@pytest.fixture
def run(storage):
    """A run of two buckets without report, with attempts that do not count in each folder."""
    log = Log(storage)
    owner = "me"
    log.append(Open(owner=owner, name="curate", process=Process(host="here", pid=1)))
    for step in ("extract", "deduplicate", "match"):
        begin = log.append(Begin(owner=owner, step=step, config={}, input="", buckets=2))
    begin = log.state.begins["deduplicate"][0]
    for bucket in (0, 1):
        put_table(storage, f"pool/bucket={bucket:03d}/00000001-dead{bucket}")
        pool = put_table(storage, f"pool/bucket={bucket:03d}/00000001-aaaa{bucket}")
        log.append(
            Table(owner=owner, step="deduplicate", bucket=bucket, begin=begin, tables={"pool": pool}, manifest={})
        )
    matched = put_table(storage, "matched/bucket=000/00000001-bbbb0")
    begin = log.state.begins["match"][0]
    log.append(Table(owner=owner, step="match", bucket=0, begin=begin, tables={"matched": matched}, manifest={}))
    put_table(storage, "entry_counts/00000001-deadc", COUNTS)
    counts = put_table(storage, "entry_counts/00000001-cccc0", COUNTS)
    log.append(Table(owner=owner, step="count", tables={"entry_counts": counts}, manifest={}))
    for name in ("curated-00000001-ddd1", "curated-00000001-ddd2"):
        log.append(Sample(owner=owner, tables={"curated": put_table(storage, name)}, manifest={}))
    put_table(storage, "curated-00000001-dead")
    return storage


def names(files):
    return [file.archive for file in files]


def test_a_path_into_a_run_means_what_its_log_names(run):
    root = str(run.root)
    both = [f"bucket=00{bucket}/00000001-aaaa{bucket}/part-aaaa{bucket}.parquet" for bucket in (0, 1)]
    assert names(files_in_run(root, "pool")) == [f"pool/{name}" for name in both]
    for path in (f"{root}/pool", f"{root}/pool/", f"file://{root}/pool"):
        assert names(files_in_run(path, "pool")) == both
    assert names(files_in_run(f"{root}/pool/bucket=001", "pool")) == ["00000001-aaaa1/part-aaaa1.parquet"]
    assert names(files_in_run(f"{root}/pool/bucket=001/00000001-aaaa1", "pool")) == ["part-aaaa1.parquet"]
    one = f"{root}/pool/bucket=001/00000001-aaaa1/part-aaaa1.parquet"
    assert files_in_run(one, "pool") == [("part-aaaa1.parquet", one)]
    assert names(files_in_run(root, "curated")) == ["curated-00000001-ddd2/part-ddd2.parquet"]
    # A curated set that was kept may be named in full.
    assert names(files_in_run(f"{root}/curated-00000001-ddd1", "curated")) == ["part-ddd1.parquet"]


def test_a_link_to_a_run_is_the_run(run, tmp_path):
    (tmp_path / "link").symlink_to(run.root)
    (tmp_path / "to-pool").symlink_to(run.root / "pool")
    assert len(files_in_run(str(tmp_path / "link"), "pool")) == 2
    assert len(files_in_run(str(tmp_path / "to-pool"), "pool")) == 2
    with pytest.raises(InputError, match="does not name it"):
        files_in_run(str(tmp_path / "to-pool" / "bucket=000" / "00000001-dead0"), "pool")


@pytest.mark.parametrize(
    "below",
    [
        "pool/bucket=000/00000001-dead0",
        "curated-00000001-dead",
        "pool/*",
        "pool/bucket=00",
        "pool/bucket=7",
        "commits",
        "report",
    ],
)
def test_what_the_log_does_not_name_is_refused(run, below):
    with pytest.raises(InputError, match="does not name it"):
        files_in_run(f"{run.root}/{below}", "pool")


def test_a_table_without_all_its_buckets_is_refused(run):
    with pytest.raises(InputError, match=r"has only 1 of 2 buckets of table 'matched': run its step 'match' first"):
        files_in_run(f"{run.root}/matched", "pool")
    with pytest.raises(InputError, match=r"no table 'balance_counts': its step 'sample' was done without --entry"):
        files_in_run(f"{run.root}/balance_counts", "pool")
    Log(run).read_all()
    log = Log(run)
    log.read_all()
    log.append(Reset(owner="me"))
    with pytest.raises(InputError, match="has no table 'pool'"):
        files_in_run(str(run.root), "pool")


def test_what_is_no_run_is_read_as_it_is(tmp_path):
    for path in (tmp_path, tmp_path / "pool", "https://a.example/run/pool", "s3a://", "s3://user:word@bucket/pool"):
        assert files_in_run(str(path), "pool") is None
    assert counts_in_run(str(tmp_path / "counts.json")) == str(tmp_path / "counts.json")
    assert not is_run_folder(str(tmp_path))


def test_a_pool_of_a_run_is_read_through_its_log(run):
    def found(*pool):
        return names(find_inputs(ExtractConfig(pool=pool)))

    root = str(run.root)
    assert len(found(root)) == len(found(f"{root}/pool")) == 2
    assert found(f"{root}/curated") == ["curated-00000001-ddd2/part-ddd2.parquet"]


@pytest.mark.parametrize("pattern", ["", "*/pool", "**/*.parquet", "*/pool/*/*/*.parquet"])
def test_a_glob_or_a_folder_above_runs_is_refused(run, pattern):
    with pytest.raises(InputError, match=r"lies in the run .*whose log does not name it: give the run's folder"):
        find_inputs(ExtractConfig(pool=(f"{run.root.parent}/{pattern}",)))


def test_named_files_pass_however_they_were_found(run):
    check_named([f"{run.root}/pool/bucket=000/00000001-aaaa0/part-aaaa0.parquet", "/pool/x", f"{run.root}/other"])
    with pytest.raises(InputError, match="dead0"):
        check_named([f"{run.root}/pool/bucket=000/00000001-dead0/part-dead0.parquet"])


def test_counts_of_runs_are_read_through_their_logs(run):
    metadata = Metadata.from_entries(["dog", "cat"])
    sources = [counts_in_run(path) for path in (str(run.root), f"{run.root}/entry_counts")]
    assert load_summed_counts(sources, metadata).tolist() == [6, 8]
    entries, counts, has_lists = read_count_file(f"{run.root}/entry_counts")
    assert (entries.to_pylist(), has_lists) == (["dog", "cat"], False)
    assert counts.tolist() == [3, 4]
    with pytest.raises(InputError, match="does not name it"):
        read_count_file(f"{run.root}/entry_counts/00000001-deadc")
    assert is_run_folder(str(run.root))
    assert not is_run_folder(f"{run.root}/entry_counts")


def test_a_run_of_layout_1_is_read_by_its_manifests(tmp_path):
    shutil.copytree(OLD / "finished", tmp_path / "old")
    pool = files_in_run(str(tmp_path / "old"), "pool")
    assert [file.archive.split("/")[:2] for file in pool] == [["pool", "bucket=000"], ["pool", "bucket=001"]]
    (tmp_path / "old/pool/bucket=000/part-9.parquet").write_bytes(b"")
    assert files_in_run(str(tmp_path / "old/pool"), "pool") == [(name[5:], path) for name, path in pool]
    with pytest.raises(InputError, match="does not name it"):
        find_inputs(ExtractConfig(pool=(str(tmp_path),)))
    assert len(counts_in_run(str(tmp_path / "old"))) == 1


def test_a_run_on_s3_is_read_through_its_log_without_spark(monkeypatch, capsys):
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with s3_server() as endpoint:
        monkeypatch.setenv("METACLIP_S3_ENDPOINT", endpoint)
        bucket = new_bucket(endpoint)
        for path in (path for path in (OLD / "finished").rglob("*") if path.is_file()):
            bucket.put(f"runs/old/{path.relative_to(OLD / 'finished').as_posix()}", path.read_bytes())
        bucket.put("runs/old/pool/bucket=000/part-9.parquet", b"")
        root = f"s3://{bucket.name}/runs/old"
        for path in (root, f"s3a://{bucket.name}//runs/old/pool"):
            files = files_in_run(path, "pool")
            assert len(files) == 2
            assert not [file for _, file in files if "part-9" in file]
        with pytest.raises(InputError, match="does not name it"):
            find_inputs(ExtractConfig(pool=(f"s3://{bucket.name}/runs/",)))
        with pytest.raises(InputError, match="does not name it"):
            files_in_run(f"{root}/pool/bucket=000/part-9.parquet", "pool")
        assert files_in_run(f"s3://{bucket.name}/elsewhere/pool", "pool") is None
        assert shown(capsys, root, "pool") == (0, [f"{root}/pool/bucket=00{bucket}" for bucket in (0, 1)], "")
        assert shown(capsys, f"s3://{bucket.name}/none", "pool")[0] == 2


@pytest.fixture
def finished():
    return OLD / "finished"


def shown(capsys, *arguments):
    code = table_path([str(argument) for argument in arguments], program="metaclip-spark path")
    out, err = capsys.readouterr()
    return code, out.splitlines(), err


def test_the_path_of_a_table_is_shown(finished, capsys):
    assert shown(capsys, finished, "curated") == (0, [f"{finished}/curated"], "")
    assert shown(capsys, finished, "report") == (0, [f"{finished}/report"], "")
    assert shown(capsys, finished, "pool") == (0, [f"{finished}/pool/bucket=00{bucket}" for bucket in (0, 1)], "")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((OLD / "stopped", "pool"), "is unfinished"),
        (("nowhere", "pool"), "is not a run"),
        ((OLD / "finished", "balance_counts"), "has no table 'balance_counts'"),
        ((OLD / "finished", "pools"), "TABLE is 'pools': it must be one of curated, curated_images, pool"),
        ((OLD / "finished",), "TABLE must be given"),
        (("", "pool"), "RUN is empty"),
        (("https://a.example/run", "pool"), "is a web address"),
    ],
)
def test_a_path_that_cannot_be_shown_costs_one_line(capsys, arguments, told):
    code, out, err = shown(capsys, *arguments)
    assert (code, out, err.count("\n")) == (2, [], 1)
    assert told in err


def test_inputs_in_the_folders_of_a_run_are_refused_by_any_alias(storage, tmp_path):
    root = str(storage.root)
    (tmp_path / "link").symlink_to(root)
    (storage.root / "pool/a b").mkdir(parents=True)
    (tmp_path / "list.txt").symlink_to(f"{root}/entry_counts/x.parquet")
    check_apart(root, [f"{root}/other/a.parquet", f"{root}x/pool/a.parquet", f"{root}/curated.json", root])
    for inside in (
        f"{root}/pool/a.parquet",
        f"{root}/./other/../pool/a.parquet",
        f"{root}/curated-00000001-aa/a.parquet",
        f"{root}/run.json",
        f"file://{root}/pool/a.parquet",
        f"file://localhost{root}/pool/a%20b",
        str(tmp_path / "link/pool/a.parquet"),
        str(tmp_path / "list.txt"),
        os.path.relpath(f"{root}/pool/a.parquet"),
    ):
        with pytest.raises(ConfigError, match="lies in the output's own folders"):
            check_apart(root, [inside])
        with pytest.raises(ConfigError, match="lies in the output's own folders"):
            check_apart(f"file://{root}/", [inside])
        with pytest.raises(ConfigError, match="lies in the output's own folders"):
            check_apart(str(tmp_path / "link"), [inside])


@pytest.mark.parametrize(
    ("output", "inside"),
    [
        ("s3://bucket/run", "s3a://bucket/run/pool/a.parquet"),
        ("s3a://bucket//run/", "s3n://bucket/run//pool/a.parquet"),
        ("S3://bucket/run", "s3://bucket/x/../run/curated-1/a"),
        ("hdfs://name:8020/run", "hdfs://NAME/run/pool/a.parquet"),
        ("abfs://c@account/run", "abfss://c@account/run/pool/a.parquet"),
    ],
)
def test_inputs_in_a_run_in_a_store_are_refused_by_any_alias(output, inside):
    with pytest.raises(ConfigError, match="lies in the output's own folders"):
        check_apart(output, [inside])
    check_apart(output, [inside.replace("run", "runs"), "gs://bucket/run/pool/a", "https://a.example/run/pool/a"])


def test_a_step_may_read_tables_of_the_steps_before_it(storage):
    before = tables_before("sample")
    check_apart(str(storage.root), [f"{storage.root}/entry_counts/00000001-a/x.parquet"], before)
    for table in ("balance_counts", "curated-00000001-a", "expected_kept", "report", "commits"):
        with pytest.raises(ConfigError, match="lies in the output's own folders"):
            check_apart(str(storage.root), [f"{storage.root}/{table}/x.parquet"], before)
    assert resolved_place("s3://bucket/") == "s3://bucket"


def test_a_storage_is_not_needed_for_a_place(tmp_path):
    assert resolved_place(str(tmp_path / "a*")) == str(tmp_path.resolve() / "a*")
    assert resolved_place("memory://x/y") == "memory://x/y"
    assert Storage(str(tmp_path)).place == resolved_place(f"file://{tmp_path}")
