"""Block lists beside the match step, on the same pairs: 10 million domains and 1 million URLs against matched pairs.

In one warm session in turns, as the steps do it: match reads a pool and writes its matched pairs, the list rules read
these and write those that are not listed, sorted, and what is listed by itself. Prints one JSON object with the medians
of processor seconds (driver, JVM and workers); `copy` is what reading and writing the matched pairs takes, `reading`
what it takes once to read the lists and to send them to the workers.
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark.sql import DataFrame

from metaclip_spark.config.exclusion import ExcludeConfig
from metaclip_spark.entries import load_metadata
from metaclip_spark.inputs.block_lists import read_block_list, tables_of
from metaclip_spark.steps.exclusion.exclude import Evidence, eligible_pairs, excluded_pairs
from metaclip_spark.steps.exclusion.lists import share_lists
from metaclip_spark.steps.match import match_pairs
from metaclip_spark.stores.session import get_session
from tests.benchmarks.bench_choices import processor_seconds
from tests.benchmarks.bench_jobs import DATA
from tests.benchmarks.bench_match import make_entries, make_texts
from udfs.exclusion.digest_table import DigestTable
from udfs.schemas import PAIRS

DIFFERENT_TEXTS = 500_000
ROWS_PER_FILE = 500_000
HOSTS = 100_000
LISTED_HOSTS, LISTED_URLS = 1_000, 10_000


def make_pool(folder: Path, pairs: int, entries: int) -> None:
    """Writes a metadata list and pairs, whose hosts have the usual distribution."""
    (folder / "pool").mkdir(parents=True)
    generator = np.random.default_rng(0)
    made = make_entries(entries, generator)
    texts = pa.array(make_texts(min(pairs, DIFFERENT_TEXTS), made, generator))
    (folder / "metadata.txt").write_text("\n".join(made) + "\n", "utf-8")
    for start in range(0, pairs, ROWS_PER_FILE):
        places = np.arange(start, min(pairs, start + ROWS_PER_FILE))
        names = pa.array(places).cast(pa.string())
        hosts = pa.array(np.minimum(HOSTS ** generator.random(len(places)), HOSTS - 1).astype(np.int64))
        host = pc.binary_join_element_wise("https://images.example-", hosts.cast(pa.string()), ".org", "")
        columns = {
            "pair_id": pc.utf8_lpad(names, 32, "0"),
            "image_url": pc.binary_join_element_wise(host, "/wp-content/uploads/2024/05/image-", names, ".jpg", ""),
            "alt_text": texts.take(pa.array(generator.integers(len(texts), size=len(places)))),
            "page_url": pc.binary_join_element_wise(host, "/blog/article-", names, ""),
        }
        arrays = [columns.get(field.name, pa.nulls(len(places), field.type)) for field in PAIRS]
        table = pa.Table.from_arrays(
            [array.cast(field.type) for array, field in zip(arrays, PAIRS, strict=True)], schema=PAIRS
        )
        pq.write_table(table, folder / "pool" / f"{start:010d}.parquet", compression="zstd")


def make_lists(folder: Path, domains: int, urls: int) -> None:
    """Writes lists of random domains and URLs, some of which are those of the pairs."""
    hosts = [f"example-{number}.org" for number in range(HOSTS - LISTED_HOSTS, HOSTS)]
    named = [
        f"https://images.example-{number}.org/wp-content/uploads/2024/05/image-{number}.jpg"
        for number in range(LISTED_URLS)
    ]
    random = Random(1)
    with (folder / "domains.txt").open("w") as file:
        file.writelines(f"{line}\n" for line in hosts)
        file.writelines(f"www.{random.getrandbits(48):x}.com\n" for _ in range(domains))
    with (folder / "urls.txt").open("w") as file:
        file.writelines(f"{line}\n" for line in named)
        file.writelines(f"https://{random.getrandbits(48):x}.com/{random.getrandbits(64):x}.jpg\n" for _ in range(urls))


def read_lists(folder: Path) -> dict[str, DigestTable]:
    """Reads the lists."""
    named = {"url": "urls.txt", "image_domain": "domains.txt"}
    return tables_of([read_block_list("--block", kind, [str(folder / name)]) for kind, name in named.items()])


def main() -> int:
    """Measures both steps."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=2_000_000)
    parser.add_argument("--entries", type=int, default=500_000)
    parser.add_argument("--domains", type=int, default=10_000_000)
    parser.add_argument("--urls", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    DATA.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=DATA, prefix="exclusion-"))
    try:
        make_pool(folder / "input", options.pairs, options.entries)
        make_lists(folder / "input", options.domains, options.urls)
        print(json.dumps({**measure(folder, options.repeats), **vars(options)}))
    finally:
        shutil.rmtree(folder)
    return 0


def measure(folder: Path, repeats: int) -> dict[str, Any]:
    """Runs match and the list rules in turns; the first round warms the session up and does not count."""
    spark = get_session("bench_exclusion")
    metadata = load_metadata(str(folder / "input" / "metadata.txt"))
    begin = processor_seconds()
    lists = share_lists(spark, read_lists(folder / "input"))
    reading = processor_seconds() - begin
    evidence = Evidence(lists=lists)

    def write(table: DataFrame, name: str) -> None:
        table.sortWithinPartitions("pair_id").write.mode("overwrite").parquet(str(folder / name))

    def match() -> None:
        write(match_pairs(spark.read.parquet(str(folder / "input" / "pool")), metadata), "matched")

    def copy() -> None:
        write(spark.read.parquet(str(folder / "matched")), "copy")

    def exclude() -> None:
        matched = spark.read.parquet(str(folder / "matched"))
        write(excluded_pairs(matched, ExcludeConfig(), evidence), "excluded")
        write(eligible_pairs(matched, spark.read.parquet(str(folder / "excluded"))), "eligible")

    sides = {"match": match, "copy": copy, "lists": exclude}
    rounds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats + 1):
        for name, side in sides.items():
            begin = processor_seconds()
            side()
            rounds[name].append(processor_seconds() - begin)
    medians = {name: statistics.median(every[1:]) for name, every in rounds.items()}
    counts = {name: spark.read.parquet(str(folder / name)).count() for name in ("matched", "eligible", "excluded")}
    ratio = medians["lists"] / medians["match"]
    return {"processor": medians, "ratio": ratio, "reading": reading, "rounds": rounds, "pairs_of": counts}


if __name__ == "__main__":
    sys.exit(main())
