"""What a benchmark is asked for: which cells, and what all of them have in common."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from metaclip_spark.clip_benchmark.settings.data_config import check_local
from metaclip_spark.clip_benchmark.settings.grid import (
    Arm,
    CaptionKind,
    Cell,
    by_seed,
    data_arms,
    expand,
    fractional,
    own_as_zero,
)
from metaclip_spark.clip_benchmark.settings.model_sizes import MODEL_SIZES, ModelSizeName
from metaclip_spark.clip_benchmark.settings.training_config import (
    Device,
    ImageTower,
    Precision,
    TrainingConfig,
    ViewMaker,
    ViewSet,
)
from metaclip_spark.clip_benchmark.settings.variants import PresetName, VariantName
from metaclip_spark.config.fields import (
    PATH,
    FiniteNonNegative,
    FinitePositive,
    NonNegativeInt,
    OpenUnitInterval,
    PositiveInt,
    check_types,
)
from metaclip_spark.errors import ConfigError, InputError

METHOD = 4
"""Raised with every change after which the same settings give other figures, so that rows of both never meet."""

FEWEST_SEEDS = 5
"""Seeds without which a comparison gets no verdict."""

_DRAWN = ("shapes", "shape-pairs")
"""Pools whose classes are outlines, which no change of colours alters."""


@dataclass(frozen=True)
class GridConfig:
    """Which cells are trained, and how.

    Attributes:
        output: Folder of the benchmark; the same command goes on after a kill.
        data: shapes, shape-pairs, drawings, or the folder of a pool with pairs.parquet, metadata.json and test/.
        beside: Folders of finished benchmarks on other pools, which the page shows in sections of their own.
        finished_cells: Folder with settings.json and results.parquet of an earlier run, here or elsewhere: cells that
            it finished with the same settings are taken over, and not trained again.
        grid: arms (CLIP on the data arms), fractional (every effect once), or product (of the options below).
        variants: For product: clip, slip, filip, declip, defilip.
        image_towers: For product: vit, resnet.
        image_pixels: For product: sides of the images; 0 for the size's own.
        arms: For product: random, matched, balanced, online, all.
        caption_kinds: For product: v1 (as they are), v2 (filtered).
        text_depths: For product: layers of the text tower; 0 for the size's own.
        presets: For product: clean, published.
        seeds: Number of seeds, from 0, fixed before the first training; fewer than five give no verdict.
        model_size: unit, tiny, small or full.
        steps: Steps of each training.
        batch_size: Samples per process and step; without it the size's.
        warmup_steps: Steps in which the learning rate rises.
        learning_rate: Peak; without it the preset's.
        weight_decay: Without it the preset's.
        view_set: distorting, label_safe or paper; without it distorting for shapes and shape pairs, whose outlines
            tell the classes, and paper for other pictures.
        synonyms: WordNet's folder, for edited captions; without it no word is replaced.
        arm_share: Expected size of the balanced arm, as a share of the matched pairs; the other arms get as many pairs.
        cells_at_once: Cells that are trained at a time, each in a process of its own with its own images in memory;
            their figures but for times are those of one after another.
        processes: Processes of each training; more than one go through Spark's TorchDistributor.
        threads: CPU threads of each process.
        loader_workers: Processes beside each training process that prepare batches.
        precision: float32 or bfloat16.
        device: cpu or cuda.
        view_maker: Who makes the image views: loader (Pillow, on CPUs), device (whole batches of images that its memory
            holds), or auto (device on cuda where the images fit).
        device_memory_share: Largest share of the device's memory that images take.
        tensorboard: Folder for TensorBoard's curves, those of each cell in a folder of its own; without it none.
        wandb: Project of Weights & Biases for the curves, whose files are in the output's curves/; without it none.
        keep_checkpoints: Keep the checkpoints of finished cells.
        must_learn: End with exit code 1 where a setting's lower 95% bound of zero-shot top-1 is not above three times
            chance.
    """

    output: str = field(metadata=PATH)
    data: str = field(default="shapes", metadata=PATH)
    beside: tuple[str, ...] = field(default=(), metadata=PATH)
    finished_cells: str | None = field(default=None, metadata=PATH)
    grid: Literal["arms", "fractional", "product"] = "arms"
    variants: tuple[VariantName, ...] = ("clip",)
    image_towers: tuple[ImageTower, ...] = ("vit",)
    image_pixels: tuple[NonNegativeInt, ...] = (0,)
    arms: tuple[Arm, ...] = ("all",)
    caption_kinds: tuple[CaptionKind, ...] = ("v2",)
    text_depths: tuple[NonNegativeInt, ...] = (0,)
    presets: tuple[PresetName, ...] = ("clean",)
    seeds: PositiveInt = FEWEST_SEEDS
    model_size: ModelSizeName = "tiny"
    steps: PositiveInt = 400
    batch_size: PositiveInt | None = None
    warmup_steps: NonNegativeInt = 20
    learning_rate: FinitePositive | None = None
    weight_decay: FiniteNonNegative | None = None
    view_set: ViewSet | None = None
    synonyms: str | None = field(default=None, metadata=PATH)
    arm_share: OpenUnitInterval = 0.4
    cells_at_once: PositiveInt = 1
    processes: PositiveInt = 1
    threads: PositiveInt = 1
    loader_workers: NonNegativeInt = 0
    precision: Precision = "float32"
    device: Device = "cpu"
    view_maker: ViewMaker = "auto"
    device_memory_share: OpenUnitInterval = 0.5
    tensorboard: str | None = field(default=None, metadata=PATH)
    wandb: str | None = None
    keep_checkpoints: bool = False
    must_learn: bool = False

    def __post_init__(self) -> None:
        """Checks the values, each cell's training among them, before any work."""
        for item in fields(self):
            # A file says of a list that is left out that it is empty.
            if getattr(self, item.name) == ():
                object.__setattr__(self, item.name, item.default)
        check_types(self)
        check_local(self, "output", "data", "finished_cells", "synonyms")
        if self.cells_at_once > 1 and self.processes > 1:
            raise ConfigError(
                f"--cells-at-once {self.cells_at_once} and --processes {self.processes}: give one of them, cells of "
                "several processes are trained one by one"
            )
        if self.synonyms is not None and not os.path.exists(self.synonyms):  # noqa: PTH110 - a check only
            raise InputError(f"--synonyms {self.synonyms} is not there: install wordnet-base or leave the option out")
        for cell in self.cells():
            self.training(cell, Path("shards"), Path("checkpoints"))

    @property
    def views(self) -> ViewSet:
        """The view set of all cells."""
        return self.view_set or ("distorting" if self.data in _DRAWN else "paper")

    @property
    def made_by(self) -> ViewMaker:
        """Who makes the views of all cells: one of both, whatever the images of an arm take."""
        if self.view_maker == "auto":
            return "loader" if self.device == "cpu" else "device"
        return self.view_maker

    def cells(self) -> list[Cell]:
        """The cells, by seed first."""
        seeds, size = range(self.seeds), MODEL_SIZES[self.model_size]
        if self.grid == "arms":
            return data_arms(seeds, self.model_size)
        if self.grid == "fractional":
            return fractional(seeds, self.model_size)
        values: dict[str, Iterable[Any]] = {
            "variant": self.variants,
            "arm": self.arms,
            "caption_kind": self.caption_kinds,
            "text_depth": own_as_zero(self.text_depths, size.text_layers),
            "preset": self.presets,
            "model_size": (self.model_size,),
            "seed": seeds,
        }
        return by_seed(
            cell
            for tower in self.image_towers
            for cell in expand(
                {**values, "image_tower": (tower,), "pixels": own_as_zero(self.image_pixels, size.pixels(tower))}
            )
        )

    def training(self, cell: Cell, shards: Path, checkpoints: Path) -> TrainingConfig:
        """The training run of a cell."""
        return TrainingConfig(
            variant=cell.variant,
            train_shards=str(shards),
            output=str(checkpoints),
            image_tower=cell.image_tower,
            model_size=cell.model_size,
            image_pixels=cell.pixels or None,
            text_depth=cell.text_depth or None,
            preset=cell.preset,
            view_set=self.views,
            seed=cell.seed,
            online_curation=cell.arm == "online",
            steps=self.steps,
            batch_size=self.batch_size,
            warmup_steps=self.warmup_steps,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            synonyms=self.synonyms,
            processes=self.processes,
            threads=self.threads,
            loader_workers=self.loader_workers,
            precision=self.precision,
            device=self.device,
            view_maker=self.made_by,
            device_memory_share=self.device_memory_share,
            tensorboard=None if self.tensorboard is None else f"{self.tensorboard.rstrip('/')}/{cell.name}",
            wandb=self.wandb,
            wandb_folder=None if self.wandb is None else str(Path(self.output, "curves", cell.name)),
        )

    def shared_settings(self) -> dict[str, Any]:
        """What all cells have in common and their figures depend on, JSON-ready; not what files hold."""
        return {
            "method": METHOD,
            "model_size": self.model_size,
            "seeds": self.seeds,
            "steps": self.steps,
            "batch_size": self.batch_size,
            "warmup_steps": self.warmup_steps,
            "learning_rate": self.learning_rate,
            "weight_decay": self.weight_decay,
            "view_set": self.views,
            "arm_share": self.arm_share,
            "processes": self.processes,
            "precision": self.precision,
            "device": self.device,
            "view_maker": self.made_by,
        }
