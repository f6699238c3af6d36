"""Block lists beside the match step, on the same pairs: 10 million domains and 1 million URLs against matched pairs.

In one warm session in turns, as the steps do it: match reads a pool and writes its matched pairs, the list rules read
these and write those that are not listed, sorted, and what is listed by itself. Prints one JSON object with the medians
of processor seconds (driver, JVM and workers); `copy` is what reading and writing the matched pairs takes.
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from metaclip_spark.entries import load_metadata
from metaclip_spark.steps.exclusion.lists import list_reason, share_lists
from metaclip_spark.steps.match import match_pairs
from metaclip_spark.stores.session import get_session
from tests.benchmarks.bench_choices import processor_seconds
from tests.benchmarks.bench_jobs import DATA
from tests.benchmarks.bench_match import make_entries, make_texts
from udfs.exclusion.digest_table import DIGEST_BYTES, DigestTable, make_table, short_digest
from udfs.schemas import EXCLUDED, MATCHED, PAIRS

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


def make_tables(domains: int, urls: int) -> dict[str, DigestTable]:
    """Makes lists of random digests, some of which are those of hosts and URLs of the pairs."""
    generator = np.random.default_rng(1)
    hosts = [short_digest(f"example-{number}.org") for number in range(HOSTS - LISTED_HOSTS, HOSTS)]
    named = [
        short_digest(f"images.example-{number}.org/wp-content/uploads/2024/05/image-{number}.jpg")
        for number in range(LISTED_URLS)
    ]
    return {
        "url": make_table(b"".join(named) + generator.bytes(DIGEST_BYTES * urls)),
        "image_domain": make_table(b"".join(hosts) + generator.bytes(DIGEST_BYTES * domains)),
    }


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
        print(
            json.dumps(
                {**measure(folder, make_tables(options.domains, options.urls), options.repeats), **vars(options)}
            )
        )
    finally:
        shutil.rmtree(folder)
    return 0


def measure(folder: Path, tables: dict[str, DigestTable], repeats: int) -> dict[str, Any]:
    """Runs match and the list rules in turns; the first round warms the session up and does not count."""
    spark = get_session("bench_exclusion")
    metadata, lists = load_metadata(str(folder / "input" / "metadata.txt")), share_lists(spark, tables)

    def write(table: DataFrame, name: str) -> None:
        table.sortWithinPartitions("pair_id").write.mode("overwrite").parquet(str(folder / name))

    def match() -> None:
        write(match_pairs(spark.read.parquet(str(folder / "input" / "pool")), metadata), "matched")

    def copy() -> None:
        write(spark.read.parquet(str(folder / "matched")), "copy")

    def exclude() -> None:
        judged = list_reason(spark.read.parquet(str(folder / "matched")), lists)
        write(judged.where(F.col("reason").isNull()).select(MATCHED.names), "eligible")
        write(judged.where(F.col("reason").isNotNull()).select(EXCLUDED.names), "excluded")

    sides = {"match": match, "copy": copy, "lists": exclude}
    rounds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats + 1):
        for name, side in sides.items():
            begin = processor_seconds()
            side()
            rounds[name].append(processor_seconds() - begin)
    medians = {name: statistics.median(every[1:]) for name, every in rounds.items()}
    counts = {name: spark.read.parquet(str(folder / name)).count() for name in ("matched", "eligible", "excluded")}
    return {"processor": medians, "ratio": medians["lists"] / medians["match"], "rounds": rounds, "pairs_of": counts}


if __name__ == "__main__":
    sys.exit(main())
