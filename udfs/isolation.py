"""Native parsers can crash or run away, which costs nothing while all is well.

At a task's first attempt pages are parsed in the worker, under an alarm of the operating system that ends the worker
(native code does not let a Python timer run). Spark then starts the task again; from the second attempt on pages are
parsed in a child process, which is replaced after the record that killed it: that record becomes a reject.
"""

import os
import pickle
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from udfs.archive_records import ArchiveRecord
from udfs.page_pairs import LostRecordError, PagePairs
from udfs.parse_child import LENGTH
from udfs.record_page import is_json_metadata, page_in

_START_SECONDS = 300.0


class ParserNotStartedError(RuntimeError):
    """The child process does not start: no record's fault."""


PageReader = Callable[[ArchiveRecord], PagePairs]


def page_reader(attempt: int, max_page_bytes: int, timeout_seconds: float) -> PageReader:
    """Chooses how pages are parsed.

    Args:
        attempt: The number of the task's attempt, from 0.
        max_page_bytes: Cap for a page.
        timeout_seconds: Longest time for a page: the one clock that a result may depend on.

    Returns:
        Reads the page of a record; raises LostRecordError for what gives none.
    """
    if attempt > 0:
        return IsolatedPages(max_page_bytes, timeout_seconds)
    if threading.current_thread() is threading.main_thread():
        return partial(_watched_page, max_page_bytes=max_page_bytes, timeout_seconds=timeout_seconds)
    return partial(page_in, max_page_bytes=max_page_bytes)


def _watched_page(record: ArchiveRecord, max_page_bytes: int, timeout_seconds: float) -> PagePairs:
    if is_json_metadata(record):
        # JSON is read in time that grows with its length, so it needs no clock, which costs a tenth of reading it.
        return page_in(record, max_page_bytes)
    # The default action of SIGALRM ends the process, even within native code that never returns to Python.
    signal.setitimer(signal.ITIMER_REAL, timeout_seconds)
    try:
        return page_in(record, max_page_bytes)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


class IsolatedPages:
    """Parses pages in a child process."""

    def __init__(self, max_page_bytes: int, timeout_seconds: float, command: Sequence[str] | None = None) -> None:
        """Takes the limits, and the child's command where it is not `udfs.parse_child`."""
        self._max_page_bytes = max_page_bytes
        self._timeout_seconds = timeout_seconds
        self._command = list(command or (sys.executable, "-m", "udfs.parse_child"))
        self._child: subprocess.Popen[bytes] | None = None

    def __call__(self, record: ArchiveRecord) -> PagePairs:
        """Reads the page of a record.

        Raises:
            LostRecordError: It gives none, it killed the parser, or it took too long.
            ValueError: The parser raised what nobody foresaw.
            ParserNotStartedError: The child cannot be started.
        """
        kind, *content = self._ask((record, self._max_page_bytes), record.target_uri or "")
        if kind == "lost":
            raise LostRecordError(*content)
        if kind == "error":
            raise ValueError(content[0])
        page: PagePairs = content[0]
        return page

    def close(self) -> None:
        """Ends the child."""
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
            self._child = None

    def _ask(self, request: tuple[ArchiveRecord, int], example: str) -> Any:
        child = self._child or self._start()
        content = pickle.dumps(request, pickle.HIGHEST_PROTOCOL)
        deadline = time.monotonic() + self._timeout_seconds
        try:
            assert child.stdin is not None
            child.stdin.write(LENGTH.pack(len(content)) + content)
            child.stdin.flush()
            size = LENGTH.unpack(self._read(child, LENGTH.size, deadline))[0]
            return pickle.loads(self._read(child, size, deadline))  # noqa: S301 - our own child's answer
        except TimeoutError:
            self.close()
            raise LostRecordError("record.parser_timeout", f"{self._timeout_seconds:g} s: {example}") from None
        except (EOFError, BrokenPipeError):
            code = child.wait()
            self.close()
            raise LostRecordError("record.parser_crash", f"exit code {code}: {example}") from None

    def _start(self) -> subprocess.Popen[bytes]:
        # The zip of --py-files is on this process's path only.
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        self._child = subprocess.Popen(  # noqa: S603 - our own module
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, bufsize=0
        )
        try:
            # Importing takes seconds on a busy machine, which are no page's.
            self._read(self._child, LENGTH.size, time.monotonic() + _START_SECONDS)
        except (EOFError, TimeoutError):
            self.close()
            raise ParserNotStartedError(f"the parsing process did not start: {self._command}") from None
        return self._child

    @staticmethod
    def _read(child: "subprocess.Popen[bytes]", size: int, deadline: float) -> bytes:
        assert child.stdout is not None
        parts: list[bytes] = []
        left = size
        while left:
            if not select.select([child.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise TimeoutError
            part = os.read(child.stdout.fileno(), min(left, 1 << 20))
            if not part:
                raise EOFError
            parts.append(part)
            left -= len(part)
        return b"".join(parts)
