"""Calls of a function, several at once, each in a process of its own."""

import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from logging.handlers import QueueHandler
from multiprocessing.queues import Queue
from typing import Self, TypeAlias, TypeVar

from metaclip_spark.config.logs import PACKAGE
from metaclip_spark.errors import CurationError

Item = TypeVar("Item")
Result = TypeVar("Result")
Records: TypeAlias = "Queue[logging.LogRecord | None]"

_LAST_RECORDS_SECONDS = 5.0
"""How long the last records of the processes may take."""


class Workers:
    """Processes that calls are made in, started when they are first needed.

    Used with `with`; where its block raises, calls under way are stopped.
    """

    def __init__(self, at_once: int) -> None:
        """Takes the largest number of calls at a time; of one, all are made in this process."""
        self._at_once = at_once
        self._context = multiprocessing.get_context("spawn")
        self._pool: ProcessPoolExecutor | None = None
        self._log: _Log | None = None

    def __enter__(self) -> Self:
        """Begins the block."""
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        """Ends the processes."""
        if self._pool is None or self._log is None:
            return
        if error is not None:
            for process in multiprocessing.active_children():
                process.terminate()
        self._pool.shutdown()
        self._log.end()

    def call_each(
        self, function: Callable[[Item], Result], items: Sequence[Item], name: Callable[[Item], str]
    ) -> list[Result]:
        """Calls a function for each item.

        Args:
            function: What is called. With several at once it is pickled, as are items and results.
            items: What it is called with, begun in this order.
            name: What the log calls an item where lines of several mix.

        Returns:
            The results in the order of the items.

        Raises:
            CurationError: If a process ended before its call did, or whatever a call raises.
        """
        if min(self._at_once, len(items)) < 2:  # noqa: PLR2004 - none beside another
            return [function(item) for item in items]
        pool = self._pool = self._pool or self._started()
        try:
            # A process may have been killed since the calls before, too.
            calls = [pool.submit(_call, function, item, name(item)) for item in items]
            for call in as_completed(calls):
                call.result()
        except BrokenProcessPool:
            raise CurationError(
                f"one of {self._at_once} processes was killed, or had too little memory: give a lower --cells-at-once; "
                "what is done already is kept"
            ) from None
        return [call.result() for call in calls]

    def _started(self) -> ProcessPoolExecutor:
        records: Records = self._context.Queue()
        self._log = _Log(records)
        level = logging.getLogger(PACKAGE).getEffectiveLevel()
        return ProcessPoolExecutor(self._at_once, self._context, _begin, (records, level))


class _Log:
    """Gives records of other processes to the loggers here."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._thread = threading.Thread(target=self._hand_on, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Hands on what is left, and waits for it no longer than a while.

        A process that was stopped while it wrote keeps the queue's lock for ever, or leaves half a record in it.
        """
        self._records.cancel_join_thread()
        self._records.put(None)
        self._thread.join(_LAST_RECORDS_SECONDS)

    def _hand_on(self) -> None:
        while (record := self._records.get()) is not None:
            logging.getLogger(record.name).handle(record)


class _Named(logging.Filter):
    """Begins each line that does not name the item that this process works on with its name."""

    name_of_item = ""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        record.msg = message if self.name_of_item in message else f"{self.name_of_item}: {message}"
        record.args = None
        return True


_NAMED = _Named()


def _begin(records: Records, level: int) -> None:
    """Has a new process log to the one that started it, be stopped by that one alone, and end with it."""
    logger, handler = logging.getLogger(PACKAGE), QueueHandler(records)
    handler.addFilter(_NAMED)
    logger.setLevel(level)
    logger.addHandler(handler)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _call(function: Callable[[Item], Result], item: Item, name: str) -> Result:
    _NAMED.name_of_item = name
    return function(item)
