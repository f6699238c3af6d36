"""The commands of the CLIP benchmark."""

from metaclip_spark.clip_benchmark.dependencies import require_extra
from metaclip_spark.clip_benchmark.settings.data_config import DrawingsConfig, ShapesConfig, ShardsConfig
from metaclip_spark.clip_benchmark.settings.grid_config import GridConfig
from metaclip_spark.commands.show import show
from metaclip_spark.config.job import job
from metaclip_spark.errors import CurationError


@job(ShardsConfig)
def make_shards(config: ShardsConfig) -> None:
    """Write webdataset shards from pairs, of a run or of files, and downloaded images, and count what was lost."""
    from metaclip_spark.clip_benchmark.data.make_shards import make_shards as make

    made = make(config)
    show([*made.lines(), f"wrote {config.output}"])


@job(GridConfig, ShapesConfig, DrawingsConfig)
def benchmark_clip(grid: GridConfig, shapes: ShapesConfig, drawings: DrawingsConfig) -> None:
    """Train CLIP, SLIP, FILIP, DeCLIP and DeFILIP on arms of a pool, evaluate them, and write a page that compares."""
    require_extra()
    from metaclip_spark.clip_benchmark.benchmark import Benchmark, open_data
    from metaclip_spark.clip_benchmark.report.html import not_learnt, summary_lines, write_report

    benchmark = Benchmark(grid, open_data(grid, shapes, drawings))
    rows = benchmark.run()
    show([*summary_lines(rows), f"wrote {write_report(benchmark.folder, rows, benchmark.facts())}"])
    failed = not_learnt(rows) if grid.must_learn else []
    if failed:
        raise CurationError(f"not above three times chance: {'; '.join(failed)}")
