"""Results go to standard output; what is logged goes to standard error (`config.logs`)."""

import logging
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any


def next_command(verb: str, *arguments: str) -> str:
    """A command for a shell, in the form in which this one was typed: a script of jobs/, or a verb."""
    script = Path(sys.argv[0])
    if script.parent.name != "jobs":
        return shlex.join(["metaclip-spark", verb, *arguments])
    # It imports every command, and each of them this module.
    from metaclip_spark.commands.main import VERBS

    return shlex.join(["python", f"{script.with_name(VERBS[verb].work.__name__)}.py", *arguments])


def entry_option(entry: str) -> list[str]:
    """Gives a metadata entry as an option's value; one that begins with a dash needs its option beside it."""
    return [f"--entry={entry}"] if entry.startswith("-") else ["--entry", entry]


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
