"""What a run decided with, and the entries of a text, found anew."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from metaclip_spark.errors import ConfigError, joined
from metaclip_spark.reports.profile import read_balance
from metaclip_spark.runs.records import Gate
from metaclip_spark.runs.run import Run, read_entry_counts
from metaclip_spark.runs.step import SAMPLE
from udfs.balancing.probability import keep_probabilities
from udfs.matching.spacing import spacing

_TYPED_WRONG = 2
"""Letters by which a mistyped entry may be longer or shorter than the one that was meant."""


def shown(text: str | None) -> str:
    """Puts a stranger's text in quotes, with what does not print (controls, bidirectional marks) escaped."""
    return repr(text)


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

    def entry_named(self, text: str) -> int:
        """Finds an entry by its text.

        Raises:
            ConfigError: If the metadata list lacks it.
        """
        if text in self.ids:
            return self.ids[text]
        near = [shown(self.entries[entry]) for entry in self._near(text)]
        asked = f"; did you mean {joined(near, 'or')}?" if near else ""
        raise ConfigError(f"--entry {shown(text)} is not in the metadata list of the run{asked}")

    def _near(self, text: str) -> list[int]:
        folded = text.strip().casefold()
        if folded in self.folded:
            return [self.folded[folded]]
        # A look at every entry of a long list takes too long.
        alike = [
            each for each in self.folded if each[:1] == folded[:1] and abs(len(each) - len(folded)) <= _TYPED_WRONG
        ]
        return [self.folded[each] for each in get_close_matches(folded, alike, n=3)]


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
    tokens, starts = tokens_of(text)
    found: dict[int, list[int]] = {}
    for first in range(len(tokens)):
        for after in range(first + 1, min(first + curation.longest, len(tokens)) + 1):
            entry = curation.ids.get(" ".join(tokens[first:after]))
            if entry is not None:
                found.setdefault(entry, []).append(starts[first])
    return dict(sorted(found.items()))


def tokens_of(text: str) -> tuple[list[str], list[int]]:
    """Gives what spaces separate in the spaced text, and where each begins there."""
    tokens = spacing(text).split(" ")[1:-1]
    return tokens, np.cumsum([1, *(len(token) + 1 for token in tokens)]).tolist()
