"""Spark jobs to compare with, each run cold: copy, naive, tiny. Arguments: which, input, output, metadata list.

copy: reads all columns of a Parquet pool and writes them. naive: the published matching as a Python function per row,
its automaton built once in each worker. tiny: counts the rows of a Parquet file.
"""

import gzip
import re
import sys
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import col, size, udf
from pyspark.sql.types import ArrayType, IntegerType

BUILT = {}


def automaton(path: str) -> object:
    """Builds the automaton over characters, once in each worker."""
    import ahocorasick

    if path not in BUILT:
        built = ahocorasick.Automaton()
        data = Path(path).read_bytes()
        text = (gzip.decompress(data) if path.endswith(".gz") else data).decode()
        for entry_id, entry in enumerate(text.splitlines()):
            built.add_word(f" {entry} ", entry_id)
        built.make_automaton()
        BUILT[path] = built
    return BUILT[path]


def naive(pool: DataFrame, path: str) -> DataFrame:
    """Matches row by row."""

    def match(text: str) -> list[int]:
        spaced = re.sub(r"([,.;:?!`])", r" \1 ", f" {text} ".translate({9: " ", 10: " ", 13: " "}))
        return sorted({entry_id for _, entry_id in automaton(path).iter(spaced)})

    matched = pool.withColumn("entry_ids", udf(match, ArrayType(IntegerType()))(col("alt_text")))
    return matched.where(size("entry_ids") > 0)


def main(argv: list[str]) -> None:
    """Runs one job in the session that is there, or in a new one."""
    which, source, output, metadata = argv
    spark = SparkSession.builder.appName(which).getOrCreate()
    pool = spark.read.parquet(source)
    if which == "tiny":
        print(pool.count())
    elif which == "copy":
        pool.write.mode("overwrite").parquet(output)
    else:
        naive(pool, metadata).write.mode("overwrite").parquet(output)


if __name__ == "__main__":
    main(sys.argv[1:])
    SparkSession.active().stop()
