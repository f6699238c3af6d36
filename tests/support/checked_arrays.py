"""Arrays that check every place, and the instructions of kernels in Python, which take the place of numba's.

For NUMBA_DISABLE_JIT=1; to be imported before any kernel is.
"""

import warnings
import zlib
from typing import Any

import numpy as np
import zstandard

from udfs import numba_intrinsics


class Checked:
    """Bytes or numbers of one dimension."""

    def __init__(self, values: Any) -> None:
        self.values, self.size = values, len(values)
        # Numbers without a sign overflow as in compiled code.
        self._number: Any = np.uint64 if getattr(values, "dtype", None) == np.uint64 else int

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            start, stop = place.start or 0, self.size if place.stop is None else place.stop
            assert 0 <= start <= stop <= self.size, f"{place} of {self.size}"
            return Checked(self.values[start:stop])
        assert 0 <= place < self.size, f"read at {place} of {self.size}"
        return self._number(self.values[place])

    def __setitem__(self, place: Any, value: int) -> None:
        if isinstance(place, slice):
            self.values[place] = value
        else:
            assert 0 <= place < self.size, f"write at {place} of {self.size}"
            self.values[place] = int(value)


class CheckedRows:
    """Numbers of two dimensions."""

    def __init__(self, values: Any) -> None:
        self.values, self.shape = values, values.shape

    def __getitem__(self, row: Any) -> Any:
        if isinstance(row, slice):
            assert row.start is None and 0 <= row.stop <= len(self.values)
            return CheckedRows(self.values[row])
        if isinstance(row, tuple):
            return self[row[0]][row[1]]
        assert 0 <= row < len(self.values), f"row {row} of {len(self.values)}"
        return Checked(self.values[row])

    def __setitem__(self, place: tuple[int, int], value: int) -> None:
        self[place[0]][place[1]] = value


def checked(values: Any) -> Any:
    """Gives arrays that check every place, of arrays, tuples of them, or what is no array."""
    if isinstance(values, np.ndarray):
        return CheckedRows(values) if values.ndim == 2 else Checked(values)
    if isinstance(values, tuple):
        fields = map(checked, values)
        return type(values)(*fields) if hasattr(values, "_fields") else tuple(fields)
    return values


def writable(array: Checked) -> Checked:
    return array


def load_word(array: Checked, at: int) -> Any:
    assert 0 <= at <= array.size - 8, f"eight bytes at {at} of {array.size}"
    return np.uint64(int.from_bytes(bytes(array.values[at : at + 8]), "little"))


def prefetch_word(array: Checked, at: int) -> None:
    assert 0 <= at < array.size, f"a word at {at} of {array.size}"


def trailing_zeros(word: Any) -> int:
    return (int(word) & -int(word)).bit_length() - 1 if word else 64


def bits_of(wanted: bytes, below: int = 0) -> Any:
    def find(array: Checked, at: int) -> Any:
        assert 0 <= at <= array.size - 64, f"64 bytes at {at} of {array.size}"
        return np.uint64(
            sum(
                1 << place
                for place in range(64)
                if array.values[at + place] in wanted or array.values[at + place] < below
            )
        )

    return find


def inflate_gzip(
    _function: int,
    _decompressor: int,
    packed: Checked,
    begin: int,
    end: int,
    plain: Checked,
    at: int,
    room: int,
    sizes: Checked,
) -> int:
    """Does what libdeflate does, whose results are 0, 1 for bad data and 3 where there is too little room."""
    assert 0 <= begin <= end <= packed.size and 0 <= at <= at + room <= plain.size
    member = zlib.decompressobj(31)
    try:
        content = member.decompress(bytes(packed.values[begin:end]))
    except zlib.error:
        return 1
    if not member.eof:
        return 1
    if len(content) > room:
        return 3
    plain.values[at : at + len(content)] = np.frombuffer(content, np.uint8)
    sizes[0], sizes[1] = end - begin - len(member.unused_data), len(content)
    return 0


def zstd_frame_size(_function: int, packed: Checked, begin: int, end: int) -> int:
    """Does what libzstd does, whose errors are below 0."""
    assert 0 <= begin <= end <= packed.size
    content = bytes(packed.values[begin:end])
    frame = zstandard.ZstdDecompressor().decompressobj()
    try:
        frame.decompress(content)
    except zstandard.ZstdError:
        return -20
    return len(content) - len(frame.unused_data) if frame.eof else -72


def inflate_zstd(
    _function: int, _decompressor: int, packed: Checked, begin: int, end: int, plain: Checked, at: int, room: int
) -> int:
    """Does what libzstd does; -70 says that there is too little room."""
    assert 0 <= begin <= end <= packed.size and 0 <= at <= at + room <= plain.size
    content = zstandard.ZstdDecompressor().decompressobj().decompress(bytes(packed.values[begin:end]))
    if len(content) > room:
        return -70
    plain.values[at : at + len(content)] = np.frombuffer(content, np.uint8)
    return len(content)


for replaced in (
    writable,
    load_word,
    prefetch_word,
    trailing_zeros,
    bits_of,
    inflate_gzip,
    zstd_frame_size,
    inflate_zstd,
):
    setattr(numba_intrinsics, replaced.__name__, replaced)
numba_intrinsics.ascii_bits = bits_of(b"", below=128)
# Numbers of 64 bits overflow on purpose in kernels, which Python's numpy warns of.
warnings.simplefilter("ignore", RuntimeWarning)
