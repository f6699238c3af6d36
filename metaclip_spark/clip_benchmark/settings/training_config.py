"""What one training run is: every choice, checked once, and saved in each checkpoint."""

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, get_args

from metaclip_spark.clip_benchmark.settings.model_sizes import MODEL_SIZES, ModelSize, ModelSizeName
from metaclip_spark.clip_benchmark.settings.variants import (
    VARIANTS,
    PresetName,
    Recipe,
    Variant,
    VariantName,
    recipe_of,
)
from metaclip_spark.config.fields import (
    OPERATIONAL,
    PATH,
    FiniteNonNegative,
    FinitePositive,
    NonNegativeInt,
    OpenUnitInterval,
    PositiveInt,
    Seed,
    check_types,
    integers,
    option_of,
)
from metaclip_spark.errors import ConfigError
from udfs.sources.credentials import without_credentials

ImageTower = Literal["vit", "resnet"]
IMAGE_TOWERS: tuple[ImageTower, ...] = get_args(ImageTower)
ViewSet = Literal["distorting", "label_safe", "paper"]
Precision = Literal["float32", "bfloat16"]
Device = Literal["cpu", "cuda"]
ViewMaker = Literal["auto", "loader", "device"]
ReadOrder = Literal["random", "sequential"]
FEWEST_SELECTED = 8
"""Tokens that a share selects at least: fewer of a short caption would be chosen by chance while nothing is learnt."""
_RESNET_STRIDE = 32


