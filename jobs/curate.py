"""Curate a balanced image-text dataset: extract, match, count, sample and report in one command."""

import sys
from collections.abc import Sequence
from functools import partial

from metaclip_spark.config.command_line import parse_configs, run_job
from metaclip_spark.config.curation import ExtractConfig, LanguageConfig, MatchConfig, OutputConfig, SampleConfig
from metaclip_spark.entries import load_metadata
from metaclip_spark.pipeline import check_before_start, resolve_inputs, run_count, run_extract, run_match, run_sample
from metaclip_spark.reports.report import finish_run
from metaclip_spark.runs.run import open_run, prepare_output
from metaclip_spark.stores.storage import check_apart


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job.

    Args:
        argv: The arguments without the program's name; None reads `sys.argv`.

    Returns:
        0 when done, 2 for what the user must change, 1 for anything else.
    """
    return run_job(partial(_curate, argv))


def _curate(argv: Sequence[str] | None) -> None:
    output, extract, match, language, sample = parse_configs(
        argv, __doc__, OutputConfig, ExtractConfig, MatchConfig, LanguageConfig, SampleConfig
    )
    metadata = load_metadata(match.metadata)
    check_before_start(sample, metadata)
    paths = resolve_inputs(extract)
    check_apart(output.output, paths)
    with open_run(output, "metaclip-spark curate", prepare_output, begins=True) as run:
        run_extract(run, extract, paths)
        run_match(run, match, language, metadata)
        run_count(run, language, metadata)
        run_sample(run, sample, language)
        finish_run(run)


if __name__ == "__main__":
    sys.exit(main())
