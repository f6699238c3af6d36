"""The pool of shape pairs: both shapes are there and named, and a part of the pairs is in the test split only."""

import json
from collections import Counter

import numpy as np
import pyarrow.parquet as pq
import pytest

from metaclip_spark.clip_benchmark.augmentation.image import VIEWS, random_box
from metaclip_spark.clip_benchmark.augmentation.text import edit_caption
from metaclip_spark.clip_benchmark.data.pools.captions import GROUND_WORDS, GROUNDS, clean_caption
from metaclip_spark.clip_benchmark.data.pools.shape_pairs import (
    KEPT_WORDS,
    caption_phrase,
    held_out_pairs,
    make_shape_pairs,
    pair_classes,
)
from metaclip_spark.clip_benchmark.data.pools.shape_pictures import draw_shapes
from metaclip_spark.clip_benchmark.data.pools.shapes import class_words
from metaclip_spark.clip_benchmark.data.shards import read_samples
from metaclip_spark.clip_benchmark.settings.data_config import ShapePairsConfig, ShapesConfig
from metaclip_spark.clip_benchmark.settings.variants import STRONG, WEAK
from metaclip_spark.errors import ConfigError, OutputExistsError

SMALL = ShapesConfig(pool_pairs=80), ShapePairsConfig(paired_shapes=5, pair_test_pictures=2)
WORDS = class_words(5)


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    return make_shape_pairs(tmp_path_factory.mktemp("pairs") / "pool", *SMALL)


def named(caption):
    """The (upper, lower) that a caption names."""
    words = caption.split()
    shapes = [word for word in words if word in WORDS]
    return tuple(shapes if "above" in words else shapes[::-1])


def test_captions_name_both_shapes_and_their_places(pool):
    classes = pair_classes(WORDS)
    assert len(classes) == len(pool.classes) == 5 * 4
    rows = [
        row
        for row in pq.read_table(pool.folder / "pairs.parquet").to_pylist()
        if set(row["alt_text"].split()) & set(WORDS)
    ]
    assert len(rows) == 56
    for row in rows:
        assert named(row["alt_text"]) == classes[row["class_index"]]
        upper, lower = classes[row["class_index"]]
        assert pool.classes[row["class_index"]] == f"{upper} above the {lower}"
    # Both ways of saying it.
    assert {word for row in rows for word in row["alt_text"].split()} >= {"above", "below"}


def test_a_tenth_of_the_pairs_is_in_the_test_split_only(pool):
    held_out = set(pool.held_out_classes)
    assert len(held_out) == 2
    rows = pq.read_table(pool.folder / "pairs.parquet").to_pylist()
    counts = Counter(row["class_index"] for row in rows)
    assert set(counts) == set(range(20)) - held_out
    assert [counts[index] for index in range(20)] == list(pool.frequencies)
    tested = Counter(sample.class_index for sample in read_samples(pool.folder / "test"))
    assert tested == dict.fromkeys(range(20), 2)
    assert set(map(int, (pool.folder / "test" / "held_out_classes.txt").read_text().split())) == held_out
    assert not held_out & {*pool.head_classes, *pool.tail_classes}
    assert json.loads((pool.folder / "metadata.json").read_text())[:5] == list(WORDS)


@pytest.mark.parametrize(("shapes", "share"), [(3, 0.1), (12, 0.1), (24, 0.1), (5, 0.99)])
def test_each_shape_is_seen_above_and_below_with_other_partners(shapes, share):
    words = class_words(shapes)
    held_out = held_out_pairs(words, share, 0)
    classes = pair_classes(words)
    assert held_out < set(classes)
    assert len(held_out) == min(shapes * (shapes - 2), max(1, round(share * len(classes))))
    for place in (0, 1):
        counts = Counter(pair[place] for pair in held_out)
        assert max(counts.values()) - min(counts[word] for word in words) <= 1
        assert {pair[place] for pair in set(classes) - held_out} == set(words)


