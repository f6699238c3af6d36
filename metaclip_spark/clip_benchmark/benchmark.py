"""The benchmark from end to end: a pool, its data arms, shards, a grid of trainings, their evaluation, and a page."""

import dataclasses
import logging
import math
import shutil
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any

import torch
from pyspark.sql import SparkSession

from metaclip_spark.clip_benchmark.at_once import Workers
from metaclip_spark.clip_benchmark.augmentation.synonyms import wordnet_digest
from metaclip_spark.clip_benchmark.cells import (
    check_settings,
    curve_stride,
    read_rows,
    run_cells,
    take_finished,
    unfinished,
)
from metaclip_spark.clip_benchmark.data.arms import arm_file, filtered_pool, make_arms
from metaclip_spark.clip_benchmark.data.make_shards import make_shards
from metaclip_spark.clip_benchmark.data.pools.drawings import make_drawings
from metaclip_spark.clip_benchmark.data.pools.drawn_pool import DrawnPool
from metaclip_spark.clip_benchmark.data.pools.pool_folder import FOLDER, DataFolder, SeededPools
from metaclip_spark.clip_benchmark.data.pools.shape_pairs import make_shape_pairs
from metaclip_spark.clip_benchmark.data.pools.shapes import make_shapes
from metaclip_spark.clip_benchmark.data.pools.test_split import HELD_OUT_FILE
from metaclip_spark.clip_benchmark.data.shards import read_index, read_samples
from metaclip_spark.clip_benchmark.evaluation.evaluate import EvaluationResult, evaluate
from metaclip_spark.clip_benchmark.reading.samples import INDEX_FILE
from metaclip_spark.clip_benchmark.settings.data_config import (
    ArmsConfig,
    DrawingsConfig,
    ShapePairsConfig,
    ShapesConfig,
    ShardsConfig,
)
from metaclip_spark.clip_benchmark.settings.grid import CaptionKind, Cell
from metaclip_spark.clip_benchmark.settings.grid_config import GridConfig
from metaclip_spark.clip_benchmark.settings.training_config import TrainingConfig
from metaclip_spark.clip_benchmark.training.checkpoints import delete, finish_deletions, load_model
from metaclip_spark.clip_benchmark.training.distributed import train_distributed
from metaclip_spark.clip_benchmark.training.processes import memory_told, processor_of
from metaclip_spark.clip_benchmark.training.result import TrainingResult
from metaclip_spark.clip_benchmark.training.train import train
from metaclip_spark.errors import counted, percent
from metaclip_spark.stores.session import get_session

log = logging.getLogger(__name__)

POOL_KINDS = ("shapes", "shape-pairs", "drawings")
"""Pools that are made here; `--data` names one, or a folder."""

_CHECKPOINTS = "checkpoints"


def open_pools(
    grid: GridConfig,
    shapes: ShapesConfig,
    shape_pairs: ShapePairsConfig,
    drawings: DrawingsConfig,
    workers: Workers,
) -> SeededPools:
    """Opens the pool of each seed; those of ours (shapes, shape pairs, drawings) are made where they are not there."""
    folder, seeds = Path(grid.output) / "data", range(grid.seeds)
    if grid.data not in POOL_KINDS:
        return SeededPools(FOLDER, [DataFolder(Path(grid.data)) for _ in seeds])
    make = partial(_make_pool, grid.data, folder, shapes, shape_pairs, drawings)
    # Pools of drawings share what they are drawn from, which the first of them brings.
    made = [*map(make, seeds)] if grid.data == "drawings" else workers.call_each(make, seeds, "seed {}".format)
    for seed, told in enumerate(made):
        log.info(f"{grid.data}, seed {seed}: {told}")
    return SeededPools(grid.data, [DataFolder(_pool_folder(folder, grid.data, seed)) for seed in seeds])


def _pool_folder(folder: Path, kind: str, seed: int) -> Path:
    return folder / f"{kind}-seed{seed}"


def _make_pool(
    kind: str,
    folder: Path,
    shapes: ShapesConfig,
    shape_pairs: ShapePairsConfig,
    drawings: DrawingsConfig,
    seed: int,
) -> str:
    """Makes the pool of a seed, and says what it holds."""
    pool = _pool_folder(folder, kind, seed)
    if kind == "shapes":
        return _told_of(make_shapes(pool, shapes, seed))
    if kind == "shape-pairs":
        return _told_of(make_shape_pairs(pool, shapes, shape_pairs, seed))
    counts = make_drawings(pool, drawings, folder / "drawings", seed)
    return ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in counts.items())


