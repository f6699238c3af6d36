"""What the pools and shards of the benchmark are made of, apart from what makes them: `--help` needs only these."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from metaclip_spark.config.fields import (
    PATH,
    ClosedUnitInterval,
    NonNegativeInt,
    PositiveInt,
    check_types,
    integers,
    numbers,
)
from metaclip_spark.errors import ConfigError

SHAPE_CLASSES = 24
"""Outlines that there are to draw (`data.silhouettes`)."""

Classes = Annotated[int, integers(2, SHAPE_CLASSES)]
Exponent = Annotated[float, numbers(0, 100)]
Pixels = Annotated[int, integers(16)]
TestTitles = Annotated[int, integers(2)]
CorruptedShare = Annotated[float, numbers(0, 1, below=True)]


@dataclass(frozen=True)
class ShapesConfig:
    """What the shapes pool holds.

    Attributes:
        pool_pairs: Pairs in the pool.
        pool_classes: Classes, at most 24.
        test_pictures: Test images of each class.
        zipf_exponent: The class of rank r has a share in proportion to 1 / r to this power.
        corrupted_share: Share of the pairs whose caption is corrupted.
        ground_share: Share of the clean captions that name the ground, too. Tiny models learn the grounds first: there
            are only four.
        picture_pixels: Side of an image.
        pool_seed: Seed of the pool and of its test split.
    """

    pool_pairs: PositiveInt = 6000
    pool_classes: Classes = 24
    test_pictures: PositiveInt = 20
    zipf_exponent: Exponent = 1.0
    corrupted_share: CorruptedShare = 0.3
    ground_share: ClosedUnitInterval = 0.1
    picture_pixels: Pixels = 32
    pool_seed: NonNegativeInt = 0

    def __post_init__(self) -> None:
        """Checks the values."""
        check_types(self)
        if self.pool_pairs < self.pool_classes:
            raise ConfigError(
                f"--pool-pairs is {self.pool_pairs}: it must be at least --pool-classes, one pair of each class"
            )


@dataclass(frozen=True)
class DrawingsConfig:
    """What the pool of drawings is made from.

    Attributes:
        openclipart: Folder of openclipart's SVG files; without it the Debian package is fetched by apt-get.
        tuxpaint: Folder of Tux Paint's stamps; without it the Debian package is fetched.
        drawing_pixels: Side of a rendered drawing.
        drawing_test_titles: Test drawings of each class; a class with fewer than four times as many titles is left out.
        other_languages: Captions in other languages that each stamp adds to the pool, at most.
    """

    openclipart: str = field(default="", metadata=PATH)
    tuxpaint: str = field(default="", metadata=PATH)
    drawing_pixels: Pixels = 64
    drawing_test_titles: TestTitles = 20
    other_languages: NonNegativeInt = 1

    def __post_init__(self) -> None:
        """Checks the values."""
        check_types(self)
        for name in ("openclipart", "tuxpaint"):
            given = getattr(self, name)
            if given and not Path(given).is_dir():
                raise ConfigError(f"--{name} {given} is no folder: give that of the package's files, or leave it out")


@dataclass(frozen=True)
class ShardsConfig:
    """What becomes shards.

    Attributes:
        pairs: Folder or file of Parquet pairs (image_url, alt_text): curated/, matched/ or pool/ of a run, or an arm.
        images: Downloaded images: img2dataset's output (webdataset or files), or a folder with a Parquet mapping from
            image_url (or pair_id) to image_path.
        output: Folder for the shards.
        samples_per_shard: Samples in a shard, at most.
        overwrite: Replace the shards that are there.
    """

    pairs: str = field(metadata=PATH)
    images: str = field(metadata=PATH)
    output: str = field(metadata=PATH)
    samples_per_shard: PositiveInt = 1000
    overwrite: bool = False

    def __post_init__(self) -> None:
        """Checks the values."""
        check_types(self)
        for option in ("pairs", "images", "output"):
            if "://" in getattr(self, option):
                raise ConfigError(f"--{option} {getattr(self, option)} must be a local path: copy what is elsewhere")
