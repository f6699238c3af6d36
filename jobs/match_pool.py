"""Match the pool of a run against a metadata list."""

import sys
from collections.abc import Sequence
from functools import partial

from metaclip_spark.config.command_line import parse_configs, run_job
from metaclip_spark.config.curation import LanguageConfig, MatchConfig, OutputConfig
from metaclip_spark.entries import load_metadata
from metaclip_spark.pipeline import BUCKET, run_match
from metaclip_spark.runs.run import open_run, prepare_step
from metaclip_spark.stores.storage import manifest_name


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job.

    Args:
        argv: The arguments without the program's name; None reads `sys.argv`.

    Returns:
        0 when done, 2 for what the user must change, 1 for anything else.
    """
    return run_job(partial(_match, argv))


def _match(argv: Sequence[str] | None) -> None:
    output, match, language = parse_configs(argv, __doc__, OutputConfig, MatchConfig, LanguageConfig)
    metadata = load_metadata(match.metadata)
    with open_run(
        output,
        "metaclip-spark match",
        partial(prepare_step, step="match", bucket=BUCKET, needs=[manifest_name("deduplicate", BUCKET)]),
    ) as run:
        run_match(run, match, language, metadata)


if __name__ == "__main__":
    sys.exit(main())
