"""A removal of 1,000 URLs, in one warm session in turns.

Prints one JSON object with the medians of processor seconds (driver, JVM and workers). With `--mode drop`: `copy` reads
the curated pairs and writes them again, sorted; `register` finds the pairs that are named and writes the register;
`drop` writes the set without them. With `--mode rebalance`: `register` as before, over all matched pairs; `exclude`
writes the eligible pairs; `balance` counts and samples them. The report that the command writes behind it is not in
these figures.
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from metaclip_spark.config.curation import OutputConfig
from metaclip_spark.config.exclusion import RemovalConfig
from metaclip_spark.pipeline import run_exclude
from metaclip_spark.pipeline.again import again
from metaclip_spark.pipeline.removals import conclude
from metaclip_spark.pipeline.remove import drop_removed, judging_for, read_listed, register
from metaclip_spark.runs.open import continue_run
from tests.benchmarks.bench_choices import processor_seconds
from tests.benchmarks.bench_exclusion import make_pool
from tests.benchmarks.bench_jobs import DATA
from tests.support.jobs import call
from udfs.schemas import CURATED


def main() -> int:
    """Makes a run, and measures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=2_000_000)
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--urls", type=int, default=1_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--mode", choices=("drop", "rebalance"), default="drop")
    parser.add_argument("--threshold-t", type=int, default=10**9)
    options = parser.parse_args()
    DATA.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=DATA, prefix="removal-"))
    try:
        make_pool(folder / "input", options.pairs, options.entries)
        given = ("--pool", folder / "input" / "pool", "--url-column", "image_url", "--text-column", "alt_text")
        output, metadata = folder / "run", folder / "input" / "metadata.txt"
        if call("curate", *given, "--metadata", metadata, "--threshold-t", options.threshold_t, "--output", output):
            return 1
        measure = measure_drop if options.mode == "drop" else measure_rebalance
        print(json.dumps({**measure(folder, options.repeats, options.urls), **vars(options)}))
    finally:
        shutil.rmtree(folder)
    return 0


def measure_drop(folder: Path, repeats: int, urls: int) -> dict[str, Any]:
    """Copies the curated set and takes pairs out of it in turns; the first round does not count."""
    rounds: dict[str, list[float]] = {"copy": [], "register": [], "drop": []}
    pairs: list[int] = []
    with continue_run(OutputConfig(str(folder / "run"))) as run:
        named = [row.image_url for row in run.read("curated", CURATED).select("image_url").limit(urls * 9).collect()]
        for number in range(repeats + 1):
            listed = folder / "urls.txt"
            listed.write_text("".join(f"{url}\n" for url in named[number::9]))
            removal = read_listed(RemovalConfig("a benchmark", urls=(str(listed),), mode="drop"))
            made = again(run)
            begin = processor_seconds()
            curated = run.read("curated", CURATED).sortWithinPartitions("pair_id")
            curated.write.mode("overwrite").parquet(str(folder / "copy"))
            copied = processor_seconds()
            entry = register(run, judging_for(made, removal), removal, made)
            registered = processor_seconds()
            drop_removed(run)
            dropped = processor_seconds()
            conclude(run, [entry], "drop")
            pairs.append(run.state.removals[entry].curated["url"])
            for name, seconds in (
                ("copy", copied - begin),
                ("register", registered - copied),
                ("drop", dropped - registered),
            ):
                rounds[name].append(seconds)
    medians = _medians(rounds)
    ratio = (medians["register"] + medians["drop"]) / medians["copy"]
    return {"processor": medians, "ratio": ratio, "rounds": rounds, "dropped": pairs}


def measure_rebalance(folder: Path, repeats: int, urls: int) -> dict[str, Any]:
    """Removes and balances again, each time in a copy of the run; the first round does not count."""
    rounds: dict[str, list[float]] = {"register": [], "exclude": [], "balance": []}
    pairs: list[int] = []
    for number in range(repeats + 1):
        output = shutil.copytree(folder / "run", folder / f"run-{number}")
        with continue_run(OutputConfig(str(output))) as run:
            matched = run.matched().select("image_url").limit(urls).collect()
            listed = folder / "urls.txt"
            listed.write_text("".join(f"{row.image_url}\n" for row in matched))
            removal = read_listed(RemovalConfig("a benchmark", urls=(str(listed),), mode="rebalance"))
            made = again(run)
            metadata = made.metadata()
            begin = processor_seconds()
            entry = register(run, judging_for(made, removal), removal, made)
            registered = processor_seconds()
            run_exclude(run, made.rules, made.first)
            excluded = processor_seconds()
            made.balance(metadata)
            balanced = processor_seconds()
            pairs.append(run.state.removals[entry].matched["url"])
        shutil.rmtree(output)
        rounds["register"].append(registered - begin)
        rounds["exclude"].append(excluded - registered)
        rounds["balance"].append(balanced - excluded)
    medians = _medians(rounds)
    return {
        "processor": medians,
        "ratio": sum(medians.values()) / medians["balance"],
        "rounds": rounds,
        "removed": pairs,
    }


def _medians(rounds: dict[str, list[float]]) -> dict[str, float]:
    return {name: statistics.median(every[1:]) for name, every in rounds.items()}


if __name__ == "__main__":
    sys.exit(main())
