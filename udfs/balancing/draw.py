"""Draws and keep probabilities: pure functions of a pair's content, its entries and the seed.

A draw has no generator state, so the result does not depend on partitions, row order, retries or speculation, and with
one seed a smaller threshold keeps a subset of what a larger one keeps.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from udfs.arrow import arrow_numbers, numpy_numbers, string_bytes

_HEX_DIGITS = 32
_HASHED_DIGITS = 16
_NO_DIGIT = 255
_NO_ENTRIES = arrow_numbers(np.zeros(1, np.int32))[0]
_DIGIT_VALUES = np.full(256, _NO_DIGIT, np.uint8)
_DIGIT_VALUES[np.frombuffer(b"0123456789abcdef", np.uint8)] = np.arange(16)


def splitmix64(numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Mixes 64-bit numbers: Steele, Lea and Flood's SplitMix (2014), one step from each number as the state.

    Args:
        numbers: Any uint64 array.

    Returns:
        As many uint64 numbers; 0 gives 0xE220A8397B1DCDAF.
    """
    mixed = numbers + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def pair_draws(pair_ids: pa.Array, seed: int) -> npt.NDArray[np.float64]:
    """Draws a number for each pair: the upper 53 bits of splitmix64(splitmix64(seed) XOR the pair_id's first 8 bytes).

    Args:
        pair_ids: n strings of 32 hex digits.
        seed: A number from 0 to 2^64 - 1.

    Returns:
        n numbers, at least 0 and below 1, the same in every release.

    Raises:
        ValueError: If a pair_id is null or anything else than 32 lower-case hex digits, or the seed is out of range.
    """
    if not 0 <= seed < 2**64:
        raise ValueError(f"the seed {seed} is outside 0 to 2^64 - 1")
    mixed_seed = splitmix64(np.array([seed], np.uint64))
    mixed = splitmix64(mixed_seed ^ _leading_bytes(pair_ids))
    return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _leading_bytes(pair_ids: pa.Array) -> npt.NDArray[np.uint64]:
    """Reads the first 16 hex digits of each pair_id as a big-endian number, without a Python object per row.

    Raises:
        ValueError: If a pair_id is not 32 hex digits.
    """
    if len(pair_ids) == 0:
        return np.empty(0, np.uint64)
    texts = pair_ids.cast(pa.large_string())
    content, offsets = string_bytes(texts)
    if texts.null_count or (np.diff(offsets) != _HEX_DIGITS).any():
        raise ValueError("a pair_id is null or has not 32 hex digits; make pair ids as the extract step does")
    values = _DIGIT_VALUES[np.frombuffer(content, np.uint8).reshape(-1, _HEX_DIGITS)]
    if (values == _NO_DIGIT).any():
        raise ValueError("a pair_id has a character other than 0-9 and a-f; make pair ids as the extract step does")
    leading = values[:, :_HASHED_DIGITS]
    return ((leading[:, 0::2] << 4) | leading[:, 1::2]).view(">u8").ravel().astype(np.uint64)


def flat_entry_ids(
    entry_ids: pa.ListArray, number_of_entries: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Lays lists of entry ids out one after the other.

    Args:
        entry_ids: n lists of int32; a null is as an empty one.
        number_of_entries: The length of the metadata list.

    Returns:
        All entry ids, pair by pair, and the number of entries of each pair, shape (n,).

    Raises:
        ValueError: If an entry id is null or lies outside the list.
    """
    lengths = numpy_numbers(entry_ids.value_lengths().fill_null(_NO_ENTRIES))
    ids = numpy_numbers(entry_ids.flatten())
    if ids.size and not 0 <= ids.min() <= ids.max() < number_of_entries:
        raise ValueError(
            f"entry ids from {ids.min()} to {ids.max()} do not fit {number_of_entries} entry probabilities; "
            "sample with the counts of the list that matched"
        )
    return ids, lengths


class PairFactors:
    """The places of a batch's matched entries, with which numbers per entry become products per pair."""

    def __init__(self, entry_ids: pa.ListArray, number_of_entries: int) -> None:
        """Finds out which entry is whose.

        Args:
            entry_ids: n lists of int32.
            number_of_entries: The length of the metadata list.

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
        """Gives 1 - prod(1 - p) of each pair.

        Args:
            probabilities: One number from 0 to 1 for each of `ids`.

        Returns:
            n numbers. The factors of a pair are multiplied one by one in the order of its list, so that the result is
            the same to the bit in any batch, and never falls where a probability grows.
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
