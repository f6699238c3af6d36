"""What a run decided with, and the entries of a text, found anew."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from metaclip_spark.entries import SPACES
from metaclip_spark.list_thresholds import EntryLists
from metaclip_spark.reports.explain.choice import Router, read_router
from metaclip_spark.reports.explain.words import most_words, words_of
from metaclip_spark.reports.profile import read_balance
from metaclip_spark.runs.entry_tables import read_counts, read_lists, read_texts, read_thresholds
from metaclip_spark.runs.records import Gate
from metaclip_spark.runs.run import Run
from metaclip_spark.runs.step import MATCH, SAMPLE
from udfs.balancing.probability import keep_probabilities


def shown(text: str | None) -> str:
    """Puts a stranger's text in quotes, with what does not print (controls, bidirectional marks) escaped."""
    return repr(text)


@dataclass(frozen=True, eq=False)
class CuratedLists:
    """What a run with several metadata lists decided with.

    Attributes:
        lists: Where each of them begins.
        texts: The entries of all, in Arrow's memory: as strings of Python they would take several times as much.
        thresholds: The threshold of each.
        router: How texts find theirs.
    """

    lists: EntryLists
    texts: pa.Array
    thresholds: Sequence[int | str]
    router: Router

    @cached_property
    def known(self) -> "dict[str, Curation]":
        """Those that were looked at."""
        return {}


@dataclass(frozen=True)
class Curation:
    """What a run decided with; of several metadata lists all together, or one of them (`of_list`).

    Attributes:
        entries: The metadata list; empty for several lists together.
        ids: Entry text to place in `entries`.
        counts: The counts that the draw balanced with, shape (entries,).
        probabilities: The entry probabilities of the draw, shape (entries,).
        seed: The seed of the draws.
        threshold: The threshold t, as run.json has it.
        gate: The language filter.
        longest: Ends of words in the longest entry.
        word_borders: Where entries begin and end.
        first_id: The id of the first entry.
        lists: Of several lists together, what goes with each.
    """

    entries: Sequence[str]
    ids: Mapping[str, int]
    counts: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    seed: int
    threshold: int | str
    gate: Gate
    longest: int
    word_borders: str = SPACES
    first_id: int = 0
    lists: CuratedLists | None = None

    def of_list(self, code: str | None) -> "Curation":
        """Gives one of several lists as a list of its own, without entries where there is none of this code."""
        if self.lists is None:
            return self
        if code is None:
            return replace(self, lists=None)
        known = self.lists.known
        if code not in known:
            known[code] = self._part(self.lists, self.lists.lists.codes.index(code))
        return known[code]

    def _part(self, of: CuratedLists, place: int) -> "Curation":
        start, end = of.lists.starts[place : place + 2].tolist()
        entries = of.texts[start:end].to_pylist()
        return replace(
            self,
            entries=entries,
            ids={entry: place for place, entry in enumerate(entries)},
            counts=self.counts[start:end],
            probabilities=self.probabilities[start:end],
            threshold=of.thresholds[place],
            longest=max((most_words(entry, self.word_borders) for entry in entries), default=0),
            first_id=start,
            lists=None,
        )

    @cached_property
    def folded(self) -> dict[str, int]:
        """The first entry of each text in which the case of letters does not count."""
        folded: dict[str, int] = {}
        for entry, text in enumerate(self.entries):
            folded.setdefault(text.casefold(), entry)
        return folded

    def keep_probabilities(self, matched: pa.Table) -> NDArray[np.float64]:
        """Gives the keep probability of matched pairs, columns of `MATCHED`; 0 where the language filter drops one."""
        keep = keep_probabilities(matched["entry_ids"].combine_chunks(), self.probabilities)
        if self.gate.languages:
            wanted = pc.is_in(matched["language"], pa.array(self.gate.languages, pa.string()))
            likely = pc.greater_equal(
                matched["language_probability"].cast(pa.float64()), float(self.gate.min_language_probability)
            )
            keep[~pc.fill_null(pc.and_(wanted, likely), False).to_numpy()] = 0.0  # noqa: FBT003 - Arrow's own signature
        return keep


def read_curation(run: Run) -> Curation:
    """Reads what a run whose sample step is done decided with."""
    sampled, matched = run.manifest(SAMPLE), run.manifest_if_done(MATCH, 0)
    borders = (matched and matched.config.word_borders) or SPACES
    lists = read_lists(run)
    entries = read_texts(run).to_pylist() if lists is None else []
    counts, probabilities = read_balance(run, sampled, read_counts(run))
    return Curation(
        entries=entries,
        ids={entry: place for place, entry in enumerate(entries)},
        counts=counts,
        probabilities=probabilities,
        seed=sampled.config.sample.seed,
        threshold=sampled.numbers.threshold_t,
        gate=sampled.config.gate,
        longest=max((most_words(entry, borders) for entry in entries), default=0),
        word_borders=borders,
        lists=None if lists is None else _read_lists(run, lists),
    )


def _read_lists(run: Run, lists: EntryLists) -> CuratedLists:
    thresholds = ["inf" if threshold == math.inf else int(threshold) for threshold in read_thresholds(run, lists)]
    return CuratedLists(lists, read_texts(run), thresholds, read_router(run, lists))


def matched_entries(text: str, curation: Curation) -> dict[int, list[int]]:
    """Finds the entries in a text by looking up every run of its words: place in the list to places in the text."""
    words = words_of(text, curation.word_borders)
    found: dict[int, list[int]] = {}
    for begin in words.begins:
        for word in words.from_place(begin, curation.longest):
            entry = curation.ids.get(word)
            if entry is not None:
                found.setdefault(entry, []).append(begin)
    return dict(sorted(found.items()))
