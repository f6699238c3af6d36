"""The token automaton: a trie over tokens in flat tables, built once, shipped as one file, mapped by every worker.

Since entries are delimited by single spaces, "the entry with one space at each end is a sub-string of the spaced text"
(the paper, section 3.1) equals "the entry's tokens are a run of the text's tokens", where tokens are what lies between
single spaces, empty ones included, without the two outermost (always empty) ones.
"""

import json
import mmap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from udfs.token_kernels import PADDING, fill_filter, insert_entries, insert_tokens, scan_texts

MULTIPLIER = 0x9E3779B97F4A7C15
"""2^64 divided by the golden ratio, odd: Knuth's multiplicative hashing."""

_MAGIC = b"token-automaton\n"
_VERSION = 1
_ALIGNMENT = 64
_ARRAYS = {
    "slots": np.dtype("<u8"),
    "long_places": np.dtype("<u4"),
    "long_words": np.dtype("<u8"),
    "edges": np.dtype("<u8"),
    "edge_filter": np.dtype("<u8"),
}
_FEWEST_SLOTS = 16
_FILTER_BITS_PER_EDGE = 16
_LARGEST_FILTER_WORDS = 1 << 17
_LARGEST_OUTPUT = 2**31 - 1

Words = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class TokenTables:
    """The flat tables of a metadata list; `udfs.token_kernels` says what they hold."""

    metadata_digest: str
    number_of_entries: int
    deepest: int
    multiplier: int
    slots: Words
    long_places: npt.NDArray[np.uint32]
    long_words: Words
    edges: Words
    edge_filter: Words


def _slots_for(number: int) -> int:
    """Gives the number of slots, a power of two, that keeps a table at most two thirds full."""
    slots = _FEWEST_SLOTS
    while 2 * slots < 3 * number:
        slots *= 2
    return slots


def _padded(data: bytes | pa.Buffer) -> npt.NDArray[np.uint8]:
    """Copies bytes to where whole words can be read beyond the last one."""
    padded = np.zeros(len(data) + PADDING, np.uint8)
    padded[: len(data)] = np.frombuffer(data, np.uint8)
    return padded


