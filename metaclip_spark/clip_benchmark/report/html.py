"""The benchmark as one HTML page: tables as in the paper, curves, the spread over seeds, and the verdicts."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from metaclip_spark.clip_benchmark.evaluation.paired_tests import TIMES_CHANCE
from metaclip_spark.clip_benchmark.evaluation.significance import (
    METRICS,
    Comparison,
    SettingSummary,
    comparisons,
    setting_label,
    summaries,
)
from metaclip_spark.clip_benchmark.report.charts import loss_chart, spread_chart
from metaclip_spark.clip_benchmark.report.published import published_table
from metaclip_spark.clip_benchmark.settings.variants import VARIANTS
from metaclip_spark.errors import counted, percent
from metaclip_spark.reports.charts import inline_svg
from metaclip_spark.reports.pages.html import page_environment, seconds, visible_text
from metaclip_spark.stores.storage import Storage

PAGE = "benchmark.html"
NUMBERS = "benchmark.json"

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


def write_report(folder: Path, rows: Sequence[Mapping[str, Any]], facts: Mapping[str, Any]) -> Path:
    """Writes the page, and beside it the same numbers as JSON; `facts` are conditions that no row has."""
    report = build_report(rows, facts)
    storage = Storage(str(folder))
    storage.put_text(PAGE, render(report))
    storage.put_json(NUMBERS, _json_ready(report))
    return folder / PAGE


@dataclass(frozen=True)
class BenchmarkReport:
    """What the page shows; `facts` hold for all rows, and the tables list the settings that differ in one column."""

    facts: Mapping[str, Any]
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


def build_report(rows: Sequence[Mapping[str, Any]], facts: Mapping[str, Any]) -> BenchmarkReport:
    """Gathers what the page shows from the rows of finished cells."""
    found = summaries(rows)
    return BenchmarkReport(
        facts=facts,
        settings=found,
        variants=_variant_table(found),
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


def summary_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What each setting reached, and what the comparisons showed, as lines for a console."""
    settings = summaries(rows)
    lines = [
        f"{_setting_name(found.setting)}: top-1 {_points(found.mean('top1'))} ({counted(len(found.seeds), 'seed')}), "
        f"lower 95% bound {_points(found.lower_bound)}, {'above' if found.passes else 'NOT above'} "
        f"{_points(found.bar)} ({TIMES_CHANCE} x chance {_points(found.chance)})"
        for found in settings
    ]
    for asked in comparisons(rows):
        found_difference = asked.difference
        lines.append(
            f"{asked.question} ({asked.where}), {METRICS[asked.metric]}: {asked.first} - {asked.second} "
            f"{_signed(found_difference.mean)} points, {_signed(found_difference.low)} to "
            f"{_signed(found_difference.high)}: {found_difference.verdict}"
        )
    return [*lines, learning_verdict(settings)]


def learning_verdict(settings: Sequence[SettingSummary]) -> str:
    """Says in a sentence which settings have learnt, since figures of those that have not mean nothing."""
    bar = f"{_points(settings[0].bar)} ({TIMES_CHANCE} x chance)"
    failed = [_setting_name(found.setting) for found in settings if not found.passes]
    if len(failed) == len(settings):
        who = "The model has" if len(settings) == 1 else f"None of the {len(settings)} settings has"
        has_not = "not learnt anything" if len(settings) == 1 else "learnt anything"
        return f"{who} {has_not}: the lower 95% bound of zero-shot top-1 is not above {bar}."
    if failed:
        have = "has" if len(failed) == 1 else "have"
        of_all = f"{len(failed)} of {counted(len(settings), 'setting')}"
        return f"{of_all} {have} not learnt anything (lower 95% bound not above {bar}): {'; '.join(failed)}."
    who = "The model has" if len(settings) == 1 else f"All {len(settings)} settings have"
    return f"{who} learnt: the lower 95% bound of zero-shot top-1 is above {bar}."


