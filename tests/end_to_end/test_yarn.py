"""Whole runs on a real YARN: cluster and client mode, inputs and output on HDFS, lost masters and nodes, mistakes.

What is marked slow is the long form, `make test-yarn`.
"""

import dataclasses
import json
import os
import subprocess
import time
import venv
from pathlib import Path

import pytest

from metaclip_spark.commits.attempts import number_of
from metaclip_spark.stores.spark_io import package_settings
from tests.cluster.yarn_server import yarn_server
from tests.end_to_end.command import BALANCE, MOST_SECONDS, SAMPLE, install_outside
from tests.end_to_end.kill_runs import check, is_extracted, is_written
from tests.end_to_end.yarn import DRIVER_JVM, EXECUTOR, WORKER, OnYarn, on_yarn, submitted
from tests.support.doc_blocks import DOCS, block_under, commands_in, with_settings
from tests.support.jobs import METADATA, Output, rows, run_json, state_of
from tests.support.s3_server import CREDENTIALS, new_bucket, s3_server
from udfs.sources.fsspec_stores import filesystem_of

pytestmark = pytest.mark.usefixtures("spark")

WAVES = ("--archives-per-wave", "3")


@pytest.fixture(scope="module")
def inputs(hdfs) -> tuple[object, ...]:
    """Options with archives and list on HDFS."""
    folder = hdfs.new_folder()
    filesystem, below = filesystem_of(folder)
    for archive in SAMPLE.glob("*.gz"):
        filesystem.pipe_file(f"{below}/archives/{archive.name}", archive.read_bytes())
    filesystem.pipe_file(f"{below}/{METADATA.name}", METADATA.read_bytes())
    balance = [f"{folder}/{METADATA.name}" if option == METADATA else option for option in BALANCE]
    return ("--archives", f"{folder}/archives", *balance)


def check_same(output: Output, reference: dict[str, list[str]]) -> None:
    """Compares a run with a local one, whose archives have other tags."""
    check(output, {**reference, "archives": with_tags_of(output, reference["archives"])})


def with_tags_of(output: Output, archives: list[str]) -> list[str]:
    """Gives rows of archives with the tags that a run's store has for them."""
    tags = {row["archive"]: row["etag"] for row in rows(output, "archives")}
    local = [json.loads(row) for row in archives]
    return sorted(json.dumps({**row, "etag": tags[row["archive"]]}, sort_keys=True) for row in local)


def lost_tasks(installation: OnYarn, application: str) -> int:
    """How many tasks were lost so far, by the log of the first driver."""
    return (installation.yarn.drivers(application)[1] / "stderr").read_text().count("Lost task")


def driver_log(installation: OnYarn, application: str, attempt: int = 1) -> str:
    """What the driver of one attempt printed."""
    return (installation.yarn.drivers(application)[attempt] / "stdout").read_text()


def check_followed(installation: OnYarn, application: str, output: Output, waves: int) -> None:
    """Checks that a second driver went on with what the first one had done, and without waiting for it."""
    assert set(installation.yarn.drivers(application)) == {1, 2}
    told = driver_log(installation, application, 2)
    assert "waiting up to" not in told, "a driver that is gone was waited for"
    state = state_of(output)
    first = [number_of(wave.rpartition("/")[2]) for wave in state.waves]
    assert first.count(1) >= waves, "what the first one had done was done again"
    assert state.opened > 1


def test_a_killed_master_in_cluster_mode_is_followed_by_an_attempt_that_gives_the_same_tables(
    installation, inputs, hdfs, reference
):
    output = hdfs.new_folder()
    with submitted(installation, "cluster", *inputs, *WAVES, "--output", output) as job:
        job.wait_for(lambda: is_extracted(output, 1))
        job.kill(DRIVER_JVM)
        assert job.end() == 0, driver_log(installation, job.application, 2)
        check_followed(installation, job.application, output, 1)
    check_same(output, reference)


def test_in_cluster_mode_a_mistake_is_the_diagnostics_of_its_application_and_fails_once(installation, inputs, hdfs):
    wrong = [*inputs, "--output", hdfs.new_folder(), "--archives", "/no-such-folder"]
    with submitted(installation, "cluster", *wrong) as job:
        assert job.end() == 1
        told = "--archives /no-such-folder: no such file or folder"
        assert f"Application diagnostics message: {told}" in job.log.read_text()
        assert installation.yarn.status(job.application)["Diagnostics"] == told
        assert list(installation.yarn.drivers(job.application)) == [1]
        assert driver_log(installation, job.application) == f"error: {told}\n"


