"""The two engines that match texts against metadata entries, and the one copy of them that a worker process keeps.

Both give identical ids (the paper, section 3.1); the token automaton is the default, for its speed.
"""

from collections.abc import Mapping
from typing import Protocol

import pyarrow as pa

from udfs.matching.aho_corasick import CharacterAutomaton
from udfs.matching.entries import read_entries
from udfs.matching.list_file import ListEngines, is_list_file
from udfs.matching.token_automaton import (
    TokenAutomaton,
    open_token_tables,
)

ENGINES = ("token", "pyahocorasick")
"""The token automaton reads a file of `write_token_tables`; pyahocorasick reads one of `write_entries`. Of several
lists, and for word borders other than spaces, both read one of `udfs.matching.list_file.write_list_tables`."""


class MatchEngine(Protocol):
    """Matches texts against the entries of a metadata list."""

    def match(self, texts: pa.Array) -> pa.ListArray:
        """Finds every entry in each text.

        Args:
            texts: n strings; null counts as a text without entries.

        Returns:
            n lists of int32, sorted and distinct.
        """
        ...


_loaded: dict[tuple[str, str], MatchEngine] = {}
_loaded_lists: dict[tuple[str, str], ListEngines] = {}


def load_engine(engine: str, path: str, metadata_digest: str) -> MatchEngine:
    """Loads the engine of a single list, once per worker process; only the last one loaded is kept.

    Args:
        engine: One of `ENGINES`.
        path: The engine's file on this executor.
        metadata_digest: The digest of the list that the job works with.

    Raises:
        ValueError: If there is no such engine, or the file holds another list or several.
        OSError: If the file cannot be read.
    """
    key = _key(engine, metadata_digest)
    if key not in _loaded:
        _loaded.clear()
        if is_list_file(path):
            engines = load_list_engines(engine, path, metadata_digest)
            if len(engines) != 1:
                raise ValueError(f"{path} has {len(engines)} lists, of which each text needs one; load them as lists")
            _loaded[key] = next(iter(engines.values()))
        elif engine == "token":
            _loaded[key] = TokenAutomaton(open_token_tables(path, metadata_digest))
        else:
            _loaded[key] = CharacterAutomaton(read_entries(path, metadata_digest))
    return _loaded[key]


def load_list_engines(engine: str, path: str, metadata_digest: str) -> Mapping[str, MatchEngine]:
    """Loads the engines of several lists, once per worker process; only the last ones loaded are kept.

    Args:
        engine: One of `ENGINES`.
        path: The engines' file on this executor.
        metadata_digest: The digest of the lists that the job works with.

    Returns:
        The engine of each list by its code, made when it is first asked for; ids are those of all lists together.

    Raises:
        ValueError: If there is no such engine, or the file holds other lists.
        OSError: If the file cannot be read.
    """
    key = _key(engine, metadata_digest)
    if key not in _loaded_lists:
        _loaded_lists.clear()
        _loaded_lists[key] = ListEngines(path, engine, metadata_digest)
    return _loaded_lists[key]


def _key(engine: str, metadata_digest: str) -> tuple[str, str]:
    """Names what is loaded.

    Raises:
        ValueError: If there is no such engine.
    """
    if engine not in ENGINES:
        raise ValueError(f"there is no engine {engine!r}; use one of {', '.join(ENGINES)}")
    return engine, metadata_digest
