"""From measured rates to a Common Crawl snapshot and to the paper's pools: core-hours, bytes, wall time, on paper.

Rates come from benchmarks.json beside this file where it has them. What is assumed is printed with the result.
"""

import json
from collections.abc import Mapping
from pathlib import Path

RESULTS = Path(__file__).with_name("benchmarks.json")
CORES = (64, 512, 4096)
WAT_FILES = 90_000
WAT_PLAIN_BYTES = 1.3e9
"""Bytes of one WAT file of Common Crawl when decompressed (about 330 MB of gzip)."""

RAW_PAIRS = 3e10
DUPLICATES = 0.8
"""cc2dataset found 8 of 40 billion pairs to be distinct."""

BYTES_PER_ROW = 120.0
"""A pair in the shuffle and in the pool's Parquet: id, two URLs, text and place, after zstd."""

MATCHED_SHARE = 0.5
KEPT_SHARE = 0.25
"""Assumed: half of the texts match, and a quarter of those is kept."""

EFFICIENCY = 0.7
"""What is left of a core's speed on a busy cluster: stragglers, stores, scheduling."""

DEFAULT_RATES = {
    "extract": 90e6,
    "deduplicate": 150_000.0,
    "match": 100_000.0,
    "count": 1_000_000.0,
    "sample": 300_000.0,
}
"""Per core and second, where benchmarks.json has no measurement: plain bytes of WAT for extract (measured on a small
archive of small records), else rows, which are guesses."""

POOLS: Mapping[str, tuple[float, float]] = {
    "one snapshot": (RAW_PAIRS, RAW_PAIRS * (1 - DUPLICATES)),
    "the paper's 400M set": (1.6e9 / (1 - DUPLICATES), 1.6e9),
    "the paper's 2.5B set": (10.7e9 / (1 - DUPLICATES), 10.7e9),
}
"""(raw pairs, distinct pairs)."""


def measured_rates(path: Path = RESULTS) -> dict[str, float]:
    """Takes rates per core from the whole jobs and archives that were measured; start-up is part of them."""
    rates = dict(DEFAULT_RATES)
    results = {row["id"]: row for row in json.loads(path.read_text("utf-8"))["results"]} if path.exists() else {}
    if "P4a" in results:
        row = results["P4a"]
        work = row["input"]["rows"] / row["machine"]["cores"]
        rates |= {step: work / row["medians"][step] for step in ("match", "count", "sample")}
    return rates


def core_hours(raw: float, distinct: float, rates: Mapping[str, float]) -> dict[str, float]:
    """Computes core-hours per step for a pool of so many raw and distinct pairs."""
    plain_bytes = WAT_FILES * WAT_PLAIN_BYTES * raw / RAW_PAIRS
    work = {
        "extract": plain_bytes,
        "deduplicate": raw,
        "match": distinct,
        "count": distinct * MATCHED_SHARE,
        "sample": distinct * MATCHED_SHARE,
    }
    return {step: amount / rates[step] / EFFICIENCY / 3600 for step, amount in work.items()}


def main() -> None:
    """Prints the tables and what they assume."""
    rates = measured_rates()
    for name, (raw, distinct) in POOLS.items():
        hours = core_hours(raw, distinct, rates)
        total = sum(hours.values())
        print(f"{name}: {raw:.2g} raw pairs, {distinct:.2g} distinct")
        print("  core-hours: " + ", ".join(f"{step} {number:,.0f}" for step, number in hours.items()))
        stored = distinct * BYTES_PER_ROW * (1 + MATCHED_SHARE * (1 + KEPT_SHARE)) + raw * BYTES_PER_ROW
        print(f"  shuffled once: {raw * BYTES_PER_ROW / 1e12:,.2f} TB; stored: {stored / 1e12:,.2f} TB")
        print("  wall hours: " + ", ".join(f"{total / cores:,.1f} on {cores:,} cores" for cores in CORES))
    for step, rate in rates.items():
        origin = "measured" if rate != DEFAULT_RATES[step] else "assumed"
        print(f"{step}: {rate:,.0f} {'bytes' if step == 'extract' else 'rows'} per core and second ({origin})")
    print(
        f"assumed: {WAT_FILES:,} WAT files of {WAT_PLAIN_BYTES / 1e9} GB plain, {DUPLICATES:.0%} duplicates, "
        f"{BYTES_PER_ROW:g} bytes a row, {MATCHED_SHARE:.0%} of texts match, {KEPT_SHARE:.0%} of those are kept, "
        f"{EFFICIENCY:.0%} of a core's speed on a cluster; steps that wait for network or disk take longer"
    )


if __name__ == "__main__":
    main()
