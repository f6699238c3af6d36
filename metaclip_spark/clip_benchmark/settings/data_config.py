"""What pools, arms and shards are made from."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from metaclip_spark.clip_benchmark.settings.grid import CaptionKind
from metaclip_spark.config.fields import (
    PATH,
    ClosedUnitInterval,
    NonNegativeInt,
    OpenUnitInterval,
    PositiveInt,
    check_types,
    integers,
    numbers,
    option_of,
)
from metaclip_spark.errors import ConfigError

SAMPLES_PER_SHARD = 1000
SHAPE_CLASSES = 24
"""As many silhouettes as there are."""

LARGEST_EXPONENT = 100
PACKAGES = {"openclipart": "openclipart-svg", "tuxpaint": "tuxpaint-stamps-default"}
"""Option of the drawings -> Debian package that it replaces."""

Pixels = Annotated[int, integers(16)]
"""A side of an image; a smaller one shows no outline."""


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
    """

    pool_pairs: PositiveInt = 6000
    pool_classes: Annotated[int, integers(2, SHAPE_CLASSES)] = 24
    test_pictures: PositiveInt = 20
    zipf_exponent: Annotated[float, numbers(0, LARGEST_EXPONENT)] = 1.0
    corrupted_share: Annotated[float, numbers(0, 1, below=True)] = 0.3
    ground_share: ClosedUnitInterval = 0.1
    picture_pixels: Pixels = 32

    def __post_init__(self) -> None:
        """Checks the values."""
        check_types(self)
        if self.pool_pairs < self.pool_classes:
            raise ConfigError(f"--pool-pairs is {self.pool_pairs}: it must be at least --pool-classes, a pair of each")


@dataclass(frozen=True)
class ShapePairsConfig:
    """What the pool of shape pairs holds beside what holds for shapes.

    Attributes:
        paired_shapes: Shapes of which two are in each picture; each ordered pair of them is a class.
        held_out_share: Share of the classes that only the test split has.
        pair_test_pictures: Test images of each class.
    """

    paired_shapes: Annotated[int, integers(3, SHAPE_CLASSES)] = 12
    held_out_share: OpenUnitInterval = 0.1
    pair_test_pictures: PositiveInt = 4

    def __post_init__(self) -> None:
        """Checks the values."""
        check_types(self)


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

    openclipart: str | None = field(default=None, metadata=PATH)
    tuxpaint: str | None = field(default=None, metadata=PATH)
    drawing_pixels: Pixels = 64
    drawing_test_titles: Annotated[int, integers(2)] = 20
    other_languages: NonNegativeInt = 1

    def __post_init__(self) -> None:
        """Checks the values."""
        check_types(self)
        for name in PACKAGES:
            given = getattr(self, name)
            if given and not Path(given).is_dir():
                raise ConfigError(
                    f"--{name} {given} is not a folder: give that of the package's files, or leave it out"
                )


@dataclass(frozen=True)
class ArmsConfig:
    """What the arms are made from.

    Attributes:
        pool: Parquet files with image_url and alt_text.
        metadata: Metadata list.
        output: Folder for the arms; finished ones are kept.
        caption_kind: v1 takes the captions as they are, v2 filters them first.
        arm_share: The balanced arm's expected size, as a share of the matched pairs.
    """

    pool: str
    metadata: str
    output: str
    caption_kind: CaptionKind = "v1"
    arm_share: OpenUnitInterval = 0.4

    def __post_init__(self) -> None:
        """Checks the values."""
        check_types(self)


@dataclass(frozen=True)
class ShardsConfig:
    """What becomes shards.

    Attributes:
        pairs: Pairs (image_url, alt_text): a run's folder for its curated set, RUN/matched, RUN/pool, or a Parquet
            file or folder, such as an arm.
        images: Downloaded images: img2dataset's output (webdataset or files), or a folder with a Parquet mapping from
            image_url (or pair_id) to image_path.
        output: Folder for the shards.
        samples_per_shard: Samples in a shard, at most.
        one_sample_per_image: Make one sample of each image, with all of its captions; else there is one for each pair.
        overwrite: Replace the shards that are there.
    """

    pairs: str = field(metadata=PATH)
    images: str = field(metadata=PATH)
    output: str = field(metadata=PATH)
    samples_per_shard: PositiveInt = SAMPLES_PER_SHARD
    one_sample_per_image: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        """Checks the values."""
        check_types(self)
        check_local(self, "pairs", "images", "output")


def check_local(config: object, *options: str) -> None:
    """Refuses options that are URLs, where only local paths are worked with."""
    for option in options:
        value = getattr(config, option)
        if value is not None and "://" in value:
            raise ConfigError(f"{option_of(option)} {value} must be a local path: copy what is elsewhere")
