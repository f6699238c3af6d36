"""Kills runs at random moments (driver, executor JVM, Python worker) and runs the same command again.

Usage: python -m tests.end_to_end.kill_runs [kills] [seed] [master]
Prints a line per kill, and fails where the tables differ from an undisturbed run's as sets of rows.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from tests.end_to_end.command import BALANCE, LOCAL_CLUSTER, SAMPLE, Installation, install_outside
from tests.support.jobs import content, run_json

TARGETS = ("driver", "executor", "worker")
MARKS = {"driver": "jobs/curate.py", "executor": "CoarseGrainedExecutorBackend", "worker": "pyspark"}
OPTIONS = ("--archives", SAMPLE, *BALANCE, "--archives-per-wave", "3", "--buckets", "3", "--resume")
MOST_SECONDS = 600


def processes_of(group: int) -> dict[int, str]:
    """Gives the processes of a session with their command lines: the job's own, and nobody else's."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == group:
                found[int(entry.name)] = (
                    (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
                )
        except (OSError, IndexError):
            continue
    return found


def kind_of(command: str) -> str | None:
    """Tells what a process of a job is."""
    if "pyspark.daemon" in command or "pyspark/daemon" in command or "pyspark.worker" in command:
        return "worker"
    if MARKS["executor"] in command:
        return "executor"
    return "driver" if MARKS["driver"] in command else None


def kill_one(group: int, target: str, chance: random.Random) -> bool:
    """Kills one process of a job, or all of them where the driver is meant, as a lost machine would."""
    found = [pid for pid, command in sorted(processes_of(group).items()) if kind_of(command) == target]
    if not found:
        return False
    victims = list(processes_of(group)) if target == "driver" else [chance.choice(found)]
    for pid in victims:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return True


def disturb(installation: Installation, output: Path, master: str, kills: int, seed: int) -> Counter:
    """Runs the command until it has been killed so often, then until it is done.

    Returns:
        How often each target was hit.
    """
    chance, hits = random.Random(seed), Counter()
    usual = 30.0
    while True:
        command = installation.submit_command(master, "curate", *OPTIONS, "--output", output)
        log = (installation.folder / "kills.txt").open("w")
        process = subprocess.Popen(
            command, cwd=installation.folder, env=installation.environment(), stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
        begun = time.monotonic()
        moment = begun + chance.uniform(0.1, 1.0) * usual
        target = chance.choice(TARGETS)
        while process.poll() is None:
            assert time.monotonic() - begun < MOST_SECONDS, "the run hangs"
            if sum(hits.values()) < kills and time.monotonic() >= moment and kill_one(process.pid, target, chance):
                hits[target] += 1
                ledgered = len(list(output.glob("ledger/*.json")))
                print(f"kill {sum(hits.values())}: {target} after {time.monotonic() - begun:.1f} s, {ledgered} entries")
                moment = time.monotonic() + chance.uniform(2, 20)
                target = chance.choice(TARGETS)
            time.sleep(0.02)
        log.close()
        if process.returncode == 0 and (output / "run.json").exists():
            if sum(hits.values()) >= kills:
                return hits
            # Done before the last kill: the next round begins anew, since nothing would be left to disturb.
            usual = max(5.0, time.monotonic() - begun)
            for name in ("manifests", "ledger"):
                victims = sorted((output / name).glob("*.json"))
                for path in victims[len(victims) // 2 :]:
                    if path.name != "buckets.json":
                        path.unlink()
            (output / "run.json").unlink()


def check(installation: Installation, output: Path, undisturbed: Path) -> None:
    """Compares a disturbed run with an undisturbed one."""
    assert content(output) == content(undisturbed)
    assert run_json(output)["status"] == "done"
    assert not (output / "lock.json").exists()
    entries = {path.stem for path in (output / "ledger").glob("*.json")}
    waves = {path.name.removeprefix("wave=") for path in (output / "extracted").glob("wave=*")}
    assert waves == entries, installation.folder


def main() -> None:
    """Runs the long form on the pseudo-cluster."""
    given = dict(enumerate(sys.argv[1:]))
    kills, seed, master = int(given.get(0, 20)), int(given.get(1, 1)), given.get(2, LOCAL_CLUSTER)
    folder = Path(tempfile.mkdtemp(prefix="metaclip-kills-"))
    installation = install_outside(folder)
    installation.submit(master, "curate", *OPTIONS, "--output", folder / "undisturbed")
    begun = time.monotonic()
    hits = disturb(installation, folder / "disturbed", master, kills, seed)
    check(installation, folder / "disturbed", folder / "undisturbed")
    minutes = (time.monotonic() - begun) / 60
    print(f"{sum(hits.values())} kills ({dict(hits)}), seed {seed}, {minutes:.1f} minutes: the same tables")


if __name__ == "__main__":
    main()
