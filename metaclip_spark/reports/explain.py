"""Why a pair is in the curated set or not: every number of its way through the job, computed anew from its text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import Column, Row
from pyspark.sql import functions as F

from metaclip_spark.config.inspection import ExplainConfig
from metaclip_spark.errors import counted
from metaclip_spark.reports.profile import read_balance
from metaclip_spark.reports.records import (
    ExplainedEntry,
    ExplainedPair,
    ExplainedText,
    Explanation,
    Rejected,
    RejectExample,
)
from metaclip_spark.runs.records import Gate
from metaclip_spark.runs.run import Run, read_entry_counts
from metaclip_spark.runs.step import SAMPLE
from udfs.balancing.draw import pair_draws
from udfs.balancing.probability import keep_probabilities
from udfs.matching.spacing import spacing
from udfs.pairs.text import clean_text
from udfs.schemas import ARCHIVES, MATCHED, PAIRS, REJECTS

MOST_PAIRS = 20
"""Pairs of one URL or text that are explained; the number of all is told."""


@dataclass(frozen=True)
class Curation:
    """What a run decided with.

    Attributes:
        entries: The metadata list.
        ids: Entry text to id.
        counts: The counts that the draw balanced with, shape (entries,).
        probabilities: The entry probabilities of the draw, shape (entries,).
        seed: The seed of the draws.
        threshold: The threshold t, as run.json has it.
        gate: The language filter.
        longest: Tokens of the longest entry.
    """

    entries: Sequence[str]
    ids: Mapping[str, int]
    counts: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    seed: int
    threshold: int | str
    gate: Gate
    longest: int


def read_curation(run: Run) -> Curation:
    """Reads what a run whose sample step is done decided with."""
    sampled = run.manifest(SAMPLE)
    entries, own_counts = read_entry_counts(run)
    counts, probabilities = read_balance(run, sampled, own_counts)
    return Curation(
        entries=entries,
        ids={entry: place for place, entry in enumerate(entries)},
        counts=counts,
        probabilities=probabilities,
        seed=sampled.config.sample.seed,
        threshold=sampled.numbers.threshold_t,
        gate=sampled.config.gate,
        longest=max(entry.count(" ") + 1 for entry in entries),
    )


def matched_entries(text: str, curation: Curation) -> dict[int, list[int]]:
    """Finds the entries in a text by looking up every run of its tokens: id to places in the spaced text."""
    tokens = spacing(text).split(" ")[1:-1]
    starts = np.cumsum([1, *(len(token) + 1 for token in tokens)]).tolist()
    found: dict[int, list[int]] = {}
    for first in range(len(tokens)):
        for after in range(first + 1, min(first + curation.longest, len(tokens)) + 1):
            entry = curation.ids.get(" ".join(tokens[first:after]))
            if entry is not None:
                found.setdefault(entry, []).append(starts[first])
    return dict(sorted(found.items()))


def explain_text(text: str, curation: Curation) -> ExplainedText:
    """Explains what a raw or cleaned alternative text matches, and with which chance a pair that has it stays."""
    cleaned = clean_text(text)
    places = matched_entries(cleaned, curation)
    ids = pa.array([list(places)], pa.list_(pa.int32()))
    return ExplainedText(
        text=cleaned,
        spaced=spacing(cleaned),
        entries=[
            ExplainedEntry(
                entry_text=curation.entries[entry],
                entry_id=entry,
                places=found,
                entry_count=int(curation.counts[entry]),
                entry_probability=float(curation.probabilities[entry]),
            )
            for entry, found in places.items()
        ],
        keep_probability=float(keep_probabilities(ids, curation.probabilities)[0]),
    )


def explain_pair(
    pair: Mapping[str, Any], language: tuple[str | None, float | None], curation: Curation
) -> ExplainedPair:
    """Explains one pair, a row of `PAIRS`, with the language and its probability that match stored."""
    explained = explain_text(pair["alt_text"], curation)
    draw = float(pair_draws(pa.array([pair["pair_id"]]), curation.seed)[0])
    stage, verdict = _verdict(explained, language, draw, curation)
    return ExplainedPair(
        **{name: pair[name] for name in ("pair_id", "image_url", "archive", "record_offset")},
        text=explained,
        language=language[0],
        language_probability=language[1],
        draw=draw,
        stage=stage,
        verdict=verdict,
    )


def explain(run: Run, config: ExplainConfig) -> Explanation:
    """Finds the pairs that a user asks about, and explains them; triggers Spark jobs, and writes nothing.

    A pair_id is found through row-group statistics, since files are sorted by it; a URL or a text by scanning one
    column. At most `MOST_PAIRS` are explained.
    """
    curation = read_curation(run)
    condition = _condition(config)
    pool = run.read_buckets("pool", PAIRS).where(condition)
    pairs = pool.orderBy("pair_id").limit(MOST_PAIRS).collect()
    languages = _languages(run, condition) if pairs else {}
    return Explanation(
        pairs=[explain_pair(row.asDict(), languages.get(row.pair_id, (None, None)), curation) for row in pairs],
        pairs_in_all=len(pairs) if len(pairs) < MOST_PAIRS else pool.count(),
        text=explain_text(config.text, curation) if config.text is not None else None,
        rejected=None if pairs else _rejected(run, config),
    )


def explain_lines(explained: Explanation, curation_threshold: int | str) -> list[str]:
    """Puts an explanation into plain text; control characters of strangers' texts are escaped."""
    lines = []
    for pair in explained.pairs:
        lines += [
            f"pair {pair.pair_id}",
            f"  URL              {shown(pair.image_url)}",
            f"  from             {shown(pair.archive)}, record at {pair.record_offset}",
            *_text_lines(pair.text, curation_threshold),
        ]
        if pair.language is not None:
            lines.append(f"  language         {pair.language} with probability {pair.language_probability:.3f}")
        lines += [f"  draw             {pair.draw:.6f}", f"  verdict          {pair.verdict}", ""]
    if explained.pairs_in_all > len(explained.pairs):
        lines += [f"{explained.pairs_in_all:,} pairs in all; the first {len(explained.pairs)} are shown", ""]
    if explained.rejected is not None:
        is_text_alone = explained.text is not None and explained.rejected.archive is None
        if explained.text:
            lines += ["the text alone", *_text_lines(explained.text, curation_threshold), ""]
        if is_text_alone:
            lines.append("the pool has no pair with this text")
        else:
            lines += _rejected_lines(explained.rejected)
    return lines


