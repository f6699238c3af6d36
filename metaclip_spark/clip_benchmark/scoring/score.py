"""Scores a model on a test set: zero-shot, retrieval and a linear probe, in one pass over the pictures."""

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from metaclip_spark.clip_benchmark.evaluation.evaluate import (
    BATCH,
    class_sides,
    evaluating,
    image_side,
    text_side,
)
from metaclip_spark.clip_benchmark.evaluation.metrics import linear_probe
from metaclip_spark.clip_benchmark.evaluation.streamed import (
    ScoredItems,
    accuracy_by_class,
    retrieval,
    score_items,
    share_within,
)
from metaclip_spark.clip_benchmark.scoring.items import TestSet
from metaclip_spark.clip_benchmark.scoring.models import OpenedModel, open_model
from metaclip_spark.clip_benchmark.scoring.pictures import Pictures
from metaclip_spark.clip_benchmark.scoring.test_sets import check_no_class_is_empty, open_test_set
from metaclip_spark.clip_benchmark.settings.scoring_config import ScoringConfig
from metaclip_spark.clip_benchmark.training.processes import check_device
from metaclip_spark.errors import ConfigError, InputError

log = logging.getLogger(__name__)

_TOLD_EVERY = 5_000


class ClassAccuracy(NamedTuple):
    """The zero-shot accuracy of one class."""

    name: str
    items: int
    top1: float


@dataclass(frozen=True)
class ZeroShot:
    """Zero-shot classification; shares from 0 to 1.

    Attributes:
        mean_per_class: Mean over the classes of each class's top-1.
    """

    top1: float
    top5: float
    mean_per_class: float
    classes: tuple[ClassAccuracy, ...]


@dataclass(frozen=True)
class Retrieval:
    """k -> recall@k of an image's captions, and of a caption's image."""

    image_to_text: dict[int, float]
    text_to_image: dict[int, float]


@dataclass(frozen=True)
class Scores:
    """What came out for one model on one test set.

    Attributes:
        found: Items of the test set: those that were scored and those that were lost.
        scored: Items that were scored.
        lost: Reason -> items that could not be scored.
        captions: Captions that were scored.
        prompts: Prompts of each class.
        model_digest: Of the weights.
        data_digest: Of pictures, labels, captions, class names and prompts.
        linear_probe: Top-1 of a logistic regression on half of each class's items, over the other half; None where it
            was not measured, or a class has one item.
    """

    model: str
    model_digest: str
    data: str
    data_kind: str
    data_digest: str
    found: int
    scored: int
    lost: dict[str, int]
    captions: int
    prompts: int
    zero_shot: ZeroShot | None
    retrieval: Retrieval | None
    linear_probe: float | None


def score(config: ScoringConfig) -> Scores:
    """Scores a model on a test set.

    Raises:
        ConfigError: If an option must be changed.
        InputError: If the model or the test set is missing or wrong.
    """
    check_device(config.device)
    torch.set_num_threads(config.threads)
    test_set = open_test_set(config.data, config.templates)
    wanted = _measured(config, test_set)
    opened = open_model(config)
    pictures = Pictures(test_set.items, opened.view, BATCH, config.threads)
    with evaluating(opened.model), torch.no_grad():
        named = (test_set.classes, test_set.templates, opened.recipe)
        classes = class_sides(opened.model, *named, config.device) if "zero_shot" in wanted else []
        encoded = _encoded(opened, pictures, config.device)
        items = score_items(encoded, classes, config.device, keeps_sides="retrieval" in wanted)
        lost = test_set.lost + pictures.lost
        if not pictures.seen:
            raise InputError(f"--data {config.data} holds no picture that can be read ({dict(lost)})")
        counts = Counter(item.label for item in pictures.seen if item.label is not None)
        if test_set.classes:
            check_no_class_is_empty(config.data, test_set.classes, counts)
        found_again = _retrieval(opened, pictures, items, config.device) if "retrieval" in wanted else None
    labels = torch.tensor([-1 if item.label is None else item.label for item in pictures.seen])
    probe = linear_probe(items.pooled.numpy(), labels.numpy(), config.device) if "linear_probe" in wanted else None
    return Scores(
        model=opened.name,
        model_digest=opened.digest,
        data=config.data,
        data_kind=test_set.kind,
        data_digest=_digest(test_set, pictures),
        found=len(test_set.items) + test_set.lost.total(),
        scored=len(pictures.seen),
        lost=dict(sorted(lost.items())),
        captions=sum(len(item.captions) for item in pictures.seen),
        prompts=len(test_set.templates) if test_set.classes else 0,
        zero_shot=_zero_shot(test_set, items, labels) if "zero_shot" in wanted else None,
        retrieval=found_again,
        linear_probe=None if probe is None or probe != probe else probe,  # noqa: PLR0124 - not a number
    )


def _measured(config: ScoringConfig, test_set: TestSet) -> frozenset[str]:
    """The figures that are wanted and can be measured."""
    possible = {"zero_shot", "linear_probe"} if test_set.classes else set()
    possible |= {"retrieval"} if test_set.has_captions else set()
    measured = possible.intersection(config.figures)
    if not measured:
        raise ConfigError(
            f"--figures {' '.join(config.figures)} cannot be measured on --data {config.data}, which has "
            f"{'no captions' if test_set.classes else 'no classes'}: it allows {' '.join(sorted(possible))}"
        )
    return frozenset(measured)


def _encoded(opened: OpenedModel, pictures: Pictures, device: str) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    told = _TOLD_EVERY
    for images, labels in pictures.batches():
        yield *image_side(opened.model, images, device), labels
        if len(pictures.seen) >= told:
            log.info(f"{len(pictures.seen):,} of {len(pictures.items):,} pictures")
            told += _TOLD_EVERY


def _retrieval(opened: OpenedModel, pictures: Pictures, items: ScoredItems, device: str) -> Retrieval:
    captions = [item.captions for item in pictures.seen]
    flat = [caption for each in captions for caption in each]
    texts = text_side(opened.model, flat, device, masks_padding=opened.recipe.masks_padding)
    return Retrieval(*retrieval(items.sides, texts, captions, device))


def _zero_shot(test_set: TestSet, items: ScoredItems, labels: Tensor) -> ZeroShot:
    by_class = accuracy_by_class(items.positions, labels, len(test_set.classes))
    counts = torch.bincount(labels, minlength=len(test_set.classes)).tolist()
    return ZeroShot(
        top1=share_within(items.positions, 1),
        top5=share_within(items.positions, 5),
        mean_per_class=float(by_class.mean()),
        classes=tuple(map(ClassAccuracy, test_set.classes, counts, by_class.tolist())),
    )


def _digest(test_set: TestSet, pictures: Pictures) -> str:
    whole = json.dumps([test_set.classes, test_set.templates, pictures.digest()])
    return hashlib.blake2b(whole.encode(), digest_size=16).hexdigest()
