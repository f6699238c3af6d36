"""Results go to standard output; what is logged goes to standard error (`config.logs`)."""

import logging
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

SCRIPTS = {
    "curate": "curate",
    "extract": "extract_pool",
    "match": "match_pool",
    "exclude": "exclude_pairs",
    "count": "count_entries",
    "sample": "sample_pairs",
    "rebalance": "rebalance_run",
    "remove": "remove_pairs",
    "purge": "purge_removed",
    "report": "report_curation",
    "plan": "plan_threshold",
    "explain": "explain_pair",
    "path": "table_path",
    "build-metadata": "build_metadata",
    "count-title-views": "count_title_views",
    "build-worldwide": "build_worldwide",
    "lint-metadata": "lint_metadata",
    "diff-metadata": "diff_metadata",
    "check-cluster": "check_cluster",
    "make-shards": "make_shards",
    "benchmark": "benchmark_clip",
    "evaluate-clip": "evaluate_clip",
    "export-clip": "export_clip",
}
"""Verb to the script in jobs/ that does the same."""


def next_command(verb: str, *arguments: str) -> str:
    """A command for a shell, in the form in which this one was typed: a script of jobs/, or a verb."""
    script = Path(sys.argv[0])
    is_script = script.parent.name == "jobs"
    program = ["python", f"{script.with_name(SCRIPTS[verb])}.py"] if is_script else ["metaclip-spark", verb]
    return shlex.join([*program, *arguments])


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
