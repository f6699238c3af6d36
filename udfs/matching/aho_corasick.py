"""The character automaton: pyahocorasick over spaced texts, the published way and the reference engine."""

from collections.abc import Callable, Sequence

import ahocorasick
import pyarrow as pa

from udfs.matching.borders import border, check_word_borders, metaclip2_pattern
from udfs.matching.spacing import spacing


class CharacterAutomaton:
    """Matches texts one by one with pyahocorasick; slower than the token automaton, and with identical results."""

    def __init__(self, entries: Sequence[str], *, word_borders: str = "spaces", first_id: int = 0) -> None:
        """Builds the automaton over the entries, in the order of their ids.

        Args:
            entries: The entries.
            word_borders: One of `udfs.matching.borders.WORD_BORDERS`.
            first_id: The id of the first entry.

        Raises:
            ValueError: If there are no such word borders.
        """
        check_word_borders(word_borders, "pyahocorasick")
        self._find = self._between_borders if word_borders == "script" else self._with_spaces
        self._automaton = ahocorasick.Automaton()
        for entry_id, entry in enumerate(entries, first_id):
            value = (entry_id, len(entry)) if word_borders == "script" else entry_id
            self._automaton.add_word(_PATTERNS[word_borders](entry), value)
        self._automaton.make_automaton()

    def match(self, texts: pa.Array) -> pa.ListArray:
        """Does what `MatchEngine.match` does."""
        found = (
            [] if text is None or not len(self._automaton) else sorted(self._find(spacing(text)))
            for text in texts.to_pylist()
        )
        return pa.array(found, pa.list_(pa.int32()))

    def _with_spaces(self, spaced: str) -> set[int]:
        """Finds the entries whose patterns, with the spaces that they need, are in a spaced text."""
        # iter_long would lose the entries that lie within longer ones.
        return {entry_id for _, entry_id in self._automaton.iter(spaced)}

    def _between_borders(self, spaced: str) -> set[int]:
        """Finds the entries that stand between borders."""
        return {
            entry_id
            for last, (entry_id, length) in self._automaton.iter(spaced)
            # A spaced text begins and ends with a space; an entry may be that space.
            if length <= last < len(spaced) - 1
            and _is_end(spaced[last + 1], spaced[last : last + 2])
            and _is_end(spaced[last - length], spaced[last - length : last - length + 2])
        }


def _is_end(outer: str, pair: str) -> bool:
    """Tells whether an entry may end between two characters, of which the outer one is not the entry's."""
    return outer == " " or (" " not in pair and border(*pair))


_PATTERNS: dict[str, Callable[[str], str]] = {
    "spaces": lambda entry: f" {entry} ",
    "script": str,
    "metaclip2": metaclip2_pattern,
}