def not_learnt(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names the settings whose lower bound is not above the bar."""
    return [_setting_name(found.setting) for found in summaries(rows) if not found.passes]


def render(report: BenchmarkReport) -> str:
    """Renders a report as an HTML document without script or request."""
    published = published_table()
    environment = page_environment()
    environment.filters.update(
        points=_points, signed=_signed, duration=seconds, visible=visible_text, plain=_plain, name=_setting_name
    )
    return environment.get_template("benchmark.html.j2").render(
        report=report,
        pictures=_pictures(report.settings),
        metrics=METRICS,
        published=published.top1_percent,
        published_label=published.label,
        verdict=learning_verdict(report.settings),
        conditions=[
            *_conditions(report.settings),
            *((name, [(_plain(fact), "")]) for name, fact in report.facts.items()),
        ],
    )


def _conditions(settings: Sequence[SettingSummary]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Each condition with its values, and the settings that have them where they differ; the usual value comes last."""
    conditions = []
    for condition in CONDITIONS:
        having: dict[str, list[str]] = {}
        for summary in settings:
            values = list(dict.fromkeys(_plain(row[condition]) for row in summary.rows))
            having.setdefault(" or ".join(values), []).append(_setting_name(summary.setting))
        rarest_first = sorted(having.items(), key=lambda item: len(item[1]))
        usual, names = rarest_first.pop()
        others = "" if not rarest_first else names[0] if len(names) == 1 else "all others"
        shown = [(value, "; ".join(names)) for value, names in rarest_first]
        conditions.append((condition, [*shown, (usual, others)]))
    return conditions


def _variant_table(found: list[SettingSummary]) -> list[dict[str, Any]]:
    """A line per variant with a cell per tower, where anything else is as in the most common setting."""
    rest = {"arm": "all", "caption_kind": "v2", "text_depth": 0, "preset": "clean"}
    lines = []
    costs = {
        tower: summary.mean("samples_per_second")
        for tower in ("vit", "resnet")
        if (summary := _first_with(found, variant="clip", image_tower=tower, **rest))
    }
    for variant in VARIANTS:
        cells = {tower: _first_with(found, variant=variant, image_tower=tower, **rest) for tower in ("vit", "resnet")}
        if any(cells.values()):
            ratios = {
                tower: costs[tower] / cell.mean("samples_per_second")
                for tower, cell in cells.items()
                if cell is not None and tower in costs
            }
            lines.append({"variant": variant, "cells": cells, "costs": ratios})
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


def _pictures(found: list[SettingSummary]) -> dict[str, Any]:
    groups = {_setting_name(summary.setting): summary for summary in found}
    figures = {"spread": Markup(inline_svg(spread_chart(groups), "spread", "Zero-shot top-1 of each seed"))}  # noqa: S704 - our own drawing
    losses = []
    for index, (name, summary) in enumerate(groups.items()):
        row = summary.rows[0]
        curves = {f"seed {row['seed']}": _curve(row, "total")}
        svg = inline_svg(loss_chart(curves), f"loss{index}", f"Loss of {name}")
        losses.append((name, Markup(svg)))  # noqa: S704 - our own drawing
    return {**figures, "losses": losses}


def _curve(row: Mapping[str, Any], term: str) -> tuple[list[int], list[float]]:
    values = [math.nan if value is None else value for value in row["losses"][term]]
    stride = max(1, row["steps"] // max(1, len(values)))
    return [index * stride for index in range(len(values))], values


def _setting_name(setting: Mapping[str, Any]) -> str:
    """Names a setting by what differs from the usual: neither the preset clean nor the size is said."""
    said = {name: value for name, value in setting.items() if name != "model_size" and value != "clean"}
    return setting_label(said)


def _points(share: float | None) -> str:
    if share is None or math.isnan(share):
        return "–"
    return "−∞" if share == -math.inf else percent(share)


def _signed(share: float) -> str:
    if math.isinf(share):
        return "−∞" if share < 0 else "∞"
    # Adding 0.0 turns -0.0, which rounding leaves, into 0.0.
    return f"{round(100 * share, 1) + 0.0:+.1f}".replace("-", "−")


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value))
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}" if isinstance(value, float) else str(value)


def _json_ready(report: BenchmarkReport) -> dict[str, Any]:
    def comparison(asked: Comparison) -> dict[str, Any]:
        found = _finite(asdict(asked))
        return {**found, "verdict": asked.difference.verdict}

    def setting(summary: SettingSummary) -> dict[str, Any]:
        means = {name: summary.mean(name) for name in (*METRICS, "top5", "linear_probe", "samples_per_second")}
        kept = {"seeds": list(summary.seeds), "lower_bound": summary.lower_bound, "passes": summary.passes}
        conditions = {name: summary.rows[0][name] for name in CONDITIONS}
        bounds = {"chance": summary.chance, "bar": summary.bar}
        return _finite({**summary.setting, **means, **kept, **bounds, "conditions": conditions})

    published = published_table()
    return {
        "facts": dict(report.facts),
        "settings": [setting(summary) for summary in report.settings],
        "comparisons": [comparison(asked) for asked in report.comparisons],
        "published": {"label": published.label, "top1_per_cent": published.top1_percent},
    }


def _finite(value: Any) -> Any:
    """Puts null in place of numbers that JSON lacks."""
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
