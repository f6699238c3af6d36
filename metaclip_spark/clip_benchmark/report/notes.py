"""What the page's figures must be read with, in sentences that follow from the rows and from the pool."""

from collections.abc import Mapping, Sequence
from typing import Any

from metaclip_spark.clip_benchmark.evaluation.ranking import order_agreement
from metaclip_spark.clip_benchmark.evaluation.significance import summaries
from metaclip_spark.clip_benchmark.report.published import PublishedTable
from metaclip_spark.clip_benchmark.report.wording import setting_name
from metaclip_spark.clip_benchmark.settings.grid_config import FEWEST_SEEDS
from metaclip_spark.clip_benchmark.training.result import solved_pretext
from metaclip_spark.errors import counted

_CIRCULAR = (
    "The captions' noise was put in by this package's generator, and the V2-like filter's rules mirror the kinds of "
    "noise that it makes: filtered against raw captions shows that the machinery sees noise, and nothing of crawls.",
    "Matched pairs are those with one of the classes' words, so matched against random pairs is the removal of the "
    "same noise once more.",
    "The test has as many items of each class, and balancing gives rare classes more weight: balanced pairs must win "
    "on the tail.",
)
OF_POOL = {
    "shapes": _CIRCULAR,
    "shape-pairs": (
        *_CIRCULAR,
        "About one weak or strong view in nine crops more than half of one of the two shapes away, as views of photos "
        "do.",
        "Balancing goes by the shapes' words, not by their pairs.",
    ),
    "drawings": (
        "The seeds draw which titles of one collection are tested, so that their pools have most drawings in common: "
        "the intervals hold for this collection, and are narrower than those over collections.",
        "Captions are real titles of drawings, in other languages, too; the noise in them is their own. The V2-like "
        "filter's rules were not made for them.",
        "The metadata list is made of words that two English titles share, so most titles match. The test has as many "
        "drawings of each class.",
    ),
}
"""Kind of a pool -> what is circular by construction, or else differs from a crawl."""


def seeds_note(fixed: int, *, pool_varies: bool) -> str:
    """Says which seeds there are, and what varies over them."""
    seeds = "Seed 0 was" if fixed == 1 else f"Seeds 0 to {fixed - 1} were"
    few = "" if fixed >= FEWEST_SEEDS else f" Fewer than {FEWEST_SEEDS} seeds give no verdict."
    varies = (
        "Each seed has a pool, a test split, initial weights and an order of samples of its own."
        if pool_varies
        else "All seeds share one pool and one test split, and the intervals hold for these only; initial weights, "
        "order of samples and draw of the arms vary."
    )
    return f"{seeds} fixed before the first training, and none was added after looking.{few} {varies}"


def pretext_notes(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names the settings in which a pretext was solved, and in which of their seeds."""
    solved = {
        setting_name(found.setting): [
            row["seed"] for row in found.rows if solved_pretext(row["losses"], row["samples_per_step"])
        ]
        for found in summaries(rows)
    }
    return [
        f"{name}: the image self-supervision was solved by a shortcut in {counted(len(seeds), 'seed')} "
        f"({', '.join(map(str, seeds))}): NT-Xent fell below a quarter of that of guessing, so the views leave "
        "something, such as colours, by which pictures are told apart without their content."
        for name, seeds in solved.items()
        if seeds
    ]


def order_note(measured: Mapping[str, Mapping[int, float]], published: PublishedTable) -> str | None:
    """Says whether the variants' means come in the order of a published column; None for fewer than two variants."""
    agreement = order_agreement(measured, published.top1_percent)
    if agreement is None:
        return None
    told = {"contradicted by": agreement.contradicted, "in another order within the noise": agreement.within_noise}
    parts = [
        f"{how}: " + ", ".join(f"{better} above {worse}" for better, worse in pairs)
        for how, pairs in told.items()
        if pairs
    ]
    against = "; ".join(parts) or "no two variants are in another order"
    tau = "undefined" if agreement.tau is None else f"{agreement.tau:.2f}".replace("-", "−")
    return (
        f"Against the paper's {published.image_tower} column, Kendall's tau over "
        f"{counted(len(agreement.variants), 'variant')} is {tau}; {against}."
    )
