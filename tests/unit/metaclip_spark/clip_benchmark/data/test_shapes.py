"""The shapes pool: the same for a seed, long-tailed, corrupted as told, and its test split apart and balanced."""

import io
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from metaclip_spark.clip_benchmark.augmentation.image import VIEWS, random_view
from metaclip_spark.clip_benchmark.augmentation.text import edit_caption
from metaclip_spark.clip_benchmark.data.pools.captions import (
    CORRUPTIONS,
    GROUND_WORDS,
    GROUNDS,
    TEMPLATES,
    clean_caption,
    corrupt_caption,
    filter_captions,
    filter_reason,
)
from metaclip_spark.clip_benchmark.data.pools.drawn_pool import class_frequencies
from metaclip_spark.clip_benchmark.data.pools.shape_pictures import draw_shape, shape_mask
from metaclip_spark.clip_benchmark.data.pools.shapes import class_words, make_shapes
from metaclip_spark.clip_benchmark.data.pools.silhouettes import SILHOUETTES
from metaclip_spark.clip_benchmark.data.pools.test_split import head_and_tail
from metaclip_spark.clip_benchmark.data.shards import read_samples
from metaclip_spark.clip_benchmark.settings.data_config import SHAPE_CLASSES, ShapesConfig
from metaclip_spark.clip_benchmark.settings.variants import STRONG, WEAK
from metaclip_spark.errors import ConfigError, OutputExistsError

SMALL = ShapesConfig(pool_pairs=60, pool_classes=6, test_pictures=2)
CHANGED_BY_VIEWS = (
    "red green blue yellow black white grey gray dark light bright pale pink orange purple brown big small large tiny "
    "huge little left right top bottom upper lower middle centre center corner facing mirrored flipped"
)


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    return make_shapes(tmp_path_factory.mktemp("shapes") / "pool", SMALL)


def test_a_seed_gives_the_same_bytes(pool, tmp_path):
    again = make_shapes(tmp_path / "again", SMALL)
    other = make_shapes(tmp_path / "other", SMALL, seed=1)
    names = sorted(path.relative_to(pool.folder) for path in pool.folder.rglob("*") if path.is_file())
    assert len(names) == 60 + 10
    differing = {str(name) for name in names if (pool.folder / name).read_bytes() != (other.folder / name).read_bytes()}
    assert all((again.folder / name).read_bytes() == (pool.folder / name).read_bytes() for name in names)
    assert {"pairs.parquet", "test/00000.tar", "images/000/000000.png"} <= differing


def test_a_pool_is_kept_and_another_one_refused(pool, tmp_path):
    assert make_shapes(pool.folder, SMALL) == pool
    with pytest.raises(OutputExistsError, match="seed was 0 and is now 1"):
        make_shapes(pool.folder, SMALL, seed=1)
    with pytest.raises(OutputExistsError, match="pool_pairs was 60 and is now 61"):
        make_shapes(pool.folder, ShapesConfig(pool_pairs=61, pool_classes=6, test_pictures=2))
    (tmp_path / "mine.doc").write_text("mine")
    with pytest.raises(OutputExistsError, match=r"mine\.doc"):
        make_shapes(tmp_path, SMALL)


def test_the_largest_number_of_classes_is_that_of_the_silhouettes():
    assert len(SILHOUETTES) == SHAPE_CLASSES


@pytest.mark.parametrize(
    "values",
    [
        {"pool_classes": 1},
        {"pool_classes": 99},
        {"pool_pairs": 3},
        {"corrupted_share": 1.0},
        {"ground_share": 2.0},
        {"zipf_exponent": 1e300},
        {"zipf_exponent": float("nan")},
    ],
)
def test_values_out_of_range_are_refused(values):
    with pytest.raises(ConfigError, match="it must be"):
        ShapesConfig(**values)


