"""What a benchmark is asked for: which cells, and what all of them have in common."""

import math
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from metaclip_spark.clip_benchmark.settings.grid import Cell, data_arms, expand, fractional
from metaclip_spark.clip_benchmark.settings.model_sizes import MODEL_SIZES
from metaclip_spark.clip_benchmark.settings.training_config import TrainingConfig
from metaclip_spark.config.fields import PATH
from metaclip_spark.errors import ConfigError, InputError

GRIDS = ("arms", "fractional", "product")


@dataclass(frozen=True)
class GridConfig:
    """Which cells are trained, and how.

    Attributes:
        output: Folder of the benchmark; the same command goes on after a kill.
        data: shapes, drawings, or the folder of a pool with pairs.parquet, metadata.json and test/.
        grid: arms (CLIP on the four data arms), fractional (every effect once), or product (of the options below).
        variants: For product: clip, slip, filip, declip, defilip.
        image_towers: For product: vit, resnet.
        arms: For product: random, matched, balanced, all.
        caption_kinds: For product: v1 (as they are), v2 (filtered).
        text_depths: For product: layers of the text tower; 0 for the size's own.
        presets: For product: clean, published.
        seeds: Number of seeds, from 0.
        primary_seeds: For arms and fractional: number of seeds of the data arms.
        model_size: unit, tiny, small or full.
        steps: Steps of each training.
        batch_size: Samples per process and step; 0 for the size's own.
        warmup_steps: Steps in which the learning rate rises.
        learning_rate: Peak; 0 for the preset's.
        weight_decay: Below 0 for the preset's.
        view_set: label_safe or paper.
        synonyms: WordNet's folder, for edited captions.
        arm_share: Expected size of the balanced arm, as a share of the matched pairs; the other arms get as many pairs.
        processes: Processes of each training; more than one go through Spark's TorchDistributor.
        threads: CPU threads of each process.
        loader_workers: Processes beside each training process that prepare batches.
        precision: float32 or bfloat16.
        device: cpu or cuda.
        keep_checkpoints: Keep the checkpoints of finished cells.
        must_learn: End with exit code 1 where a setting's lower 95 % bound of zero-shot top-1 is not above three times
            chance.
    """

    output: str = field(metadata=PATH)
    data: str = field(default="shapes", metadata=PATH)
    grid: str = "arms"
    variants: tuple[str, ...] = ("clip",)
    image_towers: tuple[str, ...] = ("vit",)
    arms: tuple[str, ...] = ("all",)
    caption_kinds: tuple[str, ...] = ("v2",)
    text_depths: tuple[str, ...] = ("0",)
    presets: tuple[str, ...] = ("clean",)
    seeds: int = 3
    primary_seeds: int = 5
    model_size: str = "tiny"
    steps: int = 400
    batch_size: int = 0
    warmup_steps: int = 20
    learning_rate: float = 0.0
    weight_decay: float = -1.0
    view_set: str = "label_safe"
    synonyms: str = field(default="", metadata=PATH)
    arm_share: float = 0.4
    processes: int = 1
    threads: int = 1
    loader_workers: int = 0
    precision: str = "float32"
    device: str = "cpu"
    keep_checkpoints: bool = False
    must_learn: bool = False

    def __post_init__(self) -> None:
        """Checks the values, each cell's training among them, before any work."""
        self._check_paths()
        if self.grid not in GRIDS:
            raise ConfigError(f"--grid is {self.grid!r}: it must be one of {', '.join(GRIDS)}")
        for name in ("seeds", "primary_seeds"):
            if getattr(self, name) < 1:
                raise ConfigError(f"--{name.replace('_', '-')} is {getattr(self, name)}: it must be at least 1")
        if math.isnan(self.weight_decay):
            raise ConfigError("--weight-decay is nan: it must be a number, below 0 for the preset's")
        if not 0 < self.arm_share < 1:
            raise ConfigError(f"--arm-share is {self.arm_share}: it must be a share between 0 and 1")
        defaults = {name: field.default for name, field in self.__dataclass_fields__.items()}
        for name in ("variants", "image_towers", "arms", "caption_kinds", "text_depths", "presets"):
            # The command line gives nothing for a list that is left out.
            object.__setattr__(self, name, tuple(getattr(self, name)) or defaults[name])
        for cell in self.cells():
            self.training(cell, Path("shards"), Path("checkpoints"))

    def _check_paths(self) -> None:
        for name in ("output", "data", "synonyms"):
            if "://" in getattr(self, name):
                raise ConfigError(f"--{name} {getattr(self, name)} must be a local path: copy what is elsewhere")
        if self.synonyms and not os.path.exists(self.synonyms):  # noqa: PTH110 - a check only
            raise InputError(f"--synonyms {self.synonyms} is not there: install wordnet-base or leave the option out")

    def cells(self) -> list[Cell]:
        """The cells, by seed first."""
        seeds, primary = range(self.seeds), range(self.primary_seeds)
        if self.grid == "arms":
            return data_arms(primary, self.model_size)
        if self.grid == "fractional":
            own = MODEL_SIZES[self.model_size].text_layers if self.model_size in MODEL_SIZES else 0
            return fractional(seeds, self.model_size, primary, own)
        values: dict[str, Iterable[Any]] = {
            "variant": self.variants,
            "image_tower": self.image_towers,
            "arm": self.arms,
            "caption_kind": self.caption_kinds,
            "text_depth": [_whole(depth) for depth in self.text_depths],
            "preset": self.presets,
            "model_size": (self.model_size,),
            "seed": seeds,
        }
        return expand(values)

    def training(self, cell: Cell, shards: Path, checkpoints: Path) -> TrainingConfig:
        """The training run of a cell."""
        return TrainingConfig(
            variant=cell.variant,
            train_shards=str(shards),
            output=str(checkpoints),
            image_tower=cell.image_tower,
            model_size=cell.model_size,
            text_depth=cell.text_depth or None,
            preset=cell.preset,
            view_set=self.view_set,
            seed=cell.seed,
            steps=self.steps,
            batch_size=self.batch_size or None,
            warmup_steps=self.warmup_steps,
            learning_rate=self.learning_rate or None,
            weight_decay=self.weight_decay if self.weight_decay >= 0 else None,
            synonyms=self.synonyms or None,
            processes=self.processes,
            threads=self.threads,
            loader_workers=self.loader_workers,
            precision=self.precision,
            device=self.device,
        )

    def shared_settings(self) -> dict[str, Any]:
        """What all cells have in common and their figures depend on, JSON-ready."""
        names = ["steps", "batch_size", "warmup_steps", "learning_rate", "weight_decay", "view_set"]
        names += ["arm_share", "processes", "precision"]
        return {**{name: getattr(self, name) for name in names}, "synonyms": bool(self.synonyms)}


def _whole(text: str) -> int:
    if not str(text).isdigit():
        raise ConfigError(f"--text-depths has {text}: give whole numbers of layers, or 0 for the size's own")
    return int(text)
