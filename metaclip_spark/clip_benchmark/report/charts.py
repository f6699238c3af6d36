"""The benchmark page's images."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from metaclip_spark.clip_benchmark.evaluation.significance import SettingSummary
from metaclip_spark.reports.charts import IN_PAGE, Palette, finished, new_figure


def loss_chart(curves: Mapping[str, tuple[Sequence[int], Sequence[float]]], palette: Palette = IN_PAGE) -> Figure:
    """Draws at most three losses against the step; steps without a value are left open."""
    figure, axes = new_figure(palette, height=2.6)
    for (name, (steps, values)), colour in zip(
        curves.items(), (palette.first, palette.second, palette.mark), strict=False
    ):
        axes.plot(steps, values, color=colour, label=name, linewidth=1.5)
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    return finished(figure, axes, palette)


def spread_chart(groups: Mapping[str, SettingSummary], palette: Palette = IN_PAGE) -> Figure:
    """Draws every seed of every setting of one test split, with its mean, the chance and the bar."""
    figure, axes = new_figure(palette, height=0.9 + 0.3 * len(groups))
    for row, summary in enumerate(groups.values()):
        values = list(summary.values["top1"].values())
        axes.plot(values, [row] * len(values), "o", color=palette.first, markersize=4, alpha=0.75)
        axes.plot([summary.mean("top1")], [row], "|", color=palette.second, markersize=14, markeredgewidth=2)
    first = next(iter(groups.values()))
    axes.axvline(first.chance, color=palette.ink, linestyle=":", linewidth=1.1)
    axes.axvline(first.bar, color=palette.mark, linestyle="--", linewidth=1.1)
    axes.set_yticks(range(len(groups)), list(groups))
    axes.set_ylim(len(groups) - 0.5, -0.5)
    axes.set_xlim(left=0)
    axes.set_xlabel("zero-shot top-1")
    axes.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    return finished(figure, axes, palette, legend=False)
