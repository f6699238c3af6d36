"""Each loss equals a slow second version, and where there is one a published library's."""

import math

import numpy as np
import open_clip
import pytest
import torch
from pytorch_metric_learning.losses import NTXentLoss

from metaclip_spark.clip_benchmark.losses import supervision
from metaclip_spark.clip_benchmark.losses.neighbour_queue import UNKNOWN_SAMPLE, NeighbourQueue
from metaclip_spark.clip_benchmark.losses.supervision import Tokens, Views, unit
from tests.support.clip_benchmark import slow_losses as slow

ROWS, ALL, WIDTH = 3, 7, 5
SCALE = torch.tensor(14.3, dtype=torch.float64)


@pytest.fixture(params=[0, 1, 2], ids=lambda seed: f"seed{seed}")
def draw(request):
    generator = torch.Generator().manual_seed(request.param)
    return lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.fixture(params=[0, 2, ALL - ROWS], ids=lambda first: f"from{first}")
def first_row(request):
    return request.param


def rows_of(everything, first_row):
    return everything[first_row : first_row + ROWS]


def close(found, expected):
    return float(found) == pytest.approx(float(expected), rel=1e-12, abs=1e-12)


def test_image_text_contrast_equals_the_slow_version(draw, first_row):
    images, texts = unit(draw(ALL, WIDTH)), unit(draw(ALL, WIDTH))
    given = (rows_of(images, first_row), rows_of(texts, first_row), images, texts)
    found = supervision.image_text_contrast(*given, SCALE, first_row)
    assert close(found, slow.image_text(*(part.numpy() for part in given), float(SCALE), first_row))


def test_image_text_contrast_equals_open_clip(draw):
    images, texts = unit(draw(ALL, WIDTH)), unit(draw(ALL, WIDTH))
    found = supervision.image_text_contrast(images, texts, images, texts, SCALE)
    assert close(found, open_clip.ClipLoss()(images, texts, SCALE))


def test_multi_view_contrast_is_the_mean_over_pairs_of_views(draw, first_row):
    images, texts = [unit(draw(ALL, WIDTH)) for _ in range(2)], [unit(draw(ALL, WIDTH)) for _ in range(2)]
    of_images = Views([rows_of(view, first_row) for view in images], images)
    of_texts = Views([rows_of(view, first_row) for view in texts], texts)
    expected = [
        slow.image_text(
            *(part.numpy() for part in (rows_of(image, first_row), rows_of(text, first_row), image, text)),
            float(SCALE),
            first_row,
        )
        for image in images
        for text in texts
    ]
    assert close(supervision.multi_view_contrast(of_images, of_texts, SCALE, first_row), np.mean(expected))


def test_neighbour_contrast_equals_the_slow_version(draw, first_row):
    images, neighbours = [unit(draw(ROWS, WIDTH)) for _ in range(2)], [unit(draw(ALL, WIDTH)) for _ in range(2)]
    expected = [
        slow.one_way(image.numpy(), keys.numpy(), float(SCALE), first_row) for image in images for keys in neighbours
    ]
    assert close(supervision.neighbour_contrast(images, neighbours, SCALE, first_row), np.mean(expected))


def test_view_contrast_equals_the_slow_version(draw, first_row):
    first, second = unit(draw(ALL, WIDTH)), unit(draw(ALL, WIDTH))
    given = (rows_of(first, first_row), rows_of(second, first_row), first, second)
    found = supervision.view_contrast(*given, 0.1, first_row)
    assert close(found, slow.nt_xent(*(part.numpy() for part in given), 0.1, first_row))


def test_view_contrast_equals_pytorch_metric_learning(draw):
    first, second = unit(draw(ALL, WIDTH)), unit(draw(ALL, WIDTH))
    same_image = torch.arange(ALL).repeat(2)
    published = NTXentLoss(temperature=0.1)(torch.cat([first, second]), same_image)
    assert close(supervision.view_contrast(first, second, first, second, 0.1), published)


def test_negative_cosine_equals_the_slow_version(draw):
    predicted, projected = [draw(ROWS, WIDTH) for _ in range(2)], [draw(ROWS, WIDTH) for _ in range(2)]
    found = supervision.negative_cosine(predicted, projected)
    assert close(found, slow.simsiam([one.numpy() for one in predicted], [one.numpy() for one in projected]))


def test_masked_word_loss_equals_the_slow_version(draw):
    logits, words = draw(4, 11), torch.tensor([3, 0, 10, 3])
    found = supervision.masked_word_loss(logits, words)
    assert close(found, slow.masked_words(logits.numpy(), words.numpy()))


def test_no_masked_word_costs_nothing_and_keeps_a_gradient():
    logits = torch.zeros(0, 11, requires_grad=True)
    loss = supervision.masked_word_loss(logits, torch.zeros(0, dtype=torch.long))
    loss.backward()
    assert loss == 0
    assert logits.grad is not None


def tokens_of(draw, valid_lengths, count):
    tokens = unit(draw(len(valid_lengths), count, WIDTH))
    return tokens, torch.arange(count) < torch.tensor(valid_lengths)[:, None]


