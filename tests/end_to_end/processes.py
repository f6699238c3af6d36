"""The processes of one session: the job's own, and nobody else's. Used by the tests.

Spark's Python workers have a process group of their own, so that a group is not all of a job.
"""

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple


class Process(NamedTuple):
    """What the system tells of a process: its state, one letter, and its command line."""

    state: str
    command: str


def processes_of(session: int) -> dict[int, Process]:
    """Gives the processes of a session by their ids, without those that have ended and that nobody has waited for."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] != "Z":
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
                found[int(entry.name)] = Process(fields[0], command)
        except (OSError, IndexError):
            continue
    return found


def send_to_all(session: int, number: signal.Signals, *, but: int | None = None) -> None:
    """Sends a signal to every process of a session, as what happens to a machine happens to all of them."""
    for pid in processes_of(session):
        if pid != but:
            with suppress(ProcessLookupError):
                os.kill(pid, number)


def all_stopped(session: int, *, but: int | None = None) -> bool:
    """Tells whether every process of a session has been stopped."""
    return all(process.state == "T" for pid, process in processes_of(session).items() if pid != but)
