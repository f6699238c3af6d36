"""What a trained model can do: zero-shot classification, retrieval, and a linear probe, on a test split.

Texts are never masked, the model is in evaluation mode and put back as it was, every test item counts once.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import normalize, pad

from metaclip_spark.clip_benchmark.augmentation.image import evaluation_view, resampling_of
from metaclip_spark.clip_benchmark.data.shards import read_samples
from metaclip_spark.clip_benchmark.evaluation.metrics import linear_probe
from metaclip_spark.clip_benchmark.evaluation.paired_tests import lower_bound_of_share
from metaclip_spark.clip_benchmark.evaluation.streamed import accuracy_by_class, retrieval, score_items, share_within
from metaclip_spark.clip_benchmark.model.encoders import ContrastiveModel
from metaclip_spark.clip_benchmark.model.scored import ScoredModel
from metaclip_spark.clip_benchmark.settings.variants import Recipe
from metaclip_spark.errors import InputError

BATCH = 128


@dataclass(frozen=True)
class TestSplit:
    """A test split in memory.

    Attributes:
        images: (N, 3, H, W), normalised.
        labels: (N,) class indices.
        templates: Prompts with a pair of braces each.
        head_classes: Indices of the classes that are frequent in the pool.
        tail_classes: Indices of the rare ones.
    """

    images: Tensor
    captions: tuple[str, ...]
    labels: Tensor
    classes: tuple[str, ...]
    templates: tuple[str, ...]
    head_classes: tuple[int, ...]
    tail_classes: tuple[int, ...]

    __test__ = False


@dataclass(frozen=True)
class EvaluationResult:
    """The figures of one model; all but the counts are shares from 0 to 1.

    Attributes:
        chance: Top-1 of guessing.
        top1: Zero-shot accuracy.
        top1_lower: Lower 95% bound of it, over the items.
        top5: Share of the items whose class is among the five best.
        macro_top1: Mean over the classes of each class's accuracy; macro_head and macro_tail over a part of them, None
            over none.
        image_to_text: k -> recall@k of an image's caption.
        text_to_image: k -> recall@k of a caption's image.
        linear_probe: Top-1 of a logistic regression on half of each class's items, over the other half.
        correct: Whether each item was right, in order.
    """

    items: int
    classes: int
    prompts: int
    chance: float
    top1: float
    top1_lower: float
    top5: float
    macro_top1: float
    macro_head: float | None
    macro_tail: float | None
    image_to_text: dict[int, float]
    text_to_image: dict[int, float]
    linear_probe: float
    correct: tuple[bool, ...] = field(repr=False)


def evaluate(
    model: ContrastiveModel, test_shards: Path, pixels: int, recipe: Recipe, *, device: str = "cpu"
) -> EvaluationResult:
    """Evaluates a model on a test split.

    Args:
        model: On the device.
        test_shards: Folder of the test split.
        pixels: Side of the images that the model takes.
        recipe: What it was trained by.
        device: cpu or cuda.

    Raises:
        InputError: If the test split is damaged or lacks a file.
    """
    split = load_test_split(test_shards, evaluation_view(pixels, recipe.evaluated_share, resampling_of(recipe)))
    with evaluating(model), torch.no_grad():
        batches = zip(split.images.split(BATCH), split.labels.split(BATCH), strict=True)
        encoded = ((*image_side(model, images, device), labels) for images, labels in batches)
        classes = class_sides(model, split.classes, split.templates, recipe, device)
        scored = score_items(encoded, classes, device, keeps_sides=True)
        texts = text_side(model, split.captions, device, masks_padding=recipe.masks_padding)
        image_to_text, text_to_image = retrieval(
            scored.sides, texts, [(caption,) for caption in split.captions], device
        )
    per_class = accuracy_by_class(scored.positions, split.labels, len(split.classes))
    correct = scored.positions == 0
    hits = int(correct.sum())
    return EvaluationResult(
        items=len(split.labels),
        classes=len(split.classes),
        prompts=len(split.templates),
        chance=1 / len(split.classes),
        top1=hits / len(split.labels),
        top1_lower=lower_bound_of_share(hits, len(split.labels)),
        top5=share_within(scored.positions, 5),
        macro_top1=float(per_class.mean()),
        macro_head=_mean_of(per_class, split.head_classes),
        macro_tail=_mean_of(per_class, split.tail_classes),
        image_to_text=image_to_text,
        text_to_image=text_to_image,
        linear_probe=linear_probe(scored.pooled.numpy(), split.labels.numpy(), device),
        correct=tuple(correct.tolist()),
    )


def load_test_split(folder: Path, view: Callable[[Image.Image], Tensor]) -> TestSplit:
    """Reads shards, classnames.txt, templates.txt, head_classes.txt and tail_classes.txt of a folder."""
    classes, templates = _lines(folder / "classnames.txt"), _lines(folder / "templates.txt")
    head, tail = (_indices(folder / f"{part}_classes.txt", len(classes)) for part in ("head", "tail"))
    images, captions, labels = [], [], []
    for sample in read_samples(folder):
        if sample.class_index is None or not 0 <= sample.class_index < len(classes):
            raise InputError(f"{folder}: a sample's class is {sample.class_index}, not one of {len(classes)} classes")
        with Image.open(BytesIO(sample.image)) as image:
            images.append(view(image.convert("RGB")))
        captions.append(sample.caption)
        labels.append(sample.class_index)
    if not labels:
        raise InputError(f"{folder} holds no test item")
    return TestSplit(torch.stack(images), tuple(captions), torch.tensor(labels), classes, templates, head, tail)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Puts a model into evaluation mode, and each of its parts back into the mode that it had."""
    before = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in before.items():
            module.training = training


