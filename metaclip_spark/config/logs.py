"""Where a command's log goes: standard error, as text or as JSON lines.

The package logs by the standard `logging` below the logger `metaclip_spark` and sets no handler itself: only the frame
of a command does, so that a notebook or a service can silence, filter or route everything.
"""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.highlighter import NullHighlighter
from rich.logging import RichHandler

from metaclip_spark.config.job import LogConfig
from udfs.sources.credentials import without_credentials

PACKAGE = "metaclip_spark"
_OF_EVERY_RECORD = {*vars(logging.makeLogRecord({})), "message", "asctime"}


class JsonFormatter(logging.Formatter):
    """One JSON object per line that a log service can index: time (UTC), level, run, event, message, and the rest.

    `event` is what the line tells of: begin, wave, progress, done, reused, redone, warning, result, summary, end, or
    log for a line that tells of nothing else.
    """

    def __init__(self, run: str | None = None) -> None:
        """Takes the folder of the run that the command works on; None where it works on none."""
        super().__init__()
        self.run = None if run is None else without_credentials(run)

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        fields = {name: value for name, value in vars(record).items() if name not in _OF_EVERY_RECORD}
        event = fields.pop("event", "warning" if record.levelno == logging.WARNING else "log")
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "run": self.run,
            "event": event,
            "message": record.getMessage(),
            **fields,
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def as_json_line(message: str, *, run: str | None = None, level: int = logging.ERROR, **extra: Any) -> str:
    """The line that this message would be in the log."""
    name = logging.getLevelName(level)
    record = logging.makeLogRecord({"name": PACKAGE, "levelno": level, "levelname": name, "msg": message})
    vars(record).update(extra)
    return JsonFormatter(run).format(record)


def json_formatter() -> JsonFormatter | None:
    """What the log is written with where it is JSON lines; None where it is text."""
    formatters = (handler.formatter for handler in logging.getLogger(PACKAGE).handlers)
    return next((formatter for formatter in formatters if isinstance(formatter, JsonFormatter)), None)


@contextmanager
def logging_to_stderr(config: LogConfig, run: str | None = None) -> Iterator[None]:
    """Logs to standard error while the block runs, then leaves the package's logger as it was."""
    logger = logging.getLogger(PACKAGE)
    level, handler = logger.level, _handler(config, run)
    logger.setLevel(config.log_level.upper())
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


@contextmanager
def held_back() -> Iterator[list[logging.LogRecord]]:
    """Holds back what the package logs in the block: it is in the list, for whoever goes on with it."""
    logger, holder = logging.getLogger(PACKAGE), _Holder()
    handlers, propagate = logger.handlers, logger.propagate
    logger.handlers, logger.propagate = [holder], False
    try:
        yield holder.records
    finally:
        logger.handlers, logger.propagate = handlers, propagate


class _Holder(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


def terminal() -> Console | None:
    """The terminal for a progress bar: that of the log; None where it goes elsewhere, or holds warnings only."""
    if not logging.getLogger(PACKAGE).isEnabledFor(logging.INFO):
        return None
    handlers = [*logging.getLogger(PACKAGE).handlers, *logging.getLogger().handlers]
    consoles = [handler.console for handler in handlers if isinstance(handler, RichHandler)]
    return next((console for console in consoles if console.is_terminal), None)


def _handler(config: LogConfig, run: str | None) -> logging.Handler:
    console = Console(stderr=True)
    if config.log_format == "text" and console.is_terminal:
        return RichHandler(console=console, show_path=False, highlighter=NullHighlighter(), keywords=[])
    handler = logging.StreamHandler()
    as_text = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S")
    handler.setFormatter(JsonFormatter(run) if config.log_format == "json" else as_text)
    return handler
