"""Texts and pairs explained: every number that decided, computed anew."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from metaclip_spark.reports.explain.choice import Choice, StoredChoice
from metaclip_spark.reports.explain.curation import Curation, matched_entries
from metaclip_spark.reports.explain.near_misses import near_misses
from metaclip_spark.reports.explain.records import ExplainedEntry, ExplainedPair, ExplainedText, ListChoice
from metaclip_spark.reports.pages.reasons import meaning_of
from udfs.balancing.draw import pair_draws
from udfs.balancing.probability import keep_probabilities
from udfs.matching.spacing import spacing
from udfs.pairs.rules import clean_text
from udfs.schemas import OPTIONAL_COLUMNS


def explain_text(
    text: str, curation: Curation, *, page_language: str | None = None, stored: StoredChoice | None = None
) -> ExplainedText:
    """Explains what a raw or cleaned alternative text matches, and with which chance a pair that has it stays.

    Args:
        text: The text.
        curation: What the run decided with.
        page_language: With several lists, what the pool says of the language of its page.
        stored: With several lists, what match stored of it.

    Raises:
        InputError: If the model that says its language is gone.
    """
    cleaned = clean_text(text)
    chosen = curation.lists.router.choose(cleaned, page_language, stored) if curation.lists else None
    mine = curation.of_list(chosen.code if chosen else None)
    places = matched_entries(cleaned, mine)
    # Sorted by id, as stored: a product of numbers depends on their order.
    ids = pa.array([list(places)], pa.list_(pa.int32()))
    return ExplainedText(
        text=cleaned,
        spaced=spacing(cleaned),
        entries=[
            ExplainedEntry(
                entry_text=mine.entries[entry],
                entry_id=mine.first_id + entry,
                places=found,
                entry_count=int(mine.counts[entry]),
                entry_probability=float(mine.probabilities[entry]),
            )
            for entry, found in sorted(places.items(), key=lambda item: item[1])
        ],
        near_misses=near_misses(cleaned, places, mine),
        keep_probability=float(keep_probabilities(ids, mine.probabilities)[0]),
        word_borders=curation.word_borders,
        choice=_told(chosen, mine) if chosen else None,
    )


def _told(chosen: Choice, curation: Curation) -> ListChoice:
    return ListChoice(
        metadata_language=chosen.code,
        language=chosen.language,
        probability=chosen.probability,
        reason=chosen.reason,
        threshold_t=curation.threshold if chosen.code is not None else None,
    )


def explain_pair(
    pair: Mapping[str, Any],
    language: tuple[str | None, float | None],
    curation: Curation,
    excluded: str | None = None,
    metadata_language: str | None = None,
) -> ExplainedPair:
    """Explains one pair, a row of `PAIRS`, with the language, its probability and the list that match stored.

    `excluded` is the reason of the rule that excludes it, None where none does.
    """
    stored = None if metadata_language is None else StoredChoice(metadata_language, language[0], language[1] or 0.0)
    explained = explain_text(pair["alt_text"], curation, page_language=pair["page_language"], stored=stored)
    draw = float(pair_draws(pa.array([pair["pair_id"]]), curation.seed)[0])
    stage, verdict = _verdict(explained, language, draw, curation, excluded)
    return ExplainedPair(
        **{name: pair[name] for name in ("pair_id", "image_url", "archive", "record_offset", *OPTIONAL_COLUMNS)},
        text=explained,
        language=language[0],
        language_probability=language[1],
        draw=draw,
        stage=stage,
        verdict=verdict,
    )


def _verdict(
    explained: ExplainedText,
    language: tuple[str | None, float | None],
    draw: float,
    curation: Curation,
    excluded: str | None,
) -> tuple[str, str]:
    if explained.choice and explained.choice.metadata_language is None:
        return "match", "dropped by match: no metadata list is for its language"
    if not explained.entries:
        return "match", "dropped by match: no metadata entry occurs in the text"
    if excluded is not None:
        return "exclude", f"excluded by a rule: {excluded} ({meaning_of(excluded)})"
    gate = curation.gate
    if gate.languages and (
        language[0] not in gate.languages or (language[1] or 0.0) < np.float32(gate.min_language_probability)
    ):
        return "count", f"dropped by the language filter ({', '.join(gate.languages)})"
    keep = explained.keep_probability
    if draw < keep:
        return "curated", f"kept by the draw: {draw:.3f} < keep probability {keep:.3f}" if _differ(draw, keep) else (
            f"kept by the draw: {draw!r} < keep probability {keep!r}"
        )
    return "sample", f"dropped by the draw: {draw:.3f} >= keep probability {keep:.3f}" if _differ(draw, keep) else (
        f"dropped by the draw: {draw!r} >= keep probability {keep!r}"
    )


def _differ(draw: float, keep: float) -> bool:
    """Whether three digits tell them apart."""
    return f"{draw:.3f}" != f"{keep:.3f}"
