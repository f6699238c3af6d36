"""kill -9 at chosen and at random moments: the same command again gives the same tables."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.end_to_end.command import BALANCE, LOCAL, LOCAL_CLUSTER, SAMPLE, Installation
from tests.end_to_end.kill_runs import check, disturb
from tests.support.jobs import content, run_json

SECONDS_UNTIL_KILLED = 600
"""Far above what a busy machine needs: it ends a test that waits for what never comes."""

OPTIONS = ("--archives", SAMPLE, *BALANCE, "--archives-per-wave", "3", "--resume")


def has_files(folder: Path, pattern: str) -> bool:
    return any(folder.rglob(pattern)) if folder.exists() else False


def run_and_kill(installation: Installation, output: Path, reached: Callable[[], bool]) -> None:
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
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_a_killed_driver_loses_and_doubles_nothing(newest, undisturbed, reference):
    output = newest.folder / "killed"
    states = {
        "extraction": lambda: (
            len(list(output.glob("ledger/*.json"))) >= 2 and has_files(output / "extracted", "_temporary")
        ),
        "matching": lambda: has_files(output / "matched", "_temporary"),
        "sampling": lambda: has_files(output / "curated", "_temporary"),
    }
    for state, reached in states.items():
        run_and_kill(newest, output, reached)
        assert not (output / "run.json").exists(), state
        assert (output / "lock.json").exists(), state
    newest.submit(LOCAL, "curate", *OPTIONS, "--output", output)
    assert content(output) == reference
    assert run_json(output)["status"] == "done"
    assert not (output / "lock.json").exists()
    numbers = [
        {step: done["numbers"] for step, done in run_json(run)["steps"].items()} for run in (undisturbed, output)
    ]
    assert numbers[0] == numbers[1]
    attempts = {path.name.removeprefix("wave=") for path in (output / "extracted").iterdir()}
    assert attempts == {path.stem for path in (output / "ledger").glob("*.json")}


def test_random_kills_of_driver_executor_and_worker_change_nothing(newest, undisturbed):
    """The short form of `make test-kills`."""
    output = newest.folder / "disturbed"
    hits = disturb(newest, output, LOCAL_CLUSTER, kills=3, seed=4)
    assert sum(hits.values()) == 3
    check(newest, output, undisturbed)
