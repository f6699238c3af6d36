"""P1: matching on one core, the token automaton against the published way, both on one input in one run.

The published way: spaced text in Python, pyahocorasick's `iter` per text, a set. It starts from Python strings and ends
with Python sets, the token automaton starts and ends with Arrow, as each would in a job. Prints one JSON object.
"""

import argparse
import hashlib
import json
import os
import platform
import re
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import ahocorasick
import numpy as np
import pyarrow as pa

from tests.benchmarks.peers import CHECKOUT, compare, peers_python
from udfs.matching.entries import entries_as_json
from udfs.matching.spacing import spacing
from udfs.matching.token_automaton import TokenAutomaton, build_token_tables

FUNCTION_WORDS = re.findall(r"\w+", "of in and for the The with to photo a image A on by from at is an new as")
SYLLABLES = re.findall(r"\w+", "ba ce di fo gu ha je ki lo mu na pe ri so tu va we xi yo zu an er in or un st el ch om")
SINGLE_WORDS_SHARE = 0.7
BATCH = 10_000
LIBRARIES = ("ahocorasick_rs", "daachorse")


def synthetic_words(number: int, generator: np.random.Generator) -> list[str]:
    """Makes distinct words, the more frequent ones shorter."""
    words: dict[str, None] = {}
    while len(words) < number:
        syllables = 1 + int(np.log(len(words) + 10) / np.log(20))
        word = "".join(SYLLABLES[place] for place in generator.integers(len(SYLLABLES), size=syllables + 1))
        words[word.capitalize() if generator.random() < 0.2 else word] = None
    return list(words)


def wordnet_lemmas(folder: str) -> list[str]:
    """Reads the lemmas of WordNet's index files, the common ones (of many senses) first."""
    senses: dict[str, int] = {}
    for part in ("noun", "verb", "adj", "adv"):
        for line in Path(folder, f"index.{part}").read_text("utf-8").splitlines():
            if not line.startswith(" "):
                lemma, _, number = line.split(" ")[:3]
                senses[lemma.replace("_", " ")] = senses.get(lemma.replace("_", " "), 0) + int(number)
    return sorted(senses, key=lambda lemma: (-senses[lemma], len(lemma), lemma))


def make_entries(number: int, generator: np.random.Generator) -> list[str]:
    """Makes a metadata list: single words by falling frequency, then entries of several words."""
    folder = os.environ.get("METACLIP_WORDNET")
    lemmas = wordnet_lemmas(folder) if folder else []
    singles = [*dict.fromkeys(FUNCTION_WORDS), *(lemma for lemma in lemmas if " " not in lemma)]
    wanted = int(number * SINGLE_WORDS_SHARE)
    singles = list(dict.fromkeys([*singles, *synthetic_words(wanted, generator)]))[:wanted]
    entries = dict.fromkeys([*singles, *(lemma for lemma in lemmas if " " in lemma)][:number])
    while len(entries) < number:
        words = zipf_places(int(generator.choice([2, 2, 2, 3, 4])), len(singles), generator)
        entries[" ".join(singles[place] for place in words)] = None
    return list(entries)


def zipf_places(number: int, largest: int, generator: np.random.Generator) -> np.ndarray:
    """Draws places in a list with a chance that falls as one over the rank."""
    return np.minimum((largest + 1) ** generator.random(number) - 1, largest - 1).astype(np.int64)


def make_texts(number: int, entries: Sequence[str], generator: np.random.Generator) -> list[str]:
    """Makes texts of about 9 words: entries by Zipf's law, words that are none, file names, marks."""
    unknown = [f"q{word}{place % 10}" for place, word in enumerate(synthetic_words(5000, generator))]
    several = [entry for entry in entries if " " in entry]
    texts = []
    for length in np.maximum(generator.poisson(7, number), 1):
        singles = zipf_places(length, int(len(entries) * SINGLE_WORDS_SHARE), generator)
        kinds = generator.random(length)
        pieces = [
            unknown[place % len(unknown)] if kind < 0.12
            else several[place % len(several)] if kind < 0.16
            else f"IMG_{place}.JPG" if kind < 0.17
            else f"{entries[place]}," if kind < 0.25
            else f"({entries[place]})" if kind < 0.27
            else entries[place]
            for place, kind in zip(singles, kinds, strict=True)
        ]  # fmt: skip
        texts.append(" ".join(pieces) + ("." if kinds[0] < 0.3 else ""))
    return texts


