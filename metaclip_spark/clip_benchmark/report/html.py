"""The benchmark as one HTML page: tables as in the paper, curves, the spread over seeds, and the verdicts."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from metaclip_spark.clip_benchmark.cells import NUMBERS_FILE, SETTINGS_FILE, curve_stride, read_results
from metaclip_spark.clip_benchmark.evaluation.figures import NAMES
from metaclip_spark.clip_benchmark.evaluation.significance import SettingSummary
from metaclip_spark.clip_benchmark.report.build import CONDITIONS, BenchmarkReport, build_report, json_ready
from metaclip_spark.clip_benchmark.report.charts import loss_chart, spread_chart
from metaclip_spark.clip_benchmark.report.lines import learning_verdict
from metaclip_spark.clip_benchmark.report.published import published_tables
from metaclip_spark.clip_benchmark.report.wording import correlation, difference, p_value, plain, points, setting_name
from metaclip_spark.clip_benchmark.settings.grid_config import METHOD
from metaclip_spark.errors import InputError
from metaclip_spark.reports.charts import inline_svg
from metaclip_spark.reports.pages.html import page_environment, seconds, visible_text
from metaclip_spark.stores.storage import Storage

PAGE = "benchmark.html"


def write_report(
    folder: Path,
    rows: Sequence[Mapping[str, Any]],
    facts: Mapping[str, Any],
    beside: Sequence[BenchmarkReport] = (),
) -> Path:
    """Writes the page, and beside it the same numbers as JSON.

    Args:
        folder: Of the benchmark.
        rows: Of its finished cells.
        facts: Conditions that no row has.
        beside: What other benchmarks found, on pools of their own.

    Raises:
        InputError: If the rows are of several settings.
    """
    report = build_report(rows, facts)
    storage = Storage(str(folder))
    storage.put_text(PAGE, render(report, beside))
    storage.put_json(NUMBERS_FILE, {**json_ready(report), "beside": [json_ready(other) for other in beside]})
    return folder / PAGE


def read_report(folder: Path) -> BenchmarkReport:
    """Reads what a finished benchmark found.

    Raises:
        InputError: If the folder holds none.
    """
    rows = read_results(folder)
    try:
        facts = json.loads((folder / NUMBERS_FILE).read_text(encoding="utf-8"))["facts"]
        settings = json.loads((folder / SETTINGS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, LookupError, TypeError):
        raise InputError(
            f"{folder} holds no finished benchmark of this version (no readable {NUMBERS_FILE} or {SETTINGS_FILE}): "
            "run it again"
        ) from None
    if settings.get("method") != METHOD:
        raise InputError(
            f"{folder} holds a benchmark of another version (method {settings.get('method')}, here {METHOD}), whose "
            "figures do not compare: run it again"
        )
    return build_report(rows, facts)


def render(report: BenchmarkReport, beside: Sequence[BenchmarkReport] = ()) -> str:
    """Renders a report, and others beside it, as an HTML document without script or request."""
    environment = page_environment()
    environment.filters.update(
        points=points,
        duration=seconds,
        visible=visible_text,
        plain=plain,
        name=setting_name,
        difference=difference,
        p=p_value,
        correlation=correlation,
        verdict=learning_verdict,
        conditions=_conditions,
    )
    return environment.get_template("benchmark.html.j2").render(
        report=report,
        beside=beside,
        pictures=_pictures(report.settings),
        metrics=NAMES,
        published=published_tables(),
    )


def _conditions(report: BenchmarkReport) -> list[tuple[str, list[tuple[str, str]]]]:
    """Each condition with its values, and the settings that have them where they differ; the usual value comes last."""
    conditions = []
    for condition in CONDITIONS:
        having: dict[str, list[str]] = {}
        for summary in report.settings:
            values = list(dict.fromkeys(plain(row[condition]) for row in summary.rows))
            having.setdefault(" or ".join(values), []).append(setting_name(summary.setting))
        rarest_first = sorted(having.items(), key=lambda item: len(item[1]))
        usual, names = rarest_first.pop()
        others = "" if not rarest_first else names[0] if len(names) == 1 else "all others"
        shown = [(value, "; ".join(names)) for value, names in rarest_first]
        conditions.append((condition, [*shown, (usual, others)]))
    return [*conditions, *((name, [(plain(fact), "")]) for name, fact in report.facts.items())]


def _pictures(found: list[SettingSummary]) -> dict[str, Any]:
    groups = {setting_name(summary.setting): summary for summary in found}
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
    stride = curve_stride(row["steps"])
    return [index * stride for index in range(len(values))], values
