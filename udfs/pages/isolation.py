"""Native parsers can crash or run away, which costs nothing while all is well.

At a task's first attempt a page is parsed in the worker, which the operating system ends where that costs too much
processor time (native code does not let a Python timer run). Spark then starts the task again; from the second attempt
on pages are parsed in a child process, which is replaced after the page that killed it: that page is lost, and counted.

No clock decides: a machine that is paused or shared by too many would lose pages to it. One only ends the attempt whose
parser sleeps for ever, which is no page's loss.

An attempt's number does not say what became of the attempts before: Spark numbers speculative copies, and tasks of an
executor that was lost, in the same way, and what a worker could leave behind is lost with its machine.
"""

import os
import pickle
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from udfs.archives import PAGE_TYPES, ArchiveRecord
from udfs.pages.image_table import Loss, PageImages
from udfs.pages.isolated_worker import LENGTH, limited
from udfs.pages.parse import parse_page

_START_SECONDS = 300.0
_SLEEP_SECONDS = 600.0
"""What a parser may wait, or be paused, beyond ten times its processor time."""

Parse = Callable[..., Any]
"""A function at the top of a module, whose arguments and result can be pickled."""


class ParserProcessError(RuntimeError):
    """The child process does not start, or neither works nor answers: no page's fault, so that the attempt ends."""


class LostPageError(RuntimeError):
    """A page that the parser did not survive; its `fate` is `parser_timeout` or `parser_crash`."""

    def __init__(self, fate: str, detail: str) -> None:
        """Takes the fate, and the time or exit code."""
        super().__init__(detail)
        self.fate = fate


PageReader = Callable[[ArchiveRecord], PageImages | Loss]


def page_reader(attempt: int, max_page_bytes: int, timeout_seconds: float, agents: tuple[str, ...] = ()) -> PageReader:
    """Returns `parse_page` for one record, called as safely as a task's attempt, from 0, demands.

    `timeout_seconds` is the longest time of a processor for a page.
    """
    if attempt > 0:
        return IsolatedPages(max_page_bytes, timeout_seconds, agents=agents)
    parse = partial(parse_page, max_page_bytes=max_page_bytes, agents=agents)
    return partial(_watched_page, parse=parse, timeout_seconds=timeout_seconds) if _can_watch() else parse


def _can_watch() -> bool:
    return threading.current_thread() is threading.main_thread()


def _watched_page(record: ArchiveRecord, parse: PageReader, timeout_seconds: float) -> PageImages | Loss:
    if _needs_no_watch(record):
        return parse(record)
    return watched(parse, timeout_seconds, record)  # type: ignore[no-any-return]


def _needs_no_watch(record: ArchiveRecord) -> bool:
    """Tells of a record that nothing is parsed, or JSON, whose time grows with its length.

    Timers, and all the more a process of its own, would cost much of that time.
    """
    return record.record_type not in PAGE_TYPES


def watched(parse: Parse, timeout_seconds: float, *arguments: Any) -> Any:
    """Calls a parser in the worker, which ends where that takes too long. Only the main thread may do so."""
    # SIGALRM ends the process as SIGPROF does.
    signal.setitimer(signal.ITIMER_REAL, _longest_wait(timeout_seconds))
    try:
        return limited(parse, timeout_seconds, *arguments)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _longest_wait(cpu_seconds: float) -> float:
    return 10 * cpu_seconds + _SLEEP_SECONDS


@contextmanager
def watched_parser(parse: Parse, attempt: int, timeout_seconds: float) -> Iterator[Parse]:
    """Yields a parser as `page_reader` calls it; from the second attempt on it raises LostPageError."""
    if attempt > 0:
        isolated = IsolatedParser(parse, timeout_seconds)
        try:
            yield isolated.call
        finally:
            isolated.close()
    else:
        yield partial(watched, parse, timeout_seconds) if _can_watch() else parse


class IsolatedParser:
    """Calls a parser in a child process."""

    def __init__(self, parse: Parse, timeout_seconds: float, command: Sequence[str] | None = None) -> None:
        """Takes the parser, its longest time, and the child's command where it is not `udfs.pages.isolated_worker`."""
        self._timeout_seconds = timeout_seconds
        own = (sys.executable, "-m", "udfs.pages.isolated_worker", parse.__module__, parse.__qualname__)
        self._command = list(command or own)
        self._child: subprocess.Popen[bytes] | None = None

    def call(self, *arguments: Any) -> Any:
        """Calls the parser.

        Raises:
            LostPageError: It killed its process, or it took too long.
            ValueError: It raised any error.
            ParserProcessError: The child cannot be started, or neither works nor answers.
        """
        kind, content = self._ask(arguments)
        if kind == "error":
            raise ValueError(content)
        return content

    def close(self) -> None:
        """Ends the child; a later call starts another."""
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
            self._child = None

    def _ask(self, arguments: tuple[Any, ...]) -> Any:
        child, longest_wait = self._child or self._start(), _longest_wait(self._timeout_seconds)
        content = pickle.dumps((self._timeout_seconds, arguments), pickle.HIGHEST_PROTOCOL)
        deadline = time.monotonic() + longest_wait
        try:
            assert child.stdin is not None
            child.stdin.write(LENGTH.pack(len(content)) + content)
            child.stdin.flush()
            size = LENGTH.unpack(self._read(child, LENGTH.size, deadline))[0]
            return pickle.loads(self._read(child, size, deadline))  # noqa: S301 - our own child's answer
        except TimeoutError:
            self.close()
            raise ParserProcessError(f"the parsing process did not answer for {longest_wait:,.0f} s") from None
        except (EOFError, BrokenPipeError):
            code = child.wait()
            self.close()
            if code == -signal.SIGPROF:
                raise LostPageError("parser_timeout", f"{self._timeout_seconds:g} s") from None
            raise LostPageError("parser_crash", f"exit code {code}") from None

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
            raise ParserProcessError(f"the parsing process did not start: {self._command}") from None
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


class IsolatedPages(IsolatedParser):
    """Parses the pages of records in a child process; other records, WAT's among them, are no danger to this one."""

    def __init__(
        self,
        max_page_bytes: int,
        timeout_seconds: float,
        command: Sequence[str] | None = None,
        agents: tuple[str, ...] = (),
    ) -> None:
        """Takes the arguments of `parse_page`, and the child's command where it is not `udfs.pages.isolated_worker`."""
        super().__init__(parse_page, timeout_seconds, command)
        self._arguments = max_page_bytes, agents

    def __call__(self, record: ArchiveRecord) -> PageImages | Loss:
        """Does what `parse_page` does; a page that killed the parser, or took too long, is a loss."""
        if _needs_no_watch(record):
            return parse_page(record, *self._arguments)
        try:
            page: PageImages | Loss = self.call(record, *self._arguments)
        except LostPageError as lost:
            return Loss(f"record.{lost.fate}", f"{lost}: {record.target_uri or ''}")
        return page
