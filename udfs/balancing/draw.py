"""Draws: pure functions of a pair's content and the seed.

A draw has no generator state, so the result does not depend on partitions, row order, retries or speculation, and with
one seed a smaller threshold keeps a subset of what a larger one keeps.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from udfs.arrow import string_bytes

_HEX_DIGITS = 32
_HASHED_DIGITS = 16
_NO_DIGIT = 255
_DIGIT_VALUES = np.full(256, _NO_DIGIT, np.uint8)
_DIGIT_VALUES[np.frombuffer(b"0123456789abcdef", np.uint8)] = np.arange(16)


def splitmix64(numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Mixes 64-bit numbers: Steele, Lea and Flood's SplitMix (2014), one step from each as the state."""
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
