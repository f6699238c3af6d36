"""Show which size, tail share and head each threshold t would give, without sampling."""

import sys
from collections.abc import Sequence
from functools import partial

from metaclip_spark.config.command_line import parse_configs, run_job
from metaclip_spark.config.curation import PlanConfig
from metaclip_spark.reports.charts import check_chart_path
from metaclip_spark.reports.plan import plan_lines, plan_thresholds, save_curve
from metaclip_spark.runs.open import open_to_read


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job.

    Args:
        argv: The arguments without the program's name; None reads `sys.argv`.

    Returns:
        0 when done, 2 for what the user must change, 1 for anything else.
    """
    return run_job(partial(_plan, argv), resumes=False)


def _plan(argv: Sequence[str] | None) -> None:
    (config,) = parse_configs(argv, __doc__, PlanConfig)
    if config.curve:
        check_chart_path(config.curve)
    run = open_to_read(config.run, "metaclip-spark plan", s3_packages=config.s3_packages)
    run.spark.sparkContext.setJobDescription("plan")
    plan = plan_thresholds(run, config)
    sys.stdout.write("\n".join([*plan_lines(plan), ""]))
    if config.curve:
        save_curve(plan, config.curve)


if __name__ == "__main__":
    sys.exit(main())