def shown(text: str | None) -> str:
    """Puts a stranger's text in quotes, with what does not print (controls, bidirectional marks) escaped."""
    return repr(text)


def _condition(config: ExplainConfig) -> Column:
    if config.pair_id is not None:
        return F.col("pair_id") == config.pair_id
    if config.url is not None:
        return F.col("image_url") == config.url
    return F.col("alt_text") == clean_text(config.text or "")


def _languages(run: Run, condition: Column) -> dict[str, tuple[str | None, float | None]]:
    rows = run.read_buckets("matched", MATCHED).where(condition).select("pair_id", "language", "language_probability")
    return {row.pair_id: (row.language, row.language_probability) for row in rows.limit(MOST_PAIRS**2).collect()}


def _verdict(
    explained: ExplainedText, language: tuple[str | None, float | None], draw: float, curation: Curation
) -> tuple[str, str]:
    if not explained.entries:
        return "match", "dropped by match: no metadata entry occurs in the text"
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


def _text_lines(explained: ExplainedText, threshold: int | str) -> list[str]:
    lines = [f"  text, cleaned    {shown(explained.text)}", f"  text, spaced     {shown(explained.spaced)}"]
    for entry in sorted(explained.entries, key=lambda entry: entry.places):
        places = ", ".join(map(str, entry.places))
        lines.append(
            f"  entry            {shown(entry.entry_text)} at {places}: count {entry.entry_count:,}, probability "
            f"{entry.entry_probability:.6f} = min(1, {threshold} / count)"
        )
    if not explained.entries:
        lines.append("  entry            none")
    return [*lines, f"  keep probability {explained.keep_probability:.6f}"]


def _rejected(run: Run, config: ExplainConfig) -> Rejected:
    archives = run.read("archives", ARCHIVES)
    rejects = run.read("rejects", REJECTS)
    if config.archive is not None:
        archives = archives.where(F.col("archive") == config.archive)
        rejects = rejects.where(F.col("archive") == config.archive)
    reasons = archives.select(F.explode("rejected").alias("reason", "number")).groupBy("reason").agg(F.sum("number"))
    wanted = config.url or clean_text(config.text or "")
    examples: list[Row] = []
    if wanted:
        examples = rejects.where(F.contains("example", F.lit(wanted[:200]))).orderBy(*REJECTS.names).limit(5).collect()
    return Rejected(
        archive=config.archive,
        archives=archives.count(),
        reasons={reason: int(number) for reason, number in sorted(reasons.collect())},
        examples=[RejectExample(**row.asDict()) for row in examples],
    )


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
