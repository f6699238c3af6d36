"""Compare two metadata lists: what was added and removed, per source."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from rich.console import Console

from metaclip_spark.config.command_line import parse_configs, run_job
from metaclip_spark.config.metadata import DiffConfig
from metaclip_spark.metadata_builder.diff import compare_lists, load_sourced_list
from metaclip_spark.metadata_builder.text_report import diff_lines
from metaclip_spark.stores.object_store import LocalStore


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job.

    Args:
        argv: The arguments without the program's name; None reads `sys.argv`.

    Returns:
        0 when done, whether the lists differ or not; 2 for what the user must change; 1 for anything else.
    """
    return run_job(partial(_diff, argv), resumes=False)


def _diff(argv: Sequence[str] | None) -> None:
    (config,) = parse_configs(argv, __doc__, DiffConfig)
    differences = compare_lists(load_sourced_list(config.old), load_sourced_list(config.new))
    console = Console()
    for line in diff_lines(differences, config.examples):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    if config.output:
        content = json.dumps([asdict(difference) for difference in differences], ensure_ascii=False, indent=2)
        output = Path(config.output)
        LocalStore(output.parent).put(output.name, content.encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main())
