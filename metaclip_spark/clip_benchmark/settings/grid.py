"""The cells of a grid of trainings: which there can be, and the grids that are asked for by name."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from metaclip_spark.clip_benchmark.settings.model_sizes import MODEL_SIZES
from metaclip_spark.clip_benchmark.settings.training_config import IMAGE_TOWERS
from metaclip_spark.clip_benchmark.settings.variants import PRESETS, VARIANTS
from metaclip_spark.errors import ConfigError

ARMS = ("random", "matched", "balanced", "all")
CAPTION_KINDS = ("v1", "v2")


@dataclass(frozen=True, order=True)
class Cell:
    """One training run.

    Attributes:
        arm: Which pairs are trained on.
        caption_kind: v1, the pool's captions; v2, the filtered ones.
        text_depth: Layers of the text tower; 0 for the model size's own.
        seed: Of the initial weights, the order of samples, and the sampling of the arm.
    """

    variant: str = "clip"
    image_tower: str = "vit"
    arm: str = "all"
    caption_kind: str = "v2"
    text_depth: int = 0
    preset: str = "clean"
    model_size: str = "tiny"
    seed: int = 0

    def __post_init__(self) -> None:
        """Checks the values."""
        known = {
            "variant": VARIANTS,
            "image_tower": IMAGE_TOWERS,
            "arm": ARMS,
            "caption_kind": CAPTION_KINDS,
            "preset": PRESETS,
            "model_size": MODEL_SIZES,
        }
        for name, values in known.items():
            if getattr(self, name) not in values:
                raise ConfigError(f"{name} is {getattr(self, name)!r}: it must be one of {', '.join(values)}")
        if self.text_depth < 0 or self.seed < 0:
            raise ConfigError(f"text_depth {self.text_depth} and seed {self.seed} must be at least 0")

    @property
    def name(self) -> str:
        """A name for folders and files."""
        depth = f"text{self.text_depth}" if self.text_depth else "text"
        return "-".join(
            (
                self.variant,
                self.image_tower,
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


def data_arms(seeds: Sequence[int], model_size: str = "tiny") -> list[Cell]:
    """The primary comparison: one learner on the four data arms of the pool's own captions."""
    return expand({"arm": ARMS, "caption_kind": ("v1",), "model_size": (model_size,), "seed": seeds})


def fractional(
    seeds: Sequence[int], model_size: str = "tiny", primary_seeds: Sequence[int] = (), own_depth: int = 2
) -> list[Cell]:
    """A grid that shows each effect without the whole product.

    All variants on both towers; three variants on both kinds of captions; three depths of the text tower for two
    variants; the two presets for FILIP; the data arms, with `primary_seeds` where there are any. `own_depth` is the
    depth of the text tower that the model size has by itself, which is not asked for once more.
    """
    depths = [0 if depth == own_depth else depth for depth in (1, 2, 4)]
    base: dict[str, Iterable[Any]] = {"model_size": (model_size,), "seed": tuple(seeds)}
    parts = [
        expand({"variant": VARIANTS, "image_tower": IMAGE_TOWERS, **base}),
        expand({"variant": ("clip", "declip", "defilip"), "caption_kind": CAPTION_KINDS, **base}),
        expand({"variant": ("clip", "declip"), "text_depth": depths, **base}),
        expand({"variant": ("filip",), "preset": PRESETS, **base}),
        data_arms(primary_seeds or seeds, model_size),
    ]
    return by_seed(itertools.chain.from_iterable(parts))
