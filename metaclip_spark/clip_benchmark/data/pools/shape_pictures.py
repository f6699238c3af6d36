"""Images of the shapes pools: dark outlines on a lighter ground, by a generator's numbers."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from metaclip_spark.clip_benchmark.data.pools.silhouettes import SILHOUETTES, Point, Silhouette

_OVERSAMPLED = 4
_LEAST_CONTRAST = 90


def draw_shape(word: str, ground: str, generator: np.random.Generator, pixels: int) -> Image.Image:
    """Draws one image of a class: colours, size, position and a slight turn are drawn by the generator.

    The outline differs from its ground in luminance, so that it is there in grey, too.
    """
    return _drawn((word,), ground, generator, pixels, _middle_of_one)


def draw_shapes(words: tuple[str, str], ground: str, generator: np.random.Generator, pixels: int) -> Image.Image:
    """Draws two shapes of one ink, the first one above the other."""
    return _drawn(words, ground, generator, pixels, _middle_of_two)


def _drawn(
    words: tuple[str, ...],
    ground: str,
    generator: np.random.Generator,
    pixels: int,
    placed: Callable[[int, float, np.random.Generator], tuple[Point, float]],
) -> Image.Image:
    side = pixels * _OVERSAMPLED
    ink, first, second = _colours(generator)
    image = _ground(ground, side, first, second, generator)
    for number, word in enumerate(words):
        middle, half = placed(number, side, generator)
        turn = np.deg2rad(generator.uniform(-8, 8))
        image.paste(ink, mask=shape_mask(SILHOUETTES[word], side, middle, half, turn))
    image = image.resize((pixels, pixels), Image.Resampling.BOX)
    noise = generator.normal(0, 6, (pixels, pixels, 3))
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))


def _middle_of_one(_number: int, side: float, generator: np.random.Generator) -> tuple[Point, float]:
    """Most of the image's side, near its middle: a crop of half the area still shows the outline."""
    half = side / 2 * generator.uniform(0.7, 0.88)
    reach = side / 2 - half
    return (side / 2 + generator.uniform(-0.6, 0.6) * reach, side / 2 + generator.uniform(-0.6, 0.6) * reach), half


def _middle_of_two(number: int, side: float, generator: np.random.Generator) -> tuple[Point, float]:
    """The upper or the lower half of the image, anywhere from left to right but whole."""
    half = side / 4 * generator.uniform(0.75, 0.92)
    across = side / 2 + generator.uniform(-0.9, 0.9) * (side / 2 - half)
    return (across, side * (0.25, 0.75)[number]), half


def shape_mask(shape: Silhouette, side: int, middle: Point, half: float, turn: float) -> Image.Image:
    """Draws where a shape is, as 255 in a grey image.

    `middle` and `half`, from there to the edge, are in pixels, `turn` in radians, clockwise.
    """

    def placed(point: Point) -> Point:
        x, y = point
        return (
            middle[0] + half * (x * float(np.cos(turn)) - y * float(np.sin(turn))),
            middle[1] + half * (x * float(np.sin(turn)) + y * float(np.cos(turn))),
        )

    mask = Image.new("L", (side, side), 0)
    pen = ImageDraw.Draw(mask)
    for polygons, value in ((shape.filled, 255), (shape.cut, 0)):
        for polygon in polygons:
            pen.polygon([placed(point) for point in polygon], fill=value)
    return mask


def _colours(generator: np.random.Generator) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Draws a dark ink, and two kindred ground colours that are lighter by `_LEAST_CONTRAST` at least."""
    weights = np.array([0.299, 0.587, 0.114])
    while True:
        ink, first = generator.integers(0, 256, (2, 3))
        second = np.clip(first + generator.integers(-28, 29, 3), 0, 255)
        if min(weights @ (ground - ink) for ground in (first, second)) >= _LEAST_CONTRAST:
            return tuple(ink.tolist()), tuple(first.tolist()), tuple(second.tolist())


def _ground(
    ground: str, side: int, first: tuple[int, ...], second: tuple[int, ...], generator: np.random.Generator
) -> Image.Image:
    down, right = generator.integers(0, side, 2)
    rows, columns = np.arange(side)[:, None] + down, np.arange(side)[None, :] + right
    period = side // 4
    half = period // 2
    patterns: dict[str, Callable[[], NDArray[np.bool_]]] = {
        "plain": lambda: np.zeros((side, side), bool),
        "striped": lambda: (rows + columns) % period < half,
        "dotted": lambda: (rows % period - half) ** 2 + (columns % period - half) ** 2 < (half * 0.6) ** 2,
        "checked": lambda: (rows % period < half) ^ (columns % period < half),
    }
    pixels = np.where(patterns[ground]()[..., None], np.array(second, np.uint8), np.array(first, np.uint8))
    return Image.fromarray(pixels)
