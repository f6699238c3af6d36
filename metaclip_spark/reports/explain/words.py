"""Where words may begin and end in a text, by each of the rules for word borders."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from metaclip_spark.entries import SPACES
from udfs.matching.borders import border, metaclip2_pattern
from udfs.matching.spacing import spacing


@dataclass(frozen=True)
class Words:
    """Where words may begin and end in a spaced text.

    An entry matches where it stands from one of the first places to one of the others.

    Attributes:
        spaced: The spaced text.
        begins: Where words may begin, ascending.
        ends: Where they may end, ascending: each is the place behind a word.
    """

    spaced: str
    begins: Sequence[int]
    ends: Sequence[int]

    def ends_after(self, begin: int, most: int) -> Sequence[int]:
        """Gives where words that begin at a place may end, the nearest first, at most so many."""
        first = bisect_left(self.ends, begin)
        return self.ends[first : first + most]

    def from_place(self, begin: int, most: int) -> Iterator[str]:
        """Yields the words that begin at a place, the shortest first, at most so many."""
        for end in self.ends_after(begin, most):
            yield self.spaced[begin:end]


def words_of(text: str, word_borders: str) -> Words:
    """Finds where words may begin and end in a text that is not spaced yet."""
    spaced = spacing(text)
    inside = range(1, len(spaced))
    is_begin, is_end = _RULES[word_borders]
    return Words(
        spaced,
        [place for place in inside if spaced[place - 1] == " " or is_begin(spaced[place - 1], spaced[place])],
        [place for place in inside if spaced[place] == " " or is_end(spaced[place - 1], spaced[place])],
    )


def most_words(entry: str, word_borders: str) -> int:
    """Tells how many ends of words, at most, there are from where an entry begins to where it ends."""
    return entry.count(" ") + 1 if word_borders == SPACES else len(entry) + 1


_Rule = Callable[[str, str], bool]
"""Whether a word may begin, or end, between two neighbouring characters of which the outer one is no space."""


def _never(_before: str, _after: str) -> bool:
    return False


def _between_scripts(before: str, after: str) -> bool:
    return " " not in before + after and border(before, after)


def _begins_alone(_before: str, after: str) -> bool:
    return _needs_no_space(after)


def _ends_alone(before: str, _after: str) -> bool:
    return _needs_no_space(before)


def _needs_no_space(character: str) -> bool:
    return metaclip2_pattern(character) == character


_RULES: dict[str, tuple[_Rule, _Rule]] = {
    SPACES: (_never, _never),
    "script": (_between_scripts, _between_scripts),
    "metaclip2": (_begins_alone, _ends_alone),
}