def _told_of(pool: DrawnPool) -> str:
    frequencies = sorted((pairs for pairs in pool.frequencies if pairs), reverse=True)
    held_out = f", {len(pool.held_out_classes)} more held out" if pool.held_out_classes else ""
    return (
        f"{counted(sum(frequencies), 'pair')} of {len(frequencies)} classes, {frequencies[0]} to {frequencies[-1]} "
        f"each{held_out}"
    )


@dataclass(frozen=True)
class Benchmark:
    """One benchmark over the pools of its seeds."""

    config: GridConfig
    data: SeededPools

    @property
    def folder(self) -> Path:
        """Where everything is written."""
        return Path(self.config.output)

    def run(self, workers: Workers) -> list[dict[str, Any]]:
        """Trains and evaluates the cells that are not done; returns the rows of all cells made with these settings."""
        cells = self.config.cells()
        log.info(f"{counted(len(cells), 'cell')}, {counted(self.config.steps, 'step')} each")
        settings = self._settings()
        check_settings(self.folder, settings)
        if self.config.finished_cells:
            take_finished(Path(self.config.finished_cells), self.folder, settings, cells)
        pending = unfinished(cells, self.folder)
        self._prepare_arms(pending)
        # Cells of the same shards must find them made.
        one_of_each = list({self._shards(cell): cell for cell in pending}.values())
        workers.call_each(self._make_shards, one_of_each, attrgetter("name"))
        finish_deletions(self.folder / _CHECKPOINTS)
        clean_up = None if self.config.keep_checkpoints else self._delete_checkpoints
        run_cells(cells, self.folder, settings, self._run_cell, workers, clean_up)
        return read_rows(self.folder, settings)

    def facts(self) -> dict[str, Any]:
        """What holds for all rows and stands in none of them, for the report."""
        config = self.config
        return {
            "pool": self.data.kind,
            "pool_varies": self.data.are_drawn,
            "seeds": config.seeds,
            "arm_share": config.arm_share,
            "synonyms": bool(config.synonyms),
            "data_digest": self.data.digest,
        }

    def _settings(self) -> dict[str, Any]:
        folder = self.config.synonyms
        return {
            **self.config.shared_settings(),
            "synonyms": None if folder is None else wordnet_digest(folder),
            "pool": self.data.kind,
            "data": self.data.digest,
        }

    def _arms_config(self, caption_kind: CaptionKind, seed: int) -> ArmsConfig:
        data = self.data.by_seed[seed]
        return ArmsConfig(
            pool=str(data.pairs_file),
            metadata=str(data.metadata_file),
            output=str(self.folder / "arms" / caption_kind / self.data.label(seed)),
            caption_kind=caption_kind,
            arm_share=self.config.arm_share,
        )

    def _prepare_arms(self, cells: Sequence[Cell]) -> None:
        """Draws the arms of these cells at once; a session that this starts is stopped before a model is trained."""
        found = SparkSession.getActiveSession()
        wanted: dict[ArmsConfig, set[int]] = defaultdict(set)
        for cell in cells:
            if cell.arm != "all":
                wanted[self._arms_config(cell.caption_kind, cell.seed)].add(cell.seed)
        for config, seeds in wanted.items():
            made = make_arms(config, sorted(seeds))
            sizes = ", ".join(f"{made['sizes'][str(seed)]:,} (seed {seed})" for seed in sorted(seeds))
            log.info(
                f"arms of {config.caption_kind} captions: {counted(made['pool'], 'pair')}, {made['matched']:,} "
                f"matched, t = {made['threshold_t']}; pairs in each arm: {sizes}"
            )
        started = SparkSession.getActiveSession()
        if found is None and started is not None:
            started.stop()

    def _shards(self, cell: Cell) -> Path:
        name = "all" if cell.arm == "all" else f"{cell.arm}-seed{cell.seed}"
        return self.folder / "shards" / cell.caption_kind / self.data.label(cell.seed) / name

    def _make_shards(self, cell: Cell) -> None:
        folder, data = self._shards(cell), self.data.by_seed[cell.seed]
        if not (folder / INDEX_FILE).exists():
            arms = self._arms_config(cell.caption_kind, cell.seed)
            pairs = filtered_pool(arms)[0] if cell.arm == "all" else arm_file(Path(arms.output), cell.seed, cell.arm)
            # A killed run leaves shards without their index.
            shutil.rmtree(folder, ignore_errors=True)
            make_shards(ShardsConfig(str(pairs), str(data.folder), str(folder)))
        if data.protected_file.exists():
            shutil.copyfile(data.protected_file, folder / data.protected_file.name)

    def _run_cell(self, cell: Cell) -> dict[str, Any]:
        shards, test_shards = self._shards(cell), self.data.by_seed[cell.seed].test_shards
        config = self.config.training(cell, shards, self._checkpoints(cell))
        trained = self._train(config)
        with memory_told():
            model, _ = load_model(trained.checkpoint, device=config.device)
            found = evaluate(model, test_shards, config.pixels, config.recipe, device=config.device)
        log.info(
            f"zero-shot top-1 {percent(found.top1)} (lower 95% bound {percent(found.top1_lower)}; chance "
            f"{percent(found.chance)}), {trained.samples_per_second:,.0f} samples/s"
        )
        return {
            **conditions(config, shards),
            **_figures(trained),
            **_scores(found),
            **_of_held_out(found.correct, test_shards),
        }

    def _checkpoints(self, cell: Cell) -> Path:
        return self.folder / _CHECKPOINTS / cell.name

    def _delete_checkpoints(self, cell: Cell) -> None:
        delete(self._checkpoints(cell))

    def _train(self, config: TrainingConfig) -> TrainingResult:
        if config.processes == 1:
            return train(config)
        return train_distributed(config, get_session("metaclip-spark benchmark"))


