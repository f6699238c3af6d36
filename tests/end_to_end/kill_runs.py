"""Kills runs at random moments (driver, executor JVM, Python worker) and runs the same command again.

Usage: python -m tests.end_to_end.kill_runs [kills] [seed] [local|s3|hdfs] [master]
Prints a line per kill, and fails where the tables differ from an undisturbed run's as sets of rows.
"""

import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from metaclip_spark.stores.spark_io import package_settings
from metaclip_spark.stores.storage import Storage
from tests.end_to_end.command import BALANCE, LOCAL_CLUSTER, SAMPLE, Installation, install_outside
from tests.end_to_end.processes import processes_of, send_to_all
from tests.end_to_end.stored import attempts_in, check_whole
from tests.support.jobs import TABLES, Output, content, run_json, state_of, written

TARGETS = ("driver", "executor", "worker")
MARKS = {"driver": "jobs/curate.py", "executor": "CoarseGrainedExecutorBackend", "worker": "pyspark"}
OPTIONS = ("--archives", SAMPLE, *BALANCE, "--archives-per-wave", "3", "--buckets", "3")
MOST_SECONDS = 600


@dataclass(frozen=True)
class Place:
    """A store for runs.

    Attributes:
        root: What their folders lie in.
        settings: What Spark needs to reach it.
    """

    root: str
    settings: tuple[str, ...] = ()


@contextmanager
def place_in(store: str, folder: Path) -> Iterator[Place]:
    """Gives a place in a store of that name, which this process can read, too."""
    if store == "s3":
        from tests.support.s3_server import new_bucket, s3_server

        # Jobs have a home of their own; what Ivy has fetched before serves them all the same.
        settings = {**package_settings(), "spark.jars.ivy": str(Path.home() / ".ivy2.5.2")}
        with s3_server() as endpoint:
            os.environ["METACLIP_S3_ENDPOINT"] = endpoint
            bucket = new_bucket(endpoint).name
            yield Place(f"s3://{bucket}", tuple(f"{name}={value}" for name, value in settings.items()))
    elif store == "hdfs":
        from metaclip_spark.stores.session import get_session
        from tests.cluster.hdfs_server import hdfs_server

        with hdfs_server(folder / "hdfs") as server:
            get_session("kill runs")
            yield Place(server.new_folder())
    else:
        yield Place(str(folder))


def kind_of(command: str) -> str | None:
    """Tells what a process of a job is."""
    if "pyspark.daemon" in command or "pyspark/daemon" in command or "pyspark.worker" in command:
        return "worker"
    if MARKS["executor"] in command:
        return "executor"
    return "driver" if MARKS["driver"] in command else None


def kill_one(session: int, target: str, chance: random.Random) -> bool:
    """Kills one process of a job, or all of them where the driver is meant, as a lost machine would."""
    found = [pid for pid, process in sorted(processes_of(session).items()) if kind_of(process.command) == target]
    if not found:
        return False
    if target == "driver":
        send_to_all(session, signal.SIGKILL)
        return True
    with suppress(ProcessLookupError):
        os.kill(chance.choice(found), signal.SIGKILL)
    return True


def disturb(
    installation: Installation, output: str, master: str, kills: int, seed: int, settings: tuple[str, ...] = ()
) -> Counter:
    """Runs the command until it has been killed so often, then until it is done.

    Returns:
        How often each target was hit.
    """
    chance, hits = random.Random(seed), Counter()
    usual, mode = 30.0, "--resume"
    while True:
        command = installation.submit_command(
            master, "curate", *OPTIONS, "--output", output, mode, "--clean", settings=settings
        )
        told = installation.folder / "kills.txt"
        process = installation.start(command, told)
        mode = "--resume"
        begun, hits_before = time.monotonic(), sum(hits.values())
        moment = begun + chance.uniform(0.1, 1.0) * usual
        target = chance.choice(TARGETS)
        while process.poll() is None:
            assert time.monotonic() - begun < MOST_SECONDS, f"the run hangs: {told.read_text()[-3000:]}"
            if sum(hits.values()) < kills and time.monotonic() >= moment and kill_one(process.pid, target, chance):
                hits[target] += 1
                entries = len(Storage(output).names("commits"))
                print(f"kill {sum(hits.values())}: {target} after {time.monotonic() - begun:.1f} s, {entries} entries")
                moment = time.monotonic() + chance.uniform(2, 20)
                target = chance.choice(TARGETS)
            time.sleep(0.02)
        assert "waiting up to" not in told.read_text(), "a driver that is gone was waited for"
        disturbed = sum(hits.values()) > hits_before
        assert disturbed or process.returncode == 0, f"it failed undisturbed: {told.read_text()[-3000:]}"
        if process.returncode == 0:
            if sum(hits.values()) >= kills:
                return hits
            # Done before the last kill: the next round begins anew, since nothing would be left to disturb.
            usual, mode = max(5.0, time.monotonic() - begun), "--overwrite"


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
    installation: Installation, command: list[str], kills: Sequence[tuple[str, Callable[[], bool]]]
) -> None:
    """Starts a command and kills one process after the other, each once a state is reached.

    With the driver all of its processes are killed, as when a machine is lost.
    """
    told = installation.folder / "log.txt"
    process = installation.start(command, told)
    deadline = time.monotonic() + MOST_SECONDS
    try:
        for target, reached in kills:
            while not (reached() and kill_one(process.pid, target, random.Random(0))):
                assert process.poll() is None, f"over before {target} was killed: {told.read_text()[-3000:]}"
                assert time.monotonic() < deadline, f"no moment to kill {target}: {told.read_text()[-3000:]}"
                time.sleep(0.01)
    finally:
        send_to_all(process.pid, signal.SIGKILL)
        process.wait()


def check(output: str, reference: dict[str, list[str]]) -> None:
    """Compares a disturbed run with an undisturbed one, and checks that it has left nothing behind."""
    assert content(output) == reference
    assert run_json(output)["status"] == "done"
    state = check_whole(output)
    assert state.ended
    assert attempts_in(output) == state.counting_folders()


def main() -> None:
    """Runs the long form on the pseudo-cluster."""
    given = dict(enumerate(sys.argv[1:]))
    kills, seed, store, master = int(given.get(0, 20)), int(given.get(1, 1)), given.get(2, "local"), given.get(3)
    folder = Path(tempfile.mkdtemp(prefix="metaclip-kills-"))
    installation = install_outside(folder)
    master = master or LOCAL_CLUSTER
    with place_in(store, folder) as place:
        undisturbed, output = f"{place.root}/undisturbed", f"{place.root}/disturbed"
        installation.submit(master, "curate", *OPTIONS, "--output", undisturbed, settings=place.settings)
        begun = time.monotonic()
        hits = disturb(installation, output, master, kills, seed, place.settings)
        check(output, content(undisturbed))
        minutes = (time.monotonic() - begun) / 60
        print(
            f"{store}: {sum(hits.values())} kills ({dict(hits)}), seed {seed}, {minutes:.1f} minutes: the same tables"
        )


if __name__ == "__main__":
    main()