def published_way(entries: Sequence[str]) -> Callable[[Sequence[str]], list[set[int]]]:
    """Builds the automaton over characters, and gives the function that matches with it."""
    automaton = ahocorasick.Automaton()
    for entry_id, entry in enumerate(entries):
        automaton.add_word(f" {entry} ", entry_id)
    automaton.make_automaton()
    return lambda texts: [{entry_id for _, entry_id in automaton.iter(spacing(text))} for text in texts]


def seconds(work: Callable[[], object]) -> float:
    """Times one call."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark; fails where the two ways disagree."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=500_000)
    parser.add_argument("--texts", type=int, default=200_000)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args(argv)
    report = measure(options.entries, options.texts, options.repeats)
    print(json.dumps(report, indent=2))
    return 0 if report["equal"] else 1


def measure(number_of_entries: int, number_of_texts: int, repeats: int) -> dict[str, Any]:
    """Measures both ways in turns and compares what they found."""
    generator = np.random.default_rng(0)
    entries = make_entries(number_of_entries, generator)
    texts = make_texts(number_of_texts, entries, generator)
    digest = hashlib.sha256(entries_as_json(entries)).hexdigest()
    build_token_tables(["compiles the loops"], digest)
    builds = [seconds(lambda: build_token_tables(entries, digest)) for _ in range(repeats)]
    tables = build_token_tables(entries, digest)
    ours = TokenAutomaton(tables)
    theirs = published_way(entries)
    batches = [pa.array(texts[start : start + BATCH]) for start in range(0, len(texts), BATCH)]
    ours.match(batches[0])

    found = [ids for batch in batches for ids in ours.match(batch).to_pylist()]
    expected = [sorted(ids) for ids in theirs(texts)]
    timings = [
        (seconds(lambda: [ours.match(batch) for batch in batches]), seconds(lambda: theirs(texts)))
        for _ in range(repeats)
    ]
    our_time, their_time = (statistics.median(side) for side in zip(*timings, strict=True))
    return {
        "id": "P1",
        "seconds": {"token": our_time, "published": their_time},
        "ratio": their_time / our_time,
        "ratios": [theirs / ours for ours, theirs in timings],
        "equal": found == expected,
        "texts_per_second": {"token": len(texts) / our_time, "published": len(texts) / their_time},
        "entries": len(entries),
        "texts": len(texts),
        "bytes_per_text": sum(len(text.encode()) for text in texts) / len(texts),
        "matches_per_text": sum(map(len, expected)) / len(texts),
        "table_bytes": tables.size,
        "build_seconds": builds,
        "wordnet": "METACLIP_WORDNET" in os.environ,
        "machine": platform.processor() or platform.machine(),
        "versions": {name: version(name) for name in ("numba", "numpy", "pyarrow", "pyahocorasick")},
    }


def against_libraries(number_of_entries: int, number_of_texts: int, repeats: int) -> list[dict[str, Any]]:
    """Measures the token automaton in turns with other libraries, each in a process of its own; processor seconds."""
    generator = np.random.default_rng(0)
    entries = make_entries(number_of_entries, generator)
    texts = make_texts(number_of_texts, entries, generator)
    path = CHECKOUT / "build" / "benchmark-data" / f"texts-{number_of_entries}-{number_of_texts}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"entries": entries, "texts": texts}), "utf-8")
    contestants = {name: [peers_python(), "match_texts.py", str(path), name] for name in LIBRARIES}
    report = compare({"token": [sys.executable, "token_texts.py", str(path)], **contestants}, repeats)
    medians = {name: numbers["processor"] for name, numbers in report.items()}
    return [
        {
            "id": f"P1-{name}",
            "what": f"times as fast as {name}",
            "target": 1.0,
            "reached": medians[name] / medians["token"],
            "equal": report[name]["found"] == report["token"]["found"],
            "medians": medians,
            "rounds": {side: numbers["rounds"] for side, numbers in report.items()},
            "input": {"entries": number_of_entries, "texts": number_of_texts},
        }
        for name in LIBRARIES
    ]


if __name__ == "__main__":
    sys.exit(main())
