"""Train CLIP, SLIP, FILIP, DeCLIP and DeFILIP on arms of a pool, evaluate them, and write the comparison as a page."""

import sys
from collections.abc import Sequence
from functools import partial

from rich.console import Console

from metaclip_spark.clip_benchmark.data.drawings import DrawingsConfig
from metaclip_spark.clip_benchmark.data.shapes import ShapesConfig
from metaclip_spark.clip_benchmark.dependencies import require_extra
from metaclip_spark.clip_benchmark.settings.grid_config import GridConfig
from metaclip_spark.config.command_line import EXIT_DONE, EXIT_FAILED, parse_configs, run_job


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job.

    Args:
        argv: The arguments without the program's name; None reads `sys.argv`.

    Returns:
        0 when done, 2 for what the user must change, 1 for anything else.
    """
    return run_job(partial(_benchmark, argv))


def _benchmark(argv: Sequence[str] | None) -> int:
    grid, shapes, drawings = parse_configs(argv, __doc__, GridConfig, ShapesConfig, DrawingsConfig)
    require_extra()
    # These import torch, which the help and the check of the options do without.
    from metaclip_spark.clip_benchmark.benchmark import Benchmark, open_data  # noqa: PLC0415
    from metaclip_spark.clip_benchmark.report.html import (  # noqa: PLC0415
        not_learnt,
        summary_lines,
        write_report,
    )

    console = Console()
    say = partial(console.print, highlight=False, markup=False, soft_wrap=True)
    benchmark = Benchmark(grid, open_data(grid, shapes, drawings, say), say)
    rows = benchmark.run()
    for line in summary_lines(rows):
        say(line)
    say(f"wrote {write_report(benchmark.folder, rows, benchmark.facts())}")
    failed = not_learnt(rows) if grid.must_learn else []
    if failed:
        sys.stderr.write(f"error: not above three times chance: {'; '.join(failed)}\n")
    return EXIT_FAILED if failed else EXIT_DONE


if __name__ == "__main__":
    sys.exit(main())
