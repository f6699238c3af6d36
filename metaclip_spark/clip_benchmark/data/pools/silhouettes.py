"""The outlines of the shapes pool: a mirrored one keeps its class, and none is another one stretched or recoloured.

So the class of an image is true under crops, mirroring, colour changes, grey and blur: all that the views do.
"""

import math
from dataclasses import dataclass

Point = tuple[float, float]
Polygon = tuple[Point, ...]


@dataclass(frozen=True)
class Silhouette:
    """A shape in the square from (-1, -1), top left, to (1, 1): polygons that are filled, then those cut out again."""

    filled: tuple[Polygon, ...]
    cut: tuple[Polygon, ...] = ()


def _box(left: float, top: float, right: float, bottom: float) -> Polygon:
    return ((left, top), (right, top), (right, bottom), (left, bottom))


def _disc(x: float, y: float, width: float, height: float, corners: int = 40) -> Polygon:
    turns = [2 * math.pi * corner / corners for corner in range(corners)]
    return tuple((x + width * math.sin(turn), y - height * math.cos(turn)) for turn in turns)


def _rays(points: int, inner: float) -> Polygon:
    turns = [math.pi * corner / points for corner in range(2 * points)]
    lengths = [1.0 if corner % 2 == 0 else inner for corner in range(2 * points)]
    return tuple(
        (length * math.sin(turn), -length * math.cos(turn)) for turn, length in zip(turns, lengths, strict=True)
    )


def _heart() -> Polygon:
    turns = [2 * math.pi * corner / 48 for corner in range(48)]
    return tuple(
        (
            math.sin(turn) ** 3,
            -(13 * math.cos(turn) - 5 * math.cos(2 * turn) - 2 * math.cos(3 * turn) - math.cos(4 * turn)) / 16 - 0.08,
        )
        for turn in turns
    )


SILHOUETTES: dict[str, Silhouette] = {
    "circle": Silhouette((_disc(0, 0, 1, 1),)),
    "square": Silhouette((_box(-0.9, -0.9, 0.9, 0.9),)),
    "triangle": Silhouette((((0, -0.95), (1, 0.85), (-1, 0.85)),)),
    "star": Silhouette((_rays(5, 0.42),)),
    "cross": Silhouette((_box(-0.28, -1, 0.28, 1), _box(-1, -0.28, 1, 0.28))),
    "heart": Silhouette((_heart(),)),
    "ring": Silhouette((_disc(0, 0, 1, 1),), (_disc(0, 0, 0.58, 0.58),)),
    "diamond": Silhouette((((0, -1), (0.8, 0), (0, 1), (-0.8, 0)),)),
    "moon": Silhouette((_disc(0, 0, 1, 1),), (_disc(0.45, -0.1, 0.8, 0.8),)),
    "arrow": Silhouette((((0, -1), (0.85, -0.1), (-0.85, -0.1)), _box(-0.27, -0.15, 0.27, 1))),
    "house": Silhouette((((0, -1), (1, -0.1), (-1, -0.1)), _box(-0.75, -0.1, 0.75, 1)), (_box(-0.2, 0.35, 0.2, 1),)),
    "tree": Silhouette(
        (((0, -1), (0.6, -0.3), (-0.6, -0.3)), ((0, -0.55), (0.85, 0.45), (-0.85, 0.45)), _box(-0.18, 0.45, 0.18, 1))
    ),
    "mushroom": Silhouette(
        (_disc(0, -0.15, 1, 0.8)[-10:] + _disc(0, -0.15, 1, 0.8)[:11], _box(-0.25, -0.2, 0.25, 0.95))
    ),
    "hourglass": Silhouette((((-0.8, -1), (0.8, -1), (0, 0.12)), ((-0.8, 1), (0.8, 1), (0, -0.12)))),
    "window": Silhouette(
        (_box(-0.9, -0.9, 0.9, 0.9),),
        (
            _box(-0.66, -0.66, -0.14, -0.14),
            _box(0.14, -0.66, 0.66, -0.14),
            _box(-0.66, 0.14, -0.14, 0.66),
            _box(0.14, 0.14, 0.66, 0.66),
        ),
    ),
    "ladder": Silhouette(
        (
            _box(-0.62, -1, -0.34, 1),
            _box(0.34, -1, 0.62, 1),
            _box(-0.5, -0.72, 0.5, -0.48),
            _box(-0.5, -0.12, 0.5, 0.12),
            _box(-0.5, 0.48, 0.5, 0.72),
        )
    ),
    "crown": Silhouette((((-1, 0.7), (-1, -0.7), (-0.45, 0), (0, -0.8), (0.45, 0), (1, -0.7), (1, 0.7)),)),
    "cup": Silhouette(
        (((-0.8, -0.9), (0.8, -0.9), (0.15, 0.1), (-0.15, 0.1)), _box(-0.12, 0, 0.12, 0.8), _box(-0.6, 0.7, 0.6, 0.95))
    ),
    "key": Silhouette(
        (_disc(0, -0.5, 0.5, 0.5), _box(-0.13, -0.1, 0.13, 1), _box(0, 0.72, 0.6, 1), _box(0, 0.3, 0.5, 0.54)),
        (_disc(0, -0.5, 0.24, 0.24),),
    ),
    "fish": Silhouette((_disc(-0.2, 0, 0.78, 0.52), ((0.35, 0), (1, -0.6), (1, 0.6)))),
    "bottle": Silhouette(
        (_box(-0.16, -1, 0.16, -0.3), ((-0.16, -0.5), (0.16, -0.5), (0.5, 0), (0.5, 1), (-0.5, 1), (-0.5, 0)))
    ),
    "fork": Silhouette(
        (
            _box(-0.62, -1, -0.38, -0.1),
            _box(-0.12, -1, 0.12, 1),
            _box(0.38, -1, 0.62, -0.1),
            _box(-0.62, -0.3, 0.62, -0.05),
        )
    ),
    "flower": Silhouette(
        tuple(
            _disc(0.62 * math.sin(turn), -0.62 * math.cos(turn), 0.38, 0.38) for turn in (0, 1.257, 2.513, 3.770, 5.027)
        ),
        (_disc(0, 0, 0.26, 0.26),),
    ),
    "arch": Silhouette(
        (_disc(0, -0.1, 0.95, 0.9), _box(-0.95, -0.1, 0.95, 1)), (_disc(0, 0, 0.5, 0.5), _box(-0.5, 0, 0.5, 1))
    ),
}
"""Class word -> silhouette, in the order of the class indices."""
