"""From measured rates to a Common Crawl snapshot and to the paper's pools: core-hours, bytes, wall time, on paper.

Rates come from benchmarks.json and scale.json beside this file. What is assumed is printed with the result.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

RESULTS = Path(__file__).with_name("benchmarks.json")
SCALE = Path(__file__).with_name("scale.json")
CORES = (64, 512, 4096)
WAT_FILES = 90_000
WAT_PLAIN_BYTES = 1.3e9
"""Bytes of one WAT file of Common Crawl when decompressed (about 330 MB of gzip)."""

RAW_PAIRS = 3e10
DUPLICATES = 0.8
"""cc2dataset found 8 of 40 billion pairs to be distinct."""

MATCHED_SHARE = 0.5
KEPT_SHARE = 0.25
"""Assumed: half of the texts match, and a quarter of those is kept."""

EFFICIENCY = 0.7
"""What is left of a core's speed on a busy cluster: stragglers, stores, scheduling."""

EXTRACTION = "P2-crawla"
"""The benchmark that tells the rate of parsing: WAT records with more links than debian-docs'."""

SHUFFLES = 2
"""How often raw pairs cross the shuffle: into their buckets at extraction, and when duplicates are removed."""

STEPS = ("extract", "deduplicate", "match", "count", "sample")
TABLES = {"extracted": "extract", "pool": "deduplicate", "matched": "match", "curated": "sample"}
"""Table -> the step that made it."""


@dataclass(frozen=True)
class Rates:
    """What one core does in a second, and what one pair takes.

    Attributes:
        work: By step: plain bytes of WAT for parse, else rows. The large run's extract step, which reads a pool and
            stores raw pairs, stands for storing them.
        row_bytes: By table: bytes of a row on disk.
        shuffled_bytes: Bytes of a raw pair in all shuffles, nearly all of them the deduplication's.
        pairs: How many pairs the large run had.
        processors: On which extraction, and the other steps, were measured.
    """

    work: Mapping[str, float]
    row_bytes: Mapping[str, float]
    shuffled_bytes: float
    pairs: int
    processors: tuple[str, str]


POOLS: Mapping[str, tuple[float, float]] = {
    "one snapshot": (RAW_PAIRS, RAW_PAIRS * (1 - DUPLICATES)),
    "the paper's 400M set": (1.6e9 / (1 - DUPLICATES), 1.6e9),
    "the paper's 2.5B set": (10.7e9 / (1 - DUPLICATES), 10.7e9),
}
"""(raw pairs, distinct pairs)."""


def measured_rates(results: Path = RESULTS, scale: Path = SCALE) -> Rates:
    """Takes rates from what was measured: extraction on one core, the other steps in one large run on all cores.

    Raises:
        FileNotFoundError: If one of the two was not measured yet (`make bench`, `make bench-scale`).
        KeyError: If `make bench` did not measure extraction.
    """
    extraction = {row["id"]: row for row in json.loads(results.read_text("utf-8"))["results"]}[EXTRACTION]
    run = json.loads(scale.read_text("utf-8"))
    cores, steps = run["machine"]["cores"], run["steps"]
    work = {name: _rows_in(steps[name]["numbers"]) / steps[name]["seconds"] / cores for name in STEPS}
    rows = {name: steps[step]["numbers"]["pairs"] for name, step in TABLES.items()}
    return Rates(
        work={"parse": extraction["input"]["plain_bytes"] / extraction["medians"]["ours"], **work},
        row_bytes={name: run["bytes"][name] / number for name, number in rows.items()},
        shuffled_bytes=run["moved"]["Shuffle Bytes Written"] / run["input"]["pairs"],
        pairs=run["input"]["pairs"],
        processors=(extraction["machine"]["processor"], run["machine"]["processor"]),
    )


def _rows_in(numbers: Mapping[str, int]) -> int:
    return numbers.get("pairs_in", numbers["pairs"])


def core_hours(raw: float, distinct: float, rates: Rates) -> dict[str, float]:
    """Computes core-hours per step for a pool of so many raw and distinct pairs."""
    plain_bytes = WAT_FILES * WAT_PLAIN_BYTES * raw / RAW_PAIRS
    work = {
        "parse": plain_bytes,
        "extract": raw,
        "deduplicate": raw,
        "match": distinct,
        "count": distinct * MATCHED_SHARE,
        "sample": distinct * MATCHED_SHARE,
    }
    hours = {step: amount / rates.work[step] / EFFICIENCY / 3600 for step, amount in work.items()}
    return {"extract": hours.pop("parse") + hours.pop("extract"), **hours}


def stored_bytes(raw: float, distinct: float, rates: Rates) -> float:
    """Computes the bytes of all tables."""
    matched = distinct * MATCHED_SHARE
    rows = {"extracted": raw, "pool": distinct, "matched": matched, "curated": matched * KEPT_SHARE}
    return sum(number * rates.row_bytes[name] for name, number in rows.items())


def main() -> None:
    """Prints the tables and what they assume."""
    rates = measured_rates()
    for name, (raw, distinct) in POOLS.items():
        hours = core_hours(raw, distinct, rates)
        total = sum(hours.values())
        print(f"{name}: {raw:.2g} raw pairs, {distinct:.2g} distinct")
        print("  core-hours: " + ", ".join(f"{step} {number:,.0f}" for step, number in hours.items()))
        stored, shuffled = stored_bytes(raw, distinct, rates), raw * rates.shuffled_bytes * SHUFFLES
        print(f"  shuffled: {shuffled / 1e12:,.2f} TB; stored: {stored / 1e12:,.2f} TB")
        print("  wall hours: " + ", ".join(f"{total / cores:.2g} on {cores:,} cores" for cores in CORES))
    for step, rate in rates.work.items():
        print(f"{step}: {rate:,.0f} {'plain bytes' if step == 'parse' else 'rows'} per core and second")
    print(
        f"measured: parsing on {EXTRACTION}'s archive ({rates.processors[0]}), the rest over {rates.pairs:,} pairs "
        f"({rates.processors[1]}; sample with its search of t for a size); "
        f"assumed: {WAT_FILES:,} WAT files of {WAT_PLAIN_BYTES / 1e9} GB plain, {DUPLICATES:.0%} duplicates, "
        f"{MATCHED_SHARE:.0%} of texts match, {KEPT_SHARE:.0%} of those are kept, {EFFICIENCY:.0%} of a core's speed "
        "on a cluster, URLs and texts as well compressed as the generated ones, raw pairs cross "
        f"the shuffle {SHUFFLES} times and the first is in no rate; network and stores never wait"
    )


if __name__ == "__main__":
    main()
