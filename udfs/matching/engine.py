"""The two engines that match texts against metadata entries, and the one copy of an engine that a worker process keeps.

Both give identical ids (the paper, section 3.1); the token automaton is the default, for its speed.
"""

from typing import Protocol

import pyarrow as pa

from udfs.matching.aho_corasick import CharacterAutomaton
from udfs.matching.entries import read_entries
from udfs.matching.token_automaton import (
    TokenAutomaton,
    open_token_tables,
)

ENGINES = ("token", "pyahocorasick")
"""The token automaton reads a file of `write_token_tables`; pyahocorasick reads one of `write_entries`."""


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


def load_engine(engine: str, path: str, metadata_digest: str) -> MatchEngine:
    """Loads an engine, once per worker process; only the last one loaded is kept.

    Args:
        engine: One of `ENGINES`.
        path: The engine's file on this executor.
        metadata_digest: The digest of the list that the job works with.

    Raises:
        ValueError: If there is no such engine, or the file holds another list.
        OSError: If the file cannot be read.
    """
    if engine not in ENGINES:
        raise ValueError(f"there is no engine {engine!r}; use one of {', '.join(ENGINES)}")
    key = (engine, metadata_digest)
    if key not in _loaded:
        _loaded.clear()
        if engine == "token":
            _loaded[key] = TokenAutomaton(open_token_tables(path, metadata_digest))
        else:
            _loaded[key] = CharacterAutomaton(read_entries(path, metadata_digest))
    return _loaded[key]
