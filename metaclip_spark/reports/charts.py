"""The report's pictures: matplotlib figures as inline SVG that follows the page's colours, or as files.

No text of strangers is drawn: what they wrote stands in HTML, where it is escaped.
"""

import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

from metaclip_spark.errors import ConfigError
from metaclip_spark.reports.figures.plan import PlanRow
from metaclip_spark.reports.records import Curves, RankPoints, SharePoints

CURVE_POINTS = 240
WIDTH, HEIGHT = 6.4, 3.8
"""Inches, at 72 SVG units each."""

MARGINS = (0.75, 0.55, 0.12, 0.15)
"""Inches to the left of the axes, below, to the right and above."""

FILE_FORMATS = (".png", ".svg")

_FEW_DECADES = 100
"""An axis over less than this factor has numbers between the powers of ten, too."""

_STYLE: Any = {
    "svg.hashsalt": "metaclip-spark",  # ids in the SVG are hashes: with a fixed salt the same in each run
    "svg.fonttype": "none",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "text.parse_math": False,
}
_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True)
class Palette:
    """The colours of a picture."""

    ink: str = "#1c2330"
    line: str = "#d5dae2"
    first: str = "#2f6fb7"
    second: str = "#d2691e"
    mark: str = "#7a4fb5"


ON_PAPER = Palette()
IN_PAGE = Palette(ink="#010101", line="#010102", first="#010103", second="#010104", mark="#010105")
"""Colours that nothing else has: each is replaced by the page's CSS variable of its name."""


def head_tail_chart(curves: Curves, palette: Palette = IN_PAGE) -> Figure:
    """Draws entry counts by rank, before and after balancing, both axes in logarithm: the paper's figure."""
    figure, axes = new_figure(palette)
    for points, colour, label in ((curves.before, palette.first, "matched"), (curves.after, palette.second, "curated")):
        if points.ranks:
            axes.plot(points.ranks, points.counts, color=colour, label=f"{label} pairs", linewidth=1.8)
    if curves.threshold_t is not None:
        axes.axhline(curves.threshold_t, color=palette.mark, linestyle="--", linewidth=1.1)
        _label_line(axes, (0.995, curves.threshold_t), f"t = {short_number(curves.threshold_t)}", palette)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("entries, sorted by count")
    axes.set_ylabel("pairs with the entry")
    return finished(figure, axes, palette)


def cumulative_chart(curves: Curves, palette: Palette = IN_PAGE) -> Figure:
    """Draws the share of all matches that entries below a count have; at t it is the tail share."""
    figure, axes = new_figure(palette)
    axes.step(curves.cumulative.counts, curves.cumulative.shares, where="post", color=palette.first)
    if curves.threshold_t is not None:
        axes.axvline(curves.threshold_t, color=palette.mark, linestyle="--", linewidth=1.1)
        axes.axhline(curves.tail_share, color=palette.mark, linestyle=":", linewidth=1.1)
        _label_line(axes, (0.995, curves.tail_share), f"tail share {curves.tail_share:.1%}", palette)
    axes.set_xscale("log")
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("entry count")
    axes.set_ylabel("share of matches below it")
    axes.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    return finished(figure, axes, palette, legend=False)


def bars_chart(groups: Sequence[str], series: Mapping[str, Sequence[int]], palette: Palette = IN_PAGE) -> Figure:
    """Draws shares of pairs by group (names of ours, not of strangers) side by side, at most two series."""
    figure, axes = new_figure(palette, height=2.9)
    width = 0.8 / len(series)
    for place, ((name, numbers), colour) in enumerate(
        zip(series.items(), (palette.first, palette.second), strict=False)
    ):
        total = sum(numbers) or 1
        where = np.arange(len(groups)) + (place - (len(series) - 1) / 2) * width
        axes.bar(where, [number / total for number in numbers], width, color=colour, label=name)
    axes.set_xticks(range(len(groups)), groups)
    axes.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    return finished(figure, axes, palette, log_ticks=False)


def size_chart(rows: Sequence[PlanRow], chosen: int | None, palette: Palette = ON_PAPER) -> Figure:
    """Draws the expected size against t, both axes in logarithm: the threshold explorer's curve."""
    figure, axes = new_figure(palette)
    axes.plot([row.threshold_t for row in rows], [row.expected_size for row in rows], color=palette.first)
    axes.set_xscale("log")
    axes.set_yscale("log")
    if chosen is not None:
        _mark_size(axes, chosen, next(row.expected_size for row in rows if row.threshold_t == chosen), palette)
    axes.set_xlabel("threshold t")
    axes.set_ylabel("expected curated pairs")
    return finished(figure, axes, palette, legend=False)


def curves_of(before: NDArray[np.int64], after: NDArray[np.int64], threshold_t: float, tail_share: float) -> Curves:
    """Thins sorted counts out to the few points that a curve needs."""
    ascending = np.sort(before[before > 0])
    matches = np.cumsum(ascending)
    places = _spread_places(ascending.size)
    # The share below a count just above this one: a step function that rises at each count.
    shares = (matches[places] / matches[-1]).tolist() if places else []
    return Curves(
        before=_rank_points(before),
        after=_rank_points(after),
        cumulative=SharePoints(counts=ascending[places].tolist(), shares=shares),
        threshold_t=None if math.isinf(threshold_t) else int(threshold_t),
        tail_share=tail_share,
    )