def build_token_tables(entries: Sequence[str], metadata_digest: str, *, multiplier: int = MULTIPLIER) -> TokenTables:
    """Builds the tables of a metadata list.

    Args:
        entries: The entries, in the order of their ids.
        metadata_digest: The list's digest, which goes with the tables.
        multiplier: What tokens are hashed with; tests give 0, so that every hash collides.

    Returns:
        The tables; about 20 MB for 500,000 entries.

    Raises:
        ValueError: If an entry is empty or repeated.
    """
    encoded = [entry.encode() for entry in entries]
    if b"" in encoded:
        raise ValueError(f"entry {encoded.index(b'')} is empty; an entry must have at least one character")
    offsets = np.zeros(len(encoded) + 1, np.int64)
    np.cumsum([len(entry) for entry in encoded], out=offsets[1:])
    joined = b"".join(encoded)
    data = _padded(joined)
    factor = np.uint64(multiplier)
    most_tokens = len(encoded) + joined.count(b" ")
    long_words = np.zeros(len(joined) // 8 + 2 * most_tokens + 1, np.uint64)

    slots, long_places = _token_slots(_slots_for(most_tokens))
    number_of_tokens, words = insert_tokens()(data, offsets, factor, slots, long_places, long_words)
    slots, long_places = _token_slots(_slots_for(number_of_tokens))
    insert_tokens()(data, offsets, factor, slots, long_places, long_words)
    long_words = long_words[: max(words, 1)].copy()

    edges = np.zeros(2 * _slots_for(most_tokens - len(encoded)), np.uint64)
    number_of_edges, deepest, repeated = insert_entries()(data, offsets, factor, slots, long_places, long_words, edges)
    if repeated >= 0:
        raise ValueError(
            f"entry {repeated} ({entries[repeated]!r}) is an earlier entry's text; entries must be distinct"
        )
    if edges.size > 2 * _slots_for(number_of_edges):
        edges = np.zeros(2 * _slots_for(number_of_edges), np.uint64)
        slots[1::2] = 0
        insert_entries()(data, offsets, factor, slots, long_places, long_words, edges)
    filter_words = min(_slots_for(number_of_edges * _FILTER_BITS_PER_EDGE // 64), _LARGEST_FILTER_WORDS)
    edge_filter = np.zeros(filter_words, np.uint64)
    fill_filter()(edges, factor, edge_filter)
    return TokenTables(
        metadata_digest, len(encoded), deepest, multiplier, slots, long_places, long_words, edges, edge_filter
    )


def _token_slots(number: int) -> tuple[Words, npt.NDArray[np.uint32]]:
    """Gives vacant token slots."""
    return np.zeros(2 * number, np.uint64), np.zeros(number, np.uint32)


def write_token_tables(tables: TokenTables, path: str) -> None:
    """Writes tables as one flat file: a line that names the format, a header in JSON, and the arrays.

    Args:
        tables: What `build_token_tables` returned.
        path: The file to write; an existing one is replaced.

    Raises:
        OSError: If the file cannot be written.
    """
    header = {
        "version": _VERSION,
        "metadata_digest": tables.metadata_digest,
        "number_of_entries": tables.number_of_entries,
        "deepest": tables.deepest,
        "multiplier": tables.multiplier,
        "lengths": {name: len(getattr(tables, name)) for name in _ARRAYS},
    }
    with Path(path).open("wb") as file:
        file.write(_MAGIC + json.dumps(header).encode() + b"\n")
        for name, dtype in _ARRAYS.items():
            file.write(b"\0" * (-file.tell() % _ALIGNMENT))
            file.write(np.ascontiguousarray(getattr(tables, name), dtype).data)


def open_token_tables(path: str, metadata_digest: str) -> TokenTables:
    """Maps a file of tables, read-only, so that the workers of one machine share its memory.

    Args:
        path: A file that `write_token_tables` wrote.
        metadata_digest: The digest of the list that the caller works with.

    Returns:
        Tables whose arrays cannot be written to.

    Raises:
        ValueError: If the file holds something else, is cut short, or was built from another list.
        OSError: If the file cannot be read.
    """
    with Path(path).open("rb") as file:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    header = _read_header(content, path)
    if header["metadata_digest"] != metadata_digest:
        raise ValueError(
            f"the token tables {path} were built from the metadata list {header['metadata_digest']}, but this job works "
            f"with {metadata_digest}; build them again"
        )
    arrays = {}
    position = content.find(b"\n", len(_MAGIC)) + 1
    for name, dtype in _ARRAYS.items():
        position += -position % _ALIGNMENT
        length = int(header["lengths"][name])
        if position + length * dtype.itemsize > len(content):
            raise ValueError(f"the token tables {path} are cut short within {name}; build them again")
        arrays[name] = np.frombuffer(content, dtype, length, position)
        position += length * dtype.itemsize
    numbers = {name: int(header[name]) for name in ("number_of_entries", "deepest", "multiplier")}
    return TokenTables(metadata_digest=metadata_digest, **numbers, **arrays)


def _read_header(content: mmap.mmap, path: str) -> dict[str, Any]:
    """Reads the header of a mapped file.

    Raises:
        ValueError: If the file holds something else.
    """
    end = content.find(b"\n", len(_MAGIC))
    if content[: len(_MAGIC)] != _MAGIC or end < 0:
        raise ValueError(f"{path} is no file of token tables; build them again")
    header: dict[str, Any] = json.loads(content[len(_MAGIC) : end])
    if header["version"] != _VERSION:
        raise ValueError(f"the token tables {path} have version {header['version']}, not {_VERSION}; build them again")
    return header


class TokenAutomaton:
    """Matches batches of texts against the tables, without a Python object per text."""

    def __init__(self, tables: TokenTables) -> None:
        """Takes the tables, and compiles the scanning loop if no earlier process left it on disk."""
        self._tables = tables
        self._scan = scan_texts()

    def match(self, texts: pa.Array) -> pa.ListArray:
        """Finds every entry in each text.

        Args:
            texts: n strings; null counts as a text without entries.

        Returns:
            n lists of int32, sorted and distinct.

        Raises:
            ValueError: If the batch has 2^31 matches or more.
        """
        data, offsets = _bytes_and_offsets(texts)
        tables = self._tables
        list_offsets = np.zeros(len(texts) + 1, np.int32)
        values = np.empty(12 * len(texts) + 1024, np.int32)
        done = 0
        while True:
            done = self._scan(
                data,
                offsets,
                done,
                np.uint64(tables.multiplier),
                tables.slots,
                tables.long_places,
                tables.long_words,
                tables.edges,
                tables.edge_filter,
                tables.deepest,
                list_offsets,
                values,
            )
            if done == len(texts):
                break
            if values.size == _LARGEST_OUTPUT:
                raise ValueError(f"a batch of {len(texts)} texts has 2^31 matches or more; use smaller batches")
            values = _grown(values, used=int(list_offsets[done]))
        used = int(list_offsets[-1])
        return pa.ListArray.from_arrays(pa.array(list_offsets), pa.array(values[:used].copy()))


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
    width = np.int64 if pa.types.is_large_string(texts.type) else np.int32
    _, offset_buffer, data_buffer = texts.buffers()
    if len(texts) == 0 or data_buffer is None or data_buffer.size == 0:
        return np.zeros(1, np.uint8), np.zeros(len(texts) + 1, np.int64)
    offsets = np.frombuffer(offset_buffer, width)[texts.offset : texts.offset + len(texts) + 1]
    return np.frombuffer(data_buffer, np.uint8), offsets.astype(np.int64)
