"""Results go to standard output; what is logged goes to standard error (`config.logs`)."""

import logging
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

_SCRIPTS = {"match": "match_pool", "count": "count_entries", "sample": "sample_pairs", "report": "report_curation"}
"""Verb to the script in jobs/ that does the same."""


def next_command(verb: str) -> str:
    """The command of a verb, in the form in which this one was typed: a script of jobs/, or a verb."""
    script = Path(sys.argv[0])
    return f"python {script.with_name(_SCRIPTS[verb])}.py" if script.parent.name == "jobs" else f"metaclip-spark {verb}"


def _logs() -> ModuleType:
    """Imported only where a command logs: --help does without what draws on a terminal."""
    from metaclip_spark.config import logs

    return logs


def show(lines: Iterable[str], event: str = "result", **fields: Any) -> None:
    """Writes a command's result: lines or, with --log-format json, one object with `fields`, or else with the lines."""
    shown = list(lines)
    written = "\n".join([*shown, ""])
    if "metaclip_spark.config.logs" in sys.modules and (formatter := _logs().json_formatter()):
        message = next((line for line in shown if line), "")
        told = fields or {"lines": shown}
        written = _logs().as_json_line(message, run=formatter.run, level=logging.INFO, event=event, **told) + "\n"
    sys.stdout.write(written)
    sys.stdout.flush()
