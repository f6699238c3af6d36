"""The character automaton: pyahocorasick over spaced texts, the published way and the reference engine.

Also the form in which a metadata list travels: its compact JSON, whose digest is the list's digest.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import ahocorasick
import pyarrow as pa

from udfs.pairs.text import spacing


def entries_as_json(entries: Sequence[str]) -> bytes:
    """Gives the one form of a metadata list that its digest is made from.

    Args:
        entries: The entries, in the order of their ids.

    Returns:
        A compact JSON list in UTF-8.

    Raises:
        UnicodeEncodeError: If an entry holds a lone surrogate.
    """
    return json.dumps(list(entries), ensure_ascii=False, separators=(",", ":")).encode()


def write_entries(entries: Sequence[str], metadata_digest: str, path: str) -> None:
    """Writes a metadata list for the workers.

    Args:
        entries: The entries, in the order of their ids.
        metadata_digest: The list's digest.
        path: The file to write; an existing one is replaced.

    Raises:
        ValueError: If the digest is another list's.
        OSError: If the file cannot be written.
    """
    content = entries_as_json(entries)
    _check_digest(content, metadata_digest, "the list to be written")
    Path(path).write_bytes(content)


def read_entries(path: str, metadata_digest: str) -> list[str]:
    """Reads a metadata list that `write_entries` wrote.

    Args:
        path: The file.
        metadata_digest: The digest of the list that the caller works with.

    Returns:
        The entries, in the order of their ids.

    Raises:
        ValueError: If the file holds another list.
        OSError: If the file cannot be read.
    """
    content = Path(path).read_bytes()
    _check_digest(content, metadata_digest, path)
    entries: list[str] = json.loads(content)
    return entries


def _check_digest(content: bytes, metadata_digest: str, name: str) -> None:
    """Compares digests.

    Raises:
        ValueError: If they differ.
    """
    digest = hashlib.sha256(content).hexdigest()
    if digest != metadata_digest:
        raise ValueError(f"{name} has the metadata digest {digest}, but this job works with {metadata_digest}")


class CharacterAutomaton:
    """Matches texts one by one with pyahocorasick; slower than the token automaton, and with identical results."""

    def __init__(self, entries: Sequence[str]) -> None:
        """Builds the automaton over the entries, with one space at each end, in the order of their ids."""
        self._automaton = ahocorasick.Automaton()
        for entry_id, entry in enumerate(entries):
            self._automaton.add_word(f" {entry} ", entry_id)
        self._automaton.make_automaton()

    def match(self, texts: pa.Array) -> pa.ListArray:
        """Finds every entry in each text.

        Args:
            texts: n strings; null counts as a text without entries.

        Returns:
            n lists of int32, sorted and distinct.
        """
        # iter_long would lose the entries that lie within longer ones.
        found = (
            []
            if text is None or not len(self._automaton)
            else sorted({entry for _, entry in self._automaton.iter(spacing(text))})
            for text in texts.to_pylist()
        )
        return pa.array(found, pa.list_(pa.int32()))
