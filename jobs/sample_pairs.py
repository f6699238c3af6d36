"""Draw the curated set of a run from its matched pairs and entry counts."""

import sys
from collections.abc import Sequence
from functools import partial

from metaclip_spark.config.command_line import parse_configs, run_job
from metaclip_spark.config.curation import LanguageConfig, OutputConfig, SampleConfig
from metaclip_spark.pipeline import run_sample
from metaclip_spark.runs.run import open_run, prepare_step
from metaclip_spark.stores.storage import manifest_name


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job.

    Args:
        argv: The arguments without the program's name; None reads `sys.argv`.

    Returns:
        0 when done, 2 for what the user must change, 1 for anything else.
    """
    return run_job(partial(_sample, argv))


def _sample(argv: Sequence[str] | None) -> None:
    output, sample, language = parse_configs(argv, __doc__, OutputConfig, SampleConfig, LanguageConfig)
    with open_run(
        output, "metaclip-spark sample", partial(prepare_step, step="sample", needs=[manifest_name("count")])
    ) as run:
        run_sample(run, sample, language)


if __name__ == "__main__":
    sys.exit(main())