@pytest.mark.slow
def test_client_mode_gives_the_same_tables(installation, inputs, hdfs, reference):
    output = hdfs.new_folder()
    done = installation.submit("yarn", "curate", *inputs, "--output", output, settings=installation.settings("client"))
    # spark-submit shows what Python writes to its standard error on its own standard output.
    assert "Run finished" in done.stdout
    check_same(output, reference)


@pytest.mark.slow
@pytest.mark.parametrize("heading", ["Cluster mode", "Client mode"])
def test_the_commands_of_the_page_on_yarn_give_the_same_tables_on_a_pack(
    heading, installation, inputs, hdfs, reference, pack
):
    packed, output = f"{hdfs.new_folder()}/pack.tar.gz", hdfs.new_folder()
    filesystem, below = filesystem_of(packed)
    filesystem.put_file(str(pack), below)
    given = {
        "hdfs://NAMENODE/packs/PACK.tar.gz": packed,
        "hdfs://NAMENODE/crawl/": f"{inputs[1]}/",
        "hdfs://NAMENODE/lists/metadata.json": str(inputs[3]),
        "hdfs://NAMENODE/runs/first": output,
        "--threshold-t 20000 --seed 0": "--threshold-t 20 --seed 5",
        **({".venv/bin/python": str(installation.python)} if heading == "Client mode" else {}),
    }
    [[_, *command]] = commands_in(block_under(DOCS / "deploy" / "yarn.md", heading), given)
    small = {
        "spark.executor.instances": "2",
        "spark.executor.cores": "1",
        "spark.executor.memory": "768m",
        "spark.executor.memoryOverhead": "768m",
        "spark.driver.memory": "1g",
        "spark.yarn.jars": f"local:{installation.site_packages}/pyspark/jars/*",
    }
    submit = [installation.site_packages / "pyspark" / "bin" / "spark-submit", *command]
    environment = {name: value for name, value in installation.environment().items() if "PYSPARK" not in name}
    done = subprocess.run(
        ["bash", *with_settings(list(map(str, submit)), small)], cwd=installation.folder, env=environment,
        capture_output=True, text=True, timeout=MOST_SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    check_same(output, reference)


KILLED_BEFORE_RENAME = """
import os, signal
from metaclip_spark.stores import hadoop_store

rename = hadoop_store._Hadoop.rename

def killed(self, partial, path, *, overwrite):
    if path.getName() == "{name}" and "_01_" in os.environ["CONTAINER_ID"]:
        for pid in (os.getppid(), os.getpid()):
            os.kill(pid, signal.SIGKILL)
    rename(self, partial, path, overwrite=overwrite)

hadoop_store._Hadoop.rename = killed
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["00000003.json", "run.json"])
def test_a_master_killed_between_close_and_rename_has_shown_nothing(name, installation, inputs, hdfs, reference):
    """The first of them makes a wave count, whose rows are all there."""
    output, script = hdfs.new_folder(), installation.folder / "jobs" / "killed.py"
    curate = (installation.folder / "jobs" / "curate.py").read_text()
    script.write_text(KILLED_BEFORE_RENAME.format(name=name) + curate)
    with submitted(installation, "cluster", *inputs, *WAVES, "--output", output, job="killed") as job:
        assert job.end() == 0, job.log.read_text()[-3000:]
        assert set(installation.yarn.drivers(job.application)) == {1, 2}
        first = [number_of(wave.rpartition("/")[2]) for wave in state_of(output).waves]
        assert (1 in first) == (name == "run.json")
    filesystem, below = filesystem_of(output)
    hidden = [path for path in filesystem.find(below) if f"/.{name}." in path]
    assert len(hidden) <= 1, "the file that was closed"
    check_same(output, reference)


@pytest.mark.slow
def test_a_lost_node_is_followed_by_an_attempt_on_another_node_at_once(
    newest, inputs, hdfs, reference, tmp_path_factory
):
    if os.geteuid() != 0:
        pytest.skip("nodes with process numbers of their own take root")
    output = hdfs.new_folder()
    with yarn_server(tmp_path_factory.mktemp("nodes"), hdfs, nodes=2) as yarn:
        installation = on_yarn(newest, yarn)
        with submitted(installation, "cluster", *inputs, *WAVES, "--output", output) as job:
            job.wait_for(lambda: is_extracted(output, 1))
            yarn.lose_node(yarn.drivers(job.application)[1])
            assert job.end() == 0, job.log.read_text()[-3000:]
            check_followed(installation, job.application, output, 1)
            nodes = [folder.relative_to(yarn.folder).parts[0] for folder in yarn.drivers(job.application).values()]
            assert len(set(nodes)) == 2
    check_same(output, reference)


@pytest.mark.slow
def test_lost_executors_and_workers_and_a_killed_application_lose_and_double_nothing(
    installation, inputs, hdfs, reference
):
    output = hdfs.new_folder()
    command = (*inputs, *WAVES, "--output", output, "--resume")
    with submitted(installation, "cluster", *command) as job:
        for waves, mark in ((0, WORKER), (1, EXECUTOR)):
            job.wait_for(lambda: is_extracted(output, waves))  # noqa: B023 - called here
            lost = lost_tasks(installation, job.application)
            while lost_tasks(installation, job.application) == lost:
                # Until a busy one was hit.
                job.kill(mark)
                time.sleep(1)
        job.wait_for(lambda: is_written(output, "matched"))
        installation.yarn.kill(job.application)
        assert job.end() == 1
    assert run_json(output) is None
    with submitted(installation, "cluster", *command) as job:
        assert job.end() == 0, job.log.read_text()[-3000:]
        told = driver_log(installation, job.application)
        assert "waiting up to" not in told, "a driver that is gone was waited for"
        assert "deduplicate: already done, reused" in told
    check_same(output, reference)


@pytest.mark.slow
def test_a_run_outlives_a_restart_of_the_name_node(installation, inputs, hdfs, reference):
    output = hdfs.new_folder()
    with submitted(installation, "cluster", *inputs, *WAVES, "--output", output) as job:
        job.wait_for(lambda: is_extracted(output, 1))
        hdfs.restart(5)
        assert job.end() == 0, job.log.read_text()[-3000:]
        assert list(installation.yarn.drivers(job.application)) == [1]
    check_same(output, reference)


@pytest.mark.slow
def test_a_second_attempt_of_an_overwriting_run_deletes_nothing_of_the_first(installation, inputs, hdfs, reference):
    output = hdfs.new_folder()
    with submitted(installation, "cluster", *inputs, "--output", output) as job:
        assert job.end() == 0
    opened = state_of(output).opened
    with submitted(installation, "cluster", *inputs, *WAVES, "--output", output, "--overwrite") as job:
        job.wait_for(lambda: state_of(output).opened > opened and is_extracted(output, 1))
        before = set(state_of(output).waves)
        job.kill(DRIVER_JVM)
        assert job.end() == 0, job.log.read_text()[-3000:]
        assert before <= set(state_of(output).waves)
    check_same(output, reference)


@pytest.mark.slow
def test_an_empty_curated_set_is_told_once(installation, inputs, hdfs, tmp_path):
    entry = tmp_path / "metadata.txt"
    entry.write_text("an entry that no text has\n")
    with submitted(installation, "cluster", *inputs, "--output", hdfs.new_folder(), "--metadata", entry) as job:
        assert job.end() == 1
        assert list(installation.yarn.drivers(job.application)) == [1]
        told = installation.yarn.status(job.application)["Diagnostics"]
        assert driver_log(installation, job.application).splitlines()[-1] == f"error: {told}"
        assert told.startswith("the curated set is empty: ")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--output", "hdfs://127.0.0.1:1/run"), "--output hdfs://127.0.0.1:1/run: "),
        (("--output", "{hdfs}/forbidden/run"), "Permission denied"),
        (("--archives", "{hdfs}/nothing"), "--archives {hdfs}/nothing names no file"),
        (("--metadata", "webhdfs://127.0.0.1:1/list.txt"), "--metadata webhdfs://127.0.0.1:1/list.txt"),
    ],
)
def test_what_hadoop_refuses_is_one_line_of_diagnostics(installation, inputs, hdfs, options, told):
    staging = hdfs.new_folder()
    filesystem, below = filesystem_of(staging)
    filesystem.mkdirs(below)
    filesystem.client.set_permission(below, 0o777)
    given = [option.format(hdfs=hdfs.url) for option in ("--output", f"{staging}/run", *options)]
    # A user who may write to that folder only.
    alice = dataclasses.replace(installation, variables={"HADOOP_USER_NAME": "alice"})
    settings = (f"spark.yarn.stagingDir={staging}",)
    with submitted(alice, "cluster", *inputs, *given, settings=settings) as job:
        assert job.end() == 1
        assert told.format(hdfs=hdfs.url) in installation.yarn.status(job.application)["Diagnostics"]
        assert list(installation.yarn.drivers(job.application)) == [1]
        assert driver_log(installation, job.application).count("error: ") == 1


@pytest.mark.slow
def test_what_may_go_well_the_next_time_is_tried_again_and_told_at_last(installation, inputs, hdfs):
    cut = f"{hdfs.new_folder()}/cut.warc.gz"
    filesystem, below = filesystem_of(cut)
    filesystem.pipe_file(below, (SAMPLE / "sample-00000.warc.gz").read_bytes()[:50_000])
    options = ("--archives", cut, *inputs[2:], "--output", hdfs.new_folder(), "--max-rejects", "0")
    with submitted(installation, "cluster", *options) as job:
        assert job.end() == 1
        assert set(installation.yarn.drivers(job.application)) == {1, 2}
        told = installation.yarn.status(job.application)["Diagnostics"]
        assert driver_log(installation, job.application, 2).splitlines()[-1] == f"error: {told}"


@pytest.mark.slow
def test_a_python_without_the_packages_is_told(installation, inputs, hdfs, tmp_path):
    venv.create(tmp_path / "bare", with_pip=False, symlinks=True)
    bare = dataclasses.replace(installation, python=tmp_path / "bare" / "bin" / "python")
    with submitted(bare, "cluster", *inputs, "--output", hdfs.new_folder()) as job:
        assert job.end() == 1
        told = installation.yarn.status(job.application)["Diagnostics"]
        assert f"is not installed for {bare.python}" in told
        assert set(installation.yarn.drivers(job.application)) == {1, 2}


@pytest.mark.slow
def test_a_queue_that_does_not_exist_is_told_by_yarn(installation, inputs, hdfs):
    with submitted(
        installation, "cluster", *inputs, "--output", hdfs.new_folder(), settings=("spark.yarn.queue=nobody",)
    ) as job:
        assert job.end() == 1
        assert "nobody" in job.log.read_text()


@pytest.mark.slow
def test_spark_3_5_gives_the_same_tables(installation, inputs, hdfs, reference, tmp_path_factory):
    python = os.environ.get("METACLIP_SPARK35_PYTHON")
    if not python:
        pytest.skip("METACLIP_SPARK35_PYTHON names no Python with Spark 3.5")
    oldest = on_yarn(install_outside(tmp_path_factory.mktemp("oldest"), python), installation.yarn)
    output = hdfs.new_folder()
    with submitted(oldest, "cluster", *inputs, *WAVES, "--output", output) as job:
        job.wait_for(lambda: is_extracted(output, 1))
        job.kill(DRIVER_JVM)
        assert job.end() == 0, job.log.read_text()[-3000:]
        check_followed(oldest, job.application, output, 1)
    check_same(output, reference)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["cluster", "client"])
def test_archives_list_and_tables_on_s3(mode, installation, reference, monkeypatch):
    with s3_server() as endpoint:
        bucket = new_bucket(endpoint)
        archives = [bucket.put(f"in/{archive.name}", archive.read_bytes()) for archive in SAMPLE.glob("*.gz")]
        metadata = bucket.put(METADATA.name, METADATA.read_bytes())
        output = f"s3://{bucket.name}/out"
        options = [metadata if option == METADATA else option for option in BALANCE]
        variables = {name: os.environ[name] for name in CREDENTIALS} | {"METACLIP_S3_ENDPOINT": endpoint}
        packages = {**package_settings(), "spark.jars.ivy": str(Path.home() / ".ivy2.5.2")}
        settings = (*installation.settings(mode, **variables), *(f"{name}={value}" for name, value in packages.items()))
        folder = f"{archives[0].rpartition('/')[0]}/"
        monkeypatch.setenv("METACLIP_S3_ENDPOINT", endpoint)
        with submitted(
            installation, mode, "--archives", folder, *options, "--output", output, settings=settings
        ) as job:
            assert job.end() == 0, job.log.read_text()[-3000:]
            told = driver_log(installation, job.application) if mode == "cluster" else job.log.read_text()
            assert "committed by S3A's magic committer" in told
        check_same(output, reference)


@pytest.mark.slow
def test_a_cluster_is_checked_before_it_is_used(installation, inputs, hdfs):
    output = hdfs.new_folder()
    small = ("spark.executor.memoryOverhead=64m",)
    with submitted(installation, "cluster", *inputs, "--output", output, job="check_cluster", settings=small) as job:
        assert job.end() == 1
        assert "give --conf spark.executor.memoryOverhead=" in driver_log(installation, job.application)
        told = installation.yarn.status(job.application)["Diagnostics"]
        assert told == "1 check failed (memory): a run would fail"
    with submitted(installation, "cluster", *inputs, "--output", output, job="check_cluster") as job:
        assert job.end() == 0, job.log.read_text()[-3000:]
        assert "names are created once" in driver_log(installation, job.application)
