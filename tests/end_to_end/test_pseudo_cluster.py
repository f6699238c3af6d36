"""The job from its zip, outside the checkout, on two executors and on both Spark lines."""

import json
import os
import subprocess

import pytest

from tests.end_to_end.command import BALANCE, LOCAL, LOCAL_CLUSTER, SAMPLE, install_outside, standalone_cluster
from tests.support.jobs import content, run_json

ARCHIVES = ("--archives", SAMPLE)
SPECULATION = (
    "spark.speculation=true",
    "spark.speculation.interval=50ms",
    "spark.speculation.multiplier=1.01",
    "spark.speculation.quantile=0.1",
    "spark.speculation.minTaskRuntime=50ms",
)
DYNAMIC_ALLOCATION = (
    "spark.dynamicAllocation.enabled=true",
    "spark.dynamicAllocation.shuffleTracking.enabled=true",
    "spark.dynamicAllocation.minExecutors=1",
    "spark.dynamicAllocation.executorIdleTimeout=1s",
    "spark.executor.cores=1",
)
SPARKS_OWN_DAEMON = ("spark.python.daemon.module=pyspark.daemon",)


@pytest.fixture(scope="module")
def second(tmp_path_factory):
    """The second Spark line, with the project's zip only."""
    return install_outside(tmp_path_factory.mktemp("second"), os.environ["METACLIP_SPARK35_PYTHON"])


def test_the_project_is_not_installed_there(newest):
    found = subprocess.run([newest.python, "-c", "import udfs"], capture_output=True, text=True, check=False, cwd="/")
    assert "ModuleNotFoundError" in found.stderr


def test_executors_that_come_and_go_get_it_from_the_zip_and_repeated_tasks_leave_no_row(newest, reference):
    output, events = newest.folder / "standalone", newest.folder / "events"
    events.mkdir()
    settings = (
        *SPECULATION, *DYNAMIC_ALLOCATION, *SPARKS_OWN_DAEMON,
        "spark.eventLog.enabled=true", f"spark.eventLog.dir={events.as_uri()}", "spark.eventLog.compress=false",
    )  # fmt: skip
    waves = ("--archives-per-wave", 4, "--waves-at-once", 2)
    with standalone_cluster(newest) as master:
        checked = newest.submit(master, "check_cluster", *ARCHIVES, *BALANCE, "--output", newest.folder / "check")
        newest.submit(master, "curate", *ARCHIVES, *BALANCE, *waves, "--output", output, settings=settings)
    assert content(output) == reference
    assert run_json(output)["status"] == "done"
    assert not list(output.rglob("*.crc"))
    tasks = list(started_tasks(events))
    assert any(task["Speculative"] for task in tasks), "no task was repeated"
    assert len({task["Executor ID"] for task in tasks}) > 1
    # spark-submit puts the log in between.
    told = [line for line in checked.stdout.splitlines() if line.startswith(("ok ", "FAIL "))]
    names = ["versions:", "kernels:", "memory:", "scratch", "archives:", "output:", "canary:"]
    assert [line.split()[1] for line in told] == names
    assert checked.stdout.splitlines()[-2] == "ready: a run should work here", checked.stdout


def started_tasks(events):
    """Reads what Spark tells of each task as it starts."""
    for path in sorted(events.rglob("*")):
        for line in path.read_text().splitlines() if path.is_file() and not path.name.startswith(".") else ():
            event = json.loads(line) if line.startswith("{") else {}
            if event.get("Event") == "SparkListenerTaskStart":
                yield event["Task Info"]


@pytest.mark.skipif(
    "METACLIP_SPARK35_PYTHON" not in os.environ, reason="METACLIP_SPARK35_PYTHON names no Python with Spark 3.5"
)
@pytest.mark.parametrize("master", [LOCAL, LOCAL_CLUSTER])
def test_the_second_spark_line_gives_the_same(second, reference, tmp_path, master):
    second.submit(master, "curate", *ARCHIVES, *BALANCE, "--output", tmp_path / "out")
    assert content(tmp_path / "out") == reference
    assert run_json(tmp_path / "out")["versions"]["pyspark"].startswith("3.5.")
    assert not list(tmp_path.rglob("*.crc"))