def test_frequencies_follow_zipf_and_add_up():
    frequencies = class_frequencies(6000, 24, 1.0, seed=3)
    assert sum(frequencies) == 6000
    ranked = sorted(frequencies, reverse=True)
    expected = 1 / np.arange(1, 25)
    expected *= (6000 - 24) / expected.sum()
    assert np.abs(np.array(ranked) - 1 - expected).max() <= 1
    head, tail = head_and_tail(frequencies)
    assert (len(head), len(tail)) == (8, 8)
    assert min(frequencies[index] for index in head) > max(frequencies[index] for index in tail)
    assert class_frequencies(6000, 24, 1.0, seed=4) != frequencies
    assert class_frequencies(24, 24, 1.0, seed=4) == (1,) * 24
    # A class that the pool lacks is neither frequent nor rare.
    assert head_and_tail((5, 0, 9, 1, 7, 3, 0, 2)) == ((2, 4), (3, 7))


def test_the_pool_has_the_classes_corruptions_and_pictures_that_it_names(pool):
    rows = pq.read_table(pool.folder / "pairs.parquet").to_pylist()
    assert [sum(row["class_index"] == index for row in rows) for index in range(6)] == list(pool.frequencies)
    assert sum(row["corruption"] != "" for row in rows) == sum(pool.corrupted.values()) == 18
    assert set(pool.corrupted) == set(CORRUPTIONS)
    for row in rows:
        own = pool.classes[row["class_index"]]
        named = set(row["alt_text"].split()) & set(SILHOUETTES)
        assert named == (set() if row["corruption"] not in {"", "shuffled"} else {own})
        with Image.open(pool.folder / row["image_path"]) as picture:
            assert (picture.size, picture.mode) == ((32, 32), "RGB")
    assert len({row["image_url"] for row in rows}) == 60
    metadata = json.loads((pool.folder / "metadata.json").read_text())
    assert metadata[:6] == list(pool.classes)
    assert not set(metadata[6:]) & {word for row in rows for word in row["alt_text"].split()}


def test_the_test_split_is_balanced_and_shares_no_picture_with_the_pool(pool):
    samples = list(read_samples(pool.folder / "test"))
    assert [sum(sample.class_index == index for sample in samples) for index in range(6)] == [2] * 6
    pictures = {path.read_bytes() for path in (pool.folder / "images").rglob("*.png")}
    assert len(pictures) == 60
    assert not pictures & {sample.image for sample in samples}
    for sample in samples:
        assert pool.classes[sample.class_index] in sample.caption.split()
    lists = {
        name: (pool.folder / "test" / f"{name}.txt").read_text().split("\n")[:-1]
        for name in ("classnames", "templates", "head_classes", "tail_classes")
    }
    assert lists["classnames"] == list(pool.classes)
    assert lists["templates"] == list(TEMPLATES)
    assert [tuple(map(int, lists[f"{part}_classes"])) for part in ("head", "tail")] == [
        pool.head_classes,
        pool.tail_classes,
    ]


def test_no_caption_says_what_a_view_changes():
    generator = np.random.default_rng(0)
    captions = [clean_caption(word, ground, generator) for word in SILHOUETTES for ground in GROUNDS for _ in range(20)]
    words = {word for caption in captions for word in caption.split()} | set(class_words()) | set(GROUND_WORDS)
    assert not words & set(CHANGED_BY_VIEWS.split())


def outline(word, side=48):
    return np.asarray(shape_mask(SILHOUETTES[word], side, (side / 2, side / 2), side * 0.4, 0.0)) > 127


def overlap(first, second):
    return (first & second).sum() / (first | second).sum()


@pytest.mark.parametrize("word", SILHOUETTES)
def test_a_mirrored_outline_is_nearest_to_its_own_class(word):
    mirrored = outline(word)[:, ::-1]
    scores = {
        other: max(overlap(mirrored, outline(other)), overlap(mirrored, outline(other)[:, ::-1]))
        for other in SILHOUETTES
    }
    assert max(scores, key=scores.get) == word
    assert sorted(scores.values())[-2] < 0.9


def patterns(pictures):
    """Grey pixels as unit vectors, so that a product of two is their correlation."""
    grey = np.stack([np.asarray(Image.fromarray(picture).convert("L"), float).ravel() for picture in pictures])
    grey -= grey.mean(axis=1, keepdims=True)
    return grey / np.linalg.norm(grey, axis=1, keepdims=True)


