"""Image views: crops, colours and blur as functions of an image and a generator.

`paper` has the views of SLIP and MoCo v2 (arXiv 2003.04297), as the CLIP benchmark uses them. `distorting` has the same
with larger crops, for pictures whose outline tells the class: without distorted colours, two views of a picture are
found by its colours alone (SimCLR, arXiv 2002.05709, section 3). `label_safe` changes neither colour nor hand, so that
a class told by them stays true.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFilter, ImageOps
from torch import Tensor

from metaclip_spark.clip_benchmark.settings.training_config import ViewSet
from metaclip_spark.clip_benchmark.settings.variants import STRONG, WEAK, Recipe

CHANNEL_MEANS = (0.485, 0.456, 0.406)
CHANNEL_DEVIATIONS = (0.229, 0.224, 0.225)
"""ImageNet's, of values from 0 to 1."""

ASPECTS = (3 / 4, 4 / 3)
CROP_ATTEMPTS = 10
PAPER_PIXELS = 224
_HUES = 256


@dataclass(frozen=True)
class View:
    """How one kind of view is made.

    Attributes:
        smallest_crop: Smallest share of the image's area.
        brightness: Largest change, as a factor from 1 - x to 1 + x.
        contrast: The same.
        saturation: The same.
        hue: Largest turn of the colour circle, in whole turns.
        jitter_chance: Chance that the four above are applied, in random order.
        grey_chance: Chance that colours are dropped.
        blur_chance: Chance of a Gaussian blur.
        blur_sigma: Smallest and largest, in pixels of a 224-pixel image.
        mirror_chance: Chance that left and right are swapped.
    """

    smallest_crop: float
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    jitter_chance: float = 0.0
    grey_chance: float = 0.0
    blur_chance: float = 0.0
    blur_sigma: tuple[float, float] = (0.1, 2.0)
    mirror_chance: float = 0.0


_WEAK = View(smallest_crop=0.5)
_MOCO = View(
    smallest_crop=0.2,
    brightness=0.4,
    contrast=0.4,
    saturation=0.4,
    hue=0.1,
    jitter_chance=0.8,
    grey_chance=0.2,
    blur_chance=0.5,
    mirror_chance=0.5,
)
VIEWS: dict[ViewSet, dict[str, View]] = {
    "paper": {WEAK: _WEAK, STRONG: _MOCO},
    "distorting": {WEAK: _WEAK, STRONG: replace(_MOCO, smallest_crop=0.5)},
    "label_safe": {
        WEAK: _WEAK,
        STRONG: View(smallest_crop=0.5, brightness=0.4, contrast=0.4, jitter_chance=0.8, blur_chance=0.5),
    },
}
"""View set -> kind of view -> how it is made."""


def resampling_of(recipe: Recipe) -> Image.Resampling:
    """How a recipe interpolates pixels."""
    return Image.Resampling.BILINEAR if recipe.bilinear else Image.Resampling.BICUBIC


def random_view(
    image: Image.Image,
    view: View,
    pixels: int,
    generator: np.random.Generator,
    resampling: Image.Resampling = Image.Resampling.BICUBIC,
) -> NDArray[np.uint8]:
    """Draws a square view (pixels, pixels, 3) of an RGB image; the same numbers give the same view."""
    box = random_box(image.width, image.height, view.smallest_crop, generator)
    made = image.resize((pixels, pixels), resampling, box=box, reducing_gap=2.0)
    if view.jitter_chance and generator.random() < view.jitter_chance:
        made = _jittered(made, view, generator)
    if view.grey_chance and generator.random() < view.grey_chance:
        made = ImageOps.grayscale(made).convert("RGB")
    if view.blur_chance and generator.random() < view.blur_chance:
        sigma = generator.uniform(*view.blur_sigma) * pixels / PAPER_PIXELS
        made = made.filter(ImageFilter.GaussianBlur(sigma))
    if view.mirror_chance and generator.random() < view.mirror_chance:
        made = ImageOps.mirror(made)
    return np.asarray(made)


def random_box(
    width: int, height: int, smallest_share: float, generator: np.random.Generator
) -> tuple[float, float, float, float]:
    """Draws a part of an image, with the distribution of torchvision's RandomResizedCrop."""
    for _ in range(CROP_ATTEMPTS):
        area = width * height * generator.uniform(smallest_share, 1.0)
        aspect = math.exp(generator.uniform(math.log(ASPECTS[0]), math.log(ASPECTS[1])))
        wide, high = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < wide <= width and 0 < high <= height:
            left, upper = (int(generator.integers(free + 1)) for free in (width - wide, height - high))
            return float(left), float(upper), float(left + wide), float(upper + high)
    wide = min(width, round(height * ASPECTS[1]))
    high = min(height, round(width / ASPECTS[0]))
    left, upper = (width - wide) // 2, (height - high) // 2
    return float(left), float(upper), float(left + wide), float(upper + high)


def evaluation_view(
    pixels: int, share: float = 1.0, resampling: Image.Resampling = Image.Resampling.BICUBIC
) -> Callable[[Image.Image], Tensor]:
    """Makes the view that is evaluated, (3, pixels, pixels): the middle square without any draw, or its middle share.

    Args:
        pixels: Side of the view.
        share: Side of the part that is shown, as a share of the square's.
        resampling: How pixels are interpolated.
    """

    def view(image: Image.Image) -> Tensor:
        square = ImageOps.fit(image.convert("RGB"), (pixels, pixels), resampling, bleed=(1 - share) / 2)
        return normalized(torch.from_numpy(np.array(square))[None])[0]

    return view


def normalized(views: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Turns pixel values into what the image towers take.

    Args:
        views: (B, H, W, 3) uint8.
        dtype: Of the result.

    Returns:
        (B, 3, H, W), with ImageNet's mean and deviation of each channel at 0 and 1.
    """
    means, deviations = _statistics(dtype, views.device)
    return ((views.to(dtype) - means) / deviations).permute(0, 3, 1, 2).contiguous()


# Once on each device: to send them there again is to wait for it.
@cache
def _statistics(dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    both = torch.tensor((CHANNEL_MEANS, CHANNEL_DEVIATIONS), dtype=dtype, device=device) * 255
    return both[0], both[1]


def _jittered(image: Image.Image, view: View, generator: np.random.Generator) -> Image.Image:
    enhancers = (
        (ImageEnhance.Brightness, view.brightness),
        (ImageEnhance.Contrast, view.contrast),
        (ImageEnhance.Color, view.saturation),
    )
    factors = [generator.uniform(1 - strength, 1 + strength) for _, strength in enhancers]
    turn = generator.uniform(-view.hue, view.hue)
    for index in generator.permutation(len(enhancers) + 1):
        if index < len(enhancers):
            enhancer, strength = enhancers[index]
            image = enhancer(image).enhance(factors[index]) if strength else image
        elif view.hue:
            image = _turned(image, turn)
    return image


def _turned(image: Image.Image, turn: float) -> Image.Image:
    """Turns an image's colour circle."""
    hue, saturation, value = image.convert("HSV").split()
    steps = round(turn * _HUES)
    turned = hue.point([(level + steps) % _HUES for level in range(_HUES)])
    return Image.merge("HSV", (turned, saturation, value)).convert("RGB")
