"""Keep probabilities: pure functions of a pair's entries and their probabilities."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from udfs.arrow import arrow_numbers, numpy_numbers

PROBABILITY_UNITS = 2**32
"""Sums of probabilities are made in integers, in units of 2^-32, so that partitioning cannot change them."""

_NO_ENTRIES = arrow_numbers(np.zeros(1, np.int32))[0]


def flat_entry_ids(
    entry_ids: pa.ListArray, number_of_entries: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Lays n lists of entry ids out one after the other; a null is as an empty one.

    Returns:
        All entry ids, pair by pair, and the number of entries of each pair, shape (n,).

    Raises:
        ValueError: If an entry id is null or lies outside the list.
    """
    lengths = list_lengths(entry_ids)
    ids = numpy_numbers(entry_ids.flatten())
    if ids.size and not 0 <= ids.min() <= ids.max() < number_of_entries:
        raise ValueError(
            f"entry ids from {ids.min()} to {ids.max()} do not fit {number_of_entries} entry probabilities; "
            "sample with the counts of the list that matched"
        )
    return ids, lengths


def list_lengths(entry_ids: pa.ListArray) -> npt.NDArray[np.int32]:
    """Gives the number of entries of each pair; a null is as an empty list."""
    lengths: npt.NDArray[np.int32] = numpy_numbers(entry_ids.value_lengths().fill_null(_NO_ENTRIES))
    return lengths


def lists_of_pairs(
    ids: npt.NDArray[np.int32], lengths: npt.NDArray[np.int32], list_starts: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Finds the metadata list of each pair: that of its first entry, since all entries of a pair are of one list.

    Args:
        ids: All entry ids, pair by pair.
        lengths: The number of entries of each pair, shape (n,).
        list_starts: Where each list begins among the ids, and the number of all entries: shape (lists + 1,).

    Returns:
        The place of each pair's list, shape (n,); 0 where the pair has no entry.
    """
    places = np.zeros(lengths.size, np.int64)
    if list_starts.size > 2:  # noqa: PLR2004 - the bounds of one list
        matched = lengths > 0
        first = ids[(np.cumsum(lengths) - lengths)[matched]]
        places[matched] = np.searchsorted(list_starts, first, side="right") - 1
    return places


class PairFactors:
    """The places of a batch's matched entries, with which numbers per entry become products per pair."""

    def __init__(self, entry_ids: pa.ListArray, number_of_entries: int) -> None:
        """Finds out which entry is whose.

        Raises:
            ValueError: If an entry id lies outside the list.
        """
        ids, lengths = flat_entry_ids(entry_ids, number_of_entries)
        self.ids: npt.NDArray[np.int32] = ids
        """All entry ids, pair by pair."""
        self.lengths: npt.NDArray[np.int32] = lengths
        """The number of entries of each pair."""
        self._longest_first = np.argsort(-lengths, kind="stable")
        self._starts = (np.cumsum(lengths) - lengths)[self._longest_first]
        places = -np.arange(lengths.max(initial=0))
        self._pairs_longer_than = np.searchsorted(-lengths[self._longest_first], places, side="left")

    def keep_probabilities(self, probabilities: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Returns 1 - prod(1 - p) of each pair, from one probability for each of `ids`.

        The factors of a pair are multiplied one by one in the order of its list, so that the result is the same to the
        bit in any batch, and never falls where a probability grows.
        """
        factors = 1.0 - probabilities
        lost = np.ones(len(self.lengths))
        # np.multiply.reduceat may group the factors of a pair as it likes; a product per place in the list cannot.
        for place, pairs in enumerate(self._pairs_longer_than):
            lost[:pairs] *= factors[self._starts[:pairs] + place]
        keep = np.empty_like(lost)
        keep[self._longest_first] = 1.0 - lost
        return keep


def keep_probabilities(entry_ids: pa.ListArray, entry_probability: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Gives each pair's chance to be kept: 1 - prod(1 - p) over its entries, as the paper's walk has it (section 3.3).

    Args:
        entry_ids: n lists of int32.
        entry_probability: One probability per metadata entry.

    Returns:
        n numbers from 0 (no entries) to 1 (exactly 1 where an entry's probability is 1).

    Raises:
        ValueError: If an entry id lies outside the list.
    """
    factors = PairFactors(entry_ids, entry_probability.size)
    return factors.keep_probabilities(entry_probability[factors.ids])


def have_certain_entry(entry_ids: pa.ListArray, entry_probability: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Tells of each pair whether one of its entries lets it pass for certain, so that balancing does not thin it out.

    Args:
        entry_ids: n lists of int32.
        entry_probability: One probability per metadata entry.

    Returns:
        n booleans. A keep probability would not do: it may be rounded to 1.

    Raises:
        ValueError: If an entry id lies outside the list.
    """
    ids, lengths = flat_entry_ids(entry_ids, entry_probability.size)
    pairs = np.repeat(np.arange(lengths.size), lengths)
    certain = np.zeros(lengths.size, np.bool_)
    certain[pairs[entry_probability[ids] >= 1]] = True
    return certain


def probability_units(probabilities: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Rounds probabilities to whole numbers from 0 to 2^32, whose sums are exact."""
    return np.rint(probabilities * PROBABILITY_UNITS).astype(np.int64)
