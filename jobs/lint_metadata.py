"""Check a metadata list for entries that cannot match, repeat others or deserve a look."""

import sys
from collections.abc import Sequence
from functools import partial

from rich.console import Console

from metaclip_spark.config.command_line import EXIT_DONE, EXIT_USER_MUST_CHANGE, parse_configs, run_job
from metaclip_spark.config.metadata import LintConfig
from metaclip_spark.metadata_builder.lint import lint_file
from metaclip_spark.metadata_builder.text_report import lint_lines


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job.

    Args:
        argv: The arguments without the program's name; None reads `sys.argv`.

    Returns:
        0 when the list, or the one that `--fix` wrote, has no error; 2 for what the user must change, findings of
        severity error among it; 1 for anything else.
    """
    return run_job(partial(_lint, argv), resumes=False)


def _lint(argv: Sequence[str] | None) -> int:
    (config,) = parse_configs(argv, __doc__, LintConfig)
    entries, findings, digest = lint_file(config.metadata, config.fix)
    console = Console()
    for line in lint_lines(entries, findings, config.examples):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    if config.fix:
        console.print(f"wrote {config.fix} with the digest {digest}", highlight=False, markup=False, soft_wrap=True)
        return EXIT_DONE
    return EXIT_USER_MUST_CHANGE if any(finding.severity == "error" for finding in findings) else EXIT_DONE


if __name__ == "__main__":
    sys.exit(main())
