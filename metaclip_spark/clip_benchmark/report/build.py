"""What the page and its JSON show, gathered from the rows of one pool."""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from metaclip_spark.clip_benchmark.cells import check_one_setting
from metaclip_spark.clip_benchmark.evaluation.figures import METRICS
from metaclip_spark.clip_benchmark.evaluation.paired_tests import FEWEST_FOR_BOUND, t_interval
from metaclip_spark.clip_benchmark.evaluation.significance import Comparison, SettingSummary, comparisons, summaries
from metaclip_spark.clip_benchmark.report.lines import learning_verdict
from metaclip_spark.clip_benchmark.report.notes import OF_POOL, order_note, pretext_notes, seeds_note
from metaclip_spark.clip_benchmark.report.published import published_tables
from metaclip_spark.clip_benchmark.report.wording import setting_name
from metaclip_spark.clip_benchmark.settings.variants import VARIANTS

CONDITIONS = (
    "data_pairs",
    "steps",
    "samples_per_step",
    "samples_seen",
    "warmup_steps",
    "learning_rate",
    "weight_decay",
    "view_set",
    "image_views",
    "image_pixels",
    "contrasted_texts",
    "log_scale_bounds",
    "batch_norm",
    "precision",
    "processes",
    "processor",
    "torch",
    "threads",
    "view_maker",
    "prompts",
)
"""The columns of a row that say how it was trained and evaluated."""

_BOUNDED = ("top1", "linear_probe")
"""The figures whose intervals over seeds the JSON has."""


@dataclass(frozen=True)
class BenchmarkReport:
    """What the page shows of one pool; the tables list the settings that differ in one column.

    Attributes:
        facts: Conditions that hold for all rows and stand in none of them.
        notes: What the figures must be read with.
        order_notes: How the variants' order agrees with the published ones.
        pretext_notes: Settings whose image self-supervision was solved by a shortcut.
    """

    facts: Mapping[str, Any]
    notes: list[str]
    order_notes: list[str]
    pretext_notes: list[str]
    settings: list[SettingSummary]
    variants: list[dict[str, Any]]
    arms: list[SettingSummary]
    captions: list[SettingSummary]
    depths: list[SettingSummary]
    presets: list[SettingSummary]
    comparisons: list[Comparison]
    items: int
    classes: int
    seconds: float
    runs: int

    @property
    def pool(self) -> str:
        """The kind of the pool."""
        return str(self.facts.get("pool", "pool"))

    @property
    def has_held_out(self) -> bool:
        """Whether the test split has classes that the pool lacks."""
        return any(summary.values["held_out_top1"] for summary in self.settings)


def build_report(rows: Sequence[Mapping[str, Any]], facts: Mapping[str, Any]) -> BenchmarkReport:
    """Gathers what the page shows from the rows of finished cells.

    Raises:
        InputError: If the rows are of several settings.
    """
    check_one_setting(rows, "the report")
    found = summaries(rows)
    variants = _variant_table(found)
    fixed = facts.get("seeds", len({row["seed"] for row in rows}))
    return BenchmarkReport(
        facts=facts,
        notes=[seeds_note(fixed, pool_varies=facts.get("pool_varies", True)), *OF_POOL.get(facts.get("pool", ""), ())],
        order_notes=_order_notes(variants),
        pretext_notes=pretext_notes(rows),
        settings=found,
        variants=variants,
        arms=_table_of(found, "arm", variant="clip", caption_kind="v1"),
        captions=_table_of(found, "caption_kind"),
        depths=_table_of(found, "text_depth", caption_kind="v2"),
        presets=_table_of(found, "preset"),
        comparisons=comparisons(rows),
        items=rows[0]["items"],
        classes=rows[0]["classes"],
        seconds=math.fsum(row["seconds"] for row in rows),
        runs=len(rows),
    )


def _order_notes(variants: list[dict[str, Any]]) -> list[str]:
    notes = []
    for tower, published in published_tables().items():
        # An order is of images of one side, and a model that has not learnt has no place in it.
        learnt = {
            line["variant"]: cell
            for line in variants
            if not line["pixels"] and (cell := line["cells"][tower]) is not None and cell.passes
        }
        measured = {variant: cell.values["top1"] for variant, cell in learnt.items()}
        note = order_note(measured, published)
        notes += [note] if note else []
    return notes


