"""Several metadata lists in one file, which all workers of a machine map; a worker touches those of its texts only.

The file has a line that names the format, what each list has as a file of its own (token tables or entries), and an
index in JSON at its end, so that lists can be written one by one.
"""

import json
import mmap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pyarrow as pa

from udfs.matching.aho_corasick import CharacterAutomaton
from udfs.matching.borders import check_word_borders
from udfs.matching.entries import entries_as_json
from udfs.matching.token_automaton import (
    ALIGNMENT,
    TokenAutomaton,
    append_token_tables,
    build_token_tables,
    mapped_token_tables,
)
from udfs.matching.token_kernel import Scratch, make_scratch

if TYPE_CHECKING:
    from udfs.matching.engine import MatchEngine

_MAGIC = b"metadata-lists\n"
_VERSION = 1
_LENGTH_BYTES = 8


class _ListPlace(msgspec.Struct, kw_only=True):
    """Where a list is in the file."""

    code: str
    first_id: int
    start: int
    end: int


class _Index(msgspec.Struct, kw_only=True):
    """What a file says at its end."""

    version: int = _VERSION
    engine: str
    metadata_digest: str
    word_borders: str
    deepest: int
    lists: list[_ListPlace]


def write_list_tables(
    lists: Iterable[tuple[str, Sequence[str] | pa.Array]],
    path: str,
    *,
    engine: str,
    metadata_digest: str,
    word_borders: str,
) -> None:
    """Writes what an engine needs to match texts against several lists.

    Lists are taken, built and written one by one, so that memory holds one of them at a time.

    Args:
        lists: The code and the entries of each list, in the order of their ids: the first entry of each follows the
            last one of the list before. A single list for all languages has an empty code.
        path: The file.
        engine: token or pyahocorasick.
        metadata_digest: The digest of all lists together, which workers compare.
        word_borders: One of `udfs.matching.borders.WORD_BORDERS`.

    Raises:
        ValueError: If the engine does not have these word borders, or a list cannot be used; the message names it.
        OSError: If the file cannot be written.
    """
    check_word_borders(word_borders, engine)
    index = _Index(engine=engine, metadata_digest=metadata_digest, word_borders=word_borders, deepest=1, lists=[])
    # Written beside and renamed: a worker that has mapped an earlier file of this name keeps it whole.
    part = Path(f"{path}.part")
    first_id = 0
    with part.open("wb") as file:
        file.write(_MAGIC)
        for code, entries in lists:
            file.write(b"\0" * (-file.tell() % ALIGNMENT))
            start = file.tell()
            try:
                if engine == "token":
                    tables = build_token_tables(entries, metadata_digest, word_borders=word_borders)
                    append_token_tables(tables, file)
                    index.deepest = max(index.deepest, tables.deepest)
                else:
                    file.write(entries_as_json(entries.to_pylist() if isinstance(entries, pa.Array) else entries))
            except ValueError as error:
                raise ValueError(f"list {code}: {error}" if code else str(error)) from error
            index.lists.append(_ListPlace(code=code, first_id=first_id, start=start, end=file.tell()))
            first_id += len(entries)
        written = json.dumps(msgspec.to_builtins(index)).encode()
        file.write(written + len(written).to_bytes(_LENGTH_BYTES, "little"))
    part.replace(path)


class ListEngines(Mapping[str, "MatchEngine"]):
    """The engines of a file's lists by their codes; each is made when it is first asked for.

    Engines give ids of all lists together. One thread at a time may use them: they share scratch memory.
    """

    def __init__(self, path: str, engine: str, metadata_digest: str) -> None:
        """Maps a file that `write_list_tables` wrote.

        Args:
            path: The file.
            engine: The engine that it must be for.
            metadata_digest: The digest that it must have.

        Raises:
            ValueError: If the file is something else, is cut short, or has other lists.
            OSError: If it cannot be read.
        """
        self._path = path
        with Path(path).open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                raise ValueError(f"{path} is not a file of several lists; build it again")
            self._content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._index = self._read_index()
        if (self._index.engine, self._index.metadata_digest) != (engine, metadata_digest):
            raise ValueError(
                f"{path} is for the engine {self._index.engine} and the lists {self._index.metadata_digest}, "
                f"but this job works with {engine} and {metadata_digest}; build it again"
            )
        self._places = {place.code: place for place in self._index.lists}
        self._engines: dict[str, MatchEngine] = {}
        self._scratch: Scratch | None = None

    @property
    def word_borders(self) -> str:
        """The word borders that the file was written for."""
        return self._index.word_borders

    def __getitem__(self, code: str) -> "MatchEngine":
        """Gives the engine of a list."""
        if code not in self._engines:
            self._engines[code] = self._make_engine(self._places[code])
        return self._engines[code]

    def __iter__(self) -> Iterator[str]:
        """Iterates over the codes, in the order of their ids."""
        return iter(self._places)

    def __len__(self) -> int:
        """The number of lists."""
        return len(self._places)

    def _make_engine(self, place: _ListPlace) -> "MatchEngine":
        if self._index.engine == "token":
            tables = mapped_token_tables(self._content, place.start, self._index.metadata_digest, self._path)
            self._scratch = self._scratch or make_scratch(self._index.deepest)
            return TokenAutomaton(tables, first_id=place.first_id, scratch=self._scratch)
        entries: list[str] = json.loads(self._content[place.start : place.end])
        return CharacterAutomaton(entries, word_borders=self.word_borders, first_id=place.first_id)

    def _read_index(self) -> _Index:
        """Reads the end of the file.

        Raises:
            ValueError: If it is cut short, or of another version.
        """
        end = len(self._content) - _LENGTH_BYTES
        start = end - int.from_bytes(self._content[end:], "little")
        try:
            found = json.loads(self._content[max(start, len(_MAGIC)) : end])
            version = found["version"]
        except (ValueError, KeyError, TypeError):
            raise ValueError(f"{self._path} is cut short; build it again") from None
        if version != _VERSION:
            raise ValueError(f"{self._path} has version {version}, not {_VERSION}; build it again")
        return msgspec.convert(found, _Index)


def is_list_file(path: str) -> bool:
    """Tells whether a file has several lists, or word borders of its own.

    Raises:
        OSError: If it cannot be read.
    """
    with Path(path).open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC
