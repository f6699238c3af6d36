"""The commands of the CLIP benchmark."""

import shlex
from itertools import pairwise

from metaclip_spark.clip_benchmark.dependencies import require_extra, require_trackers
from metaclip_spark.clip_benchmark.settings.data_config import DrawingsConfig, ShapesConfig, ShardsConfig
from metaclip_spark.clip_benchmark.settings.grid_config import GridConfig
from metaclip_spark.commands.show import next_command, show
from metaclip_spark.config.job import job, typed_options
from metaclip_spark.errors import CurationError


@job(ShardsConfig)
def make_shards(config: ShardsConfig) -> None:
    """Write webdataset shards from pairs, of a run or of files, and downloaded images, and count what was lost."""
    from metaclip_spark.clip_benchmark.data.make_shards import make_shards as make

    made = make(config)
    trained = ["--variant", "clip", "--train-shards", config.output, "--output", "CHECKPOINTS"]
    following = shlex.join(["python", "-m", "metaclip_spark.clip_benchmark.training.train", *trained])
    show([*made.lines(), f"wrote {config.output}", f"Next: {following}"])


@job(GridConfig, ShapesConfig, DrawingsConfig)
def benchmark_clip(grid: GridConfig, shapes: ShapesConfig, drawings: DrawingsConfig) -> None:
    """Train CLIP, SLIP, FILIP, DeCLIP and DeFILIP on arms of a pool, evaluate them, and write a page that compares."""
    require_extra()
    require_trackers(grid.tensorboard, grid.wandb)
    from metaclip_spark.clip_benchmark.benchmark import Benchmark, open_data
    from metaclip_spark.clip_benchmark.report.html import not_learnt, summary_lines, write_report
    from metaclip_spark.clip_benchmark.training.processes import check_device

    check_device(grid.device)
    benchmark = Benchmark(grid, open_data(grid, shapes, drawings))
    rows = benchmark.run()
    failed = not_learnt(rows)
    page = write_report(benchmark.folder, rows, benchmark.facts())
    options = _following_options(grid, has_learnt=not failed)
    following = [f"Next: {next_command('benchmark', *options)}"] if options else []
    show([*summary_lines(rows), f"wrote {page}", *following])
    if failed and grid.must_learn:
        raise CurationError(f"not above three times chance: {'; '.join(failed)}")


def _following_options(grid: GridConfig, *, has_learnt: bool) -> list[str]:
    """Gives the options of this command with twice the seeds or, where a model has not learnt, twice the steps."""
    typed = typed_options()
    if not typed:
        return []
    seeds = ("--primary-seeds", grid.primary_seeds) if grid.grid == "arms" else ("--seeds", grid.seeds)
    if has_learnt:
        return _replaced(typed, seeds[0], str(2 * seeds[1]))
    # Rows of other steps are refused in the same folder.
    return _replaced(_replaced(typed, "--steps", str(2 * grid.steps)), "--output", "OUTPUT")


def _replaced(options: list[str], option: str, value: str) -> list[str]:
    """Puts an option with one value at the end, in place of where it was given."""
    before = ["", *options]
    left = [
        each
        for previous, each in pairwise(before)
        if option not in {previous, each} and not each.startswith(f"{option}=")
    ]
    return [*left, option, value]
