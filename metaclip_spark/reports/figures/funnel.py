"""The funnel: what came into each stage, what went on, and why the rest left."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from metaclip_spark.reports.explain.drawn import SINCE_BALANCE
from metaclip_spark.reports.figures.manifests import Manifests
from metaclip_spark.reports.records import FunnelLine
from metaclip_spark.runs.records import ExcludeManifest, ExtractNumbers, FirstDraw

MATCHED = "matched"
ELIGIBLE = "eligible"
_ORDINALS = ("first", "second", "third", "fourth", "fifth")


@dataclass(frozen=True)
class Judged:
    """The pairs that the rules of a run have judged.

    Attributes:
        stage: What the funnel calls them: matched, or the draw that the run began with.
        reasons: Reason to how many of them left.
        reasons_before: Reason to how many matched pairs had left before, in the runs that this one began with.
    """

    stage: str
    reasons: Mapping[str, int]
    reasons_before: Mapping[str, int]

    @property
    def pairs(self) -> str:
        """What a heading calls them."""
        return "matched pairs" if self.stage == MATCHED else f"pairs of the {self.stage}"

    @property
    def all_reasons(self) -> dict[str, int]:
        """Reason to how many matched pairs left, here or before."""
        return dict(Counter(self.reasons_before) + Counter(self.reasons))


def judged_by_rules(funnel: Sequence[FunnelLine]) -> Judged:
    """Gives what a funnel tells of the pairs before the rules of its run, and of what became of them."""
    matched = next((place for place, line in enumerate(funnel) if line.came_in == MATCHED), 0)
    first = next((place for place, line in enumerate(funnel) if line.went_out == ELIGIBLE), matched)
    return Judged(funnel[first].came_in, _added(funnel[first:]), _added(funnel[matched:first]))


def _added(funnel: Sequence[FunnelLine]) -> Counter[str]:
    return sum((Counter(line.reasons) for line in funnel), Counter[str]())


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
    return f"{_ORDINALS[number - 1] if number <= len(_ORDINALS) else f'{number}th'} draw"


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
