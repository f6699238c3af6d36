"""From measured rates to a Common Crawl snapshot and to the paper's pools: core-hours, bytes, wall time, on paper.

Rates come from benchmarks.json and scale.json beside this file. What is assumed is printed with the result.

How long parsing takes for each byte of WAT depends on how many pairs are in it, so there are two methods: `DENSE` takes
the rate of records with several times the pairs of a crawl, `AS_ASSUMED` that of an archive with as many pairs per byte
as is assumed below. Figures of one method are not to be compared with those of the other.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

RESULTS = Path(__file__).with_name("benchmarks.json")
SCALE = Path(__file__).with_name("scale.json")
CORES = (64, 512, 4096)
WAT_FILES = 90_000
WAT_PLAIN_BYTES = 1.3e9
"""Bytes of one WAT file of Common Crawl when decompressed (about 330 MB of gzip)."""

RAW_PAIRS = 3e10
BYTES_PER_PAIR = WAT_FILES * WAT_PLAIN_BYTES / RAW_PAIRS
"""Plain bytes of WAT for each raw pair."""

DUPLICATES = 0.8
"""cc2dataset found 8 of 40 billion pairs to be distinct."""

MATCHED_SHARE = 0.5
KEPT_SHARE = 0.25
"""Assumed: half of the texts match, and a quarter of those is kept."""

EFFICIENCY = 0.7
"""What is left of a core's speed on a busy cluster: stragglers, stores, scheduling."""


class Method(NamedTuple):
    """Where the rate of parsing is taken from.

    Attributes:
        name: What it is called beside its figures.
        result: The benchmark's name.
        counted: Which bytes of its archive count.
    """

    name: str
    result: str
    counted: str


DENSE = Method("dense records", "P2-crawla", "plain_bytes")
"""WAT records of a crawl's size with several times its images; the bytes of their blocks."""

AS_ASSUMED = Method("a crawl's density", "P2-synthetica", "inflated_bytes")
"""The synthetic crawl, with the bytes of headers, which are among those of a file."""

METHODS = (DENSE, AS_ASSUMED)
CODES = {"ours": "with the compiled loop", "before": "before the compiled loop"}
"""Side of the benchmark -> which of this project's sources it ran."""

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
        bytes_per_pair: Plain bytes of WAT for each raw pair, where the rate of parsing was measured.
    """

    work: Mapping[str, float]
    row_bytes: Mapping[str, float]
    shuffled_bytes: float
    pairs: int
    processors: tuple[str, str]
    bytes_per_pair: float


POOLS: Mapping[str, tuple[float, float]] = {
    "one snapshot": (RAW_PAIRS, RAW_PAIRS * (1 - DUPLICATES)),
    "the paper's 400M set": (1.6e9 / (1 - DUPLICATES), 1.6e9),
    "the paper's 2.5B set": (10.7e9 / (1 - DUPLICATES), 10.7e9),
}
"""(raw pairs, distinct pairs)."""


def measured_rates(
    method: Method = AS_ASSUMED, side: str = "ours", results: Path = RESULTS, scale: Path = SCALE
) -> Rates:
    """Takes rates from what was measured: extraction on one core, the other steps in one large run on all cores.

    Args:
        method: Where the rate of parsing is from.
        side: One of `CODES`.
        results: The results of `make bench`.
        scale: The result of `make bench-scale`.

    Raises:
        FileNotFoundError: If one of the two was not measured yet.
        KeyError: If `make bench` did not measure extraction, or not these sources of it.
    """
    extraction = _results(results)[method.result]
    run = json.loads(scale.read_text("utf-8"))
    cores, steps = run["machine"]["cores"], run["steps"]
    work = {name: _rows_in(steps[name]["numbers"]) / steps[name]["seconds"] / cores for name in STEPS}
    rows = {name: steps[step]["numbers"]["pairs"] for name, step in TABLES.items()}
    counted = extraction["input"][method.counted]
    return Rates(
        work={"parse": counted / extraction["medians"][side], **work},
        row_bytes={name: run["bytes"][name] / number for name, number in rows.items()},
        shuffled_bytes=run["moved"]["Shuffle Bytes Written"] / run["input"]["pairs"],
        pairs=run["input"]["pairs"],
        processors=(extraction["machine"]["processor"], run["machine"]["processor"]),
        bytes_per_pair=counted / extraction["input"]["pairs"],
    )


def measured_sides(method: Method, results: Path = RESULTS) -> list[str]:
    """Gives which of `CODES` ran: the earlier ones do only in a checkout that has them."""
    return [side for side in CODES if side in _results(results)[method.result]["medians"]]


def _results(path: Path) -> dict[str, Any]:
    return {row["id"]: row for row in json.loads(path.read_text("utf-8"))["results"]}


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
    for method in METHODS:
        for side in measured_sides(method):
            print_pools(method, side)
    rates = measured_rates()
    for step in STEPS:
        print(f"{step}: {rates.work[step]:,.0f} rows per core and second")
    print(
        f"measured: parsing on {rates.processors[0]}, the rest over {rates.pairs:,} pairs ({rates.processors[1]}; "
        f"sample with its search of t for a size); assumed: {WAT_FILES:,} WAT files of {WAT_PLAIN_BYTES / 1e9} GB "
        f"plain with a raw pair in {BYTES_PER_PAIR:,.0f} bytes, {DUPLICATES:.0%} duplicates, {MATCHED_SHARE:.0%} of "
        f"texts match, {KEPT_SHARE:.0%} of those are kept, {EFFICIENCY:.0%} of a core's speed on a cluster, URLs and "
        f"texts as well compressed as the generated ones, raw pairs cross the shuffle {SHUFFLES} times and the first "
        "is in no rate; network and stores never wait"
    )


def print_pools(method: Method, side: str) -> None:
    """Prints the tables of one method for one of this project's sources."""
    rates = measured_rates(method, side)
    print(
        f"{CODES[side].upper()}, BY THE RATE OF {method.name.upper()}: one pair in {rates.bytes_per_pair:,.0f} bytes, "
        f"{rates.work['parse']:,.0f} bytes parsed per core and second"
    )
    for name, (raw, distinct) in POOLS.items():
        hours = core_hours(raw, distinct, rates)
        total = sum(hours.values())
        print(f"{name}: {raw:.2g} raw pairs, {distinct:.2g} distinct")
        print(f"  core-hours: {total:,.0f}: " + ", ".join(f"{step} {number:,.0f}" for step, number in hours.items()))
        stored, shuffled = stored_bytes(raw, distinct, rates), raw * rates.shuffled_bytes * SHUFFLES
        print(f"  shuffled: {shuffled / 1e12:,.2f} TB; stored: {stored / 1e12:,.2f} TB")
        print("  wall hours: " + ", ".join(f"{total / cores:.2g} on {cores:,} cores" for cores in CORES))


if __name__ == "__main__":
    main()
