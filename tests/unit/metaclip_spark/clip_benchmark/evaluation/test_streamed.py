"""Positions, retrieval and the probe in blocks, against brute force and scikit-learn."""

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from metaclip_spark.clip_benchmark.evaluation import metrics, streamed
from metaclip_spark.clip_benchmark.evaluation.metrics import linear_probe
from metaclip_spark.clip_benchmark.evaluation.streamed import (
    accuracy_by_class,
    positions_of_right,
    retrieval,
    score_items,
    share_within,
)
from metaclip_spark.errors import InputError


def drawn(*shape, seed=0):
    return torch.tensor(np.random.default_rng(seed).normal(size=shape), dtype=torch.float32)


def test_positions_equal_brute_force_with_ties_by_index():
    generator = np.random.default_rng(3)
    scores = generator.integers(0, 6, (60, 9)).astype(np.float32)
    right = generator.random((60, 9)) < 0.2
    right[np.arange(60), generator.integers(0, 9, 60)] = True
    found = positions_of_right(torch.tensor(scores), torch.tensor(right))
    for row in range(60):
        order = sorted(range(9), key=lambda item: (-scores[row, item], item))
        assert found[row] == min(order.index(item) for item in range(9) if right[row, item])
    assert 0 < share_within(found, 1) < share_within(found, 5) < 1


def test_scores_that_are_no_numbers_are_refused():
    with pytest.raises(InputError, match="scores are no numbers"):
        positions_of_right(torch.tensor([[0.0, torch.nan]]), torch.tensor([[True, False]]))


def slow_recall(scores, right, k):
    hits = 0
    for row in range(len(scores)):
        best = sorted(range(len(scores[row])), key=lambda item: (-scores[row][item], item))[:k]
        hits += any(right(row, item) for item in best)
    return hits / len(scores)


@pytest.mark.parametrize("block", [1024, 7])
def test_retrieval_equals_brute_force_with_several_captions_and_equal_ones(monkeypatch, block):
    monkeypatch.setattr(streamed, "_BLOCK", block)
    captions = [tuple(f"caption {(number * 3 + each) % 41}" for each in range(1 + number % 3)) for number in range(30)]
    flat = [(owner, text) for owner, texts in enumerate(captions) for text in texts]
    owners = torch.tensor([owner for owner, _ in flat])
    images = normalize(drawn(30, 5), dim=-1)
    texts = normalize(images[owners] + 0.9 * drawn(len(flat), 5, seed=1), dim=-1)
    forth, back = retrieval(images, texts, captions, "cpu")
    scores = images.double() @ texts.double().T
    for k in (1, 5):
        assert forth[k] == pytest.approx(slow_recall(scores, lambda image, text: flat[text][1] in captions[image], k))
        assert back[k] == pytest.approx(slow_recall(scores.T, lambda text, image: flat[text][1] in captions[image], k))
    assert 0 < forth[1] < forth[5] < 1


def test_token_wise_retrieval_in_blocks_is_that_at_once(monkeypatch):
    images = normalize(drawn(20, 4, 6), dim=-1)
    texts = normalize(drawn(20, 5, 6, seed=1) + images.mean(dim=1, keepdim=True), dim=-1)
    texts[::2, 3:] = 0
    captions = [(f"caption {number}",) for number in range(20)]
    whole = retrieval(images, texts, captions, "cpu")
    monkeypatch.setattr(streamed, "_BLOCK", 3)
    monkeypatch.setattr(streamed, "_CELLS", 100)
    assert retrieval(images, texts, captions, "cpu") == whole
    assert 0 < whole[0][1] < 1


def test_items_are_scored_alike_in_blocks_of_any_size(monkeypatch):
    sides, pooled, labels = drawn(50, 6), drawn(50, 8, seed=1), torch.arange(50) % 5
    classes = [normalize(drawn(5, 6, seed=2), dim=-1), normalize(drawn(5, 6, seed=3), dim=-1)]
    batches = list(zip(sides.split(9), pooled.split(9), labels.split(9), strict=True))
    whole = score_items(batches, classes, "cpu", keeps_sides=True)
    scores = (sides.double() @ classes[0].double().T + sides.double() @ classes[1].double().T) / 2
    expected = (scores.argsort(dim=1, descending=True, stable=True) == labels[:, None]).int().argmax(dim=1)
    assert whole.positions.tolist() == expected.tolist()
    assert torch.equal(whole.sides, sides) and torch.equal(whole.pooled, pooled)
    monkeypatch.setattr(streamed, "_BLOCK", 10)
    assert score_items(batches, classes, "cpu", keeps_sides=False).positions.tolist() == expected.tolist()
    by_class = accuracy_by_class(whole.positions, labels, 5)
    slow = [np.mean([int(expected[i] == 0) for i in range(50) if i % 5 == c]) for c in range(5)]
    assert by_class.tolist() == pytest.approx(slow)


def test_the_probe_of_large_sets_gives_the_figure_of_the_one_of_small_sets(monkeypatch):
    labels = np.arange(1200) % 12
    centres = np.random.default_rng(0).normal(size=(12, 20))
    features = (centres[labels] * 0.6 + np.random.default_rng(1).normal(size=(1200, 20))).astype(np.float32) * 3 + 1
    small = linear_probe(features, labels)
    monkeypatch.setattr(metrics, "_SMALL_PROBE", 0)
    large = linear_probe(features, labels)
    assert 0.4 < small < 0.95
    assert large == pytest.approx(small, abs=0.005)
