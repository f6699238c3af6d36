"""The cells of a grid of trainings: which there can be, and the grids that are asked for by name."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from metaclip_spark.clip_benchmark.settings.model_sizes import MODEL_SIZES, ModelSizeName
from metaclip_spark.clip_benchmark.settings.training_config import ImageTower
from metaclip_spark.clip_benchmark.settings.variants import PRESETS, VARIANTS, PresetName, VariantName
from metaclip_spark.config.fields import NonNegativeInt, check_types

Arm = Literal["random", "matched", "balanced", "online", "all"]
ARMS: tuple[Arm, ...] = get_args(Arm)
CaptionKind = Literal["v1", "v2"]
CAPTION_KINDS: tuple[CaptionKind, ...] = get_args(CaptionKind)
_OF_TOKENS: tuple[VariantName, ...] = ("filip", "defilip")
"""The variants that contrast image tokens."""


@dataclass(frozen=True, order=True)
class Cell:
    """One training run.

    Attributes:
        pixels: Side of the images; 0 for the model size's own.
        arm: Which pairs are trained on.
        caption_kind: v1, the pool's captions; v2, the filtered ones.
        text_depth: Layers of the text tower; 0 for the model size's own.
        seed: Of the pool and its test split, the initial weights, the order of samples, and the sampling of the arm.
    """

    variant: VariantName = "clip"
    image_tower: ImageTower = "vit"
    pixels: NonNegativeInt = 0
    arm: Arm = "all"
    caption_kind: CaptionKind = "v2"
    text_depth: NonNegativeInt = 0
    preset: PresetName = "clean"
    model_size: ModelSizeName = "tiny"
    seed: NonNegativeInt = 0

    def __post_init__(self) -> None:
        """Checks the values."""
        check_types(self)

    @property
    def name(self) -> str:
        """A name for folders and files."""
        depth = f"text{self.text_depth}" if self.text_depth else "text"
        return "-".join(
            (
                self.variant,
                self.image_tower,
                *([f"{self.pixels}px"] if self.pixels else []),
                self.arm,
                self.caption_kind,
                depth,
                self.preset,
                self.model_size,
                f"seed{self.seed}",
            )
        )

    @property
    def setting(self) -> tuple[str, ...]:
        """The cell without its seed."""
        return tuple(str(getattr(self, item.name)) for item in fields(self) if item.name != "seed")


def expand(values: Mapping[str, Iterable[Any]]) -> list[Cell]:
    """Every cell of a product, each once, by seed first, so that a grid cut short has whole seeds.

    `values` are those of each field of `Cell`; a field that is left out has its default.
    """
    product = itertools.product(*values.values())
    return by_seed(Cell(**dict(zip(values, chosen, strict=True))) for chosen in product)


def by_seed(cells: Iterable[Cell]) -> list[Cell]:
    """Orders distinct cells by seed first."""
    return sorted(set(cells), key=lambda cell: (cell.seed, cell))


def data_arms(seeds: Sequence[int], model_size: ModelSizeName = "tiny") -> list[Cell]:
    """The primary comparison: one learner on the data arms of the pool's own captions."""
    return expand({"arm": ARMS, "caption_kind": ("v1",), "model_size": (model_size,), "seed": seeds})


def fractional(seeds: Sequence[int], model_size: ModelSizeName = "tiny") -> list[Cell]:
    """A grid that shows each effect without the whole product.

    All variants on both towers, on the ResNet those that contrast tokens at the side that gives enough of them, and
    CLIP at both; three variants on both kinds of captions; three depths of the text tower for two variants; the two
    presets for FILIP; the data arms.
    """
    size = MODEL_SIZES[model_size]
    larger = 0 if size.resnet_token_pixels == size.resnet_pixels else size.resnet_token_pixels
    of_images = [variant for variant in VARIANTS if variant not in _OF_TOKENS]
    base: dict[str, Iterable[Any]] = {"model_size": (model_size,), "seed": tuple(seeds)}
    parts = [
        expand({"variant": VARIANTS, **base}),
        expand({"variant": of_images, "image_tower": ("resnet",), **base}),
        expand({"variant": ("clip", *_OF_TOKENS), "image_tower": ("resnet",), "pixels": (larger,), **base}),
        expand({"variant": ("clip", "declip", "defilip"), "caption_kind": CAPTION_KINDS, **base}),
        expand({"variant": ("clip", "declip"), "text_depth": own_as_zero((1, 2, 4), size.text_layers), **base}),
        expand({"variant": ("filip",), "preset": PRESETS, **base}),
        data_arms(seeds, model_size),
    ]
    return by_seed(itertools.chain.from_iterable(parts))


def own_as_zero(values: Iterable[int], own: int) -> list[int]:
    """Puts 0 in place of what the model size has by itself, so that it is not asked for once more."""
    return [0 if value == own else value for value in values]