@dataclass(frozen=True)
class TrainingConfig:
    """One training run.

    Attributes:
        variant: Supervision: clip, slip, filip, declip or defilip.
        train_shards: Folder of webdataset tars at any depth, such as img2dataset's; s3:// or any store of fsspec, too.
        output: Folder of the checkpoints; on a cluster one that all processes share.
        image_tower: vit or resnet.
        model_size: unit, tiny, small or full.
        text_depth: Layers of the text transformer; without it the size's.
        preset: clean (one recipe for all) or published (the benchmark's, quirks included).
        view_set: paper (SLIP's and MoCo v2's), distorting (the same with crops of at least half of the picture), or
            label_safe (no colour or mirror changes).
        seed: Of the start values, the order of the samples and each augmentation.
        steps: Length of the run, and of its learning rate's schedule.
        batch_size: Samples per process and step; without it the size's.
        warmup_steps: Steps in which the learning rate rises.
        checkpoint_every_steps: Steps between two checkpoints; at most this many are trained again after a kill.
        learning_rate: Peak; without it the preset's.
        weight_decay: Without it the preset's.
        image_pixels: Side of the square images; without it the size's.
        filip_topk: Tokens that FILIP selects: a number, or a share below 1 of the valid ones, at least 8; without it a
            quarter in clean, and the size's number in published.
        queue_size: Texts in DeCLIP's queue; without it the size's.
        synonyms: Folder with WordNet's data files, for edited captions; without it no word is replaced.
        read_order: random (each sample from its place; for a local folder on a fast disk) or sequential (whole tars one
            after another, shuffled in a buffer); without it random, and sequential for a store.
        shuffle_buffer: Samples, encoded, that each process keeps in memory to shuffle what it reads in sequence.
        online_curation: Train in each epoch on those pairs that a draw of its own keeps; needs shards of matched pairs
            with their keep probability.
        curation_seed: Seed of the curated set, which the first epoch of --online-curation keeps; without it --seed.
        processes: Number of processes; more than one exchange features by gloo (CPU) or nccl (GPU).
        threads: CPU threads of each process.
        loader_workers: Processes that prepare batches beside each training process; 0 prepares them in it.
        precision: float32 or bfloat16 (towers only; losses stay float32).
        device: cpu or cuda.
        view_maker: Who makes the image views: loader (Pillow, on CPUs), device (whole batches of images that its memory
            holds), or auto (device on cuda where the images fit).
        device_memory_share: Largest share of the device's memory that images take.
        tensorboard: Folder for TensorBoard's curves; without it none are drawn.
        wandb: Project of Weights & Biases for the curves; without it none are drawn.
        wandb_folder: Folder for the files of Weights & Biases; without it the output.
        stop_at_step: Stop there although the schedule goes on; the next run goes on from it.
    """

    variant: VariantName
    train_shards: str = field(metadata=OPERATIONAL | PATH)
    output: str = field(metadata=OPERATIONAL | PATH)
    image_tower: ImageTower = "vit"
    model_size: ModelSizeName = "tiny"
    text_depth: PositiveInt | None = None
    preset: PresetName = "clean"
    view_set: ViewSet = "paper"
    seed: Annotated[int, integers(0, 2**63 - 1, "2^63 - 1")] = 0
    steps: PositiveInt = 300
    batch_size: PositiveInt | None = None
    warmup_steps: NonNegativeInt = 20
    checkpoint_every_steps: PositiveInt = field(default=100, metadata=OPERATIONAL)
    learning_rate: FinitePositive | None = None
    weight_decay: FiniteNonNegative | None = None
    image_pixels: PositiveInt | None = None
    filip_topk: FinitePositive | None = None
    queue_size: PositiveInt | None = None
    synonyms: str | None = field(default=None, metadata=PATH)
    read_order: ReadOrder | None = None
    shuffle_buffer: PositiveInt = 5000
    online_curation: bool = False
    curation_seed: Seed | None = None
    processes: PositiveInt = 1
    threads: PositiveInt = field(default=1, metadata=OPERATIONAL)
    loader_workers: NonNegativeInt = field(default=0, metadata=OPERATIONAL)
    precision: Precision = "float32"
    device: Device = field(default="cpu", metadata=OPERATIONAL)
    # What it comes to is in the checkpoint, and compared there.
    view_maker: ViewMaker = field(default="auto", metadata=OPERATIONAL)
    device_memory_share: OpenUnitInterval = field(default=0.5, metadata=OPERATIONAL)
    tensorboard: str | None = field(default=None, metadata=OPERATIONAL | PATH)
    wandb: str | None = field(default=None, metadata=OPERATIONAL)
    wandb_folder: str | None = field(default=None, metadata=OPERATIONAL | PATH)
    stop_at_step: PositiveInt | None = field(default=None, metadata=OPERATIONAL)

    def __post_init__(self) -> None:
        """Checks the values."""
        check_types(self)
        for name in ("train_shards", "output"):
            _require(name, getattr(self, name), "a folder", holds=bool(getattr(self, name).strip()))
        self._check_reading()
        _require("warmup_steps", self.warmup_steps, "from 0 to below --steps", holds=self.warmup_steps < self.steps)
        self._check_image()
        self._check_batch()

    @property
    def weights(self) -> Variant:
        """The variant's row of weights."""
        return VARIANTS[self.variant]

    @property
    def recipe(self) -> Recipe:
        """The preset's recipe for the variant."""
        return recipe_of(self.preset, self.variant)

    @property
    def size(self) -> ModelSize:
        """The model's size."""
        return MODEL_SIZES[self.model_size]

    @property
    def pixels(self) -> int:
        """Side of the square images that the model takes."""
        return self.image_pixels or self.size.pixels(self.image_tower)

    @property
    def samples_per_process(self) -> int:
        """Samples per process and step."""
        return self.size.batch_size if self.batch_size is None else self.batch_size

    @property
    def samples_per_step(self) -> int:
        """Samples of all processes together, per step."""
        return self.samples_per_process * self.processes

    def positions(self, step: int, rank: int) -> range:
        """A process's share of a step's positions in the order of all samples."""
        first = step * self.samples_per_step + rank * self.samples_per_process
        return range(first, first + self.samples_per_process)

    @property
    def embedding_width(self) -> int:
        """Width of the embedding that image and text share."""
        if self.image_tower == "resnet":
            return self.size.resnet_embedding
        return self.size.vit_width if self.recipe.wide_embedding else self.size.vit_embedding

    @property
    def queue_entries(self) -> int:
        """Texts in the nearest-neighbour queue."""
        return self.size.queue_size if self.queue_size is None else self.queue_size

    @property
    def peak_learning_rate(self) -> float:
        """The highest learning rate."""
        return self.recipe.learning_rate if self.learning_rate is None else self.learning_rate

    @property
    def decay(self) -> float:
        """The weight decay."""
        return self.recipe.weight_decay if self.weight_decay is None else self.weight_decay

    @property
    def reads_in_sequence(self) -> bool:
        """Whether whole tars are read, one after another."""
        return (self.read_order or ("sequential" if is_remote(self.train_shards) else "random")) == "sequential"

    @property
    def draw_seed(self) -> int:
        """The seed of online curation."""
        return self.seed if self.curation_seed is None else self.curation_seed

    def selected_tokens(self, tokens: int) -> int:
        """How many of so many valid tokens FILIP selects."""
        wanted = self.filip_topk or self.recipe.selected_share or self.size.filip_topk
        return min(tokens, max(FEWEST_SELECTED, math.ceil(wanted * tokens)) if wanted < 1 else int(wanted))

    def result_options(self) -> dict[str, Any]:
        """The options that the result depends on, which a resumed run must have again."""
        return {
            option.name: getattr(self, option.name)
            for option in dataclasses.fields(self)
            if not option.metadata.get("operational")
        }

    def shown(self) -> dict[str, Any]:
        """The options as they may be handed on: URLs without credentials."""
        options = dataclasses.asdict(self)
        paths = {"train_shards", "output", "tensorboard"}
        return {
            name: without_credentials(value) if name in paths and is_remote(value or "") else value
            for name, value in options.items()
        }

    def _check_reading(self) -> None:
        shown = without_credentials(self.train_shards)
        if self.read_order == "random" and is_remote(self.train_shards):
            raise ConfigError(
                f"--read-order is random: {shown} can only be read in sequence: leave the option out, or copy the tars "
                "to a local folder"
            )
        if self.reads_in_sequence and self.view_maker == "device":
            raise ConfigError(
                f"--view-maker is device, which holds all images, but {shown} is read in sequence: give auto, or "
                "--read-order random with a local folder"
            )

    def _check_image(self) -> None:
        step = self.size.patch_pixels if self.image_tower == "vit" else _RESNET_STRIDE
        _require(
            "image_pixels",
            self.pixels,
            f"a multiple of {step} for a {self.model_size} {self.image_tower}",
            holds=self.pixels % step == 0,
        )

    def _check_batch(self) -> None:
        _require(
            "batch_size",
            self.samples_per_process,
            "at least 2 over all processes: one pair has nothing to be told from",
            holds=self.samples_per_step > 1,
        )
        normalises = self.weights.simclr or self.weights.simsiam or self.image_tower == "resnet"
        _require(
            "batch_size",
            self.samples_per_process,
            f"at least 2 per process, since {self.variant} with {self.image_tower} normalises over the batch",
            holds=self.samples_per_process > 1 or not normalises,
        )


def is_remote(path: str) -> bool:
    """Tells whether a path is the URL of a store."""
    return "://" in path


def _require(name: str, value: object, condition: str, *, holds: bool) -> None:
    if not holds:
        raise ConfigError(f"{option_of(name)} is {value}: it must be {condition}")
