"""Asks the executors, before hours are spent, whether a run would work, how long it would take and what it writes."""

import platform
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from pyspark import SparkConf, SparkFiles

from metaclip_spark.config.curation import ExtractConfig, MatchConfig
from metaclip_spark.config.job import SCRATCH_SETTINGS
from metaclip_spark.entries import Metadata
from metaclip_spark.errors import counted
from metaclip_spark.inputs.archive_path import ArchivePath
from metaclip_spark.inputs.remote import fetch_options
from metaclip_spark.runs.extraction import extractor
from metaclip_spark.runs.ledger import ledger_of
from metaclip_spark.runs.run import Run
from metaclip_spark.steps.automaton import broadcast_automaton
from metaclip_spark.steps.schemas import spark_schema
from metaclip_spark.stores.spark_io import check_committed, table_writer
from udfs.probe import MEASURED, WorkerFindings, installed_packages, measure_batches, probe_worker
from udfs.sources import FetchOptions, stat_archive

SMALLEST_SCRATCH_BYTES = 2 << 30
CHECK_FOLDER = "check"
"""Written, listed and deleted below the output."""

_PATHS_PER_PROBE = 2
_KERNELS_IN_WORDS = {
    "shipped": "loaded from the archive of make pack",
    "found": "found compiled",
    "compiled": "compiled now",
    "not_kept": "compiled, but kept in no folder (name one in NUMBA_CACHE_DIR, or Python reads archives, more slowly),",
}
_MOST_LOOKS = 1000
"""Archives whose sizes are looked up, one request each; the others are taken to be alike."""
_LOOKS_AT_ONCE = 32
_OVERHEAD_IS_NOT_COUNTED = ("local", "spark://")
"""How the masters begin that know no spark.executor.memoryOverhead: nobody counts what lives beside the heap."""


@dataclass
class Verdict:
    """What was found.

    Attributes:
        lines: One line per check.
        failures: The checks that say that a run would fail.
    """

    lines: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def add(self, name: str, problem: str | None, fine: str) -> None:
        """Adds a check: what is wrong and what to do, or None and what to say then."""
        self.lines.append(f"{'FAIL' if problem else 'ok  '} {name}: {problem or fine}")
        if problem:
            self.failures.append(name)


def check_cluster(
    run: Run,
    extract: ExtractConfig,
    match: MatchConfig,
    metadata: Metadata,
    paths: list[ArchivePath],
    *,
    writes: bool = True,
) -> Verdict:
    """Checks workers, inputs and output, and times one archive per executor core.

    Args:
        run: An output that may be written to; only its folder `check/` is.
        extract: Names the archives.
        match: Names the engine.
        metadata: The list.
        paths: (archive, path) of all archives.
        writes: Whether to write to the output on trial, and to have the executors compile what they use; without it
            the first archive alone is timed.

    Returns:
        One line per check; failures where a run would fail.
    """
    verdict = Verdict()
    workers = _probe(run, extract, match, metadata, paths, warms=writes)
    _check_versions(verdict, workers)
    if writes:
        _check_kernels(verdict, workers)
    _check_memory(verdict, run.spark.sparkContext.getConf(), workers)
    _check_scratch(verdict, workers)
    problems = sorted({problem for worker in workers for problem in worker.problems})
    done = ledger_of(run.state).accepted()
    pending = [each for each in paths if each.archive not in done]
    sizes = [] if problems else _sizes(pending, fetch_options(extract))
    size = round(sum(sizes) / len(sizes) * len(pending)) if sizes else None
    told = _input_in_words(len(paths), len(pending), size, is_exact=len(sizes) == len(pending))
    verdict.add("archives", problems[0] if problems else None, told)
    if writes:
        _check_output(verdict, run)
    if pending and not problems:
        _canary(verdict, run, extract, pending, size, most=None if writes else 1)
    return verdict


