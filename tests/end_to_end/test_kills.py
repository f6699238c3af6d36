"""kill -9 of driver, executors and workers in every part of a run: the same command again gives the same tables.

The short form of `make test-kills`, which kills at random moments.
"""

import random
import signal
import subprocess
import time
from collections.abc import Callable, Sequence

import pytest

from metaclip_spark.stores.storage import Storage
from tests.end_to_end.command import BALANCE, LOCAL, LOCAL_CLUSTER, SAMPLE, Installation
from tests.end_to_end.kill_runs import check, kill_one
from tests.end_to_end.processes import send_to_all
from tests.support.jobs import TABLES, Output, run_json, state_of, written

SECONDS_UNTIL_KILLED = 600
"""Far above what a busy machine needs: it ends a test that waits for what never comes."""

OPTIONS = ("--archives", SAMPLE, *BALANCE, "--archives-per-wave", "3", "--resume")


def is_written(output: Output, table: str) -> bool:
    """Tells whether Spark is at work on a table, or has just been: a busy machine may look too late."""
    return any(
        name.startswith((f"{table}/", f"{table}-")) and "/_temporary/" in name
        for name in Storage(str(output)).files("")
    ) or bool(table in TABLES and written(output, table))


def is_extracted(output: Output, waves: int) -> bool:
    """Tells whether so many waves count and Spark is at work on the next one."""
    return len(state_of(output).waves) >= waves and is_written(output, "extracted")


def run_and_kill(
    installation: Installation, master: str, output: Output, kills: Sequence[tuple[str, Callable[[], bool]]]
) -> None:
    """Starts the command and kills one process after the other, each once a state is reached.

    With the driver all of its processes are killed, as when a machine is lost.
    """
    command = installation.submit_command(master, "curate", *OPTIONS, "--output", output)
    told = installation.folder / "log.txt"
    with told.open("w") as log:
        process = subprocess.Popen(
            command, cwd=installation.folder, env=installation.environment(), stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    deadline = time.monotonic() + SECONDS_UNTIL_KILLED
    try:
        for target, reached in kills:
            while not (reached() and kill_one(process.pid, target, random.Random(0))):
                assert process.poll() is None, f"over before {target} was killed: {told.read_text()[-3000:]}"
                assert time.monotonic() < deadline, f"no moment to kill {target}: {told.read_text()[-3000:]}"
                time.sleep(0.01)
    finally:
        send_to_all(process.pid, signal.SIGKILL)
        process.wait()


def test_kills_of_driver_executor_and_worker_lose_and_double_nothing(newest, undisturbed, reference):
    output = newest.folder / "killed"

    def matching() -> bool:
        return is_written(output, "matched")

    starts = {
        "extraction": (
            LOCAL_CLUSTER,
            ("executor", lambda: is_extracted(output, 0)),
            ("driver", lambda: is_extracted(output, 2)),
        ),
        "matching": (LOCAL_CLUSTER, ("worker", lambda: is_extracted(output, 2)), ("driver", matching)),
        "sampling": (LOCAL, ("worker", matching), ("driver", lambda: is_written(output, "curated"))),
    }
    for step, (master, *kills) in starts.items():
        run_and_kill(newest, master, output, kills)
        assert run_json(output) is None, step
        assert not state_of(output).ended, step
    done = newest.submit(LOCAL, "curate", *OPTIONS, "--output", output)
    assert "waiting up to" not in done.stdout, "a driver that is gone was waited for"
    check(output, reference)
    numbers = [
        {step: done["numbers"] for step, done in run_json(run)["steps"].items()} for run in (undisturbed, output)
    ]
    assert numbers[0] == numbers[1]


# The stores' contract is tried on HDFS in every run; a whole curation there takes minutes.
@pytest.mark.slow
@pytest.mark.usefixtures("spark")
def test_a_killed_driver_on_hdfs_loses_and_doubles_nothing(newest, hdfs, reference):
    output = hdfs.new_folder()
    run_and_kill(newest, LOCAL, output, [("driver", lambda: is_written(output, "matched"))])
    done = newest.submit(LOCAL, "curate", *OPTIONS, "--output", output)
    # spark-submit shows what Python writes to its standard error on its own standard output.
    assert "waiting up to" not in done.stdout, "a driver that is gone was waited for"
    assert "deduplicate: already done, reused" in done.stdout
    check(output, reference)
