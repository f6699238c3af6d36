"""Scores test items as they come: features are kept of each, never its pixels, and never a score of each by each."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from metaclip_spark.clip_benchmark.evaluation.metrics import RECALLS, images_to_texts, texts_to_images
from metaclip_spark.errors import InputError

_BLOCK = 1024
"""Items that are scored at once, at most."""

_CELLS = 2**24
"""Numbers in a block of scores, at most."""


@dataclass(frozen=True)
class ScoredItems:
    """What is kept of N items.

    Attributes:
        positions: (N,) number of classes that score above the item's own; empty without classes.
        pooled: (N, W) features for a linear probe.
        sides: (N, D) or (N, P, D) for retrieval; empty where they are not kept.
    """

    positions: Tensor
    pooled: Tensor
    sides: Tensor


def score_items(
    encoded: Iterable[tuple[Tensor, Tensor, Tensor]], classes: Sequence[Tensor], device: str, *, keeps_sides: bool
) -> ScoredItems:
    """Scores items for the classes, and keeps what retrieval and the probe need.

    Args:
        encoded: Batches of sides (B, D) or (B, P, D), features (B, W) and labels (B,).
        classes: What `score_classes` compares with; nothing where there are no labels.
        device: Where scores are computed.
        keeps_sides: Whether the sides are kept.
    """
    positions, pooled, kept = [], [], []
    on_device = [each.to(device) for each in classes]
    for sides, features, labels in _in_blocks(encoded):
        pooled.append(features)
        if keeps_sides:
            kept.append(sides)
        if on_device:
            right = one_hot(labels, len(on_device[0])).bool().to(device)
            positions.append(positions_of_right(score_classes(sides.to(device), on_device), right).cpu())
    nothing = torch.zeros(0, dtype=torch.long)
    return ScoredItems(*(torch.cat(parts) if parts else nothing for parts in (positions, pooled, kept)))


def score_classes(images: Tensor, classes: Sequence[Tensor]) -> Tensor:
    """Scores classes for images.

    Args:
        images: (N, D) or (N, P, D).
        classes: (C, D) or (C, T, D), each class by one text or by several.

    Returns:
        (N, C): the mean over the texts of their scores.
    """
    return torch.stack([images_to_texts(images, each) for each in classes]).mean(dim=0)


def positions_of_right(scores: Tensor, right: Tensor) -> Tensor:
    """Finds where the best right candidate stands in the order of falling scores, ties by index.

    Args:
        scores: (B, C).
        right: (B, C) bool, at least one in each row.

    Returns:
        (B,) int64, 0 for the first place.

    Raises:
        InputError: If a score is no number.
    """
    if bool(scores.isnan().any()):
        raise InputError("the model's scores are no numbers: its weights are not finite")
    best = scores.masked_fill(~right, -torch.inf).amax(dim=1, keepdim=True)
    order = torch.arange(scores.shape[1], dtype=torch.int32, device=scores.device)
    ties = scores == best
    first = torch.where(ties & right, order, scores.shape[1]).amin(dim=1, keepdim=True)
    return ((scores > best) | (ties & (order < first))).sum(dim=1)


def share_within(positions: Tensor, k: int) -> float:
    """The share of the items whose right candidate is among the k best."""
    return float((positions < k).float().mean())


def accuracy_by_class(positions: Tensor, labels: Tensor, classes: int) -> Tensor:
    """The top-1 of each class, (classes,); 0 for one without items."""
    items = torch.bincount(labels, minlength=classes)
    right = torch.bincount(labels[positions == 0], minlength=classes)
    return right.float() / items.clamp_min(1).float()


def retrieval(
    images: Tensor, texts: Tensor, captions: Sequence[Sequence[str]], device: str
) -> tuple[dict[int, float], dict[int, float]]:
    """Measures retrieval both ways.

    Args:
        images: (N, D), or (N, P, D) of patches.
        texts: Of all captions in order, (M, D), or (M, T, D), zero where there is no token.
        captions: Of each image, one or more; an item with a caption that is the same to the letter is as good as the
            query's own.
        device: Where scores are computed.

    Returns:
        k -> share of the queries with a right item among their k best, ties by index: of captions for images, and of
        images for captions.
    """
    numbers: dict[str, int] = {}
    of_images = [[numbers.setdefault(caption, len(numbers)) for caption in each] for each in captions]
    of_texts = [[number] for each in of_images for number in each]
    return (
        _recalls(images, texts, images_to_texts, (of_images, of_texts), device),
        _recalls(texts, images, texts_to_images, (of_texts, of_images), device),
    )


def _recalls(
    queries: Tensor,
    candidates: Tensor,
    score: Callable[[Tensor, Tensor], Tensor],
    meanings: tuple[list[list[int]], list[list[int]]],
    device: str,
) -> dict[int, float]:
    """Recalls of candidates for queries; a candidate is right that shares a meaning with the query."""
    of_queries, of_candidates = meanings
    holders: dict[int, list[int]] = {}
    for index, numbers in enumerate(of_candidates):
        for number in numbers:
            holders.setdefault(number, []).append(index)
    indices = {number: torch.tensor(found) for number, found in holders.items()}
    rows = min(_BLOCK, max(1, _CELLS // len(candidates)))
    # Of tokens, each query is compared with each token of each candidate.
    cells = queries[0, ..., 0].numel() * candidates[0, ..., 0].numel()
    parts = candidates.split(max(1, _CELLS // cells))
    positions = []
    for first in range(0, len(queries), rows):
        block = queries[first : first + rows].to(device)
        right = torch.zeros(len(block), len(candidates), dtype=torch.bool)
        for row, numbers in enumerate(of_queries[first : first + rows]):
            for number in numbers:
                right[row, indices[number]] = True
        scores = torch.cat([score(block, part.to(device)) for part in parts], dim=1)
        positions.append(positions_of_right(scores, right.to(device)).cpu())
    found = torch.cat(positions)
    return {k: share_within(found, k) for k in RECALLS}


def _in_blocks(batches: Iterable[tuple[Tensor, ...]]) -> Iterator[tuple[Tensor, ...]]:
    """Puts batches together until a block is full, so that few large products are computed."""
    waiting: list[tuple[Tensor, ...]] = []
    for batch in batches:
        waiting.append(batch)
        if sum(len(each[0]) for each in waiting) >= _BLOCK:
            yield tuple(map(torch.cat, zip(*waiting, strict=True)))
            waiting = []
    if waiting:
        yield tuple(map(torch.cat, zip(*waiting, strict=True)))