def _sizes(paths: Sequence[ArchivePath], options: FetchOptions) -> list[int]:
    """Looks up the bytes of archives that stand evenly in the list; of those that cannot be looked up nothing."""
    looked_at = paths[:: max(1, -(-len(paths) // _MOST_LOOKS))]

    def size(path: ArchivePath) -> int | None:
        try:
            return stat_archive(path.path, options).size
        except (OSError, ValueError):
            return None

    with ThreadPoolExecutor(_LOOKS_AT_ONCE) as pool:
        return [found for found in pool.map(size, looked_at) if found is not None]


def _input_in_words(archives: int, pending: int, size: int | None, *, is_exact: bool) -> str:
    if not pending:
        return f"{counted(archives, 'archive')}, extracted already"
    kept = f" of {archives:,}, the others are extracted already" if pending < archives else ""
    bytes_in_all = f", {'' if is_exact else 'about '}{in_bytes(size)}" if size is not None else ""
    return f"{counted(pending, 'archive')}{kept}{bytes_in_all}; the first can be read"


def _probe(
    run: Run,
    extract: ExtractConfig,
    match: MatchConfig,
    metadata: Metadata,
    paths: list[ArchivePath],
    *,
    warms: bool,
) -> list[WorkerFindings]:
    automaton = broadcast_automaton(run.spark, metadata, match.engine)
    has_lists = bool(metadata.lists)
    first = [path for _, path in paths[:_PATHS_PER_PROBE]]
    options = fetch_options(extract)

    def probe(_partition: Iterable[int]) -> Iterable[WorkerFindings]:
        from udfs.kernels import warm
        from udfs.matching.engine import load_engine, load_list_engines

        path, digest = SparkFiles.get(automaton.file_name), automaton.metadata_digest
        load = partial(load_list_engines if has_lists else load_engine, automaton.engine, path, digest)
        # Slow enough that every core of every executor gets one.
        time.sleep(1.0)
        yield probe_worker(load, first, options, *([warm] if warms else []))

    context = run.spark.sparkContext
    context.setJobDescription("check_cluster")
    cores = context.defaultParallelism
    return context.parallelize(range(cores), cores).mapPartitions(probe).collect()


def _check_versions(verdict: Verdict, workers: list[WorkerFindings]) -> None:
    wanted = {"python": platform.python_version(), **installed_packages()}
    for worker in workers:
        has = {"python": worker.python, **worker.packages}
        # Python's minor version must be the driver's, or functions cannot be handed over.
        has["python"], mine = has["python"].rpartition(".")[0], wanted["python"].rpartition(".")[0]
        wrong = [f"{name} {has[name]} (driver: {version})" for name, version in {**wanted, "python": mine}.items()
                 if has[name] != version]  # fmt: skip
        if wrong:
            problem = (
                f"on {worker.host}: {', '.join(wrong)}: give all machines one environment (make pack, or an image)"
            )
            verdict.add("versions", problem, "")
            return
    hosts = len({worker.host for worker in workers})
    verdict.add("versions", None, f"Python {wanted['python']} and packages are the same on {counted(hosts, 'host')}")


def _check_kernels(verdict: Verdict, workers: list[WorkerFindings]) -> None:
    """Says where the compiled code is from: on a host where one worker compiles it, the others have waited for it."""
    hosts = {worker.host: worker for worker in sorted(workers, key=lambda worker: worker.kernel_seconds)}
    told = []
    for state, what in _KERNELS_IN_WORDS.items():
        seconds = [worker.kernel_seconds for worker in hosts.values() if worker.kernels == state]
        if seconds:
            told.append(f"{what} on {counted(len(seconds), 'host')} within {max(seconds):.1f} s")
    verdict.add("kernels", None, "; ".join(told))


def _check_memory(verdict: Verdict, conf: SparkConf, workers: list[WorkerFindings]) -> None:
    largest = max(max(worker.resident_bytes) for worker in workers)
    table = max(after - before for before, after in (worker.resident_bytes for worker in workers))
    cores = int(conf.get("spark.executor.cores", "1") or 1)
    heap = _bytes_of(conf.get("spark.executor.memory", "1g") or "1g")
    stated = conf.get("spark.executor.memoryOverhead")
    overhead = _bytes_of(stated) if stated else max(384 << 20, heap // 10)
    needed = cores * largest
    fine = f"a worker holds {largest >> 20} MiB, of which {table >> 20} MiB came with the automaton"
    if conf.get("spark.master", "").startswith(_OVERHEAD_IS_NOT_COUNTED):
        verdict.add("memory", None, fine)
        return
    problem = None
    if needed > overhead:
        problem = (
            f"{cores} workers of {largest >> 20} MiB live beside the heap of an executor, and its overhead is "
            f"{overhead >> 20} MiB: give --conf spark.executor.memoryOverhead={(needed * 3 // 2) >> 20}m"
        )
    verdict.add("memory", problem, f"{fine}; {cores} fit into the overhead of {overhead >> 20} MiB")


def _bytes_of(setting: str) -> int:
    units = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
    text = setting.strip().lower().removesuffix("b")
    return int(float(text[:-1]) * units[text[-1]]) if text[-1:] in units else int(text) << 20


def _check_scratch(verdict: Verdict, workers: list[WorkerFindings]) -> None:
    worst = min(workers, key=lambda worker: worker.free_scratch_bytes)
    free = worst.free_scratch_bytes
    problem = None
    if free < SMALLEST_SCRATCH_BYTES:
        problem = f"{worst.host} has {free >> 20} MiB left: free it, or name a larger disk: {SCRATCH_SETTINGS}"
    verdict.add("scratch space", problem, f"{free >> 30} GiB at least")


def _check_output(verdict: Verdict, run: Run) -> None:
    try:
        location = run.storage.location(CHECK_FOLDER)
        run.storage.delete(CHECK_FOLDER)
        table_writer(run.spark.range(100).coalesce(2), run.storage).mode("errorifexists").parquet(location)
        check_committed(run.storage, CHECK_FOLDER)
        files = run.storage.data_files(CHECK_FOLDER)
        committer = run.storage.committer(CHECK_FOLDER)
        rows = run.spark.read.parquet(location).count()
        # After the reading: which file of a folder Spark takes for the schema is the file system's choice.
        created = [run.storage.create_bytes(f"{CHECK_FOLDER}/once", b"") for _ in range(2)]
        run.storage.delete(CHECK_FOLDER)
    except Exception as error:  # whatever it is, it is what the user must see
        verdict.add("output", f"{run.storage.root}: {' '.join(str(error).split())[:400]}", "")
        return
    problem = None if files and rows == 100 else f"{run.storage.root}: wrote 100 rows and read {rows}"  # noqa: PLR2004
    if created != [True, False]:
        problem = (
            problem or f"{run.storage.root}: a name can be created twice, so that two runs could not be told apart"
        )
    left = run.storage.names(CHECK_FOLDER)
    problem = problem or (f"{run.storage.root}/{CHECK_FOLDER} cannot be deleted: check the rights" if left else None)
    verdict.add(
        "output",
        problem,
        f"{run.storage.root}: written by {committer or 'the platform'}'s committer, listed, read and deleted; "
        "names are created once",
    )


def in_bytes(number: float) -> str:
    """A number of bytes to come, as coarse as it is known."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if number < 1000:  # noqa: PLR2004 - of the next unit
            return f"{number:.0f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def _duration(seconds: float) -> str:
    """A time to come, as coarse as it is known."""
    if seconds < 90:  # noqa: PLR2004 - a minute and a half
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} hours"  # noqa: PLR2004


def _canary(
    verdict: Verdict, run: Run, extract: ExtractConfig, paths: list[ArchivePath], size: int | None, *, most: int | None
) -> None:
    """Extracts `most` archives (None: one per core) and keeps nothing; `size` is the bytes of all, where known."""
    cores = run.spark.sparkContext.defaultParallelism
    number = min(most or cores, len(paths))
    chosen = paths[:: max(1, len(paths) // number)][:number]
    begun = time.monotonic()
    rows = extractor(run, extract)(chosen).mapInArrow(measure_batches, spark_schema(MEASURED))
    archives = [row.asDict() for row in rows.collect()]
    seconds = time.monotonic() - begun
    pairs, written = (sum(row[name] for row in archives) for name in ("pairs", "written_bytes"))
    read = sum(row["size"] for row in archives)
    failed = [row["archive"] for row in archives if row["status"] == "failed"]
    factor = size / read if size and read else len(paths) / number
    at_once = min(cores, len(paths))
    of_all = f"{'all ' if len(paths) > 1 else ''}{counted(len(paths), 'archive')}"
    verdict.add(
        "canary",
        f"{failed[0]} could not be extracted: see the lines above" if failed else None,
        f"{counted(number, 'archive')} in {seconds:.1f} s, {pairs / seconds:,.0f} pairs/s; extraction of {of_all} "
        f"takes about {_duration(seconds * factor * number / at_once)} on {counted(cores, 'core')} and writes about "
        f"{in_bytes(written * factor)} of raw pairs",
    )
