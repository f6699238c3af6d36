"""Runs jobs in a process that stops itself, JVM and all, at a chosen moment, as a machine that falls asleep does.

Usage: python paused_driver.py REQUEST
       python paused_driver.py             (reads requests from its input, a line each)

A request is JSON: `job`, its `options`, and the `moment` to stop at, where any. A moment is named after what the driver
is about to do or has just done ("before create table match"), the second one of a name ends in "(2)". All of them are
told on the standard output as they pass.
"""

import json
import os
import re
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from pyspark.sql import DataFrameWriter

from metaclip_spark.commits import owner
from metaclip_spark.stores.storage import Storage
from tests.end_to_end.processes import all_stopped, send_to_all
from tests.support.jobs import call

_ATTEMPT = re.compile(r"[-/=]\d{8}-[0-9a-f]{8}(?=/|$)")
_FILE = re.compile(r"part-\d+-.*")


class Moments:
    """What the driver passes, and where it stops.

    Attributes:
        chosen: The name of the moment.
        passed: How often each was passed.
    """

    def __init__(self) -> None:
        self.chosen: str | None = None
        self.passed: Counter[str] = Counter()
        self._lock = threading.Lock()

    def next_of(self, name: str) -> str:
        """Numbers a moment that may come several times."""
        with self._lock:
            self.passed[name] += 1
            return name if self.passed[name] == 1 else f"{name} ({self.passed[name]})"

    def reach(self, name: str) -> None:
        """Tells of a moment, and stops there if it is the one."""
        full = self.next_of(name)
        sys.stdout.write(f"moment: {full}\n")
        sys.stdout.flush()
        if full == self.chosen:
            stop()


moments = Moments()
USUAL_BEATS = owner.SECONDS_BETWEEN_BEATS


def stop() -> None:
    """Stops this session's processes, this one last, until somebody sends SIGCONT to them."""
    # Again and again: a worker that is forked between the listing of the processes and the signals gets none of them.
    while not all_stopped(os.getsid(0), but=os.getpid()):
        send_to_all(os.getsid(0), signal.SIGSTOP, but=os.getpid())
        time.sleep(0.001)
    # To this very thread: it makes no further step, while a signal to the process may be taken by another one.
    signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)


def named(name: str, content: bytes = b"") -> str:
    """Names an object as every run would: an entry by its kind and step, others without the attempt."""
    if name.startswith("commits/"):
        entry = json.loads(content)
        return " ".join(filter(None, (entry["kind"], entry.get("step"))))
    return _FILE.sub("part", _ATTEMPT.sub("", name))


def around(verb: str, function: Callable) -> Callable:
    """Makes moments of the calls of a method of `Storage`."""

    def call(self: Storage, name: str, *given: object) -> object:
        told = f"{verb} {named(name, *given[:1])}"
        moments.reach(f"before {told}")
        result = function(self, name, *given)
        moments.reach(f"after {told}")
        return result

    return call


def around_write(function: Callable) -> Callable:
    """Makes moments of the writes of Spark: before, after, and while the job is running."""

    def parquet(self: DataFrameWriter, path: str, *given: object, **options: object) -> None:
        table = named(path.rpartition("/out/")[2])
        moments.reach(f"before write {table}")
        during = moments.next_of(f"during write {table}")
        sys.stdout.write(f"moment: {during}\n")
        over = threading.Event()
        if during == moments.chosen:
            threading.Thread(target=stop_during, args=(path, over), daemon=True).start()
        try:
            function(self, path, *given, **options)
        finally:
            over.set()
        moments.reach(f"after write {table}")

    return parquet


def stop_during(path: str, over: threading.Event) -> None:
    """Stops once Spark has begun: the folder of unfinished files is there from before the first task to the end."""
    unfinished = Path(path.removeprefix("file://"), "_temporary")
    while not over.is_set():
        if unfinished.exists():
            stop()
            return
        time.sleep(0.001)


def run(request: str) -> int:
    """Does what a request says, and gives the job's exit code."""
    wanted = json.loads(request)
    moments.chosen = wanted.get("moment")
    moments.passed.clear()
    owner.SECONDS_BETWEEN_BEATS = wanted.get("seconds_between_beats", USUAL_BEATS)
    code = call(wanted["job"], *wanted["options"])
    sys.stderr.flush()
    sys.stdout.write(f"exit: {code}\n")
    sys.stdout.flush()
    return code


def main() -> int:
    """Serves the request of the command line, or those of the input."""
    for verb, method in (("create", "create_bytes"), ("put", "put_bytes"), ("delete", "delete"), ("put", "put_once")):
        setattr(Storage, method, around(verb, getattr(Storage, method)))
    DataFrameWriter.parquet = around_write(DataFrameWriter.parquet)
    if sys.argv[1:]:
        return run(sys.argv[1])
    code = 0
    for line in sys.stdin:
        code = run(line)
    return code


if __name__ == "__main__":
    sys.exit(main())
