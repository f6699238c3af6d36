"""The match step with many lists against that with one list, over the same texts, in turns.

Processor seconds of all processes below this one, Spark's and the workers', of each of which a text's language is read
from a column; and what identifying it costs beside that. Prints JSON.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from metaclip_spark.config.languages import LANGUAGES
from metaclip_spark.entries import load_metadata
from metaclip_spark.steps.match import match_pairs, routing_of
from metaclip_spark.stores.session import LOCAL_SETTINGS, SETTINGS
from tests.benchmarks.bench_driver_memory import descendants
from tests.benchmarks.bench_match import make_entries, make_texts, zipf_places
from udfs.pairs.rules import pair_id
from udfs.schemas import MATCHED, PAIRS

_TICKS = os.sysconf("SC_CLK_TCK")
_TIMES = slice(11, 15)
"""Where /proc/<process>/stat has, behind the name, the times of a process and of its ended children."""

_SINGLE_ENTRIES = 500_000


def processor_seconds() -> float:
    """Adds up what this process and all below it have used; those that ended are counted by their parents."""
    ticks = 0
    for process in (os.getpid(), *descendants(os.getpid())):
        try:
            fields = Path(f"/proc/{process}/stat").read_text("utf-8").rpartition(")")[2].split()
        except OSError:
            continue
        ticks += sum(map(int, fields[_TIMES]))
    return ticks / _TICKS


def make_input(folder: Path, lists: int, entries: int, texts: int) -> None:
    """Makes a pool, a single list, and many lists of parts of its words; few lists have most texts."""
    generator = np.random.default_rng(0)
    single = make_entries(min(entries, _SINGLE_ENTRIES), generator)
    # Labels of the model, which makes something else of such texts: most are then of few lists.
    codes = sorted(LANGUAGES)[:lists]
    write_list(folder / "single.json", single)
    for code in codes:
        # The frequent words stand first: half of the most frequent are in a list, so that most texts match.
        places = generator.choice(min(len(single), 2 * (entries // lists)), entries // lists, replace=False)
        write_list(folder / "lists" / code / "metadata.json", [single[place] for place in places])
    files = {code: {"file": f"{code}/metadata.json"} for code in codes}
    content = {"format": 1, "anchor": codes[0], "lists": files, "labels": {code: code for code in codes}}
    (folder / "lists" / "languages.json").write_text(json.dumps(content), "utf-8")
    labels = [codes[place] for place in zipf_places(texts, lists, generator)]
    write_pool(folder / "pool", make_texts(texts, single, generator), labels)


def read_input(folder: Path, made: Path) -> None:
    """Takes pool and lists of tests/data/make_worldwide_pool.py; the single list has the entries of all."""
    (folder / "lists").symlink_to(made.resolve() / "lists")
    write_list(folder / "single.json", [*dict.fromkeys(load_metadata(str(made / "lists")).entries)])
    table = pq.read_table(made / "pool.parquet")
    write_pool(folder / "pool", table["alt_text"].to_pylist(), table["language"].to_pylist())


def write_list(file: Path, entries: Sequence[str]) -> None:
    """Writes a list."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(entries), "utf-8")


def write_pool(folder: Path, texts: Sequence[str], labels: Sequence[str]) -> None:
    """Writes pairs as the deduplicate step leaves them, in two files."""
    folder.mkdir()
    urls = [f"https://images.example.org/{place % 9973}/{place}.jpg" for place in range(len(texts))]
    rows = sorted((pair_id(url, text), url, text, label) for url, text, label in zip(urls, texts, labels, strict=True))
    known = dict(zip(("pair_id", "image_url", "alt_text", "page_language"), zip(*rows, strict=True), strict=True))
    known |= {"source": ["alt"] * len(rows), "archive": ["pool"] * len(rows)}
    known |= {"record_offset": range(len(rows)), "image_index": [0] * len(rows)}
    columns = [pa.array(known.get(field.name, [None] * len(rows)), field.type) for field in PAIRS]
    table = pa.Table.from_arrays(columns, schema=PAIRS)
    half = len(rows) // 2
    pq.write_table(table[:half], folder / "0.parquet")
    pq.write_table(table[half:], folder / "1.parquet")


def compare(folder: Path, repeats: int, word_borders: str) -> dict[str, Any]:
    """Measures each side in turns."""
    builder = SparkSession.builder.master("local[2]").config(map={**SETTINGS, **LOCAL_SETTINGS})
    spark = builder.config("spark.ui.enabled", "false").config("spark.log.level", "ERROR").getOrCreate()
    single, lists = load_metadata(str(folder / "single.json"), word_borders), load_metadata(str(folder / "lists"))
    pool = spark.read.parquet(str(folder / "pool"))

    def written(matched: DataFrame) -> int:
        kept = matched.sortWithinPartitions("pair_id")
        kept.write.mode("overwrite").parquet(str(folder / "matched"))
        return spark.read.parquet(str(folder / "matched")).count()

    def by(source: str) -> Callable[[], int]:
        return lambda: written(match_pairs(pool, lists, routing=routing_of(lists, language_from=source)))

    sides: dict[str, Callable[[], int]] = {
        "one list": lambda: written(match_pairs(pool, single)),
        "many lists": by("column"),
        "many lists, identified": by("text"),
        "copy": lambda: written(pool.withColumns(_as_matched(pool)).select(MATCHED.names)),
    }
    first, spent = {}, {name: list[float]() for name in sides}
    kept = {}
    for turn in range(repeats + 1):
        for name, work in sides.items():
            begin = processor_seconds()
            kept[name] = work()
            seconds = processor_seconds() - begin
            if turn:
                spent[name].append(seconds)
            else:
                first[name] = seconds
    spark.stop()
    medians = {name: statistics.median(rounds) for name, rounds in spent.items()}
    return {
        "lists": len(lists.lists), "entries": len(lists), "entries_of_one": len(single), "texts": kept.pop("copy"),
        "ratio": medians["many lists"] / medians["one list"],
        "identification_by_match": (medians["many lists, identified"] - medians["many lists"])
        / (medians["many lists"] - medians["copy"]),
        "medians": medians, "rounds": spent, "first_with_building": first, "matched": kept,
    }  # fmt: skip


def _as_matched(pool: DataFrame) -> dict[str, Any]:
    types = {"language_probability": "float", "entry_ids": "array<int>"}
    missing = [name for name in MATCHED.names if name not in pool.columns]
    return {name: F.lit(None).cast(types.get(name, "string")) for name in missing}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--made", type=Path, help="folder of tests/data/make_worldwide_pool.py instead of made input")
    parser.add_argument("--lists", type=int, default=140)
    parser.add_argument("--entries", type=int, default=3_000_000)
    parser.add_argument("--texts", type=int, default=500_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--word-borders", default="spaces", help="those of the single list")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.made:
            read_input(folder, options.made)
        else:
            make_input(folder, options.lists, options.entries, options.texts)
        print(json.dumps(compare(folder, options.repeats, options.word_borders), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
