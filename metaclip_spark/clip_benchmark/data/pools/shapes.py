"""The shapes pool: procedural pictures of one outline each, with captions.

A class is an outline (`silhouettes.SILHOUETTES`): no colour, size, position or handedness, which the views change.
"""

from dataclasses import asdict
from pathlib import Path

import numpy as np
from PIL import Image

from metaclip_spark.clip_benchmark.data.pools.drawn_pool import (
    DrawnClasses,
    DrawnPool,
    class_frequencies,
    write_drawn_pool,
)
from metaclip_spark.clip_benchmark.data.pools.shape_pictures import draw_shape
from metaclip_spark.clip_benchmark.data.pools.silhouettes import SILHOUETTES
from metaclip_spark.clip_benchmark.settings.data_config import ShapesConfig


def class_words(classes: int = len(SILHOUETTES)) -> tuple[str, ...]:
    """The words of the first classes, by index."""
    return tuple(SILHOUETTES)[:classes]


def make_shapes(folder: Path, config: ShapesConfig, seed: int = 0) -> DrawnPool:
    """Writes the pool of a seed, or reads it where the same configuration wrote it before.

    Args:
        folder: A part of a pool that a killed run left in it is replaced.
        config: What the pool holds.
        seed: Of the pool and of its test split.

    Raises:
        OutputExistsError: If the folder holds anything else.
    """
    words = class_words(config.pool_classes)

    def draw(label: int, ground: str, generator: np.random.Generator) -> tuple[Image.Image, str]:
        return draw_shape(words[label], ground, generator, config.picture_pixels), words[label]

    drawn = DrawnClasses(
        kind="shapes",
        names=words,
        words=words,
        kept_words=(),
        frequencies=class_frequencies(config.pool_pairs, config.pool_classes, config.zipf_exponent, seed),
        draw=draw,
        test_pictures=config.test_pictures,
    )
    return write_drawn_pool(folder, config, seed, {**asdict(config), "seed": seed}, drawn)
