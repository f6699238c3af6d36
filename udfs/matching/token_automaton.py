"""The token automaton: a trie over tokens in flat tables, built once, shipped as one file, mapped by every worker.

Since entries are delimited by single spaces, "the entry with one space at each end is a sub-string of the spaced text"
(the paper, section 3.1) equals "the entry's tokens are a run of the text's tokens", where tokens are what lies between
single spaces, empty ones included, without the two outermost (always empty) ones.

For the word borders `script` texts and entries are cut into units first, at each border between two characters of a
token. Then "the entry stands between borders" equals "the entry's units are a run of the text's units, each but the
first glued to the one before in both or in neither".
"""

import json
import mmap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from udfs.arrow import arrow_numbers, string_bytes
from udfs.matching.borders import check_word_borders
from udfs.matching.token_kernel import (
    BORDER_BYTE,
    PADDING,
    Scratch,
    Tables,
    fill_filter,
    insert_entries,
    insert_tokens,
    make_scratch,
    make_tables,
    scan_texts,
)
from udfs.matching.unit_kernel import cut_units
from udfs.numba_intrinsics import GOLDEN_RATIO

_MAGIC = b"token-automaton\n"
_VERSION = 1
ALIGNMENT = 64
"""What the places of tables in a file are multiples of."""

_ARRAYS = ("slots", "long_words", "edges", "edge_filter")
_ARRAY_TYPE = np.dtype("<u8")
_FEWEST_SLOTS = 16
_EDGE_SLOTS_PER_FILTER_WORD = 8
_LARGEST_FILTER_WORDS = 1 << 17
_EXPECTED_MATCHES_PER_TEXT = 12
_FEWEST_VALUES = 1 << 13
_LARGEST_OUTPUT = 2**31 - 1


class _Header(msgspec.Struct, kw_only=True):
    """What a file of tables says before its arrays; `lengths` are in words, by array."""

    version: int = _VERSION
    metadata_digest: str
    number_of_entries: int
    deepest: int
    multiplier: int
    short_slots: int
    lengths: dict[str, int]
    word_borders: str = "spaces"


@dataclass(frozen=True)
class TokenTables:
    """The tables of a metadata list, whose arrays cannot be written to."""

    metadata_digest: str
    number_of_entries: int

    deepest: int
    """The number of tokens of the longest entry."""

    tables: Tables
    """What `udfs.matching.token_kernel` describes."""

    word_borders: str
    """spaces or script."""

    @property
    def size(self) -> int:
        """The bytes of all arrays."""
        return sum(getattr(self.tables, name).nbytes for name in _ARRAYS)


