"""Image and text views are functions of their numbers, and change what they are meant to."""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from metaclip_spark.clip_benchmark.augmentation.image import VIEWS, evaluation_view, random_box, random_view
from metaclip_spark.clip_benchmark.augmentation.random import Purpose, generator_for
from metaclip_spark.clip_benchmark.augmentation.sample_order import SampleOrder
from metaclip_spark.clip_benchmark.augmentation.synonyms import NoSynonyms, WordNetSynonyms, wordnet_digest
from metaclip_spark.clip_benchmark.augmentation.text import (
    IGNORE_INDEX,
    STOP_WORDS,
    edit_caption,
    mask_words,
    protects_content,
    protects_nothing,
)
from metaclip_spark.clip_benchmark.augmentation.tokenizer import Vocabulary, valid_tokens
from metaclip_spark.clip_benchmark.reading.random_access import ShardFolder
from metaclip_spark.clip_benchmark.settings.variants import STRONG, WEAK
from tests.support.clip_benchmark.small_shards import write_shards

WORDNET_LINES = {
    "data.noun": "  1 licence\n00001740 03 n 03 picture 0 image 0 icon(p) 0 000 | a gloss\n",
    "data.verb": "00001741 29 v 02 picture 0 depict 0 000 | a gloss\n",
    "data.adj": "00001742 00 a 02 big 0 very_large 0 000 | a gloss\n",
    "data.adv": "00001743 02 r 01 fast 0 000 | a gloss\n",
}


@pytest.fixture(scope="module")
def wordnet(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wordnet")
    for name, content in WORDNET_LINES.items():
        (folder / name).write_text(content)
    return WordNetSynonyms(str(folder))


def test_another_wordnet_is_told_by_its_files(tmp_path):
    folders = [tmp_path / name for name in ("one", "same", "other")]
    for folder in folders:
        folder.mkdir()
        for name, content in WORDNET_LINES.items():
            (folder / name).write_text(content + "\n" * (folder.name == "other"))
    one, same, other = map(wordnet_digest, map(str, folders))
    assert one == same != other


def drawn(place, seed=0):
    return generator_for(seed, Purpose.EDIT, place)


def test_draws_depend_on_seed_purpose_and_place_only():
    first = generator_for(1, Purpose.EDIT, 5).random(4)
    assert np.array_equal(first, generator_for(1, Purpose.EDIT, 5).random(4))
    others = [generator_for(*key).random(4) for key in ((2, 2, 5), (1, 3, 5), (1, 2, 6), (1, 2, 2**40 + 5))]
    assert all(not np.array_equal(first, other) for other in others)


@pytest.mark.parametrize("kind", [WEAK, STRONG])
@pytest.mark.parametrize("view_set", VIEWS)
def test_a_view_is_a_function_of_its_numbers(view_set, kind):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8))
    made = [random_view(image, VIEWS[view_set][kind], 32, drawn(place)) for place in (0, 0, 1)]
    assert made[0].shape == (32, 32, 3)
    assert np.array_equal(made[0], made[1])
    assert not np.array_equal(made[0], made[2])


def half_red():
    image = np.zeros((48, 48, 3), np.uint8)
    image[:, :24] = (200, 30, 30)
    image[:, 24:] = (30, 30, 160)
    return Image.fromarray(image)


def test_label_safe_views_keep_colours_and_sides():
    for place in range(300):
        view = random_view(half_red(), VIEWS["label_safe"][STRONG], 32, drawn(place)).astype(int)
        left, right = view[:, 0].mean(axis=0), view[:, -1].mean(axis=0)
        assert left[0] > left[2], place
        assert right[2] > right[0], place


@pytest.mark.parametrize("view_set", ["paper", "distorting"])
def test_views_mirror_grey_and_turn_colours_as_often_as_published(view_set):
    mirrored = grey = 0
    for place in range(1000):
        view = random_view(half_red(), VIEWS[view_set][STRONG], 32, drawn(place)).astype(int)
        is_grey = np.abs(view - view.mean(axis=2, keepdims=True)).max() < 2
        grey += is_grey
        left = view[:, :4].mean(axis=(0, 1))
        mirrored += not is_grey and left[0] < left[2]
    assert 0.16 < grey / 1000 < 0.24
    assert 0.3 < mirrored / 1000 < 0.5


@given(st.integers(1, 300), st.integers(1, 300), st.sampled_from([0.2, 0.5, 1.0]), st.integers(0, 10**6))
def test_a_crop_lies_in_the_image(width, height, share, place):
    left, upper, right, lower = random_box(width, height, share, drawn(place))
    assert 0 <= left < right <= width
    assert 0 <= upper < lower <= height


def test_crops_have_the_published_areas():
    shares = []
    for place in range(2000):
        left, upper, right, lower = random_box(100, 100, 0.2, drawn(place))
        shares.append((right - left) * (lower - upper) / 10_000)
    assert 0.19 < min(shares) < 0.22
    # Areas above 3/4 are redrawn unless the aspect fits, so that the mean is below 0.6.
    assert 0.5 < np.mean(shares) < 0.6


def test_distorting_views_are_those_of_the_paper_with_larger_crops():
    assert replace(VIEWS["distorting"][STRONG], smallest_crop=0.2) == VIEWS["paper"][STRONG]


def test_the_published_evaluation_sees_the_middle_of_the_square():
    image = np.zeros((64, 128, 3), np.uint8)
    image[2:62, 34:94] = 255
    published = evaluation_view(28, share=7 / 8, resampling=Image.Resampling.BILINEAR)(Image.fromarray(image))
    assert published.min() > 2
    assert evaluation_view(28)(Image.fromarray(image)).min() < -1.5


