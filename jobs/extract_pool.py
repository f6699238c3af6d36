"""Extract pairs from archives (or read them from files) and deduplicate them into the pool."""

import sys
from collections.abc import Sequence
from functools import partial

from metaclip_spark.config.command_line import parse_configs, run_job
from metaclip_spark.config.curation import ExtractConfig, OutputConfig
from metaclip_spark.pipeline import resolve_inputs, run_extract
from metaclip_spark.runs.run import open_run, prepare_output
from metaclip_spark.stores.storage import check_apart


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job.

    Args:
        argv: The arguments without the program's name; None reads `sys.argv`.

    Returns:
        0 when done, 2 for what the user must change, 1 for anything else.
    """
    return run_job(partial(_extract, argv))


def _extract(argv: Sequence[str] | None) -> None:
    output, extract = parse_configs(argv, __doc__, OutputConfig, ExtractConfig)
    paths = resolve_inputs(extract)
    check_apart(output.output, paths)
    with open_run(output, "metaclip-spark extract", prepare_output, begins=True) as run:
        run_extract(run, extract, paths)


if __name__ == "__main__":
    sys.exit(main())