def image_side(model: ScoredModel, images: Tensor, device: str) -> tuple[Tensor, Tensor]:
    """Encodes (N, 3, H, W) images for comparison.

    Returns:
        (N, D) unit embeddings, or (N, P, D) unit patch embeddings where the model compares tokens; and (N, W) features
        for a linear probe: what the embedding is projected from, or the mean patch where nothing trained that.
    """
    sides, pooled = [], []
    for batch in images.split(BATCH):
        features = model.encode_image(batch.to(device))
        dense = model.scores_tokens
        side = model.dense_image(features.tokens) if dense else normalize(features.embedding, dim=-1)
        sides.append(side.float().cpu())
        pooled.append((features.tokens.mean(dim=1) if dense else features.pooled).float().cpu())
    return torch.cat(sides), torch.cat(pooled)


def text_side(model: ScoredModel, texts: Sequence[str], device: str, *, masks_padding: bool) -> Tensor:
    """Encodes N texts for comparison.

    Returns:
        (N, D) unit embeddings, or (N, T, D) unit token embeddings, zero where padding is left out; T is no larger than
        the longest text needs.
    """
    sides = []
    for first in range(0, len(texts), BATCH):
        features = model.encode_text(model.tokenize(list(texts[first : first + BATCH])).to(device))
        if model.scores_tokens:
            side = model.dense_text(features.tokens)
            if masks_padding:
                side = (side * features.valid[..., None])[:, : int(features.valid.sum(dim=1).max())]
        else:
            side = normalize(features.embedding, dim=-1)
        sides.append(side.float().cpu())
    if not model.scores_tokens:
        return torch.cat(sides)
    longest = max(side.shape[1] for side in sides)
    return torch.cat([pad(side, (0, 0, 0, longest - side.shape[1])) for side in sides])


def class_sides(
    model: ScoredModel, classes: Sequence[str], templates: Sequence[str], recipe: Recipe, device: str
) -> list[Tensor]:
    """Encodes classes by their prompts, for `score_classes`.

    Args:
        model: On the device.
        classes: C names.
        templates: Prompts with a pair of braces each.
        recipe: What the model was trained by.
        device: cpu or cuda.

    Returns:
        (C, D), the mean of each class's prompts divided by its norm. Where the model compares tokens (C, T, D) of each
        prompt, whose similarities are averaged (FILIP, arXiv 2111.07783, section 3.1), or of their mean position by
        position where the recipe averages the prompts.
    """
    if model.scores_tokens and not recipe.averages_prompt_tokens:
        prompts = ([template.replace("{}", name) for name in classes] for template in templates)
        return [text_side(model, each, device, masks_padding=recipe.masks_padding) for each in prompts]
    means: Tensor | None = None
    for index, name in enumerate(classes):
        texts = [template.replace("{}", name) for template in templates]
        mean = text_side(model, texts, device, masks_padding=recipe.masks_padding).mean(dim=0)
        # Rows of one tensor: thousands of small ones would keep the memory between them from being used again.
        means = torch.empty(len(classes), *mean.shape) if means is None else means
        means[index] = mean / mean.norm().clamp_min(1e-12)
    return [] if means is None else [means]


def _mean_of(per_class: Tensor, classes: Sequence[int]) -> float | None:
    return float(per_class[list(classes)].mean()) if classes else None


def _indices(path: Path, classes: int) -> tuple[int, ...]:
    lines = _lines(path)
    for line in lines:
        if not line.isdecimal() or int(line) >= classes:
            raise InputError(f"{path} has the line {line!r}: it must be the index of a class, from 0 to {classes - 1}")
    return tuple(map(int, lines))


def _lines(path: Path) -> tuple[str, ...]:
    try:
        return tuple(path.read_text(encoding="utf-8").splitlines())
    except OSError:
        raise InputError(f"{path} is missing: a test split has it beside its shards") from None
