"""The pool of shape pairs: two outlines in each picture, one above the other, and a caption that names both.

A class is an ordered pair, such as "star above the cup": word order and place matter, as they do not for single shapes,
and two pictures of a batch seldom share a class. A part of the pairs is held out of the pool; each of their shapes is
in it, above and below, with other partners.
"""

import itertools
from dataclasses import asdict
from pathlib import Path

import numpy as np
from PIL import Image

from metaclip_spark.clip_benchmark.data.pools.captions import NOISE
from metaclip_spark.clip_benchmark.data.pools.drawn_pool import (
    DrawnClasses,
    DrawnPool,
    class_frequencies,
    write_drawn_pool,
)
from metaclip_spark.clip_benchmark.data.pools.shape_pictures import draw_shapes
from metaclip_spark.clip_benchmark.data.pools.shapes import class_words
from metaclip_spark.clip_benchmark.settings.data_config import ShapePairsConfig, ShapesConfig
from metaclip_spark.errors import ConfigError

KEPT_WORDS = ("above", "below")
"""Words that edited captions keep in their place, since they say which shape is where."""

_HELD_OUT_STREAM = 3


def pair_classes(words: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Each (upper, lower) of two different words, by index."""
    return tuple(itertools.permutations(words, 2))


def held_out_pairs(words: tuple[str, ...], share: float, seed: int) -> frozenset[tuple[str, str]]:
    """Draws the pairs that the pool lacks.

    They are spread evenly over the words, so that a model has seen each shape in each place with other partners.

    Returns:
        The share of the pairs, rounded, at least one; each word stays above and below in one seen pair at least.
    """
    size = len(words)
    wanted = min(size * (size - 2), max(1, round(share * len(pair_classes(words)))))
    order = np.random.default_rng([seed, _HELD_OUT_STREAM]).permutation(size)
    circle = [words[index] for index in order]
    # First each word with its neighbour on the circle, then with the one after it, and so on.
    return frozenset((circle[place % size], circle[(place + place // size + 1) % size]) for place in range(wanted))


def make_shape_pairs(folder: Path, config: ShapesConfig, pairs: ShapePairsConfig, seed: int = 0) -> DrawnPool:
    """Writes the pool of a seed, or reads it where the same configuration wrote it before.

    Args:
        folder: A part of a pool that a killed run left in it is replaced.
        config: How large the pool is, and how its captions are; `pool_classes` and `test_pictures` are of no matter.
        pairs: What the pairs are made of.
        seed: Of the pool, of its test split, and of the pairs that are held out.

    Raises:
        ConfigError: If there are more classes than pairs in the pool.
        OutputExistsError: If the folder holds anything else.
    """
    words = class_words(pairs.paired_shapes)
    classes = pair_classes(words)
    held_out = held_out_pairs(words, pairs.held_out_share, seed)
    seen = len(classes) - len(held_out)
    if config.pool_pairs < seen:
        raise ConfigError(f"--pool-pairs is {config.pool_pairs}: it must be at least {seen}, a pair of each class")
    of_seen = iter(class_frequencies(config.pool_pairs, seen, config.zipf_exponent, seed))

    def draw(label: int, ground: str, generator: np.random.Generator) -> tuple[Image.Image, str]:
        upper, lower = classes[label]
        picture = draw_shapes((upper, lower), ground, generator, config.picture_pixels)
        return picture, caption_phrase(upper, lower, generator)

    drawn = DrawnClasses(
        kind="shape-pairs",
        names=tuple(f"{upper} above the {lower}" for upper, lower in classes),
        words=words,
        kept_words=KEPT_WORDS,
        frequencies=tuple(0 if pair in held_out else next(of_seen) for pair in classes),
        draw=draw,
        test_pictures=pairs.pair_test_pictures,
        # Shuffled words would name another pair, even one that is held out.
        corruptions=NOISE,
    )
    made_with = {name: value for name, value in asdict(config).items() if name not in {"pool_classes", "test_pictures"}}
    return write_drawn_pool(folder, config, seed, {**made_with, **asdict(pairs), "seed": seed}, drawn)


def caption_phrase(upper: str, lower: str, generator: np.random.Generator) -> str:
    """Names both shapes and their places, from above or from below."""
    return f"{upper} above the {lower}" if generator.random() < 0.5 else f"{lower} below the {upper}"  # noqa: PLR2004 - a coin
