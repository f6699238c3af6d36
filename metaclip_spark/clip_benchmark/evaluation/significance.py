"""What the grid's rows say about the paper's findings and ours, by paired seeds.

Findings of arXiv 2203.05796: data quality matters, supervision depends on the architecture, a shallow text tower loses
little. Ours: whether a curated set is worth more than as many raw pairs. Each group of questions is a family, within
which Holm's correction makes up for asking more than once.
"""

import itertools
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from metaclip_spark.clip_benchmark.evaluation.figures import LOG_ODDS, METRICS, setting_label
from metaclip_spark.clip_benchmark.evaluation.paired_tests import (
    FEWEST_FOR_BOUND,
    LEVEL,
    PairedDifference,
    bar_over_chance,
    holm,
    log_odds,
    lower_bound_of_mean,
    paired_difference,
)
from metaclip_spark.clip_benchmark.settings.grid import Cell
from metaclip_spark.clip_benchmark.settings.grid_config import FEWEST_SEEDS

Family = Literal["arms", "filtering", "variants", "depths", "presets"]
_OF_ARMS = ("top1", "macro_head", "macro_tail")
_OF_VARIANTS = ("top1", "held_out_top1")
ARM_PAIRS = {
    ("balanced", "random"): "curation: balanced against as many raw pairs",
    ("matched", "random"): "filtering: matched against as many raw pairs",
    ("balanced", "matched"): "balancing: balanced against as many matched pairs",
    ("online", "balanced"): "online curation: each epoch drawn anew against one draw",
    ("all", "random"): "size: the whole pool against a part of it",
}
VARIANT_PAIRS = {(variant, "clip"): "supervision" for variant in ("slip", "filip", "declip", "defilip")}
_SETTING = tuple(item.name for item in fields(Cell) if item.name != "seed")
_SIDE = ("image_tower", "pixels")
_OF_TOWER = {"variant", *_SIDE}


@dataclass(frozen=True)
class Comparison:
    """One question to the rows.

    Attributes:
        family: The questions that are corrected together.
        where: What both sides have in common.
        metric: A name of `NAMES`.
        first: The setting that is judged.
        second: The setting that it is judged against.
        primary: Whether it is the comparison that the benchmark is for.
        holm_p: The difference's p-value, corrected by Holm within its family.
    """

    family: Family
    question: str
    where: str
    metric: str
    first: str
    second: str
    difference: PairedDifference
    primary: bool = False
    holm_p: float = 1.0

    @property
    def verdict(self) -> str:
        """Better or worse where the corrected p allows it, inconclusive, or how many seeds are missing."""
        found = self.difference
        if not found.enough:
            return f"too few seeds ({len(found.seeds)} of {FEWEST_SEEDS})"
        if self.holm_p >= 1 - LEVEL:
            return "inconclusive"
        return "better" if found.mean > 0 else "worse"


@dataclass(frozen=True)
class SettingSummary:
    """One setting over its seeds.

    Attributes:
        setting: Field of `Cell` -> value, without the seed.
        values: Metric -> its value by seed.
        chance: Top-1 of guessing.
        bar: What the lower bound must pass.
        lower_bound: Lower 95% bound of top-1: over seeds from three on, else the weakest seed's over the test items of
            that one training.
    """

    setting: dict[str, Any]
    seeds: tuple[int, ...]
    values: dict[str, dict[int, float]]
    chance: float
    bar: float
    lower_bound: float
    rows: tuple[Mapping[str, Any], ...]

    @property
    def bound_over(self) -> str:
        """What the lower bound is over: nothing but the items varies in that of a single training."""
        return "seeds" if len(self.seeds) >= FEWEST_FOR_BOUND else "the items of one training"

    @property
    def passes(self) -> bool:
        """Whether the model has learnt: the bound is above `TIMES_CHANCE` times chance."""
        return self.lower_bound > self.bar

    def log_odds(self) -> dict[int, float]:
        """Seed -> top-1 in log-odds."""
        return {row["seed"]: log_odds(row["top1"], row["items"]) for row in self.rows}

    def mean(self, metric: str) -> float:
        """The mean of a column over the seeds."""
        values = [row[metric] for row in self.rows if _is_known(row.get(metric))]
        return math.fsum(values) / len(values) if values else math.nan

    def spread(self, metric: str) -> tuple[float, float]:
        """The smallest and the largest value over the seeds."""
        values = [row[metric] for row in self.rows if _is_known(row.get(metric))]
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
        asked += _compared_along(found, "arms", "arm", pair, question, _OF_ARMS)
    asked += _compared_along(
        found, "filtering", "caption_kind", ("v2", "v1"), "data quality: filtered against raw captions", _OF_ARMS
    )
    for pair, question in VARIANT_PAIRS.items():
        asked += _compared_along(found, "variants", "variant", pair, question, _OF_VARIANTS)
    asked += _interactions(found)
    for depth in depths:
        asked += _compared_along(
            found, "depths", "text_depth", (depth, 0), "text depth: layers against the size's own", ("top1",)
        )
    asked += _compared_along(
        found, "presets", "preset", ("published", "clean"), "recipe: the published one against one for all", ("top1",)
    )
    return sorted(_corrected(asked), key=lambda comparison: not comparison.primary)


