"""Where a command's log goes: standard error, as text or as JSON lines.

The package logs by the standard `logging` below the logger `metaclip_spark` and sets no handler itself: only the frame
of a command does, so that a notebook or a service can silence, filter or route everything.
"""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.highlighter import NullHighlighter
from rich.logging import RichHandler

from metaclip_spark.config.curation import LogConfig

PACKAGE = "metaclip_spark"
_OF_EVERY_RECORD = {*vars(logging.makeLogRecord({})), "message", "asctime"}


class JsonFormatter(logging.Formatter):
    """One JSON object per line that a log service can index: time, level, message, and what `extra` holds."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        fields = {name: value for name, value in vars(record).items() if name not in _OF_EVERY_RECORD}
        line = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **fields,
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def as_json_line(message: str, **extra: Any) -> str:
    """The line that an error with this message would be in the log."""
    record = logging.makeLogRecord({"name": PACKAGE, "levelno": logging.ERROR, "levelname": "ERROR", "msg": message})
    vars(record).update(extra)
    return JsonFormatter().format(record)


@contextmanager
def logging_to_stderr(config: LogConfig) -> Iterator[None]:
    """Logs to standard error while the block runs, then leaves the package's logger as it was."""
    logger = logging.getLogger(PACKAGE)
    level, handler = logger.level, _handler(config)
    logger.setLevel(config.log_level.upper())
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def terminal() -> Console | None:
    """The terminal that the log goes to, where a progress bar may be drawn; None where it goes elsewhere."""
    handlers = [*logging.getLogger(PACKAGE).handlers, *logging.getLogger().handlers]
    consoles = [handler.console for handler in handlers if isinstance(handler, RichHandler)]
    return next((console for console in consoles if console.is_terminal), None)


def _handler(config: LogConfig) -> logging.Handler:
    console = Console(stderr=True)
    if config.log_format == "text" and console.is_terminal:
        return RichHandler(console=console, show_path=False, highlighter=NullHighlighter(), keywords=[])
    handler = logging.StreamHandler()
    as_text = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S")
    handler.setFormatter(JsonFormatter() if config.log_format == "json" else as_text)
    return handler
