"""Views of a whole batch are Pillow's views: each change for itself, and all of them in their distribution."""

import math

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from metaclip_spark.clip_benchmark.augmentation.device_views import ViewNumbers, draw_numbers, make_views
from metaclip_spark.clip_benchmark.augmentation.image import VIEWS, random_box, random_view
from metaclip_spark.clip_benchmark.augmentation.random import Purpose, generator_for
from metaclip_spark.clip_benchmark.settings.variants import STRONG

SIDE, COUNT = 32, 400


def images(count=COUNT, width=SIDE, height=SIDE):
    """Gives pictures without sharp edges, since the two ways of cropping differ at those."""
    generator = np.random.default_rng(0)
    small = generator.integers(0, 256, (count, 4, 4, 3), np.uint8)
    return [Image.fromarray(each).resize((width, height), Image.Resampling.BICUBIC) for each in small]


def as_batch(pictures):
    return torch.from_numpy(np.stack([np.asarray(each) for each in pictures])).permute(0, 3, 1, 2)


def made(pictures, numbers, pixels=SIDE, **options):
    return make_views(as_batch(pictures), numbers, pixels, torch.from_numpy, **options).numpy().astype(int)


def numbers_of(count, box=(0, 0, SIDE, SIDE), mirrored=False, factors=(1, 1, 1, 1), turn=0.0, grey=False, sigma=0.0):
    return ViewNumbers(
        np.tile(np.array(box, np.float32), (count, 1)),
        np.full(count, mirrored),
        np.tile(np.arange(4), (count, 1)),
        np.tile(np.array(factors, np.float32), (count, 1)),
        np.full(count, turn, np.float32),
        np.full(count, grey),
        np.full(count, sigma, np.float32),
    )


def turned(image):
    hue, saturation, value = image.convert("HSV").split()
    return Image.merge("HSV", (hue.point([(level + 20) % 256 for level in range(256)]), saturation, value)).convert(
        "RGB"
    )


CHANGES = {
    "none": ({}, lambda image: image),
    "crop": (
        {"box": (3, 5, 20, 24)},
        lambda image: image.resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=(3, 5, 23, 29)),
    ),
    "mirror": ({"mirrored": True}, ImageOps.mirror),
    "brightness": ({"factors": (1.3, 1, 1, 1)}, lambda image: ImageEnhance.Brightness(image).enhance(1.3)),
    "contrast": ({"factors": (1, 1.4, 1, 1)}, lambda image: ImageEnhance.Contrast(image).enhance(1.4)),
    "saturation": ({"factors": (1, 1, 0.6, 1)}, lambda image: ImageEnhance.Color(image).enhance(0.6)),
    "hue": ({"turn": 20 / 256}, turned),
    "grey": ({"grey": True}, lambda image: ImageOps.grayscale(image).convert("RGB")),
    "blur": ({"sigma": 1.5}, lambda image: image.filter(ImageFilter.GaussianBlur(1.5))),
}


@pytest.mark.parametrize("change", CHANGES)
def test_each_change_is_pillows(change):
    numbers, by_pillow = CHANGES[change]
    pictures = images(20)
    found = made(pictures, numbers_of(20, **numbers))
    expected = np.stack([np.asarray(by_pillow(each)) for each in pictures]).astype(int)
    difference = np.abs(found - expected)
    if change == "none":
        assert difference.max() == 0
    # Pillow keeps hues in 256 steps.
    assert difference.mean() < 2 and difference.max() <= (12 if change == "hue" else 6)
    assert change == "none" or np.abs(expected - np.stack([np.asarray(each) for each in pictures])).mean() > 3


@pytest.mark.parametrize(("bilinear", "resampling"), [(False, "BICUBIC"), (True, "BILINEAR")])
def test_pixels_are_interpolated_as_the_recipe_says(bilinear, resampling):
    pictures = [Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8))]
    found = made(pictures, numbers_of(1, box=(0, 0, 8, 8)), bilinear=bilinear)
    same, other = (
        np.abs(found - np.asarray(pictures[0].resize((SIDE, SIDE), Image.Resampling[name]))).mean()
        for name in (resampling, "BICUBIC" if bilinear else "BILINEAR")
    )
    assert same < 6 < other


def test_changes_are_made_in_the_order_that_was_drawn():
    pictures = images(4)
    numbers = numbers_of(4, factors=(1.4, 0.6, 1, 1))
    numbers.order[:] = (1, 0, 2, 3)
    expected = [ImageEnhance.Brightness(ImageEnhance.Contrast(each).enhance(0.6)).enhance(1.4) for each in pictures]
    assert np.abs(made(pictures, numbers) - np.stack([np.asarray(each) for each in expected])).max() <= 3


