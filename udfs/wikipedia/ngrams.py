"""Plain text to tokens and pairs of neighbours, and counting them in bounded memory."""

import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import pyarrow as pa

from udfs.matching.spacing import SEPARATOR_MARKS
from udfs.schemas import WORD_COUNTS

SURROUNDING = "\"'" + "".join(
    character
    for character in map(chr, range(sys.maxunicode + 1))
    if unicodedata.category(character) in {"Ps", "Pe", "Pi", "Pf"}
)
"""What is stripped from a token's ends: the brackets and quotation marks of all scripts."""

_RUN_END = re.compile(f"[{re.escape(SEPARATOR_MARKS)}\n\r]")
_ROWS_PER_BATCH = 50_000


def token_runs(text: str) -> Iterator[list[str]]:
    """Cuts plain text into runs of tokens, as metadata counts them; bigrams are two neighbours in one run.

    The tokens are those of the spaced text (`udfs.matching.spacing`) split on spaces, without the seven marks, with
    `SURROUNDING` stripped, case kept, empty ones dropped: so an entry made of tokens can match. A run ends at each of
    the seven marks and at each line break, since in wikitext a line is a paragraph, a heading or a list item.
    """
    for run in _RUN_END.split(text):
        tokens = [stripped for token in run.replace("\t", " ").split(" ") if (stripped := token.strip(SURROUNDING))]
        if tokens:
            yield tokens


class NgramCounts:
    """Counts of tokens and of neighbours that a worker holds until they are too many."""

    def __init__(self, most_held: int) -> None:
        """Starts empty; `is_full` above `most_held` distinct tokens and bigrams."""
        self._most_held = most_held
        self._unigrams: Counter[str] = Counter()
        self._bigrams: Counter[tuple[str, str]] = Counter()

    def add(self, text: str) -> None:
        """Counts the tokens and bigrams of a plain text."""
        for tokens in token_runs(text):
            self._unigrams.update(tokens)
            self._bigrams.update(pairwise(tokens))

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