def _corrected(asked: Sequence[Comparison]) -> list[Comparison]:
    """Puts Holm's p-values in, family by family; a question with too few seeds counts as asked, with a p of 1."""
    families: dict[Family, list[int]] = defaultdict(list)
    for index, comparison in enumerate(asked):
        families[comparison.family].append(index)
    corrected = list(asked)
    for indices in families.values():
        p_values = [asked[index].difference.p if asked[index].difference.enough else 1.0 for index in indices]
        for index, p in zip(indices, holm(p_values), strict=True):
            corrected[index] = replace(asked[index], holm_p=p)
    return corrected


def _summary(rows: list[Mapping[str, Any]]) -> SettingSummary:
    top1 = [row["top1"] for row in rows]
    enough = len(rows) >= FEWEST_FOR_BOUND
    classes = int(rows[0]["classes"])
    return SettingSummary(
        setting={name: rows[0][name] for name in _SETTING},
        seeds=tuple(row["seed"] for row in rows),
        values={metric: {row["seed"]: row[metric] for row in rows if _is_known(row.get(metric))} for metric in METRICS},
        chance=1 / classes,
        bar=bar_over_chance(classes),
        lower_bound=lower_bound_of_mean(top1) if enough else min(row["top1_lower"] for row in rows),
        rows=tuple(rows),
    )


def _is_known(figure: float | None) -> bool:
    return figure is not None and not math.isnan(figure)


def _compared_along(
    found: list[SettingSummary],
    family: Family,
    axis: str,
    pair: tuple[Any, Any],
    question: str,
    metrics: Sequence[str],
) -> list[Comparison]:
    """Compares every two settings that differ in one column only."""
    primary = pair == ("balanced", "random")
    names = [str(value or "own") for value in pair]
    asked = []
    for first, second in _pairs_along(found, axis, pair):
        for metric in metrics:
            difference = paired_difference(first.values[metric], second.values[metric])
            if difference is not None:
                where = _label_without(first, axis)
                asked.append(Comparison(family, question, where, metric, names[0], names[1], difference, primary))
    return asked


def _interactions(found: list[SettingSummary]) -> list[Comparison]:
    """Asks whether a supervision's gain over CLIP is another one on the other architecture.

    In log-odds, in which a gain is as large near the ceiling as elsewhere: in points, the tower whose CLIP is better
    has less to gain. Each tower has the same side of the images on both sides of its gain, not that of the other tower.
    """
    asked = []
    for variant, clip in VARIANT_PAIRS:
        pairs = _pairs_along(found, "variant", (variant, clip))
        on = {tower: [pair for pair in pairs if pair[0].setting["image_tower"] == tower] for tower in ("vit", "resnet")}
        for one, other in itertools.product(on["vit"], on["resnet"]):
            rest, other_rest = (
                {name: value for name, value in pair[0].setting.items() if name not in _OF_TOWER}
                for pair in (one, other)
            )
            difference = paired_difference(_gain(*one), _gain(*other)) if rest == other_rest else None
            if difference is not None:
                where = setting_label(rest)
                question = f"architecture: the gain of {variant} over {clip}"
                vit, resnet = (setting_label({name: pair[0].setting[name] for name in _SIDE}) for pair in (one, other))
                asked.append(Comparison("variants", question, where, LOG_ODDS, vit, resnet, difference))
    return asked


def _gain(first: SettingSummary, second: SettingSummary) -> dict[int, float]:
    one, other = first.log_odds(), second.log_odds()
    return {seed: one[seed] - other[seed] for seed in one.keys() & other.keys()}


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
