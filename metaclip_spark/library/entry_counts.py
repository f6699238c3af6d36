"""Entry counts: in how many pairs of a pool each metadata entry occurs."""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from metaclip_spark import balance
from metaclip_spark.config.fields import listed, path_text
from metaclip_spark.entries import (
    EntryTexts,
    Metadata,
    as_metadata,
    load_entry_counts,
    load_summed_list_counts,
    texts_of,
    with_surrogates,
)
from metaclip_spark.errors import MetadataError, counted, wrong_type
from metaclip_spark.runs.entry_tables import languages_of, lists_of
from metaclip_spark.runs.paths import counts_in_run
from metaclip_spark.thresholds import LARGEST_COUNT

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class EntryCounts:
    """In how many pairs of a pool each entry of a metadata list occurs.

    Counts of disjoint pools are added with `+`: curate each part with the counts of the whole.

    Attributes:
        entries: The metadata list, in the order of the ids.
        counts: int64, shape (entries,): the number of pairs that contain the entry; zero where none does.

    Example:
        >>> import numpy as np
        >>> from metaclip_spark import EntryCounts
        >>> counts = EntryCounts(("dog", "axolotl"), np.array([80, 20]))
        >>> (counts + counts).counts.tolist()
        [160, 40]
        >>> counts.probabilities(20).tolist(), counts.tail_share(21)
        ([0.25, 1.0], 0.2)
        >>> counts.to_pandas().entry_text.tolist()
        ['dog', 'axolotl']
    """

    entries: Sequence[str]
    counts: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            MetadataError: If `entries` is no list, there is not one count per entry, or counts are not non-negative
                integers.
        """
        entries = _checked(self.entries)
        try:
            counts = np.asarray(self.counts)
        except ValueError:
            raise MetadataError("counts holds lists of several lengths: pass one integer for each entry") from None
        if counts.shape != (len(entries),):
            raise MetadataError(f"counts has the shape {counts.shape}: it must be ({len(entries)},), as the list")
        if counts.dtype.kind not in "iu" or (counts.size and counts.min() < 0):
            raise MetadataError("counts must hold integers of at least 0")
        if counts.size and counts.max() > LARGEST_COUNT:
            raise MetadataError("a count must be at most 2^63 - 1")
        object.__setattr__(self, "entries", entries)
        object.__setattr__(self, "counts", counts.astype(np.int64))

    @classmethod
    def load(cls, path: str | PathLike[str], metadata: Metadata | str | PathLike[str] | Sequence[str]) -> "EntryCounts":
        """Reads entry counts made over another pool.

        Args:
            path: A JSON object (entry to count), or Parquet with the columns `entry_text` and `entry_count`: a file, or
                a folder of part files; or a run (its folder); on this machine or in a store.
            metadata: The list that the counts must belong to, its file, or its entries; with a folder of lists, counts
                of a run with the same folder.

        Returns:
            The counts, in the order of the list.

        Raises:
            MetadataError: If the file is missing or has another form, belongs to another list, lacks an entry or has it
                twice, or a count is not a non-negative integer.
            InputError: If the path leads into a run whose log does not name it.
        """
        known, source = as_metadata(metadata), counts_in_run(path_text(path))
        lists = lists_of(known)
        if lists is None:
            return cls(known.entries, load_entry_counts(source, known))
        texts = texts_of(known.entries)
        return cls(known.entries, load_summed_list_counts([source], texts, languages_of(lists), known.digest))

    def probabilities(self, threshold_t: float | npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Computes each entry's probability, min(1, t / count).

        Args:
            threshold_t: The threshold t: a whole number of at least 1, or infinity; or one for each entry, where each
                language has its own.

        Returns:
            float64, shape (entries,), above 0 and up to 1.

        Raises:
            ConfigError: If the threshold is not one.
        """
        return balance.entry_probabilities(self.counts, threshold_t)

    def tail_share(self, threshold_t: float) -> float:
        """Computes the tail's share of all matches: the matches of entries whose count is below t.

        Args:
            threshold_t: The threshold t: a whole number of at least 1, or infinity.

        Returns:
            A number from 0 to 1.

        Raises:
            ConfigError: If the threshold is not one.
        """
        return balance.tail_share(self.counts, threshold_t)

    def to_pandas(self) -> "pd.DataFrame":
        """Gives the counts as a pandas DataFrame.

        Returns:
            Columns entry_text and entry_count; the index is the entry's id.
        """
        import pandas as pd  # noqa: PLC0415 - slow to import, and needed here only

        index = pd.RangeIndex(len(self.entries), name="entry_id")
        return pd.DataFrame({"entry_text": list(self.entries), "entry_count": self.counts}, index)

    def __add__(self, other: "EntryCounts") -> "EntryCounts":
        """Adds the counts of another pool that has no pair in common with this one's.

        Raises:
            MetadataError: If they are of another metadata list, or a sum exceeds 2^63 - 1.
        """
        if not isinstance(other, EntryCounts):
            return NotImplemented
        if self.entries != other.entries:
            raise MetadataError(
                f"counts of two metadata lists ({len(self.entries):,} and {len(other.entries):,} entries) cannot be "
                "added: count both pools with the same list"
            )
        wrapping = np.flatnonzero(other.counts > LARGEST_COUNT - self.counts)
        if wrapping.size:
            raise MetadataError(f"the counts of the entry {self.entries[wrapping[0]]!r} add up to more than 2^63 - 1")
        return EntryCounts(self.entries, self.counts + other.counts)

    def __repr__(self) -> str:
        """Shows the sums, not the entries: there may be 500,000."""
        return (
            f"EntryCounts({counted(len(self.entries), 'entry', 'entries')}, "
            f"{counted(balance.exact_sum(self.counts), 'match', 'matches')})"
        )


def _checked(entries: object) -> Sequence[str]:
    """Gives entries as a tuple; those that are in Arrow's memory as they are.

    Raises:
        MetadataError: If they are no list of strings, or one is not valid Unicode.
    """
    if isinstance(entries, EntryTexts):
        return entries
    found = listed("entries", entries, "the metadata list or its entries", MetadataError)
    others = [entry for entry in found if not isinstance(entry, str)]
    if others:
        raise MetadataError(wrong_type("one of the entries", others[0], "strings"))
    place = next(with_surrogates(found), None)
    if place is not None:
        raise MetadataError(f"the entry {found[place]!r} is not valid Unicode (a lone surrogate)")
    return tuple(found)
