"""The check of a cluster before a run: a line per check, and exit code 2 where a run would fail."""

import re

import pytest
from pyspark import SparkConf

from metaclip_spark import cluster_check as check_cluster
from tests.support.jobs import SAMPLE, call
from udfs.probe import WorkerFindings

pytestmark = pytest.mark.usefixtures("spark")


@pytest.fixture
def metadata(tmp_path):
    (tmp_path / "few.json").write_text('["a", "dog"]')
    return ("--metadata", tmp_path / "few.json", "--threshold-t", 20)


def test_a_run_would_work_here(tmp_path, metadata, capfd):
    assert call("check_cluster", "--archives", SAMPLE, *metadata, "--output", tmp_path / "out") == 0
    *lines, last, following = capfd.readouterr().out.strip().splitlines()
    assert all(line.startswith("ok ") for line in lines)
    assert len(lines) == 7
    assert re.fullmatch(r"ok   kernels: (found compiled|compiled now) on 1 host within [0-9.]+ s", lines[1])
    assert "pairs/s; extraction of all 12 archives takes about " in lines[-1]
    assert last == "ready: a run should work here"
    assert following.startswith(f"Next: metaclip-spark curate --archives {SAMPLE} --metadata ")
    assert not (tmp_path / "out" / "check").exists()


def test_check_cluster_takes_and_checks_all_options_of_curate(tmp_path, metadata, capfd):
    options = ("--archives", SAMPLE, *metadata, "--output", tmp_path / "out")
    assert call("check_cluster", *options, "--languages", "eng") == 2
    assert "--languages eng: fastText knows no such language; did you mean en?" in capfd.readouterr().err
    assert call("check_cluster", *options, "--export-curated", tmp_path / "out" / "copy") == 2
    assert "overlap: give a folder outside of it" in capfd.readouterr().err


def test_other_versions_and_unreadable_archives_are_found(tmp_path, metadata, capfd, monkeypatch):
    paths = tmp_path / "warc.paths"
    paths.write_text("lost.warc.gz\n")
    mine = check_cluster.installed_packages()
    monkeypatch.setattr(check_cluster, "installed_packages", lambda: {**mine, "pyarrow": "1.0"})
    options = ("--archives", paths, "--archives-prefix", tmp_path, *metadata, "--output", tmp_path / "out")
    assert call("check_cluster", *options) == 2
    told = capfd.readouterr()
    failed = [line for line in told.out.splitlines() if line.startswith("FAIL")]
    assert len(failed) == 2
    assert f"pyarrow {mine['pyarrow']} (driver: 1.0): give all machines one environment" in failed[0]
    assert "lost.warc.gz cannot be read" in failed[1]
    assert told.err.splitlines()[-1] == "error: 2 checks failed (versions and archives): a run would fail"


def test_too_little_scratch_space_is_found():
    verdict = check_cluster.Verdict()
    worker = WorkerFindings(host="a", free_scratch_bytes=5 << 20)
    check_cluster._check_scratch(verdict, [WorkerFindings(host="b", free_scratch_bytes=5 << 30), worker])
    assert verdict.lines == [
        "FAIL scratch space: a has 5 MiB left: free it, or name a larger disk: yarn.nodemanager.local-dirs on YARN, "
        "EMR and Dataproc, SPARK_LOCAL_DIRS where standalone workers start, else spark.local.dir"
    ]
    assert verdict.failures == ["scratch space"]


@pytest.mark.parametrize(
    ("master", "problem"),
    [("yarn", "4 workers of 220 MiB live beside the heap of an executor"), ("spark://host:7077", ""), ("local[4]", "")],
)
def test_the_overhead_is_asked_for_where_it_is_counted(master, problem):
    conf = SparkConf(loadDefaults=False).setMaster(master)
    conf.set("spark.executor.cores", "4").set("spark.executor.memory", "6g")
    verdict = check_cluster.Verdict()
    worker = WorkerFindings(host="a", free_scratch_bytes=0, resident_bytes=(210 << 20, 220 << 20))
    check_cluster._check_memory(verdict, conf, [worker])
    (line,) = verdict.lines
    assert line.startswith(f"FAIL memory: {problem}" if problem else "ok   memory: a worker holds 220 MiB")


def test_kernels_are_told_by_where_they_come_from():
    verdict = check_cluster.Verdict()
    found = [
        ("a", "compiled", 18.04),
        ("a", "found", 0.2),
        ("b", "shipped", 0.31),
        ("c", "shipped", 0.5),
        ("d", "found", 0.1),
    ]
    workers = [
        WorkerFindings(host=host, free_scratch_bytes=0, kernels=kernels, kernel_seconds=seconds)
        for host, kernels, seconds in found
    ]
    check_cluster._check_kernels(verdict, workers)
    assert verdict.lines == [
        "ok   kernels: loaded from the archive of make pack on 2 hosts within 0.5 s; found compiled on 1 host within "
        "0.1 s; compiled now on 1 host within 18.0 s"
    ]
