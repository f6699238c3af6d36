"""This project's token automaton over batches of texts. Argument: a JSON file with `entries` and `texts`."""

import json
import pathlib
import sys

import pyarrow as pa
from loop import Pair, compete

from udfs.matching.token_automaton import TokenAutomaton, build_token_tables

BATCH = 10_000
INPUT = json.loads(pathlib.Path(sys.argv[1]).read_text("utf-8"))
AUTOMATON = TokenAutomaton(build_token_tables(INPUT["entries"], "0" * 64))
BATCHES = [pa.array(INPUT["texts"][start : start + BATCH]) for start in range(0, len(INPUT["texts"]), BATCH)]


def work(_path: str) -> list[pa.Array]:
    """Matches every text."""
    return [AUTOMATON.match(batch) for batch in BATCHES]


def pairs_of(found: list[pa.Array]) -> list[Pair]:
    """Names each text's entries."""
    every = (ids for array in found for ids in array.to_pylist())
    return [(str(number), " ".join(map(str, sorted(ids)))) for number, ids in enumerate(every)]


compete(work, pairs_of)
