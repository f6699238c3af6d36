"""Write the report of a run and run.json, which makes the run finished."""

import sys
from collections.abc import Sequence
from functools import partial

from metaclip_spark.config.command_line import parse_configs, run_job
from metaclip_spark.config.curation import OutputConfig, ReportConfig
from metaclip_spark.reports.compare import check_other
from metaclip_spark.reports.report import finish_run
from metaclip_spark.runs.run import open_run, prepare_nothing


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job.

    Args:
        argv: The arguments without the program's name; None reads `sys.argv`.

    Returns:
        0 when done, 2 for what the user must change, 1 for anything else.
    """
    return run_job(partial(_report, argv))


def _report(argv: Sequence[str] | None) -> None:
    output, report = parse_configs(argv, __doc__, OutputConfig, ReportConfig)
    if report.against:
        check_other(report.against)
    with open_run(output, "metaclip-spark report", prepare_nothing) as run:
        finish_run(run, report.against)


if __name__ == "__main__":
    sys.exit(main())
