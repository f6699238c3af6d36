"""What the grid's rows say about the paper's findings and ours, by paired seeds.

Findings of arXiv 2203.05796: data quality matters, supervision depends on the architecture, a shallow text tower loses
little. Ours: whether a curated set is worth more than as many raw pairs.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from metaclip_spark.clip_benchmark.evaluation.paired_tests import (
    FEWEST_SEEDS,
    FEWEST_SEEDS_PRIMARY,
    PairedDifference,
    bar_over_chance,
    lower_bound_of_mean,
    paired_difference,
)
from metaclip_spark.clip_benchmark.settings.grid import Cell

METRICS = {"top1": "zero-shot top-1", "macro_head": "head classes", "macro_tail": "tail classes"}
ARM_PAIRS = {
    ("balanced", "random"): "curation: balanced against as many raw pairs",
    ("matched", "random"): "filtering: matched against as many raw pairs",
    ("balanced", "matched"): "balancing: balanced against as many matched pairs",
    ("online", "balanced"): "online curation: each epoch drawn anew against one draw",
    ("all", "random"): "size: the whole pool against a part of it",
}
VARIANT_PAIRS = {(variant, "clip"): "supervision" for variant in ("slip", "filip", "declip", "defilip")}
_SETTING = tuple(item.name for item in fields(Cell) if item.name != "seed")


@dataclass(frozen=True)
class Comparison:
    """One question to the rows.

    Attributes:
        where: What both sides have in common.
        metric: A column of the rows.
        first: The setting that is judged.
        second: The setting that it is judged against.
        primary: Whether it is the comparison that the benchmark is for.
    """

    question: str
    where: str
    metric: str
    first: str
    second: str
    difference: PairedDifference
    primary: bool = False


@dataclass(frozen=True)
class SettingSummary:
    """One setting over its seeds.

    Attributes:
        setting: Field of `Cell` -> value, without the seed.
        values: Metric -> its value by seed.
        chance: Top-1 of guessing.
        bar: What the lower bound must pass.
        lower_bound: Lower 95% bound of top-1: over seeds from three on, else the weakest seed's over the test items.
    """

    setting: dict[str, Any]
    seeds: tuple[int, ...]
    values: dict[str, dict[int, float]]
    chance: float
    bar: float
    lower_bound: float
    rows: tuple[Mapping[str, Any], ...]

    @property
    def passes(self) -> bool:
        """Whether the model has learnt: the bound is above `TIMES_CHANCE` times chance."""
        return self.lower_bound > self.bar

    def mean(self, metric: str) -> float:
        """The mean of a column over the seeds."""
        values = [row[metric] for row in self.rows if row.get(metric) is not None]
        return math.fsum(values) / len(values) if values else math.nan

    def spread(self, metric: str) -> tuple[float, float]:
        """The smallest and the largest value over the seeds."""
        values = [row[metric] for row in self.rows if row.get(metric) is not None]
        return (min(values), max(values)) if values else (math.nan, math.nan)


def summaries(rows: Sequence[Mapping[str, Any]]) -> list[SettingSummary]:
    """Groups rows of finished cells by setting, in the order of the rows."""
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[tuple(row[name] for name in _SETTING)].append(row)
    return [_summary(sorted(group, key=lambda row: row["seed"])) for group in groups.values()]


def comparisons(rows: Sequence[Mapping[str, Any]]) -> list[Comparison]:
    """Asks every question that the rows can answer, the primary comparison first."""
    found = summaries(rows)
    depths = sorted({summary.setting["text_depth"] for summary in found} - {0})
    asked: list[Comparison] = []
    for pair, question in ARM_PAIRS.items():
        asked += _compared_along(found, "arm", pair, question, METRICS)
    asked += _compared_along(
        found, "caption_kind", ("v2", "v1"), "data quality: filtered against raw captions", METRICS
    )
    for pair, question in VARIANT_PAIRS.items():
        asked += _compared_along(found, "variant", pair, question, ("top1",))
    asked += _interactions(found)
    for depth in depths:
        asked += _compared_along(
            found, "text_depth", (depth, 0), "text depth: layers against the size's own", ("top1",)
        )
    asked += _compared_along(
        found, "preset", ("published", "clean"), "recipe: the published one against one for all", ("top1",)
    )
    return sorted(asked, key=lambda comparison: not comparison.primary)


def _summary(rows: list[Mapping[str, Any]]) -> SettingSummary:
    top1 = [row["top1"] for row in rows]
    enough = len(rows) >= FEWEST_SEEDS
    classes = int(rows[0]["classes"])
    return SettingSummary(
        setting={name: rows[0][name] for name in _SETTING},
        seeds=tuple(row["seed"] for row in rows),
        values={metric: {row["seed"]: row[metric] for row in rows} for metric in METRICS},
        chance=1 / classes,
        bar=bar_over_chance(classes),
        lower_bound=lower_bound_of_mean(top1) if enough else min(row["top1_lower"] for row in rows),
        rows=tuple(rows),
    )


def _compared_along(
    found: list[SettingSummary],
    axis: str,
    pair: tuple[Any, Any],
    question: str,
    metrics: Sequence[str] | dict[str, str],
) -> list[Comparison]:
    """Compares every two settings that differ in one column only."""
    primary = pair == ("balanced", "random")
    needed = FEWEST_SEEDS_PRIMARY if axis == "arm" else FEWEST_SEEDS
    asked = []
    for first, second in _pairs_along(found, axis, pair):
        for metric in metrics:
            difference = paired_difference(first.values[metric], second.values[metric], needed=needed)
            if difference is not None:
                names = [str(value or "own") for value in pair]
                asked.append(
                    Comparison(question, _label_without(first, axis), metric, names[0], names[1], difference, primary)
                )
    return asked


def _interactions(found: list[SettingSummary]) -> list[Comparison]:
    """Asks whether a supervision's gain over CLIP is another one on the other architecture."""
    asked = []
    for variant, clip in VARIANT_PAIRS:
        gains: dict[str, dict[tuple[Any, ...], dict[int, float]]] = {"vit": {}, "resnet": {}}
        for first, second in _pairs_along(found, "variant", (variant, clip)):
            rest = tuple(
                (name, value) for name, value in first.setting.items() if name not in {"variant", "image_tower"}
            )
            shared = first.values["top1"].keys() & second.values["top1"].keys()
            gains[first.setting["image_tower"]][rest] = {
                seed: first.values["top1"][seed] - second.values["top1"][seed] for seed in shared
            }
        for rest in sorted(gains["vit"].keys() & gains["resnet"].keys()):
            difference = paired_difference(gains["vit"][rest], gains["resnet"][rest])
            if difference is not None:
                where = setting_label(dict(rest))
                question = f"architecture: the gain of {variant} over {clip}"
                asked.append(Comparison(question, where, "top1", "vit", "resnet", difference))
    return asked


def _pairs_along(
    found: list[SettingSummary], axis: str, pair: tuple[Any, Any]
) -> list[tuple[SettingSummary, SettingSummary]]:
    by_setting = {tuple(summary.setting.values()): summary for summary in found}
    partners = []
    for summary in found:
        if summary.setting[axis] == pair[0]:
            other = by_setting.get(tuple({**summary.setting, axis: pair[1]}.values()))
            if other is not None:
                partners.append((summary, other))
    return partners


def _label_without(summary: SettingSummary, axis: str) -> str:
    return setting_label({name: value for name, value in summary.setting.items() if name != axis})


def setting_label(setting: Mapping[str, Any]) -> str:
    """Names a setting, such as "clip, vit, all, v2, clean, tiny"; without a text depth that is the size's own."""
    words = [f"text depth {value}" if name == "text_depth" else str(value) for name, value in setting.items() if value]
    return ", ".join(words)