def viewed(view, count, generator):
    pictures = [
        random_view(draw_shape(word, GROUNDS[number % 4], generator, 32), view, 32, generator)
        for word in SILHOUETTES
        for number in range(count)
    ]
    return patterns(pictures), np.repeat(np.arange(len(SILHOUETTES)), count)


@pytest.fixture(scope="module")
def known_views():
    known, classes = viewed(VIEWS["label_safe"][WEAK], 140, np.random.default_rng(7))
    mirrored = known.reshape(len(known), 32, 32)[:, :, ::-1].reshape(len(known), -1)
    return np.concatenate([known, mirrored]), np.concatenate([classes, classes])


@pytest.mark.parametrize(("view_set", "kind"), [("label_safe", STRONG), ("distorting", WEAK), ("distorting", STRONG)])
def test_image_views_keep_the_class(known_views, view_set, kind):
    """The known view that is most alike, mirrored or as a negative, has the class of a new view's picture."""
    known, classes = known_views
    new, expected = viewed(VIEWS[view_set][kind], 10, np.random.default_rng(8))
    told = classes[np.abs(new @ known.T).argmax(axis=1)]
    assert (told == expected).mean() > 0.9
    # The test can fail: crops of a fifth of the picture, as the paper's, lose the outline.
    new, expected = viewed(VIEWS["paper"][STRONG], 10, np.random.default_rng(8))
    assert (classes[np.abs(new @ known.T).argmax(axis=1)] == expected).mean() < 0.85


class WorstSynonyms:
    """Would turn any class into another one."""

    def of(self, word):
        return tuple(other for other in SILHOUETTES if other != word) if word in SILHOUETTES else (f"{word}-like",)


def test_edited_captions_keep_class_and_ground_and_name_no_other():
    generator = np.random.default_rng(0)
    protected = (*class_words(), *GROUND_WORDS)
    for word in SILHOUETTES:
        for number in range(40):
            caption = clean_caption(word, GROUNDS[number % 4], generator)
            edited = edit_caption(caption, generator, WorstSynonyms(), frozenset(protected).__contains__)
            kept = [token for token in caption.split() if token in protected]
            assert [token for token in edited.split() if token in protected] == kept
            assert set(edited.split()) & set(SILHOUETTES) == {word}


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_a_corrupted_caption_says_nothing_or_is_shuffled(kind):
    generator = np.random.default_rng(0)
    caption = clean_caption("star", "dotted", generator)
    texts = {corrupt_caption(caption, kind, generator) for _ in range(40)}
    assert len(texts) > 5
    for text in texts:
        if kind == "shuffled":
            assert sorted(text.split()) == sorted(caption.split())
        else:
            assert not set(text.split()) & {"star", *GROUND_WORDS}


def test_the_filter_counts_each_rule_and_keeps_clean_captions():
    examples = {
        "camera_name": ["IMG_0012.JPG", "our trip DSC01234 again", "P0001234"],
        "date": ["2011-07-03 14:22", "12/12"],
        "markup": ["<b>the house</b> of this", "look at www.pages.invalid here", "one&nbsp;of the two"],
        "words": ["untitled", "the house", " ".join(["the"] * 78)],
        "letters": ["the 1234567 of 89101112"],
        "language": ["ein Bild aus unserem Urlaub am Meer", "une image de notre voyage"],
    }
    for reason, texts in examples.items():
        assert [filter_reason(text) for text in texts] == [reason] * len(texts)
    generator = np.random.default_rng(0)
    clean = [clean_caption(word, ground, generator) for word in SILHOUETTES for ground in GROUNDS for _ in range(10)]
    assert filter_captions(clean, most_repeats=10**6) == ([True] * len(clean), {})
    kept, reasons = filter_captions(["this is the star"] * 5 + ["star"], most_repeats=3)
    assert kept == [True, True, True, False, False, False]
    assert reasons == {"repeated": 2, "words": 1}


def test_the_pictures_stand_out_in_grey():
    generator = np.random.default_rng(0)
    for word in SILHOUETTES:
        buffer = io.BytesIO()
        draw_shape(word, "checked", generator, 32).convert("L").save(buffer, "PNG")
        grey = np.asarray(Image.open(buffer), float)
        assert np.percentile(grey, 97) - np.percentile(grey, 3) > 50
