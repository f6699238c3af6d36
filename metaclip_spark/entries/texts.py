"""The entries of several metadata lists in Arrow's memory: as strings of Python they take four times as much."""

from collections.abc import Iterator, Sequence
from typing import overload

import pyarrow as pa
import pyarrow.compute as pc

from metaclip_spark.errors import MetadataError
from udfs.arrow import replace_lone_surrogates

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

    def index(self, value: object, start: int = 0, stop: int | None = None) -> int:
        """Finds the first place of an entry.

        Raises:
            ValueError: If it is not there.
        """
        places = range(len(self))[start:stop]
        part = self.texts[places.start : places.stop]
        found = pc.index(part, value).as_py() if isinstance(value, str) else -1
        if found < 0:
            raise ValueError(f"{value!r} is not an entry")
        return places[found]

    def __repr__(self) -> str:
        """Shows the number of entries, not the entries: there may be millions."""
        return f"EntryTexts({len(self):,} entries)"

    def __eq__(self, other: object) -> bool:
        """Compares with another sequence of this kind, or a tuple."""
        if isinstance(other, EntryTexts):
            return bool(self.texts.equals(other.texts))
        return isinstance(other, tuple) and len(self) == len(other) and tuple(self) == other

    def __hash__(self) -> int:
        """The hash of the tuple of entries."""
        return hash(tuple(self))


def with_surrogates(entries: Sequence[str]) -> Iterator[int]:
    """Gives the places of entries that are not valid Unicode: a lone surrogate is in them."""
    return (place for place, entry in enumerate(entries) if replace_lone_surrogates(entry) != entry)


def join_texts(parts: Sequence[pa.Array | pa.ChunkedArray]) -> EntryTexts:
    """Puts the entries of lists one after the other.

    Raises:
        MetadataError: If they are more text than 32-bit offsets can reach.
    """
    # Of more text than offsets reach Arrow makes an array in chunks.
    chunks = [chunk for part in parts for chunk in (part.chunks if isinstance(part, pa.ChunkedArray) else [part])]
    try:
        return EntryTexts(pa.concat_arrays(chunks))
    except pa.ArrowInvalid:
        raise MetadataError("the lists hold more than 2 GiB of text: take out long entries") from None


def texts_of(entries: Sequence[str]) -> pa.Array:
    """Gives entries as an Arrow array, without a copy where they are one."""
    return entries.texts if isinstance(entries, EntryTexts) else pa.array(entries, pa.string())