def conditions(config: TrainingConfig, shards: Path) -> dict[str, Any]:
    """What the figures of a run must be read with: data, steps, samples, recipe, views, clamps, normalisation."""
    recipe, index = config.recipe, read_index(shards)
    return {
        "data_pairs": index["samples"],
        "data_lost": index["lost"],
        "steps": config.steps,
        "samples_per_step": config.samples_per_step,
        "samples_seen": config.steps * config.samples_per_step,
        "learning_rate": config.peak_learning_rate,
        "weight_decay": config.decay,
        "warmup_steps": config.warmup_steps,
        "image_pixels": config.pixels,
        "view_set": config.view_set,
        "image_views": list(recipe.image_views),
        "contrasted_texts": list(recipe.contrasted_texts),
        "log_scale_bounds": list(recipe.log_scale_bounds),
        "scale_cap": recipe.scale_cap,
        "masks_padding": recipe.masks_padding,
        "batch_norm": "of all processes" if config.device == "cuda" and config.processes > 1 else "of each process",
        "sampling_seed": config.seed,
        "processes": config.processes,
        "precision": config.precision,
        "device": config.device,
        "processor": processor_of(config.device),
        "torch": torch.__version__,
        "threads": config.threads,
    }


def _figures(trained: TrainingResult) -> dict[str, Any]:
    losses: dict[str, list[float | None]] = {}
    for term, values in trained.losses.items():
        stride = curve_stride(len(values))
        # A step that skipped the term has no value of it.
        losses[term] = [None if math.isnan(value) else round(value, 5) for value in values[::stride]]
    return {
        "seconds": trained.seconds,
        "samples_per_second": trained.samples_per_second,
        "losses": losses,
        "diagnostics": trained.diagnostics,
        "view_maker": trained.view_maker,
    }


def _scores(found: EvaluationResult) -> dict[str, Any]:
    scores = dataclasses.asdict(found)
    scores["correct"] = "".join("1" if right else "0" for right in found.correct)
    for way in ("image_to_text", "text_to_image"):
        scores |= {f"{way}_recall_{k}": share for k, share in scores.pop(way).items()}
    return scores


def _of_held_out(correct: Sequence[bool], test_shards: Path) -> dict[str, float | None]:
    """Top-1 over the items of the classes that the pool has, and over those of the classes that it lacks."""
    file = test_shards / HELD_OUT_FILE
    held_out = frozenset(map(int, file.read_text(encoding="utf-8").split())) if file.exists() else frozenset()
    unseen = [sample.class_index in held_out for sample in read_samples(test_shards)]
    return {
        "seen_top1": _share(right for right, apart in zip(correct, unseen, strict=True) if not apart),
        "held_out_top1": _share(right for right, apart in zip(correct, unseen, strict=True) if apart),
    }


def _share(right: Iterable[bool]) -> float | None:
    values = list(right)
    return sum(values) / len(values) if values else None
