"""Matching with word borders: words of a script without spaces, and many lists, each in turns with what it replaces.

`words`: the token automaton, cutting into units included, against pyahocorasick with the border test, texts of ten
characters. `lists`: many lists, each row matched against one of them, against one list. Processor seconds; prints JSON.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tests.benchmarks.bench_match import BATCH, make_entries, make_texts, zipf_places
from udfs.matching.aho_corasick import CharacterAutomaton
from udfs.matching.list_file import ListEngines, write_list_tables
from udfs.matching.token_automaton import TokenAutomaton, build_token_tables

TEXT_CHARACTERS = 10
HAN, KANA = (0x4E00, 3_000), (0x3041, 86)


def script_words(number: int, generator: np.random.Generator) -> list[str]:
    """Makes distinct words of one to four Han or kana characters."""
    words: dict[str, None] = {}
    while len(words) < number:
        first, size = HAN if generator.random() < 0.7 else KANA
        places = zipf_places(int(generator.choice([1, 2, 2, 2, 3, 4])), size, generator)
        words["".join(chr(first + place) for place in places)] = None
    return list(words)


def script_texts(number: int, words: Sequence[str], generator: np.random.Generator) -> list[str]:
    """Makes texts of ten characters: words by Zipf's law, one after the other."""
    return [
        "".join(words[place] for place in zipf_places(TEXT_CHARACTERS, len(words), generator))[:TEXT_CHARACTERS]
        for _ in range(number)
    ]


def in_turns(sides: dict[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Gives processor seconds of each side and round."""
    spent: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, work in sides.items():
            begin = time.process_time()
            work()
            spent[name].append(time.process_time() - begin)
    return spent


def batches_of(texts: Sequence[str]) -> list[pa.Array]:
    """Makes Arrow arrays as Spark hands them over."""
    return [pa.array(texts[start : start + BATCH]) for start in range(0, len(texts), BATCH)]


def report_of(name: str, spent: dict[str, list[float]], **more: Any) -> dict[str, Any]:
    """Puts medians and rounds together; the ratio is the second side by the first."""
    medians = {side: statistics.median(rounds) for side, rounds in spent.items()}
    first, second = medians.values()
    return {"name": name, "ratio": second / first, "medians": medians, "rounds": spent, **more}


def compare_words(words: Sequence[str], number_of_texts: int, repeats: int) -> dict[str, Any]:
    """Measures words of a script without spaces."""
    batches = batches_of(script_texts(number_of_texts, words, np.random.default_rng(0)))
    tables = build_token_tables(words, "", word_borders="script")
    ours, theirs = TokenAutomaton(tables), CharacterAutomaton(words, word_borders="script")
    found = [ours.match(batch) for batch in batches]
    equal = all(mine.equals(theirs.match(batch)) for mine, batch in zip(found, batches, strict=True))
    sides = {"token": ours, "pyahocorasick": theirs}
    spent = in_turns({name: lambda side=side: [*map(side.match, batches)] for name, side in sides.items()}, repeats)
    matches = sum(len(each.flatten()) for each in found) / number_of_texts
    return report_of("words", spent, equal=equal, words=len(words), matches_per_text=matches, table_bytes=tables.size)


def match_grouped(engines: ListEngines, codes: Sequence[str], texts: pa.Array, places: np.ndarray) -> pa.Array:
    """Matches a batch list by list, and puts the rows back in order."""
    order = np.argsort(places, kind="stable")
    ends = np.searchsorted(places[order], np.arange(len(codes) + 1))
    grouped = texts.take(pa.array(order))
    found = [
        engines[code].match(grouped[start:end])
        for code, start, end in zip(codes, ends, ends[1:], strict=False)
        if end > start
    ]
    return pa.concat_arrays(found).take(pa.array(np.argsort(order)))


def compare_lists(lists: int, entries: int, number_of_texts: int, repeats: int) -> dict[str, Any]:
    """Measures many lists, of which few have most texts, against one list of 500,000 entries at most."""
    generator = np.random.default_rng(0)
    single = make_entries(min(entries, 500_000), generator)
    texts = make_texts(number_of_texts, single, generator)
    codes = [f"l{place:03}" for place in range(lists)]
    each = entries // lists
    parts = {code: pa.array(np.array(single)[generator.choice(len(single), each, replace=False)]) for code in codes}
    batches = batches_of(texts)
    places = [zipf_places(len(batch), lists, generator) for batch in batches]
    one = TokenAutomaton(build_token_tables(single, ""))
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "lists"))
        write_list_tables(parts.items(), path, engine="token", metadata_digest="", word_borders="script")
        size = Path(path).stat().st_size
        many = ListEngines(path, "token", "")
        found = [match_grouped(many, codes, *batch) for batch in zip(batches, places, strict=True)]
        sides: dict[str, Callable[[], object]] = {
            "one list": lambda: [*map(one.match, batches)],
            "many lists": lambda: [match_grouped(many, codes, *batch) for batch in zip(batches, places, strict=True)],
        }
        spent = in_turns(sides, repeats)
    matches = pc.sum(pa.array(len(each.flatten()) for each in found)).as_py() / number_of_texts
    return report_of("lists", spent, lists=lists, entries=each * lists, matches_per_text=matches, file_bytes=size)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark; fails where the engines disagree."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--words-file", help="a JSON list of words instead of made ones")
    parser.add_argument("--words", type=int, default=300_000)
    parser.add_argument("--texts", type=int, default=40_000)
    parser.add_argument("--lists", type=int, default=140)
    parser.add_argument("--entries", type=int, default=3_000_000)
    parser.add_argument("--list-texts", type=int, default=200_000)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args(argv)
    file = options.words_file
    words = json.loads(Path(file).read_text("utf-8")) if file else script_words(options.words, np.random.default_rng(1))
    report = [compare_words(words, options.texts, options.repeats)]
    if options.lists:
        report.append(compare_lists(options.lists, options.entries, options.list_texts, options.repeats))
    print(json.dumps(report, indent=2))
    return 0 if report[0]["equal"] else 1


if __name__ == "__main__":
    sys.exit(main())