def test_a_larger_image_is_averaged_not_thinned_out():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    view = made([Image.fromarray(stripes)], numbers_of(1, box=(0, 0, 64, 64)), pixels=16)
    assert np.abs(view - 127).max() < 20


def test_only_the_image_itself_is_seen():
    wide, high = np.zeros((1, 3, 24, 24), np.uint8), np.zeros((1, 3, 24, 24), np.uint8)
    # What is beyond an image is its last row and column.
    wide[:, 0], high[:, 1] = 200, 200
    wide[:, 1, 12:], high[:, 0, :, 12:] = 0, 0
    sizes = np.array([[24, 12], [12, 24]], np.int32)
    for step in range(20):
        numbers = draw_numbers(sizes, VIEWS["paper"]["weak"], 16, generator_for(0, Purpose.IMAGE_VIEW, step))
        assert (numbers.boxes[:, :2] + numbers.boxes[:, 2:] <= sizes).all()
        views = make_views(torch.from_numpy(np.concatenate([wide, high])), numbers, 16, torch.from_numpy)
        assert (views[0] == torch.tensor([200, 0, 0])).all()
        assert (views[1] == torch.tensor([0, 200, 0])).all()


def told_of(views):
    """Gives what tells of a distribution of views: colours and their spread, greys, edges, sides."""
    saturation = views.max(axis=3) - views.min(axis=3)
    coloured = saturation.max(axis=(1, 2)) > 2
    return {
        "mean": views.mean(),
        "deviation": views.std(),
        "deviation of the views' means": views.mean(axis=(1, 2, 3)).std(),
        "saturation": saturation.mean(),
        "coloured": 100 * coloured.mean(),
        "edges": 5 * np.abs(np.diff(views, axis=2)).mean(),
    }


@pytest.mark.parametrize("view_set", VIEWS)
def test_views_have_the_distribution_of_pillows(view_set):
    view, pictures = VIEWS[view_set][STRONG], images()
    sizes = np.full((COUNT, 2), SIDE, np.int32)
    numbers = draw_numbers(sizes, view, SIDE, generator_for(0, Purpose.IMAGE_VIEW, 0))
    one_by_one = [generator_for(0, Purpose.IMAGE_VIEW, place) for place in range(COUNT)]
    by_pillow = [random_view(*drawn, SIDE, by) for *drawn, by in zip(pictures, [view] * COUNT, one_by_one, strict=True)]
    found, expected = told_of(made(pictures, numbers)), told_of(np.stack(by_pillow).astype(int))
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=6), name
    boxes = [random_box(SIDE, SIDE, view.smallest_crop, generator_for(1, 4, place)) for place in range(2000)]
    areas = [(right - left) * (lower - upper) / SIDE**2 for left, upper, right, lower in boxes]
    drawn = draw_numbers(np.full((2000, 2), SIDE, np.int32), view, SIDE, generator_for(1, 4, 0)).boxes
    drawn_areas = drawn[:, 2] * drawn[:, 3] / SIDE**2
    assert np.quantile(drawn_areas, [0.1, 0.5, 0.9]) == pytest.approx(np.quantile(areas, [0.1, 0.5, 0.9]), abs=0.04)
    assert drawn[:, 0].mean() == pytest.approx(np.mean([box[0] for box in boxes]), abs=0.3)


def test_chances_are_those_of_the_view():
    view = VIEWS["paper"][STRONG]
    numbers = draw_numbers(np.full((4000, 2), SIDE, np.int32), view, 224, generator_for(0, 4, 0))
    jittered = (numbers.factors[:, 0] != 1).mean()
    shares = [jittered, numbers.grey.mean(), (numbers.sigmas > 0).mean(), numbers.mirrored.mean()]
    assert shares == pytest.approx([0.8, 0.2, 0.5, 0.5], abs=0.03)
    assert np.bincount(numbers.order[:, 0]) / 4000 == pytest.approx(np.full(4, 0.25), abs=0.03)
    # Uniform from one bound to the other, and nothing where colours stay.
    changed = numbers.factors[:, 0] != 1
    for drawn, bound in ((numbers.factors[:, :3] - 1, 0.4), (numbers.turns[:, None], 0.1)):
        assert not drawn[~changed].any()
        assert np.quantile(drawn[changed], [0, 0.25, 0.5, 0.75, 1], axis=0) == pytest.approx(
            bound * np.array([-1, -0.5, 0, 0.5, 1])[:, None].repeat(drawn.shape[1], axis=1), abs=0.1 * bound
        )
    sigmas = numbers.sigmas[numbers.sigmas > 0]
    assert 0.1 <= sigmas.min() < 0.15 and 1.9 < sigmas.max() <= 2.0
    assert math.isclose(sigmas.mean(), 1.05, abs_tol=0.05)
