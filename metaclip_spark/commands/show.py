"""Results go to standard output; what is logged goes to standard error (`config.logs`)."""

import sys
from collections.abc import Iterable
from pathlib import Path

_SCRIPTS = {"match": "match_pool", "count": "count_entries", "sample": "sample_pairs", "report": "report_curation"}
"""Verb to the script in jobs/ that does the same."""


def next_command(verb: str) -> str:
    """The command of a verb, in the form in which this one was typed: a script of jobs/, or a verb."""
    script = Path(sys.argv[0])
    return f"python {script.with_name(_SCRIPTS[verb])}.py" if script.parent.name == "jobs" else f"metaclip-spark {verb}"


def show(lines: Iterable[str]) -> None:
    """Writes a command's result."""
    sys.stdout.write("\n".join([*lines, ""]))
    sys.stdout.flush()
