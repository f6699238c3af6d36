"""An explanation in plain text; strangers' texts are escaped."""

from collections.abc import Sequence

from metaclip_spark.entries import SPACES
from metaclip_spark.errors import counted, joined
from metaclip_spark.reports.explain.curation import shown
from metaclip_spark.reports.explain.drawn import LANGUAGE_GATE, NOT_DRAWN
from metaclip_spark.reports.explain.records import (
    EntryOutcome,
    ExplainedPair,
    ExplainedText,
    Explanation,
    Rejected,
    RemovedBy,
)
from udfs.preferences import PREFERENCES

_BY = {LANGUAGE_GATE: "the language filter", NOT_DRAWN: "the draw"}


def explain_lines(explained: Explanation, threshold: int | str) -> list[str]:
    """Puts an explanation into plain text; control characters of strangers' texts are escaped."""
    if explained.entry is not None:
        return [*_entry_lines(explained.entry, threshold), "", *_pairs_in_brief(explained)]
    lines = (
        ["no pair has this URL as it was given; of other spellings of it there are:", ""] if explained.same_key else []
    )
    for pair in explained.pairs:
        lines += [
            f"pair {pair.pair_id}",
            f"  URL              {shown(pair.image_url)}",
            f"  from             {shown(pair.archive)}, record at {pair.record_offset}",
            *_declared_lines(pair, explained.preference_agent),
            *_text_lines(pair.text, threshold),
        ]
        if pair.language is not None and pair.text.choice is None:
            lines.append(f"  language         {pair.language} with probability {pair.language_probability:.3f}")
        lines += [f"  draw             {pair.draw:.6f}", f"  verdict          {pair.verdict}", ""]
    if explained.pairs_in_all > len(explained.pairs):
        lines += [_more(explained), ""]
    if explained.text is not None and not explained.pairs:
        lines += ["the text alone", *_text_lines(explained.text, threshold), ""]
        if explained.rejected is None:
            lines.append("the pool has no pair with this text")
    if explained.rejected is not None:
        lines += _rejected_lines(explained.rejected)
    return [*lines, *map(_removed_line, explained.removed_by)]


def _removed_line(removed: RemovedBy) -> str:
    kind = removed.kind.replace("_", " ")
    return f"removed by removal {removed.number} of {removed.at[:10]}, which lists its {kind}: {shown(removed.reason)}"


def _declared_lines(pair: ExplainedPair, agents: Sequence[str]) -> list[str]:
    """Says what pages declare, as far as they do."""
    names = [name for bit, name in enumerate(PREFERENCES) if (pair.page_preferences or 0) >> bit & 1]
    lines = [f"  page's language  {pair.page_language}"] if pair.page_language else []
    asked = f" (of all agents, or of {joined(agents, 'or')})" if agents else ""
    return [*lines, f"  pages ask for    {', '.join(names)}{asked}"] if names else lines


def _entry_lines(entry: EntryOutcome, threshold: int | str) -> list[str]:
    of_list = f" of the list {entry.metadata_language}" if entry.metadata_language else ""
    lines = [
        f"entry {shown(entry.entry_text)}{of_list}: {counted(entry.pairs, 'matched pair')}",
        f"  kept             {entry.curated:,}",
    ]
    lines += [
        f"  dropped          {number:,} by {_BY.get(reason) or f'the rule {reason}'}"
        for reason, number in entry.dropped.items()
    ]
    probability = _probability(entry.entry_count, entry.entry_probability, entry.threshold_t or threshold)
    return [*lines, f"  probability      {probability}"]


def _pairs_in_brief(explained: Explanation) -> list[str]:
    lines = []
    for pair in explained.pairs:
        lines += [
            f"pair {pair.pair_id}",
            f"  text             {shown(pair.text.text)}",
            f"  URL              {shown(pair.image_url)}",
            f"  verdict          {pair.verdict}",
        ]
    if explained.pairs_in_all > len(explained.pairs):
        lines += ["", _more(explained)]
    return lines


def _more(explained: Explanation) -> str:
    return f"{explained.pairs_in_all:,} pairs in all; --limit shows more than {len(explained.pairs)}"


def _text_lines(explained: ExplainedText, threshold: int | str) -> list[str]:
    lines = [f"  text, cleaned    {shown(explained.text)}", f"  text, spaced     {shown(explained.spaced)}"]
    if explained.word_borders != SPACES:
        lines.append(f"  word borders     {explained.word_borders}")
    if explained.choice:
        lines.append(f"  metadata list    {explained.choice.metadata_language or 'none'}: {explained.choice.reason}")
        threshold = explained.choice.threshold_t or threshold
    for entry in explained.entries:
        places = ", ".join(map(str, entry.places))
        probability = _probability(entry.entry_count, entry.entry_probability, threshold)
        lines.append(f"  entry            {shown(entry.entry_text)} at {places}: probability {probability}")
    if not explained.entries:
        lines.append("  entry            none")
    lines += [
        f"  near miss        {shown(near.text)} at {near.place} is not {shown(near.entry_text)}: {near.reason}"
        for near in explained.near_misses
    ]
    return [*lines, f"  keep probability {explained.keep_probability:.6f}"]


def _probability(count: int, probability: float, threshold: int | str) -> str:
    return f"{probability:.6f} = min(1, {threshold} / {count:,})" if count else "1: no pair was counted with it"


def _rejected_lines(rejected: Rejected) -> list[str]:
    where = shown(rejected.archive) if rejected.archive else counted(rejected.archives, "archive")
    if not rejected.archives:
        return [f"the run read no archive {where}"]
    lines = ["not in the pool: no archive had this pair, or extraction dropped it", f"extraction of {where} left out:"]
    lines += [f"  {number:>14,}   {reason}" for reason, number in rejected.reasons.items()]
    for example in rejected.examples:
        lines.append(
            f"  example with it: {example.reason} in {shown(example.archive)} at {example.record_offset}: "
            f"{shown(example.example)}"
        )
    return lines
