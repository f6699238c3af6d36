"""The commands of the CLIP benchmark."""

import shlex
from itertools import pairwise
from pathlib import Path

from metaclip_spark.clip_benchmark.dependencies import require_extra, require_trackers
from metaclip_spark.clip_benchmark.settings.data_config import (
    DrawingsConfig,
    ShapePairsConfig,
    ShapesConfig,
    ShardsConfig,
)
from metaclip_spark.clip_benchmark.settings.grid_config import FEWEST_SEEDS, GridConfig
from metaclip_spark.commands.show import next_command, show
from metaclip_spark.config.job import GOES_ON, REPLACES, job, typed_options
from metaclip_spark.errors import CurationError


@job(ShardsConfig, when_stopped=REPLACES)
def make_shards(config: ShardsConfig) -> None:
    """Write webdataset shards from pairs, of a run or of files, and downloaded images, and count what was lost."""
    from metaclip_spark.clip_benchmark.data.make_shards import make_shards as make

    made = make(config)
    trained = ["--variant", "clip", "--train-shards", config.output, "--output", "CHECKPOINTS"]
    following = shlex.join(["python", "-m", "metaclip_spark.clip_benchmark.training.train", *trained])
    show([*made.lines(), f"wrote {config.output}", f"Next: {following}"])


@job(GridConfig, ShapesConfig, ShapePairsConfig, DrawingsConfig, when_stopped=GOES_ON)
def benchmark_clip(
    grid: GridConfig, shapes: ShapesConfig, shape_pairs: ShapePairsConfig, drawings: DrawingsConfig
) -> None:
    """Train CLIP, SLIP, FILIP, DeCLIP and DeFILIP on arms of a pool, evaluate them, and write a page that compares."""
    require_extra()
    require_trackers(grid.tensorboard, grid.wandb)
    from metaclip_spark.clip_benchmark.at_once import Workers
    from metaclip_spark.clip_benchmark.benchmark import Benchmark, open_pools
    from metaclip_spark.clip_benchmark.report.html import read_report, write_report
    from metaclip_spark.clip_benchmark.report.lines import not_learnt, summary_lines
    from metaclip_spark.clip_benchmark.training.processes import check_device

    check_device(grid.device)
    beside = [read_report(Path(folder)) for folder in grid.beside]
    with Workers(grid.cells_at_once) as workers:
        benchmark = Benchmark(grid, open_pools(grid, shapes, shape_pairs, drawings, workers))
        rows = benchmark.run(workers)
    failed = not_learnt(rows)
    page = write_report(benchmark.folder, rows, benchmark.facts(), beside)
    options = _following_options(grid, has_learnt=not failed)
    following = [f"Next: {next_command('benchmark', *options)}"] if options else []
    show([*summary_lines(rows), f"wrote {page}", *following])
    if failed and grid.must_learn:
        raise CurationError(f"not above three times chance: {'; '.join(failed)}")


def _following_options(grid: GridConfig, *, has_learnt: bool) -> list[str]:
    """Gives the options of this command with twice the steps where a model has not learnt, or else with enough seeds.

    Both are for another output: a folder keeps the steps and the seeds that it was begun with.
    """
    typed = typed_options()
    if not typed or (has_learnt and grid.seeds >= FEWEST_SEEDS):
        return []
    option, value = ("--seeds", FEWEST_SEEDS) if has_learnt else ("--steps", 2 * grid.steps)
    return _replaced(_replaced(typed, option, str(value)), "--output", "OUTPUT")


def _replaced(options: list[str], option: str, value: str) -> list[str]:
    """Puts an option with one value at the end, in place of where it was given."""
    before = ["", *options]
    left = [
        each
        for previous, each in pairwise(before)
        if option not in {previous, each} and not each.startswith(f"{option}=")
    ]
    return [*left, option, value]