@pytest.mark.parametrize("topk", [1, 2, 4, 6])
def test_token_contrast_equals_the_slow_version(draw, first_row, topk):
    patches, patches_valid = tokens_of(draw, [6] * ALL, 6)
    words, words_valid = tokens_of(draw, [2, 3, 4, 6, 5, 3, 2], 6)
    chosen_words = supervision.select_tokens(words, patches, words_valid, patches_valid, topk)
    chosen_patches = supervision.select_tokens(patches, words, patches_valid, words_valid, topk)
    arrays = [part.numpy() for part in (patches, patches_valid, words, words_valid)]
    slow_words = slow.selected(arrays[2], arrays[0], arrays[3], arrays[1], topk)
    slow_patches = slow.selected(arrays[0], arrays[2], arrays[1], arrays[3], topk)
    # Of padding it does not matter which is chosen: it is masked.
    for found, expected, valid in (
        (chosen_words, slow_words, words_valid),
        (chosen_patches, slow_patches, patches_valid),
    ):
        for sample in range(ALL):
            usable = [place for place in expected[sample] if valid[sample, place]]
            assert found[sample].tolist()[: len(usable)] == usable

    def side(tokens, valid, chosen):
        picked = supervision.take_tokens(tokens, chosen), supervision.take_tokens(valid, chosen)
        return Tokens(rows_of(tokens, first_row), rows_of(valid, first_row), *picked)

    images, texts = side(patches, patches_valid, chosen_patches), side(words, words_valid, chosen_words)
    found = supervision.token_contrast(images, texts, SCALE, first_row)
    rows = slice(first_row, first_row + ROWS)
    to_text = slow.token_direction(arrays[0][rows], arrays[1][rows], *arrays[2:], slow_words, float(SCALE), first_row)
    to_image = slow.token_direction(
        arrays[2][rows], arrays[3][rows], *arrays[:2], slow_patches, float(SCALE), first_row
    )
    assert close(found, (to_text + to_image) / 2)


def test_padding_changes_nothing_when_it_is_masked(draw):
    patches, patches_valid = tokens_of(draw, [6] * ALL, 6)
    words, words_valid = tokens_of(draw, [2, 3, 4, 6, 5, 3, 2], 6)
    before = supervision.token_similarity(patches, patches_valid, words, words_valid)
    back = supervision.token_similarity(words, words_valid, patches, patches_valid)
    other = torch.where(words_valid[..., None], words, unit(draw(ALL, 6, WIDTH)))
    assert torch.equal(before, supervision.token_similarity(patches, patches_valid, other, words_valid))
    assert torch.equal(back, supervision.token_similarity(other, words_valid, patches, patches_valid))


def test_token_similarity_does_not_depend_on_its_blocks(draw):
    patches, patches_valid = tokens_of(draw, [6] * ALL, 6)
    words, words_valid = tokens_of(draw, [2, 3, 4, 6, 5, 3, 2], 6)
    whole = supervision.token_similarity(patches, patches_valid, words, words_valid)
    blocks = supervision.token_similarity(patches, patches_valid, words, words_valid, columns_at_once=2)
    assert torch.allclose(whole, blocks, rtol=1e-14)


def test_the_queue_gives_the_nearest_entry_and_forgets_the_oldest(draw):
    queue = NeighbourQueue(4, WIDTH, seed=0)
    assert not queue.full
    assert (queue.samples == UNKNOWN_SAMPLE).all()
    texts = unit(draw(6, WIDTH)).float()
    queue.enqueue(texts[:3], torch.arange(3))
    queue.enqueue(texts[3:], torch.arange(3, 6))
    assert queue.full
    assert sorted(queue.samples.tolist()) == [2, 3, 4, 5]
    queries = unit(draw(5, WIDTH)).float()
    expected = [max(range(2, 6), key=lambda place: float(query @ texts[place])) for query in queries]
    found = queue.nearest(queries)
    assert found.samples.tolist() == expected
    assert torch.allclose(found.embeddings, texts[expected])


def test_more_texts_than_the_queue_holds_leave_the_last(draw):
    queue = NeighbourQueue(4, WIDTH, seed=0)
    queue.enqueue(unit(draw(9, WIDTH)), torch.arange(9))
    assert sorted(queue.samples.tolist()) == [5, 6, 7, 8]


def test_losses_start_at_the_entropy_of_a_guess():
    # Equal similarities: nothing is told apart.
    same = unit(torch.ones(8, WIDTH, dtype=torch.float64))
    assert close(supervision.image_text_contrast(same, same, same, same, SCALE), math.log(8))
    assert close(supervision.view_contrast(same, same, same, same, 0.1), math.log(15))
    assert close(supervision.masked_word_loss(torch.zeros(3, 50, dtype=torch.float64), torch.arange(3)), math.log(50))


def test_targets_get_no_gradient(draw):
    predicted, projected = ([draw(ROWS, WIDTH).requires_grad_() for _ in range(2)] for _ in range(2))
    supervision.negative_cosine(predicted, projected).backward()
    assert all(one.grad is not None for one in predicted)
    assert all(one.grad is None for one in projected)
    images, neighbours = unit(draw(ROWS, WIDTH)).requires_grad_(), unit(draw(ALL, WIDTH)).requires_grad_()
    supervision.neighbour_contrast([images], [neighbours], SCALE, 0).backward()
    assert images.grad is not None
    assert neighbours.grad is None
