"""Runs the benchmarks and writes benchmarks.json and benchmarks.svg next to this file; `make bench`.

Both sides of every figure run in turns on one input, and their outputs are compared.
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.benchmarks import bench_extract, bench_jobs, bench_match, bench_start

HERE = Path(__file__).parent
PACKAGES = ("pyspark", "pyarrow", "numba", "numpy", "fastwarc", "deflate", "selectolax", "msgspec", "pyahocorasick")
BENCHMARKS: dict[str, Callable[[argparse.Namespace], list[dict[str, Any]]]] = {
    "P1": lambda options: [
        *match(options),
        *bench_match.against_libraries(options.entries, options.texts, options.repeats),
    ],
    "P2": lambda options: bench_extract.wat(options.repeats),
    "P3": lambda options: bench_extract.warc(options.repeats),
    "P4": lambda options: bench_jobs.spark(options.rows, options.entries, options.job_repeats),
    "P5": lambda options: bench_jobs.growth(options.rows // 4, options.entries, options.job_repeats),
    "P6": lambda options: bench_jobs.cold(options.job_repeats),
    "P7": lambda options: bench_jobs.language(options.rows // 4, options.entries, options.job_repeats),
    "P8": lambda options: bench_start.start(options.job_repeats),
}


def match(options: argparse.Namespace) -> list[dict[str, Any]]:
    """P1 and the tables of P6, in the form of the others."""
    report = bench_match.measure(options.entries, options.texts, options.repeats)
    build = statistics.median(report["build_seconds"])
    return [
        {
            "id": "P1",
            "what": "times as fast as the published way of matching",
            "target": 10.0,
            "reached": report["ratio"],
            "equal": report["equal"],
            "medians": report["seconds"],
            "input": {name: report[name] for name in ("entries", "texts", "bytes_per_text", "matches_per_text")},
            "report": report,
        },
        {
            "id": "P6b",
            "what": "seconds to build the tables (at most)",
            "target": 2.0,
            "reached": build,
            "equal": None,
            "medians": {"build": build},
            "rounds": {"build": report["build_seconds"]},
            "input": {"entries": report["entries"]},
        },
    ]


def machine() -> dict[str, Any]:
    """Describes where the figures come from."""
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def draw(results: list[dict[str, Any]], path: Path) -> None:
    """Draws what was reached as a share of the target, where there is one, on a logarithmic scale."""
    from matplotlib import pyplot

    results = [result for result in results if result["target"] is not None]
    at_most = [result["what"].endswith("(at most)") for result in results]
    shares = [
        result["target"] / max(result["reached"], 1e-9) if lower else result["reached"] / result["target"]
        for result, lower in zip(results, at_most, strict=True)
    ]
    names = [f"{result['id']}  {result['what']}: {result['reached']:.2f} ({result['target']:g})" for result in results]
    figure, axes = pyplot.subplots(figsize=(13, 0.45 * len(results) + 1.2))
    axes.barh(names, shares, color=["tab:green" if share >= 1 else "tab:orange" for share in shares])
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xscale("log")
    axes.invert_yaxis()
    axes.set_xlabel("reached over target (in parentheses)")
    figure.tight_layout()
    figure.savefig(path)


def main() -> int:
    """Runs what was asked for; earlier results of the others stay."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=sorted(BENCHMARKS), default=sorted(BENCHMARKS))
    parser.add_argument("--entries", type=int, default=500_000)
    parser.add_argument("--texts", type=int, default=200_000)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--job-repeats", type=int, default=5)
    parser.add_argument("--output", type=Path, default=HERE / "benchmarks.json")
    options = parser.parse_args()
    before = json.loads(options.output.read_text("utf-8"))["results"] if options.output.exists() else []
    results = {result["id"]: result for result in before}
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    for name in options.only:
        for result in BENCHMARKS[name](options):
            results[result["id"]] = {**result, "date": today, "machine": machine()}
            target = "no target" if result["target"] is None else f"target {result['target']:g}"
            print(f"{result['id']:4} {result['what']}: {result['reached']:.2f}, {target}, equal: {result['equal']}",
                  flush=True)  # fmt: skip
        report = {
            "date": today,
            "machine": machine(),
            "versions": {package: version(package) for package in PACKAGES},
            "results": [results[key] for key in sorted(results)],
        }
        options.output.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    try:
        draw(report["results"], options.output.with_suffix(".svg"))
    except ImportError:
        print("no chart: matplotlib is not installed", file=sys.stderr)
    return 0 if all(result["equal"] is not False for result in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
