"""Both engines against the rules for word borders, over made and real texts; run as a module it is the long form."""

import html
import os
import random
import re
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import pyarrow as pa
from fastwarc.warc import ArchiveIterator

from tests.support.word_borders import ALPHABET, BREAK, oracle_ids
from udfs.matching.aho_corasick import CharacterAutomaton
from udfs.matching.borders import WORD_BORDERS
from udfs.matching.token_automaton import TokenAutomaton, build_token_tables

_TAG = re.compile(rb"<[^>]*>")
_LONGEST = 120
_BREAK_BYTE = 0xE0


def compared(texts: Sequence[str], entries: Sequence[str]) -> int:
    """Compares what both engines find with the rules; gives the number of decisions on a text and an entry.

    Raises:
        AssertionError: If they differ.
    """
    array = pa.array(texts, pa.string())
    decisions = 0
    for rule in WORD_BORDERS:
        expected = oracle_ids(texts, entries, rule)
        engines = [CharacterAutomaton(entries, word_borders=rule)]
        if rule != "metaclip2":
            engines.append(TokenAutomaton(build_token_tables(entries, "", word_borders=rule)))
        for engine in engines:
            found = engine.match(array).to_pylist()
            differing = [place for place, ids in enumerate(found) if ids != expected[place]]
            assert not differing, (rule, type(engine).__name__, texts[differing[0]], found[differing[0]], entries)
        decisions += len(texts) * len(entries)
    return decisions


def made_trial(generator: random.Random) -> int:
    """Compares random texts over a few characters of the alphabet with random entries over them."""
    letters = [*generator.sample(ALPHABET, 6), " "]
    texts = ["".join(generator.choices(letters, k=generator.randrange(14))) for _ in range(60)]
    entries = {"".join(generator.choices(letters, k=generator.randint(1, 4))) for _ in range(60)}
    return compared(texts, sorted(entries))


def real_texts(folder: str) -> Iterator[str]:
    """Gives the distinct lines of real pages that hold break characters."""
    met = set()
    with Path(folder, "archives", "debian-docs.warc.gz").open("rb") as file:
        for record in ArchiveIterator(file):
            for line in _TAG.sub(b"\n", record.reader.read()).split(b"\n"):
                # Most lines have no such byte, which is found sooner than a character.
                if max(line, default=0) < _BREAK_BYTE:
                    continue
                text = html.unescape(line.decode("utf-8", "replace")).strip()[:_LONGEST]
                if text not in met and BREAK.search(text):
                    met.add(text)
                    yield text


def real_trial(folder: str, number: int, generator: random.Random) -> int:
    """Compares real texts with pieces of them and with their words."""
    texts = list(islice(real_texts(folder), number))
    assert len(texts) == number or number > 10_000
    entries = set()
    for text in generator.choices(texts, k=300):
        start = generator.randrange(len(text))
        entries.update({text[start : start + generator.randint(1, 4)], generator.choice(text.split())})
    return compared(texts, sorted(entries))


def main() -> None:
    """Runs as many made trials as the argument says, and all real texts where METACLIP_TEST_DATA names a folder."""
    generator = random.Random(0)
    print(sum(made_trial(generator) for _ in range(int(sys.argv[1]))), "decisions on made texts, no difference")
    if folder := os.environ.get("METACLIP_TEST_DATA"):
        print(real_trial(folder, 20_000, generator), "decisions on real texts, no difference")


if __name__ == "__main__":
    main()
