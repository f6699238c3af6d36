"""Which process this is, and whether another one is gone for certain."""

import os
import socket
from pathlib import Path

from metaclip_spark.commits.entries import Process


def this_process() -> Process:
    """Describes this process."""
    return Process(
        host=socket.gethostname(),
        pid=os.getpid(),
        started=_started(os.getpid()),
        boot_id=_read("/proc/sys/kernel/random/boot_id"),
        pid_namespace=_pid_namespace(),
    )


def is_gone(process: Process) -> bool:
    """Tells whether a process ran where this one runs and is gone; False where nobody can say.

    Names of machines and numbers of processes prove nothing: containers share names, and numbers are used again.
    """
    here = this_process()
    if None in {process.boot_id, process.pid_namespace, process.started} or (
        (process.boot_id, process.pid_namespace) != (here.boot_id, here.pid_namespace)
    ):
        return False
    try:
        os.kill(process.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    state = _state(process.pid)
    # Of another user's process nothing may be known.
    return state is not None and (state[0] == "Z" or state[1] != process.started)


def _started(pid: int) -> int | None:
    state = _state(pid)
    return state[1] if state else None


def _state(pid: int) -> tuple[str, int] | None:
    """Reads state and start of a process (see proc(5)): a zombie has ended, and nobody has waited for it yet."""
    stat = _read(f"/proc/{pid}/stat")
    # The second field is the command's name in brackets, which may hold anything.
    fields = stat.rpartition(")")[2].split() if stat else []
    return (fields[0], int(fields[19])) if len(fields) > 19 else None  # noqa: PLR2004


def _pid_namespace() -> str | None:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return None


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text("utf-8", errors="replace").strip()
    except OSError:
        return None