def build_token_tables(
    entries: Sequence[str] | pa.Array,
    metadata_digest: str,
    *,
    word_borders: str = "spaces",
    multiplier: int = GOLDEN_RATIO,
) -> TokenTables:
    """Builds the tables of a metadata list.

    Args:
        entries: The entries, in the order of their ids.
        metadata_digest: The list's digest, which goes with the tables.
        word_borders: spaces or script (`udfs.matching.borders`).
        multiplier: What tokens are hashed with; tests give 0, so that every hash collides.

    Raises:
        ValueError: If an entry is empty or repeated, or there are no such word borders.
    """
    check_word_borders(word_borders, "token")
    data, offsets = _entry_bytes(entries)
    empty = np.flatnonzero(offsets[1:] == offsets[:-1])
    if empty.size:
        raise ValueError(f"entry {empty[0]} is empty; an entry must have at least one character")
    number = offsets.size - 1
    spans = cut_units(data, offsets) if word_borders == "script" else (data, offsets)
    most_tokens = number + int(np.count_nonzero((spans[0] == ord(" ")) | (spans[0] == BORDER_BYTE)))

    short_slots, slots, long_words = _token_slots(spans, most_tokens, multiplier)
    edges = np.zeros(2 * _slots_for(most_tokens - number), np.uint64)
    filter_words = min(max(edges.size // 2 // _EDGE_SLOTS_PER_FILTER_WORD, _FEWEST_SLOTS), _LARGEST_FILTER_WORDS)
    arrays = (slots, long_words, edges, np.zeros(filter_words, np.uint64))
    tables = make_tables(multiplier, short_slots, arrays)
    counts = np.zeros(3, np.int64)
    repeated = insert_entries()(*spans, tables, counts)
    if repeated >= 0:
        entry = bytes(data[offsets[repeated] : offsets[repeated + 1]]).decode()
        raise ValueError(f"entry {repeated} ({entry!r}) repeats an earlier entry; entries must be distinct")
    fill_filter()(tables)
    for array in arrays:
        array.flags.writeable = False
    return TokenTables(metadata_digest, number, int(counts[2]), tables, word_borders)


def _entry_bytes(entries: Sequence[str] | pa.Array) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Gives the UTF-8 bytes of entries and their n + 1 offsets."""
    if isinstance(entries, pa.Array):
        return _bytes_and_offsets(entries)
    encoded = [entry.encode() for entry in entries]
    offsets = np.zeros(len(encoded) + 1, np.int64)
    np.cumsum([len(entry) for entry in encoded], out=offsets[1:])
    return _padded(b"".join(encoded)), offsets


def _token_slots(
    spans: tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]], most_tokens: int, multiplier: int
) -> tuple[int, npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """Fills token slots twice, since only the first time tells how many are needed; gives short_slots and arrays."""
    data, _ = spans
    nothing = np.zeros(2 * _FEWEST_SLOTS, np.uint64)
    long_words = np.zeros(data.size // 8 + 2 * most_tokens + 1, np.uint64)
    short, long = most_tokens, most_tokens
    for _ in range(2):
        slots = np.zeros(2 * _slots_for(short) + 3 * _slots_for(long), np.uint64)
        short_slots = _slots_for(short)
        tables = make_tables(multiplier, short_slots, (slots, long_words, nothing, nothing))
        short, long, words = insert_tokens()(*spans, tables)
    return short_slots, slots, long_words[:words].copy()


def _slots_for(number: int) -> int:
    """Gives the number of slots, a power of two, that keeps a table at most two thirds full."""
    slots = _FEWEST_SLOTS
    while 2 * slots < 3 * number:
        slots *= 2
    return slots


def _padded(data: bytes | memoryview) -> npt.NDArray[np.uint8]:
    """Copies bytes to where whole words can be read beyond the last one."""
    padded = np.empty(len(data) + PADDING, np.uint8)
    padded[: len(data)] = np.frombuffer(data, np.uint8)
    padded[len(data) :] = 0
    return padded


def write_token_tables(tables: TokenTables, path: str) -> None:
    """Writes tables as one flat file: a line that names the format, a header in JSON, and the arrays.

    Raises:
        OSError: If the file cannot be written.
    """
    # Written beside and renamed: a worker that has mapped an earlier file of this name keeps it whole.
    part = Path(f"{path}.part")
    with part.open("wb") as file:
        append_token_tables(tables, file)
    part.replace(path)


def append_token_tables(tables: TokenTables, file: IO[bytes]) -> None:
    """Writes tables to an open file, at a multiple of `ALIGNMENT`.

    Raises:
        OSError: If they cannot be written.
    """
    header = _Header(
        metadata_digest=tables.metadata_digest,
        number_of_entries=tables.number_of_entries,
        deepest=tables.deepest,
        multiplier=int(tables.tables.multiplier),
        short_slots=int(tables.tables.short_slots),
        lengths={name: len(getattr(tables.tables, name)) for name in _ARRAYS},
        word_borders=tables.word_borders,
    )
    file.write(_MAGIC + json.dumps(msgspec.to_builtins(header)).encode() + b"\n")
    for name in _ARRAYS:
        file.write(b"\0" * (-file.tell() % ALIGNMENT))
        file.write(getattr(tables.tables, name).astype(_ARRAY_TYPE, copy=False).data)


def open_token_tables(path: str, metadata_digest: str) -> TokenTables:
    """Maps a file of tables, read-only, so that the workers of one machine share its memory.

    Raises:
        ValueError: If the file holds something else, is cut short, or was built from another list.
        OSError: If the file cannot be read.
    """
    with Path(path).open("rb") as file:
        if not file.read(1):
            raise ValueError(f"{path} is empty, not a file of token tables; build them again")
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return mapped_token_tables(content, 0, metadata_digest, path)


def mapped_token_tables(content: mmap.mmap, start: int, metadata_digest: str, path: str) -> TokenTables:
    """Takes tables that begin at a place of a mapped file, without a copy.

    Args:
        content: The file.
        start: The place.
        metadata_digest: The digest of the list that the tables must be of.
        path: How messages name the file.

    Raises:
        ValueError: If something else is there, they are cut short, or were built from another list.
    """
    header, position = _read_header(content, start, path)
    if header.metadata_digest != metadata_digest:
        raise ValueError(
            f"the token tables {path} were built from the metadata list {header.metadata_digest}, "
            f"but this job works with {metadata_digest}; build them again"
        )
    arrays = []
    for name in _ARRAYS:
        position += -position % ALIGNMENT
        length = header.lengths[name]
        if position + length * _ARRAY_TYPE.itemsize > len(content):
            raise ValueError(f"the token tables {path} are cut short within {name}; build them again")
        arrays.append(np.frombuffer(content, _ARRAY_TYPE, length, position))
        position += length * _ARRAY_TYPE.itemsize
    slots, long_words, edges, edge_filter = arrays
    tables = make_tables(header.multiplier, header.short_slots, (slots, long_words, edges, edge_filter))
    return TokenTables(metadata_digest, header.number_of_entries, header.deepest, tables, header.word_borders)


def _read_header(content: mmap.mmap, start: int, path: str) -> tuple[_Header, int]:
    """Reads the header of tables in a mapped file; gives where it ends, too.

    Raises:
        ValueError: If the file holds something else.
    """
    begin = start + len(_MAGIC)
    end = content.find(b"\n", begin)
    if content[start:begin] != _MAGIC or end < 0:
        raise ValueError(f"{path} is not a file of token tables; build them again")
    header = json.loads(content[begin:end])
    if header["version"] != _VERSION:
        raise ValueError(f"the token tables {path} have version {header['version']}, not {_VERSION}; build them again")
    return msgspec.convert(header, _Header), end + 1


class TokenAutomaton:
    """Matches batches of texts against the tables, without a Python object per text."""

    def __init__(self, tables: TokenTables, *, first_id: int = 0, scratch: Scratch | None = None) -> None:
        """Takes the tables, and compiles the scanning loop unless an earlier process left it on disk.

        Args:
            tables: The tables of a metadata list.
            first_id: The id of the list's first entry.
            scratch: What several automata of one thread share; it must fit the deepest of their entries.
        """
        self._tables = tables
        self._first_id = first_id
        self._scratch = scratch or make_scratch(tables.deepest)
        self._scan = scan_texts()

    def match(self, texts: pa.Array) -> pa.ListArray:
        """Does what `MatchEngine.match` does. One thread at a time: the scratch memory is the automaton's own.

        Raises:
            ValueError: If the batch has 2^31 matches or more.
        """
        data, offsets = _bytes_and_offsets(texts)
        if self._tables.word_borders == "script":
            data, offsets = cut_units(data, offsets)
        list_offsets = np.zeros(len(texts) + 1, np.int32)
        values = np.empty(_EXPECTED_MATCHES_PER_TEXT * len(texts) + _FEWEST_VALUES, np.int32)
        tables, deepest, scratch = self._tables.tables, self._tables.deepest, self._scratch
        done = self._scan(data, offsets, 0, tables, deepest, scratch, (list_offsets, values))
        while done < len(texts):
            if values.size == _LARGEST_OUTPUT:
                raise ValueError(f"a batch of {len(texts)} texts has 2^31 matches or more; use smaller batches")
            values = _grown(values, used=int(list_offsets[done]))
            done = self._scan(data, offsets, done, tables, deepest, scratch, (list_offsets, values))
        found = values[: list_offsets[-1]] + np.int32(self._first_id)
        return pa.ListArray.from_arrays(arrow_numbers(list_offsets), arrow_numbers(found))


def _grown(values: npt.NDArray[np.int32], *, used: int) -> npt.NDArray[np.int32]:
    """Copies the used values to an array of twice the size."""
    grown = np.empty(min(2 * values.size, _LARGEST_OUTPUT), np.int32)
    grown[:used] = values[:used]
    return grown


def _bytes_and_offsets(texts: pa.Array) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Gives the UTF-8 bytes of texts and their n + 1 offsets, whatever slice of whatever string type they are."""
    if not (pa.types.is_string(texts.type) or pa.types.is_large_string(texts.type)):
        texts = texts.cast(pa.large_string())
    if texts.null_count:
        texts = pc.fill_null(texts, "")
    data, offsets = string_bytes(texts)
    return _padded(data), offsets
