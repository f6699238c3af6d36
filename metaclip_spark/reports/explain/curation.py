"""What a run decided with, and the entries of a text, found anew."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metaclip_spark.reports.profile import read_balance
from metaclip_spark.runs.records import Gate
from metaclip_spark.runs.run import Run, read_entry_counts
from metaclip_spark.runs.step import SAMPLE
from udfs.matching.spacing import spacing


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
