"""Say why a pair is in the curated set of a run, or at which step it left."""

import sys
from collections.abc import Sequence
from functools import partial

from metaclip_spark.config.command_line import parse_configs, run_job
from metaclip_spark.config.curation import ExplainConfig
from metaclip_spark.reports.explain import explain, explain_lines
from metaclip_spark.runs.open import open_finished


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job.

    Args:
        argv: The arguments without the program's name; None reads `sys.argv`.

    Returns:
        0 when done, 2 for what the user must change, 1 for anything else.
    """
    return run_job(partial(_explain, argv), resumes=False)


def _explain(argv: Sequence[str] | None) -> None:
    (config,) = parse_configs(argv, __doc__, ExplainConfig)
    run = open_finished(config.run, "metaclip-spark explain", s3_packages=config.s3_packages)
    run.spark.sparkContext.setJobDescription("explain")
    threshold = run.manifest("sample")["numbers"]["threshold_t"]
    sys.stdout.write("\n".join([*explain_lines(explain(run, config), threshold), ""]))


if __name__ == "__main__":
    sys.exit(main())
