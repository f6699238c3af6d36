"""The funnel: what came into each stage, what went on, and why the rest left."""

from collections.abc import Sequence

from metaclip_spark.reports.explain.drawn import SINCE_BALANCE
from metaclip_spark.reports.figures.manifests import Manifests
from metaclip_spark.reports.records import FunnelLine
from metaclip_spark.runs.records import ExcludeManifest, ExtractNumbers, FirstDraw

MATCHED = "matched"
ELIGIBLE = "eligible"


def funnel_of(manifests: Manifests) -> list[FunnelLine]:
    """Gives all stages of a run in their order; of each, what came in is what went out and what left."""
    extract, distinct, match = manifests.extract.numbers, manifests.deduplicate.numbers, manifests.match.numbers
    count, sample = manifests.count.numbers, manifests.sample.numbers
    passed = sample.pairs_in - sample.gated_out
    gated, drawn = {"language_gate": count.gated_out}, {"not_drawn": sample.not_drawn}
    if sample.dropped:
        drawn[SINCE_BALANCE] = sample.dropped
    # Where nothing can leave a stage, it says nothing.
    is_gated = bool(manifests.sample.config.gate.languages)
    excluded = manifests.exclude if manifests.exclude and manifests.exclude.config.has_rules else None
    left = ELIGIBLE if excluded else MATCHED
    return [
        _line("records", extract.records, "pages", extract.pages, _reasons(extract, "record.")),
        _line("images", extract.images, "images kept", extract.images_kept, _reasons(extract, "image.")),
        _line("texts", extract.texts, "pairs", extract.pairs, _reasons(extract, "text.")),
        _line("pairs", distinct.pairs_in, "pool", distinct.pairs, {"duplicate": distinct.duplicates}),
        _line("pool", match.pairs_in, MATCHED, match.pairs, match.reasons),
        *_exclusion_lines(excluded),
        *([_line(left, count.pairs_in, "counted", count.pairs, gated)] if is_gated else []),
        _line("counted" if is_gated else left, passed, "curated", sample.pairs, drawn),
    ]


def _exclusion_lines(excluded: ExcludeManifest | None) -> list[FunnelLine]:
    """Tells what rules have left, and of a run that began with the draws of others what each of them had left."""
    if excluded is None:
        return []
    draws = excluded.config.draws_before
    names = [MATCHED, *(_name_of_draw(number) for number in range(1, len(draws) + 1))]
    numbers = excluded.numbers
    return [
        *_draw_lines(draws, names),
        _line(names[-1], numbers.pairs_in, ELIGIBLE, numbers.pairs, numbers.reasons),
    ]


def _draw_lines(draws: Sequence[FirstDraw], names: Sequence[str]) -> list[FunnelLine]:
    return [
        _line(names[place], draw.matched, names[place + 1], draw.pairs, _lost_by(draw))
        for place, draw in enumerate(draws)
    ]


def _name_of_draw(number: int) -> str:
    return "first draw" if number == 1 else f"draw {number}"


def _lost_by(draw: FirstDraw) -> dict[str, int]:
    lost = dict(draw.reasons) if isinstance(draw.reasons, dict) else {}
    lost |= {"language_gate": draw.gated_out} if draw.gated_out else {}
    if isinstance(draw.dropped, int):
        lost[SINCE_BALANCE] = draw.dropped
    return lost | {"not_drawn": draw.not_drawn}


def _line(what: str, came_in: int, result: str, went_out: int, reasons: dict[str, int]) -> FunnelLine:
    return FunnelLine(came_in=what, in_number=came_in, went_out=result, out_number=went_out, reasons=reasons)


def _reasons(extract: ExtractNumbers, prefix: str) -> dict[str, int]:
    return {reason: number for reason, number in extract.rejected.items() if reason.startswith(prefix)}