def test_a_seed_draws_pictures_and_held_out_pairs(pool, tmp_path):
    again, other = make_shape_pairs(tmp_path / "again", *SMALL), make_shape_pairs(tmp_path / "other", *SMALL, seed=1)
    for name in ("pairs.parquet", "test/00000.tar", "images/000/000000.png"):
        assert (again.folder / name).read_bytes() == (pool.folder / name).read_bytes()
        assert (other.folder / name).read_bytes() != (pool.folder / name).read_bytes()
    assert other.held_out_classes != pool.held_out_classes
    with pytest.raises(OutputExistsError, match=r"held_out_share was 0\.1 and is now 0\.2"):
        make_shape_pairs(pool.folder, SMALL[0], ShapePairsConfig(5, 0.2, 2))


def test_the_shape_that_is_named_first_is_above():
    """A filled square is above a ring, which has a hole: the darker half is the square's."""
    generator = np.random.default_rng(0)
    for words, darker in ((("square", "ring"), 0), (("ring", "square"), 1)) * 5:
        grey = np.asarray(draw_shapes(words, "plain", generator, 64).convert("L"), float)
        ink = grey < (grey.min() + grey.max()) / 2
        assert np.argmax([ink[:32].sum(), ink[32:].sum()]) == darker
        # Nothing is cut off at the sides, and nothing reaches into the other's half.
        assert not ink[:, [0, -1]].any()
        assert not ink[[0, 31, 32, -1]].any()


def lost_shares(ink, box):
    """How much of the upper and of the lower shape a crop leaves out."""
    left, upper, right, lower = map(int, box)
    middle = len(ink) // 2
    seen = np.zeros_like(ink)
    seen[upper:lower, left:right] = True
    return [1 - (ink & seen)[half].sum() / ink[half].sum() for half in (slice(middle), slice(middle, None))]


@pytest.mark.parametrize("kind", [WEAK, STRONG])
def test_a_view_seldom_cuts_more_than_half_of_a_shape_off(kind):
    generator, view = np.random.default_rng(0), VIEWS["distorting"][kind]
    lost = []
    for words in pair_classes(class_words(12)):
        grey = np.asarray(draw_shapes(words, "plain", generator, 32).convert("L"), float)
        ink = grey < (grey.min() + grey.max()) / 2
        lost += [lost_shares(ink, random_box(32, 32, view.smallest_crop, generator)) for _ in range(20)]
    largest, smallest = np.max(lost, axis=1), np.min(lost, axis=1)
    # About one view in nine cuts more than half of one shape off; hardly any a whole one, or half of both.
    assert 0.08 < (largest > 0.5).mean() < 0.14
    assert (largest > 0.95).mean() < 0.005
    assert (smallest > 0.5).mean() < 0.01


class WorstSynonyms:
    """Would turn any word into another one."""

    def of(self, word):
        return (f"{word}-like",)


def test_edited_captions_keep_which_shape_is_where(pool):
    generator = np.random.default_rng(0)
    protected = frozenset((pool.folder / "protected_words.txt").read_text().split())
    assert protected == {*WORDS, *KEPT_WORDS, *GROUND_WORDS}
    for number in range(200):
        phrase = caption_phrase("star", "cross", generator)
        caption = clean_caption(phrase, GROUNDS[number % 4], generator)
        edited = edit_caption(caption, generator, WorstSynonyms(), protected.__contains__)
        assert named(edited) == named(caption) == ("star", "cross")


def test_values_out_of_range_are_refused(tmp_path):
    for values in ({"paired_shapes": 2}, {"paired_shapes": 25}, {"held_out_share": 0.0}, {"pair_test_pictures": 0}):
        with pytest.raises(ConfigError, match="it must be"):
            ShapePairsConfig(**values)
    with pytest.raises(ConfigError, match="--pool-pairs is 100: it must be at least 119"):
        make_shape_pairs(tmp_path / "pool", ShapesConfig(pool_pairs=100), ShapePairsConfig())
