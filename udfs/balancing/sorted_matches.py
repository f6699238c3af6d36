"""Sums per entry of long metadata lists: matches are buffered and sorted, so that memory is that of the buffer.

An array over tens of millions of entries takes hundreds of megabytes in each worker. Here a buffer of matches is sorted
by entry, and summed in ranges of entries, each of which leaves as blocks.
"""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from udfs.balancing.entry_blocks import BLOCK_SIZE, nonzero_blocks, partial_batch

LONG_LIST = 2_000_000
"""From so many entries on workers hold no array over all of them."""

_BUFFER_BYTES = 1 << 26
_BLOCKS_AT_ONCE = 4096
_MATCHES_AT_ONCE = 1 << 20
_PAIR_BITS = 32

Sums = npt.NDArray[np.int64]
AddMatches = Callable[[Sums, npt.NDArray[np.int64], npt.NDArray[np.int64]], None]
"""Adds matches to sums, shape (kinds, entries of a range): the place of each entry in the range, and the place of its
pair among those that the buffer holds."""


class SortedMatches:
    """A buffer of matches."""

    def __init__(self, number_of_entries: int, add_matches: AddMatches, *, kinds: int = 1) -> None:
        """Makes an empty one.

        Args:
            number_of_entries: The length of the metadata list.
            add_matches: Called with ranges of sorted matches.
            kinds: How many numbers are summed for each entry.
        """
        self._number_of_entries = number_of_entries
        self._add_matches = add_matches
        self._kinds = kinds
        # Entry and pair in one number, which sorts faster than an order of places. Untouched pages take no memory.
        self._keys = np.empty(_BUFFER_BYTES // 8, np.int64)
        self._used = 0
        self.pairs = 0
        """Pairs with matches in the buffer."""

    def has_room(self, ids: int) -> bool:
        """Tells whether so many matches more fit in."""
        return self._used + ids <= self._keys.size

    def add(self, ids: npt.NDArray[np.int32], lengths: npt.NDArray[np.int32]) -> None:
        """Adds the matches of pairs, after those that the buffer holds.

        Args:
            ids: The entry ids of all pairs.
            lengths: How many entries each pair has.
        """
        if not self.has_room(ids.size):
            # One batch may hold more than a buffer.
            self._keys = np.concatenate([self._keys[: self._used], np.empty(ids.size, np.int64)])
        pairs = np.repeat(np.arange(self.pairs, self.pairs + lengths.size, dtype=np.int64), lengths)
        self._keys[self._used : self._used + ids.size] = (ids.astype(np.int64) << _PAIR_BITS) | pairs
        self._used += ids.size
        self.pairs += lengths.size

    def leave(self) -> Iterator[pa.RecordBatch]:
        """Sums the matches up and empties the buffer.

        Yields:
            Batches of schema `PARTIAL_COUNTS`, with the blocks that have a sum other than zero.
        """
        keys = self._keys[: self._used]
        keys.sort()
        range_size = BLOCK_SIZE * max(1, _BLOCKS_AT_ONCE // self._kinds)
        for start in range(0, self._number_of_entries, range_size):
            stop = min(start + range_size, self._number_of_entries)
            begin, end = np.searchsorted(keys, np.array([start, stop], np.int64) << _PAIR_BITS).tolist()
            if begin == end:
                continue
            sums = np.zeros((self._kinds, stop - start), "<i8")
            for first in range(begin, end, _MATCHES_AT_ONCE):
                some = keys[first : min(first + _MATCHES_AT_ONCE, end)]
                self._add_matches(sums, (some >> _PAIR_BITS) - start, some & ((1 << _PAIR_BITS) - 1))
            blocks = nonzero_blocks(sums)
            if blocks:
                yield partial_batch({start // BLOCK_SIZE + block: content for block, content in blocks.items()})
        self._used, self.pairs = 0, 0