def test_the_evaluation_view_takes_the_middle():
    image = np.zeros((20, 60, 3), np.uint8)
    image[:, 20:40] = 255
    view = evaluation_view(32)(Image.fromarray(image))
    assert view.shape == (3, 32, 32)
    assert torch.allclose(
        view[:, 16, 16], torch.tensor([(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225])
    )


def test_wordnet_gives_single_words_of_the_same_synsets(wordnet):
    assert wordnet.of("picture") == ("depict", "icon", "image")
    assert wordnet.of("big") == ()
    assert wordnet.of("nonesuch") == ()


WORDS = st.lists(st.sampled_from(["a", "picture", "of", "the", "red", "bar,", "big", "dog", "-", "!"]), max_size=9)


@given(WORDS, st.integers(0, 10**6))
def test_an_edit_keeps_a_word_and_is_a_function_of_its_numbers(words, place):
    caption = " ".join(words)
    edits = [edit_caption(caption, drawn(place), NoSynonyms(), protects_nothing) for _ in range(2)]
    assert edits[0] == edits[1]
    assert bool(edits[0].split()) == bool(words)
    assert not Counter(edits[0].split()) - Counter(words)


@given(WORDS, st.integers(0, 10**6))
def test_a_protected_word_keeps_its_place_among_the_protected(words, place):
    edited = edit_caption(" ".join(words), drawn(place), NoSynonyms(), protects_content)

    def content(text):
        return [word for word in text.split() if word.strip(",!") not in STOP_WORDS]

    assert content(edited) == content(" ".join(words))


def test_a_swap_crosses_no_protected_word():
    words = "one two CIRCLE three four SQUARE five".lower()
    sides = [{"one", "two"}, {"three", "four"}, {"five"}]
    for place in range(300):
        edited = edit_caption(words, drawn(place), NoSynonyms(), {"circle", "square"}.__contains__).split()
        first, second = edited.index("circle"), edited.index("square")
        for side, part in zip(sides, (edited[:first], edited[first + 1 : second], edited[second + 1 :]), strict=True):
            assert set(part) <= side


def test_each_edit_happens_a_third_of_the_time(wordnet):
    caption = "a picture of seven large dogs"
    kinds = Counter()
    for place in range(3000):
        edited = edit_caption(caption, drawn(place), wordnet, protects_nothing)
        if any(word in edited.split() for word in ("image", "icon", "depict")):
            kinds["replaced"] += 1
        elif len(edited.split()) == 6 and edited != caption:
            kinds["swapped"] += 1
    assert abs(kinds["replaced"] / 3000 - 1 / 3) < 0.03
    assert abs(kinds["swapped"] / 3000 - 1 / 3) < 0.03


@pytest.fixture(scope="module")
def vocabulary():
    return Vocabulary(16)


def test_the_mask_is_the_last_id_and_long_texts_keep_their_end(vocabulary):
    special = vocabulary.special
    assert (special.start, special.end, special.mask, special.vocabulary_size) == (49406, 49407, 49408, 49409)
    ids = vocabulary.ids(["word " * 40, "a bar!", "!"])
    assert ids[:, 0].tolist() == [special.start] * 3
    assert ids[0, -1] == special.end
    # The word "!" has padding's id: only the end token tells.
    assert valid_tokens(ids, special.end).sum(dim=1).tolist() == [16, 5, 3]


@pytest.mark.parametrize("ordinary", [True, False])
def test_masking_has_the_published_shares(vocabulary, ordinary):
    special = vocabulary.special
    ids = vocabulary.ids(["one two three four five six seven"])[0].numpy()
    fates = Counter()
    for place in range(4000):
        masked, labels = mask_words(ids, special, drawn(place), ordinary_replacements=ordinary)
        chosen = labels != IGNORE_INDEX
        assert np.array_equal(masked[~chosen], ids[~chosen])
        assert np.array_equal(labels[chosen], ids[chosen])
        assert not chosen[0]
        assert not chosen[8:].any()
        fates["chosen"] += chosen.sum()
        fates["mask"] += (masked[chosen] == special.mask).sum()
        fates["same"] += (masked[chosen] == ids[chosen]).sum()
        if ordinary:
            assert ((masked[chosen] < special.start) | (masked[chosen] == special.mask)).all()
    assert abs(fates["chosen"] / (4000 * 7) - 0.15) < 0.01
    assert abs(fates["mask"] / fates["chosen"] - 0.8) < 0.02
    assert abs(fates["same"] / fates["chosen"] - 0.1) < 0.02


def test_an_epoch_holds_every_sample_once_in_an_order_of_its_own():
    order = SampleOrder(17, seed=3)
    epochs = [[order.index_at(epoch * 17 + place) for place in range(17)] for epoch in range(3)]
    assert all(sorted(epoch) == list(range(17)) for epoch in epochs)
    assert epochs[0] != epochs[1]
    # The order does not depend on where one starts to read it.
    assert SampleOrder(17, seed=3).index_at(40) == epochs[2][6]
    other = SampleOrder(17, seed=4)
    assert [other.index_at(place) for place in range(17)] != epochs[0]


def test_samples_are_found_with_and_without_shards_json(tmp_path):
    folder = write_shards(tmp_path / "shards", samples=10, per_shard=4)
    described = ShardFolder(str(folder))
    found = [described.read(number) for number in range(10)]
    assert json.loads((folder / "shards.json").read_text())["samples"] == len(described) == 10
    (folder / "shards.json").unlink()
    scanned = ShardFolder(str(folder))
    assert len(scanned) == 10
    assert [sample.caption for sample in found] == [scanned.read(number).caption for number in range(10)]
    assert found[5].caption == "a green bar at the middle"
    assert found[5].image.size == (32, 32)
