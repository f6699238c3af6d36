"""kill -9 at chosen and at random moments: the same command again gives the same tables, without waiting."""

import signal
import subprocess
import time
from collections.abc import Callable

import pytest

from metaclip_spark.stores.storage import Storage
from tests.end_to_end.command import BALANCE, LOCAL, LOCAL_CLUSTER, SAMPLE, Installation
from tests.end_to_end.kill_runs import check, disturb
from tests.end_to_end.processes import send_to_all
from tests.support.jobs import Output, run_json, state_of

SECONDS_UNTIL_KILLED = 600
"""Far above what a busy machine needs: it ends a test that waits for what never comes."""

OPTIONS = ("--archives", SAMPLE, *BALANCE, "--archives-per-wave", "3", "--resume")


def is_written(output: Output, table: str) -> bool:
    """Tells whether Spark is at work on a table."""
    return any(
        name.startswith((f"{table}/", f"{table}-")) and "/_temporary/" in name
        for name in Storage(str(output)).files("")
    )


def run_and_kill(installation: Installation, output: Output, reached: Callable[[], bool]) -> None:
    """Starts the command and kills driver and JVM, as a lost machine would, once a state is reached."""
    command = installation.submit_command(LOCAL, "curate", *OPTIONS, "--output", output)
    with (installation.folder / "log.txt").open("w") as log:
        process = subprocess.Popen(
            command, cwd=installation.folder, env=installation.environment(), stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    deadline = time.monotonic() + SECONDS_UNTIL_KILLED
    while not reached():
        assert process.poll() is None, (
            f"over before it was killed: {(installation.folder / 'log.txt').read_text()[-3000:]}"
        )
        assert time.monotonic() < deadline, "the state was not reached"
        time.sleep(0.01)
    send_to_all(process.pid, signal.SIGKILL)
    process.wait()


def test_a_killed_driver_loses_and_doubles_nothing(newest, undisturbed, reference):
    output = newest.folder / "killed"
    states = {
        "extraction": lambda: len(state_of(output).waves) >= 2 and is_written(output, "extracted"),
        "matching": lambda: is_written(output, "matched"),
        "sampling": lambda: is_written(output, "curated"),
    }
    for state, reached in states.items():
        run_and_kill(newest, output, reached)
        assert run_json(output) is None, state
        assert not state_of(output).ended, state
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
    run_and_kill(newest, output, lambda: is_written(output, "matched"))
    done = newest.submit(LOCAL, "curate", *OPTIONS, "--output", output)
    # spark-submit shows what Python writes to its standard error on its own standard output.
    assert "waiting up to" not in done.stdout, "a driver that is gone was waited for"
    assert "deduplicate: already done, reused" in done.stdout
    check(output, reference)


def test_random_kills_of_driver_executor_and_worker_change_nothing(newest, reference):
    """The short form of `make test-kills`."""
    output = newest.folder / "disturbed"
    hits = disturb(newest, str(output), LOCAL_CLUSTER, kills=3, seed=4)
    assert sum(hits.values()) == 3
    check(str(output), reference)
