"""Scores as a table for a terminal, and as JSON."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from metaclip_spark.clip_benchmark.scoring.score import Scores
from metaclip_spark.errors import counted, percent

_HARDEST = 3


def score_lines(scores: Scores) -> list[str]:
    """What is shown of scores: what was scored, what was lost, a figure a line."""
    texts = f", {counted(scores.captions, 'caption')}" if scores.captions else ""
    lines = [
        f"{scores.model} on {scores.data} ({scores.data_kind})",
        f"{counted(scores.found, 'item')} -> {counted(scores.scored, 'picture')} scored{texts}",
        *(f"  {number:,} - {reason}" for reason, number in scores.lost.items()),
    ]
    figures = list(_figures(scores))
    width = max(len(name) for name, _ in figures)
    return [*lines, *(f"  {name:{width}}  {figure}" for name, figure in figures)]


def as_json(scores: Scores) -> dict[str, Any]:
    """Scores as JSON has them, with the names of their fields."""
    whole: dict[str, Any] = json.loads(json.dumps(asdict(scores)))
    if scores.zero_shot is not None:
        whole["zero_shot"]["classes"] = [each._asdict() for each in scores.zero_shot.classes]
    return whole


def _figures(scores: Scores) -> Iterator[tuple[str, str]]:
    found = scores.zero_shot
    if found is not None:
        chance = f"chance {percent(1 / len(found.classes))}"
        prompts = counted(scores.prompts, "prompt")
        yield (
            "zero-shot top-1",
            f"{percent(found.top1)} ({counted(len(found.classes), 'class', 'classes')}, {prompts}, {chance})",
        )
        yield "zero-shot top-5", percent(found.top5)
        yield "mean per class", percent(found.mean_per_class)
        hardest = sorted(found.classes, key=lambda each: each.top1)[:_HARDEST]
        yield "hardest classes", ", ".join(f"{each.name} {percent(each.top1)}" for each in hardest)
    if scores.retrieval is not None:
        for name, recalls in (
            ("image to text", scores.retrieval.image_to_text),
            ("text to image", scores.retrieval.text_to_image),
        ):
            for k, share in recalls.items():
                yield f"{name} recall@{k}", percent(share)
    if scores.linear_probe is not None:
        yield "linear probe top-1", percent(scores.linear_probe)
