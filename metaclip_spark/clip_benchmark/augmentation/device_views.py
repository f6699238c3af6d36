"""Image views of a whole batch at once, on the device that trains: the draws of `image`, as tensors.

Numbers are drawn on the host, so that every device makes the same views. A crop is one interpolation, and a value is
rounded once, at the end; Pillow, which `image` uses, rounds after each change.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from metaclip_spark.clip_benchmark.augmentation.image import ASPECTS, CROP_ATTEMPTS, PAPER_PIXELS, View

_BRIGHTNESS, _CONTRAST, _SATURATION, _HUE = range(4)
_WHITE = 255.0
_LUMA = (0.299, 0.587, 0.114)
"""ITU-R 601-2, as Pillow turns colours grey."""

Send = Callable[[NDArray[np.generic]], Tensor]
"""Brings an array to the device."""


@dataclass(frozen=True)
class ViewNumbers:
    """What is drawn for B views.

    Attributes:
        boxes: (B, 4) left, upper, width and height of the crop, in pixels.
        mirrored: (B,) whether left and right are swapped.
        order: (B, 4) the order of brightness, contrast, saturation and hue.
        factors: (B, 4) the factors of the first three, 1 for none; then 1.
        turns: (B,) part of the colour circle that hues turn by, 0 for none.
        grey: (B,) whether colours are dropped.
        sigmas: (B,) deviation of the blur in pixels of the view, 0 for none.
    """

    boxes: NDArray[np.float32]
    mirrored: NDArray[np.bool_]
    order: NDArray[np.int64]
    factors: NDArray[np.float32]
    turns: NDArray[np.float32]
    grey: NDArray[np.bool_]
    sigmas: NDArray[np.float32]


def draw_numbers(sizes: NDArray[np.int32], view: View, pixels: int, generator: np.random.Generator) -> ViewNumbers:
    """Draws what B views need.

    Args:
        sizes: (B, 2) width and height of the images.
        view: How the views are made.
        pixels: Side of the views.
        generator: Draws the numbers, equally many for each view.

    Returns:
        The numbers.
    """
    count = len(sizes)
    boxes = _random_boxes(sizes, view.smallest_crop, generator)
    jittered, grey, blurred, mirrored = (
        generator.random(count) < chance
        for chance in (view.jitter_chance, view.grey_chance, view.blur_chance, view.mirror_chance)
    )
    strengths = np.array([view.brightness, view.contrast, view.saturation, 0.0])
    factors = np.where(jittered[:, None], 1 + strengths * generator.uniform(-1, 1, (count, 4)), 1.0)
    turns = np.where(jittered, view.hue * generator.uniform(-1, 1, count), 0.0)
    order = generator.permuted(np.tile(np.arange(4), (count, 1)), axis=1)
    sigmas = np.where(blurred, generator.uniform(*view.blur_sigma, count) * pixels / PAPER_PIXELS, 0.0)
    return ViewNumbers(
        boxes,
        mirrored,
        order,
        factors.astype(np.float32),
        turns.astype(np.float32),
        grey,
        sigmas.astype(np.float32),
    )


def make_views(images: Tensor, numbers: ViewNumbers, pixels: int, send: Send, *, bilinear: bool = False) -> Tensor:
    """Makes a view of each image.

    Args:
        images: (B, 3, H, W) uint8, on the device; beyond an image's own size its last row and column go on.
        numbers: What was drawn for them.
        pixels: Side of the views.
        send: Brings an array to the device.
        bilinear: Interpolate crops linearly in place of cubically.

    Returns:
        (B, pixels, pixels, 3) uint8.
    """
    places, finer = _places_in(images, numbers, pixels, send)
    mode = "bilinear" if bilinear else "bicubic"
    # Its backward pass, which has no deterministic form, is never asked for.
    views = functional.grid_sample(images.float(), places, mode, "border", align_corners=False).clamp(0, _WHITE)
    views = _recoloured(functional.avg_pool2d(views, finer) if finer > 1 else views, numbers, send)
    rows = np.flatnonzero(numbers.sigmas)
    if len(rows):
        chosen = send(rows)
        views = views.index_copy(0, chosen, _blurred(views[chosen], send(numbers.sigmas[rows]), numbers.sigmas.max()))
    return views.round().clamp(0, _WHITE).to(torch.uint8).permute(0, 2, 3, 1)


def _random_boxes(sizes: NDArray[np.int32], smallest: float, generator: np.random.Generator) -> NDArray[np.float32]:
    """Draws crops with the distribution of `image.random_box`."""
    width, height = sizes[:, :1].astype(float), sizes[:, 1:].astype(float)
    shape = (len(sizes), CROP_ATTEMPTS)
    area = width * height * generator.uniform(smallest, 1.0, shape)
    aspect = np.exp(generator.uniform(math.log(ASPECTS[0]), math.log(ASPECTS[1]), shape))
    wide, high = np.rint(np.sqrt(area * aspect)), np.rint(np.sqrt(area / aspect))
    fits = (wide > 0) & (wide <= width) & (high > 0) & (high <= height)
    # Where no attempt fits, the middle, as wide and high as an aspect allows.
    widest = np.minimum(width, np.rint(height * ASPECTS[1]))
    highest = np.minimum(height, np.rint(width / ASPECTS[0]))
    first, found = fits.argmax(axis=1)[:, None], fits.any(axis=1, keepdims=True)
    wide = np.where(found, np.take_along_axis(wide, first, axis=1), widest)
    high = np.where(found, np.take_along_axis(high, first, axis=1), highest)
    free = np.concatenate([width - wide, height - high], axis=1)
    corner = np.where(found, np.floor(generator.random(free.shape) * (free + 1)), free // 2)
    return np.concatenate([corner, wide, high], axis=1).astype(np.float32)


def _places_in(images: Tensor, numbers: ViewNumbers, pixels: int, send: Send) -> tuple[Tensor, int]:
    """Finds the points of the images that crops, scaled and mirrored, show.

    Returns:
        (B, F P, F P, 2) coordinates of `grid_sample`, and F, so that the mean of F times F points is a view's pixel.
    """
    height, width = images.shape[2:]
    # Of an image that is larger than its view, points must not fall between those that are taken.
    finer = max(1, math.ceil(max(height, width) / pixels))
    side = pixels * finer
    steps = (np.arange(side, dtype=np.float32) + 0.5) / side
    left, upper, wide, high = np.split(numbers.boxes, 4, axis=1)
    across = np.where(numbers.mirrored[:, None], 1 - steps, steps)
    # The edges of an image are at -1 and 1.
    columns = send((2 * (left + across * wide) / width - 1).astype(np.float32))
    rows = send((2 * (upper + steps * high) / height - 1).astype(np.float32))
    whole = [columns[:, None, :].expand(-1, side, -1), rows[:, :, None].expand(-1, -1, side)]
    return torch.stack(whole, dim=-1), finer


def _recoloured(views: Tensor, numbers: ViewNumbers, send: Send) -> Tensor:
    """Changes brightness, contrast, saturation and hue in each view's order, then drops colours."""
    if (numbers.factors != 1).any() or numbers.turns.any():
        for slot in range(4):
            kinds = numbers.order[:, slot]
            views = _blended(views, kinds, np.take_along_axis(numbers.factors, kinds[:, None], axis=1)[:, 0], send)
            rows = np.flatnonzero((kinds == _HUE) & (numbers.turns != 0))
            if len(rows):
                chosen = send(rows)
                views = views.index_copy(0, chosen, _turned(views[chosen], send(numbers.turns[rows])))
    if numbers.grey.any():
        views = torch.where(_of_each(send(numbers.grey)), _grey(views), views)
    return views