def _variant_table(found: list[SettingSummary]) -> list[dict[str, Any]]:
    """A line per variant and side of its images, with a cell per tower; the rest is as in the most common setting."""
    rest = {"arm": "all", "caption_kind": "v2", "text_depth": 0, "preset": "clean"}
    lines = []
    for pixels, variant in itertools.product(sorted({summary.setting["pixels"] for summary in found}), VARIANTS):
        cells = {
            tower: _first_with(found, variant=variant, image_tower=tower, pixels=pixels, **rest)
            for tower in ("vit", "resnet")
        }
        if any(cells.values()):
            lines.append({"variant": variant, "pixels": pixels, "cells": cells})
    return lines


def _table_of(found: list[SettingSummary], axis: str, **fixed: str) -> list[SettingSummary]:
    """The settings that some other setting differs from in one column only."""

    def rest(summary: SettingSummary) -> tuple[Any, ...]:
        return tuple(value for name, value in summary.setting.items() if name != axis)

    counts: dict[tuple[Any, ...], int] = {}
    for summary in found:
        counts[rest(summary)] = counts.get(rest(summary), 0) + 1
    chosen = [
        summary
        for summary in found
        if counts[rest(summary)] > 1 and all(summary.setting[name] == value for name, value in fixed.items())
    ]
    return sorted(chosen, key=lambda summary: (tuple(map(str, rest(summary))), str(summary.setting[axis])))


def _first_with(found: list[SettingSummary], **wanted: Any) -> SettingSummary | None:
    fitting = (summary for summary in found if all(summary.setting[name] == value for name, value in wanted.items()))
    return next(fitting, None)


def json_ready(report: BenchmarkReport) -> dict[str, Any]:
    """The report's numbers and sentences, ready to be written as JSON."""

    def comparison(asked: Comparison) -> dict[str, Any]:
        found = _finite(asdict(asked))
        return {**found, "verdict": asked.verdict}

    def setting(summary: SettingSummary) -> dict[str, Any]:
        means = {name: summary.mean(name) for name in (*METRICS, "top5", "linear_probe")}
        kept = {"seeds": list(summary.seeds), "lower_bound": summary.lower_bound, "passes": summary.passes}
        conditions = {name: _distinct(row[name] for row in summary.rows) for name in CONDITIONS}
        bounds = {"chance": summary.chance, "bar": summary.bar}
        named = {"name": setting_name(summary.setting), "data_pairs": summary.mean("data_pairs")}
        intervals = {name: _interval(summary, name) for name in _BOUNDED}
        return _finite(
            {**summary.setting, **named, **means, **kept, **bounds, "intervals": intervals, "conditions": conditions}
        )

    def names(found: list[SettingSummary]) -> list[str]:
        return [setting_name(summary.setting) for summary in found]

    return {
        "facts": dict(report.facts),
        "runs": report.runs,
        "items": report.items,
        "classes": report.classes,
        "seconds": report.seconds,
        "learnt": learning_verdict(report.settings),
        "notes": report.notes,
        "order": report.order_notes,
        "solved_pretexts": report.pretext_notes,
        "settings": [setting(summary) for summary in report.settings],
        "variants": [
            {
                "variant": line["variant"],
                "pixels": line["pixels"],
                **{tower: cell and setting_name(cell.setting) for tower, cell in line["cells"].items()},
            }
            for line in report.variants
        ],
        "arms": names(report.arms),
        "captions": names(report.captions),
        "depths": names(report.depths),
        "presets": names(report.presets),
        "comparisons": [comparison(asked) for asked in report.comparisons],
        "published": {
            tower: {"image_tower": table.image_tower, "label": table.label, "top1_per_cent": table.top1_percent}
            for tower, table in published_tables().items()
        },
    }


def _distinct(values: Iterable[Any]) -> list[Any]:
    """Each value once, also of those that are lists."""
    kept: list[Any] = []
    for value in values:
        kept += [] if value in kept else [value]
    return kept


def _interval(summary: SettingSummary, metric: str) -> list[float] | None:
    """The two-sided 95% interval of a mean over the seeds; None where they are too few, or one has no such figure."""
    values = [row.get(metric) for row in summary.rows]
    known = [value for value in values if value is not None and math.isfinite(value)]
    if len(known) < max(FEWEST_FOR_BOUND, len(values)):
        return None
    _, low, high = t_interval(known)
    # Student's t knows no bounds, a share has them.
    return [max(0.0, low), min(1.0, high)]


def _finite(value: Any) -> Any:
    """Puts null in place of numbers that JSON lacks."""
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