def inline_svg(figure: Figure, name: str, description: str) -> str:
    """Renders a figure as an <svg> element in the page's colours; `name` prefixes its ids, unique in the page."""
    buffer = io.StringIO()
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    content = buffer.getvalue()
    # Its style sheet would hold for the whole page.
    content = re.sub(r"<(metadata|style)\b.*?</\1>", "", content[content.index("<svg") :], flags=re.DOTALL)
    content = re.sub(r'\bid="', f'id="{name}-', content)
    content = content.replace("url(#", f"url(#{name}-").replace('href="#', f'href="#{name}-')
    for colour in ("ink", "line", "first", "second", "mark"):
        content = content.replace(getattr(IN_PAGE, colour), f"var(--{colour})")
    content = re.sub(r' (?:width|height)="[\d.]+pt"', "", content, count=2)
    return content.replace("<svg ", f'<svg role="img" aria-label="{description}" ', 1)


def save_chart(figure: Figure, path: str) -> None:
    """Writes a figure, drawn with the palette `ON_PAPER`, to a .png or .svg file.

    Raises:
        ConfigError: If it has another ending, or cannot be written.
    """
    check_chart_path(path)
    try:
        with mpl.rc_context(_STYLE):
            metadata = {"Date": None, "Creator": None} if path.endswith(".svg") else {"Software": None}
            figure.savefig(path, dpi=144, metadata=metadata)
    except OSError as error:
        raise ConfigError(f"--curve {path} cannot be written: {error.strerror or error}") from None


def check_chart_path(path: str) -> None:
    """Checks a picture's ending before the work that it is to show.

    Raises:
        ConfigError: If it does not end in .png or .svg.
    """
    if Path(path).suffix not in FILE_FORMATS:
        raise ConfigError(f"--curve {path} must end in one of {', '.join(FILE_FORMATS)}")


def short_number(number: float) -> str:
    """Writes a number with at most four characters before its prefix: 7, 1.5k, 20k, 2.5G."""
    for size, prefix in _PREFIXES:
        if number >= size:
            return f"{number / size:.4g}{prefix}"
    return f"{number:.4g}"


def new_figure(palette: Palette, height: float = HEIGHT) -> tuple[Figure, Axes]:
    """Begins a figure of one chart, `height` inches high."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(WIDTH, height))
        axes = figure.add_axes(_inside(height))
    axes.grid(visible=True, color=palette.line, linewidth=0.6)
    axes.set_axisbelow(True)
    return figure, axes


def _inside(height: float) -> tuple[float, float, float, float]:
    """Gives the place of the axes, with room for ticks and labels; finding it by drawing would take as long again."""
    left, bottom, right, top = MARGINS
    return left / WIDTH, bottom / height, 1 - (left + right) / WIDTH, 1 - (bottom + top) / height


def finished(figure: Figure, axes: Axes, palette: Palette, *, legend: bool = True, log_ticks: bool = True) -> Figure:
    """Colours axes, ticks and legend; logarithmic axes have short numbers."""
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set_color(palette.ink)
        axis.set_tick_params(colors=palette.ink, which="both")
        if log_ticks and axis.get_scale() == "log":
            numbers = FuncFormatter(lambda number, _: short_number(number))
            low, high = axis.get_view_interval()
            has_few_decades = high < _FEW_DECADES * low
            if has_few_decades:
                axis.set_minor_locator(LogLocator(subs=(2, 5)))
            axis.set_major_formatter(numbers)
            axis.set_minor_formatter(numbers if has_few_decades else NullFormatter())
    for spine in axes.spines.values():
        spine.set_color(palette.ink)
    if legend and axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, labelcolor=palette.ink)
    return figure


def _mark_size(axes: Axes, threshold: int, size: float, palette: Palette) -> None:
    """Marks a threshold and its size, with a label at the foot, on the side of the line that has room."""
    axes.axvline(threshold, color=palette.mark, linestyle="--", linewidth=1.1)
    axes.plot([threshold], [size], marker="o", color=palette.mark)
    least, most = axes.get_xlim()
    is_left = threshold**2 < least * most
    axes.annotate(
        f"t = {threshold:,}: {size:,.0f} pairs",
        (threshold, 0.02),
        xycoords=("data", "axes fraction"),
        xytext=(7 if is_left else -7, 0),
        textcoords="offset points",
        ha="left" if is_left else "right",
        color=palette.mark,
    )


def _label_line(axes: Axes, where: tuple[float, float], text: str, palette: Palette) -> None:
    transform = axes.get_yaxis_transform()
    axes.text(*where, text, transform=transform, ha="right", va="bottom", color=palette.mark)


def _rank_points(counts: NDArray[np.int64]) -> RankPoints:
    descending = -np.sort(-counts[counts > 0])
    places = _spread_places(descending.size)
    return RankPoints(ranks=[place + 1 for place in places], counts=descending[places].tolist())


def _spread_places(size: int) -> list[int]:
    """Spreads places of a sorted array evenly in logarithm from both of its ends."""
    if not size:
        return []
    spread = np.rint(np.geomspace(1, size, CURVE_POINTS)).astype(int) - 1
    return sorted({*spread.tolist(), *(size - 1 - spread).tolist()})
