"""Plain text to tokens and pairs of neighbours, and counting them in bounded memory."""

import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, pairwise

import pyarrow as pa

from udfs.matching.spacing import SEPARATOR_MARKS
from udfs.schemas import WORD_COUNTS
from udfs.wikipedia.words import lacks_spaces, words_in

SURROUNDING = "\"'" + "".join(
    character
    for character in map(chr, range(sys.maxunicode + 1))
    if unicodedata.category(character) in {"Ps", "Pe", "Pi", "Pf"}
)
"""What is stripped from a token's ends: the brackets and quotation marks of all scripts."""

ENGLISH = "en"

STOPS = "।॥۔؟،؛።፣།༎၊။។៕。、｡､！，．：；？"
"""Full stops, commas and the like of other scripts than those of the seven marks."""

_RUN_END = re.compile(f"[{re.escape(SEPARATOR_MARKS)}\n\r]")
_ROWS_PER_BATCH = 50_000


def token_runs(text: str, language: str = ENGLISH) -> Iterator[list[str]]:
    """Cuts plain text into runs of tokens, as metadata counts them; bigrams are two neighbours in one run.

    The tokens are those of the spaced text (`udfs.matching.spacing`) split on spaces, without the seven marks, with
    `SURROUNDING` stripped, case kept, empty ones dropped: so an entry made of tokens can match. A run ends at each of
    the seven marks and at each line break, since in wikitext a line is a paragraph, a heading or a list item. In
    languages without spaces what stands between spaces is cut into words, and a run ends at each bracket, too.
    """
    for run in _RUN_END.split(text):
        chunks = run.replace("\t", " ").split(" ")
        if lacks_spaces(language):
            words = (word.strip(SURROUNDING) for chunk in chunks if chunk for word in words_in(chunk, language))
            yield from _without_empty(words)
        elif tokens := [stripped for token in chunks if (stripped := token.strip(SURROUNDING))]:
            yield tokens


def _without_empty(words: Iterable[str]) -> Iterator[list[str]]:
    return (list(run) for is_word, run in groupby(words, bool) if is_word)


def neighbours(tokens: Sequence[str], language: str = ENGLISH) -> Iterator[tuple[str, str]]:
    """Pairs each token of a run with the next one.

    A token keeps the full stops and commas of other scripts, as matching sees it, but no bigram reaches across one. The
    English list is counted as it is published, without that.
    """
    pairs = pairwise(tokens)
    if language == ENGLISH:
        return pairs
    return ((first, second) for first, second in pairs if first[-1] not in STOPS and second[0] not in STOPS)


class NgramCounts:
    """Counts of tokens and of neighbours that a worker holds until they are too many."""

    def __init__(self, most_held: int, language: str = ENGLISH) -> None:
        """Starts empty; `is_full` above `most_held` distinct tokens and bigrams."""
        self._most_held = most_held
        self._language = language
        self._unigrams: Counter[str] = Counter()
        self._bigrams: Counter[tuple[str, str]] = Counter()

    def add(self, text: str) -> None:
        """Counts the tokens and bigrams of a plain text."""
        for tokens in token_runs(text, self._language):
            self._unigrams.update(tokens)
            self._bigrams.update(neighbours(tokens, self._language))

    @property
    def is_full(self) -> bool:
        """Whether more is held than allowed, so that `take` is due."""
        return len(self._unigrams) + len(self._bigrams) > self._most_held

    def take(self) -> Iterator[pa.RecordBatch]:
        """Hands out what is held, as `WORD_COUNTS`, and starts anew."""
        yield from count_batches("unigram", self._unigrams)
        yield from count_batches("bigram", self._bigrams)
        self._unigrams.clear()
        self._bigrams.clear()


def tally_batches(tally: Counter[str], file: str) -> Iterator[pa.RecordBatch]:
    """Turns what a file held and lost, counted by reason, into batches of `WORD_COUNTS` of kind `tally`."""
    return count_batches("tally", Counter({(reason, file): count for reason, count in tally.items()}))


def count_batches(kind: str, counts: Counter[str] | Counter[tuple[str, str]]) -> Iterator[pa.RecordBatch]:
    """Turns counts by word, or by word and next word, into batches of `WORD_COUNTS`, without zero counts."""
    keys = [key for key, count in counts.items() if count]
    for first in range(0, len(keys), _ROWS_PER_BATCH):
        part = keys[first : first + _ROWS_PER_BATCH]
        words = [key if isinstance(key, str) else key[0] for key in part]
        next_words = [None if isinstance(key, str) else key[1] for key in part]
        values = [counts[key] for key in part]  # type: ignore[index]
        yield pa.RecordBatch.from_arrays(
            [
                pa.array([kind] * len(part), pa.string()),
                pa.array(words, pa.string()),
                pa.array(next_words, pa.string()),
                pa.array(values, pa.int64()),
            ],
            schema=WORD_COUNTS,
        )