def _blended(views: Tensor, kinds: NDArray[np.int64], factors: NDArray[np.float32], send: Send) -> Tensor:
    """Moves views from or to black (brightness), their mean grey (contrast) or their own grey (saturation)."""
    columns = send(np.stack([factors, kinds == _CONTRAST, kinds == _SATURATION], axis=1).astype(np.float32))
    factor, to_mean, to_grey = (_of_each(column) for column in columns.unbind(dim=1))
    grey = _grey(views)
    origin = to_mean * grey.mean(dim=(1, 2, 3), keepdim=True) + to_grey * grey
    return (origin + factor * (views - origin)).clamp(0, _WHITE)


def _turned(views: Tensor, turns: Tensor) -> Tensor:
    """Turns the colour circle of (B, 3, P, P) views by (B,) parts of it, in hue, saturation and value."""
    red, green, blue = views.unbind(dim=1)
    value, least = views.amax(dim=1), views.amin(dim=1)
    spread = value - least
    divisor = spread.clamp_min(1e-6)
    sixth = torch.where(
        value == red,
        (green - blue) / divisor,
        torch.where(value == green, 2 + (blue - red) / divisor, 4 + (red - green) / divisor),
    )
    sixth = sixth + 6 * turns[:, None, None]
    parts = []
    for start in (5, 3, 1):
        place = (start + sixth) % 6
        parts.append(value - spread * torch.minimum(place, 4 - place).clamp(0, 1))
    return torch.stack(parts, dim=1)


def _blurred(views: Tensor, sigmas: Tensor, largest: float) -> Tensor:
    """Blurs (B, 3, P, P) views by Gaussians of (B,) deviations, edges going on."""
    radius = min(max(1, math.ceil(3 * largest)), views.shape[-1] - 1)
    offsets = torch.arange(-radius, radius + 1, device=views.device)
    weights = torch.exp(-0.5 * (offsets / sigmas[:, None]) ** 2)
    weights = weights / weights.sum(dim=1, keepdim=True)
    side = views.shape[-1]
    for dim in (3, 2):
        margins = (radius, radius, 0, 0) if dim == 3 else (0, 0, radius, radius)  # noqa: PLR2004 - the last dimension
        padded = functional.pad(views, margins, mode="replicate")
        views = torch.zeros_like(views)
        for tap in range(2 * radius + 1):
            views = views.addcmul(_of_each(weights[:, tap]), padded.narrow(dim, tap, side))
    return views


def _grey(views: Tensor) -> Tensor:
    """Gives the grey of (B, 3, P, P) views: (B, 1, P, P)."""
    red, green, blue = (share * part for share, part in zip(_LUMA, views.split(1, dim=1), strict=True))
    return red + green + blue


def _of_each(values: Tensor) -> Tensor:
    """Lets (B,) values meet (B, 3, P, P) views."""
    return values[:, None, None, None]
