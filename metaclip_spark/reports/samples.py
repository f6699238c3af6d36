"""What the report shows of single pairs: samples of kept, dropped and unmatched ones, and what the list lacks.

A pair_id is a hash, so that those below a bound are a fair sample, found by row-group statistics: whatever the pool's
size, a bounded number of rows is looked at.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from metaclip_spark.reports.records import FrequentWord, SamplePair, SampleText, UnmatchedTexts
from udfs.balancing.probability import keep_probabilities
from udfs.matching.spacing import SEPARATOR_MARKS, spacing

LONGEST_SHOWN = 300
"""Characters of a stranger's text that the report shows; the rest is cut, with a note."""

PAIRS_PER_ENTRY = 3
UNMATCHED_SHOWN = 20
WORDS_SHOWN = 40
LONGEST_WORD = 60

_CANDIDATES = 12
"""Pairs per entry among which those with a text that is not shown yet are chosen."""

_SEARCHED_PAIRS = 50_000
_SEARCHED_AT_MOST = 200_000
"""Rows that may be read to find so many."""

_SEARCHED_TEXTS = 10_000
_HEX_DIGITS_COMPARED = 8

Shown = Callable[[DataFrame], DataFrame]
"""Gives those of some pairs that may be shown."""


@dataclass(frozen=True)
class EntrySamples:
    """Pairs of one entry."""

    kept: list[SamplePair]
    dropped: list[SamplePair]


def sample_pairs_of(
    matched: DataFrame,
    curated: DataFrame,
    entries: Sequence[int],
    sizes: tuple[int, int],
    probabilities: NDArray[np.float64],
    shown_of: Shown,
) -> dict[int, EntrySamples]:
    """Finds pairs of some entries, kept and dropped ones, the first by pair_id; triggers a Spark job.

    A text is shown once as long as there are others.

    Args:
        matched: Pairs that passed the language filter.
        curated: Those of them that were kept.
        entries: Ids of the entries.
        sizes: The numbers of matched and of curated pairs.
        probabilities: Shape (metadata entries,): the probability of each entry.
        shown_of: Gives those of some matched pairs that may be shown.

    Returns:
        Entry to at most `PAIRS_PER_ENTRY` pairs of each kind; an entry without any is left out.
    """
    if not entries or not sizes[0]:
        return {}
    matched_pairs, curated_pairs = sizes
    fewest, most = (_share(wanted, matched_pairs) for wanted in (_SEARCHED_PAIRS, _SEARCHED_AT_MOST))
    bound = max(fewest, min(_share(_SEARCHED_PAIRS, curated_pairs), most))
    kept = F.broadcast(_below(curated, bound).select("pair_id", "keep_probability"))
    searched = _below(matched, bound).where(F.arrays_overlap("entry_ids", F.array(*map(F.lit, entries))))
    exploded = (
        shown_of(searched)
        .join(kept, "pair_id", "left")
        .select(F.explode("entry_ids").alias("entry_id"), _shown_pair())
        .where(F.col("entry_id").isin(list(entries)))
    )
    first = exploded.groupBy("entry_id", F.col("pair.keep_probability").isNotNull().alias("is_kept")).agg(
        F.slice(F.sort_array(F.collect_list("pair")), 1, _CANDIDATES).alias("pairs")
    )
    found = {(row.entry_id, row.is_kept): row.pairs for row in first.collect()}
    shown: set[str] = set()
    samples = {}
    for entry in entries:
        both = [_chosen(found.get((entry, is_kept), []), shown) for is_kept in (True, False)]
        if any(both):
            samples[entry] = EntrySamples(*(_as_samples(rows, probabilities) for rows in both))
    return samples


def _chosen(candidates: Sequence[Row], shown: set[str]) -> list[Row]:
    """Prefers texts that are not shown yet, then others than those chosen here; keeps the order of the pair_ids."""
    chosen: list[Row] = []
    for others in (shown, set[str](), None):
        for row in candidates:
            is_new = others is None or row.alt_text not in others | {each.alt_text for each in chosen}
            if len(chosen) < PAIRS_PER_ENTRY and row not in chosen and is_new:
                chosen.append(row)
    shown.update(row.alt_text for row in chosen)
    return sorted(chosen, key=lambda row: str(row.pair_id))


def _as_samples(rows: Sequence[Row], probabilities: NDArray[np.float64]) -> list[SamplePair]:
    if not rows:
        return []
    keep = keep_probabilities(pa.array([row.entry_ids for row in rows], pa.list_(pa.int32())), probabilities)
    return [
        SamplePair(
            pair_id=row.pair_id,
            image_url=row.image_url,
            url_characters=row.url_characters,
            alt_text=row.alt_text,
            characters=row.characters,
            keep_probability=float(chance) if row.keep_probability is None else row.keep_probability,
        )
        for row, chance in zip(rows, keep, strict=True)
    ]


def _shown_pair() -> Column:
    return F.struct(
        "pair_id",
        F.substring("image_url", 1, LONGEST_SHOWN).alias("image_url"),
        F.length("image_url").alias("url_characters"),
        F.substring("alt_text", 1, LONGEST_SHOWN).alias("alt_text"),
        F.length("alt_text").alias("characters"),
        "entry_ids",
        "keep_probability",
    ).alias("pair")


def unmatched_texts(
    pool: DataFrame, matched: DataFrame, pairs: int, unmatched: int, shown_of: Shown
) -> UnmatchedTexts | None:
    """Looks at texts without an entry; triggers a Spark job.

    Args:
        pool: All distinct pairs.
        matched: Those with an entry.
        pairs: How many the pool has.
        unmatched: How many of them have no entry.
        shown_of: Gives those of some pairs that may be shown.

    Returns:
        The first ones by pair_id, and the words of at most some `_SEARCHED_TEXTS`; None where all have an entry.
    """
    if not unmatched:
        return None
    bound = min(_share(_SEARCHED_TEXTS, unmatched), _share(_SEARCHED_AT_MOST, pairs))
    matched_ids = F.broadcast(_below(matched, bound).select("pair_id"))
    texts = F.substring("alt_text", 1, LONGEST_SHOWN).alias("text"), F.length("alt_text").alias("characters")
    left = shown_of(_below(pool, bound).join(matched_ids, "pair_id", "left_anti")).select("pair_id", *texts)
    rows = sorted(left.collect(), key=lambda row: str(row.pair_id))
    first: dict[str, int] = {}
    for row in rows:
        first.setdefault(row.text, row.characters)
    shown = list(first.items())[:UNMATCHED_SHOWN]
    return UnmatchedTexts(
        searched=len(rows),
        texts=[SampleText(text=text, characters=characters) for text, characters in shown],
        words=frequent_words(row.text for row in rows),
    )


def frequent_words(texts: Iterable[str]) -> list[FrequentWord]:
    """Lists the words that most texts have, as matching sets them apart: no metadata entry is one of them."""
    counts = Counter(word for text in texts for word in sorted({word[:LONGEST_WORD] for word in spacing(text).split()}))
    for mark in SEPARATOR_MARKS:
        counts.pop(mark, None)
    first = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:WORDS_SHOWN]
    return [FrequentWord(word=word, texts=number) for word, number in first if number > 1]


def _share(wanted: int, number: int) -> float:
    return min(1.0, wanted / number) if number else 1.0


def _below(pairs: DataFrame, share: float) -> DataFrame:
    """Takes a share of some pairs, the same pairs of every table."""
    if share >= 1:
        return pairs
    first = int(16**_HEX_DIGITS_COMPARED * share)
    return pairs.where(F.col("pair_id") < f"{first:0{_HEX_DIGITS_COMPARED}x}")
