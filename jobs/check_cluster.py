"""Check on the executors whether a run would work there, and how long it would take, before hours are spent on it."""

import sys
from collections.abc import Sequence
from functools import partial

from metaclip_spark.cluster_check import check_cluster
from metaclip_spark.config.command_line import EXIT_DONE, EXIT_USER_MUST_CHANGE, parse_configs, run_job
from metaclip_spark.config.curation import ExtractConfig, MatchConfig, OutputConfig
from metaclip_spark.entries import load_metadata
from metaclip_spark.pipeline import resolve_inputs
from metaclip_spark.runs.run import open_run, prepare_nothing


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job.

    Args:
        argv: The arguments without the program's name; None reads `sys.argv`.

    Returns:
        0 where a run would work, 2 where it would fail or the user must change something, 1 for anything else.
    """
    return run_job(partial(_check, argv), resumes=False)


def _check(argv: Sequence[str] | None) -> int:
    output, extract, match = parse_configs(argv, __doc__, OutputConfig, ExtractConfig, MatchConfig)
    metadata = load_metadata(match.metadata)
    paths = resolve_inputs(extract)
    with open_run(output, "metaclip-spark check_cluster", prepare_nothing, begins=True) as run:
        verdict = check_cluster(run, extract, match, metadata, paths)
    failed = f"{verdict.failures} checks failed: a run would fail" if verdict.failures else "a run would work here"
    sys.stdout.write("\n".join([*verdict.lines, failed, ""]))
    return EXIT_USER_MUST_CHANGE if verdict.failures else EXIT_DONE


if __name__ == "__main__":
    sys.exit(main())
