"""The entries of several metadata lists in Arrow's memory: as strings of Python they take four times as much."""

from collections.abc import Iterator, Sequence
from typing import overload

import pyarrow as pa

from metaclip_spark.errors import MetadataError

_DECODED_AT_ONCE = 65_536


class EntryTexts(Sequence[str]):
    """A sequence of entries that equals the tuple of them.

    Attributes:
        texts: The entries, shape (entries,).
    """

    def __init__(self, texts: pa.Array) -> None:
        """Takes an array of strings without nulls."""
        self.texts = texts

    def __len__(self) -> int:
        """The number of entries."""
        return len(self.texts)

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[str, ...]: ...

    def __getitem__(self, place: int | slice) -> str | tuple[str, ...]:
        """Gives one entry, or a tuple of several."""
        if isinstance(place, slice):
            return tuple(self.texts[place].to_pylist())
        text: str = self.texts[place].as_py()
        return text

    def __iter__(self) -> Iterator[str]:
        """Iterates over the entries, of which few are strings of Python at a time."""
        for start in range(0, len(self), _DECODED_AT_ONCE):
            yield from self.texts[start : start + _DECODED_AT_ONCE].to_pylist()

    def __eq__(self, other: object) -> bool:
        """Compares with another sequence of this kind, or a tuple."""
        if isinstance(other, EntryTexts):
            return bool(self.texts.equals(other.texts))
        return isinstance(other, tuple) and len(self) == len(other) and tuple(self) == other

    def __hash__(self) -> int:
        """The hash of the tuple of entries."""
        return hash(tuple(self))


def join_texts(parts: Sequence[pa.Array]) -> EntryTexts:
    """Puts the entries of lists one after the other.

    Raises:
        MetadataError: If they are more text than 32-bit offsets can reach.
    """
    try:
        return EntryTexts(pa.concat_arrays(parts))
    except pa.ArrowInvalid:
        raise MetadataError("the lists hold more than 2 GiB of text: take out long entries") from None


def texts_of(entries: Sequence[str]) -> pa.Array:
    """Gives entries as an Arrow array, without a copy where they are one."""
    return entries.texts if isinstance(entries, EntryTexts) else pa.array(entries, pa.string())
