"""Extraction in waves: each attempt writes to a folder of its own and counts once the log has its entry."""

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import msgspec
import pyarrow as pa
from pyspark.sql import DataFrame, DataFrameWriter, SparkSession
from pyspark.sql import functions as F

from metaclip_spark.commits.entries import ArchiveSummary, Wave, Written
from metaclip_spark.commits.files import write_to
from metaclip_spark.commits.owner import Owner
from metaclip_spark.config.curation import ExtractConfig
from metaclip_spark.errors import InputError, TooManyRejectsError, brief, counted, percent
from metaclip_spark.inputs.archive_path import ArchivePath
from metaclip_spark.runs.buckets import bucket_of
from metaclip_spark.runs.layout import EXTRACTED as EXTRACTED_FOLDER
from metaclip_spark.runs.layout import wave_name, wave_place
from metaclip_spark.runs.ledger import FAILED, Ledger, added_up, ledger_of
from metaclip_spark.runs.progress import described
from metaclip_spark.runs.records import ExtractNumbers, NamedArchives
from metaclip_spark.steps.schemas import require_columns, spark_schema
from metaclip_spark.stores.storage import Storage
from udfs.schemas import ARCHIVES, EXTRACTED, PAIRS, REJECTS

Result = TypeVar("Result")

NORMAL_REASON = "record.skipped_"
"""Records that hold no page by their nature (requests, redirects, PDF ...): counted, but no rejects."""

NAMED_ARCHIVES = 5
UNKNOWN_RECORDS = "record.skipped_unknown"
_NOT_ARCHIVES = {"archive.error_page": "an HTML or XML page", "archive.not_an_archive": "another kind of file"}
_RAISED = re.compile(r"^(?:\w+Error: )?(?:\[Errno \d+\] )?")
_TITLE = re.compile(r"<title[^>]*>([^<]+)", re.IGNORECASE)
_NO_RESPONSES = {
    f"{NORMAL_REASON}{kind}"
    for kind in ("arc_header", "continuation", "conversion", "dns", "metadata", "request", "revisit", "warcinfo")
} | {UNKNOWN_RECORDS}
_NUMBERS = [field.name for field in ARCHIVES if field.name not in {"archive", "status", "size", "etag", "rejected"}]


@dataclass(frozen=True)
class WaveLayout:
    """How a wave's rows are written: rows per Parquet file, at most, and into how many buckets pairs are split."""

    rows_per_file: int
    buckets: int = 1

    def place(self, extracted: DataFrame) -> DataFrame:
        """Places rows by bucket, where there are several, and else leaves them where they were made."""
        if self.buckets == 1:
            return extracted
        bucket = F.coalesce(bucket_of(F.col("pair_id"), self.buckets), F.lit(0))
        return extracted.withColumn("bucket", bucket).repartition(self.buckets, "bucket")

    def settings(self, writer: DataFrameWriter) -> DataFrameWriter:
        """Sets how what `place` gave is written: a folder per kind and bucket."""
        folders = ["kind", "bucket"] if self.buckets > 1 else ["kind"]
        return writer.partitionBy(*folders).option("maxRecordsPerFile", self.rows_per_file)


def extract_wave(owner: Owner, wave: int, names: list[str], extracted: DataFrame, layout: WaveLayout) -> Wave:
    """Writes one attempt at one wave and makes it count.

    Args:
        owner: The run's owner.
        wave: The wave's number.
        names: Its archives.
        extracted: Columns of `EXTRACTED`, not yet computed.
        layout: How its rows are written.

    Returns:
        The wave's entry.

    Raises:
        RuntimeError: If the rows written do not hold each archive once, and the pairs that each has told of.
        InputError: If files were lost twice.
    """
    written = write_to(owner, layout.place(extracted), wave_place(), layout.settings)
    archives, by_reference = _read_summaries(extracted.sparkSession, owner.storage, f"{written.folder}/kind=archive")
    _check_complete(archives, names)
    check_pairs(archives, written)
    entry = Wave(
        owner=owner.nonce, wave=wave, written=written, archives=tuple(archives), reference_records=by_reference
    )
    owner.commit(entry)
    return entry


def waves_of(pending: list[ArchivePath], archives_per_wave: int) -> Iterator[list[ArchivePath]]:
    """Cuts the pending archives into waves."""
    for start in range(0, len(pending), archives_per_wave):
        yield pending[start : start + archives_per_wave]


def run_waves(
    owner: Owner,
    pending: list[ArchivePath],
    config: ExtractConfig,
    extract: Callable[[list[ArchivePath]], DataFrame],
    committed: Callable[[Wave], None],
    layout: WaveLayout,
) -> None:
    """Extracts archives that no wave holds yet, wave by wave, and those that failed again.

    It ends when all waves are in, or when a wave showed that going on would only fail more archives.

    Args:
        owner: The run's owner.
        pending: The archives to extract.
        config: The step's configuration.
        extract: Gives the rows of some archives, not yet computed.
        committed: Called with each wave once it counts.
        layout: How the rows are written.
    """
    named = {archive for archive, _ in pending}
    left = pending

    def wave(number: int, paths: list[ArchivePath]) -> Wave:
        rows = extract(paths)
        spark = rows.sparkSession
        # Spark keeps descriptions and tags per thread.
        spark.sparkContext.addJobTag(owner.tag)
        with described(spark, "extract", f"wave {number + 1}, {counted(len(paths), 'archive')}"):
            return extract_wave(owner, number, [archive for archive, _ in paths], rows, layout)

    for _ in range(config.attempts):
        first = ledger_of(owner.state).next_wave()
        waves = enumerate(waves_of(left, config.archives_per_wave), start=first)
        for entry in side_by_side((partial(wave, *numbered) for numbered in waves), config.waves_at_once, owner.tag):
            committed(entry)
            failed = _all_failed(entry) and named.intersection(ledger_of(owner.state).failed())
            if failed and len(failed) > config.max_failed_archives:
                # Wrong rights or an expired token fail every archive: further waves would only cost money.
                break
        # What a wave that was given up left untried is tried again, too; what cannot change is not.
        ledger = ledger_of(owner.state)
        hopeless = {archive for archive, (_, summary) in ledger.failed().items() if _kind_of(summary)}
        settled = hopeless.union(ledger.accepted())
        left = [each for each in pending if each[0] not in settled]


def side_by_side(calls: Iterator[Callable[[], Result]], at_once: int, tag: str = "") -> Iterator[Result]:
    """Makes calls in threads, a few of them ahead of the one whose result is next.

    Args:
        calls: What to call; taken from the iterator only when its turn comes.
        at_once: Calls that run at the same time, at most; 1 runs each in this thread.
        tag: What their Spark jobs are tagged with.

    Yields:
        The results in the order of the calls. When it ends early, the Spark jobs of running calls are cancelled.
    """
    if at_once == 1:
        yield from (call() for call in calls)
        return
    running: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(at_once) as pool:
        try:
            for call in calls:
                running.append(pool.submit(call))
                if len(running) == at_once:
                    yield _take_first(running)
            while running:
                yield _take_first(running)
        finally:
            # An error, a signal, or a caller that has seen enough: what still runs would be waited for in vain.
            session = SparkSession.getActiveSession()
            if running and session and tag:
                session.sparkContext.cancelJobsWithTag(tag)


def _take_first(running: "deque[Future[Result]]") -> Result:
    # A call that a signal interrupts the wait for is still running.
    result = running[0].result()
    running.popleft()
    return result


def _all_failed(entry: Wave) -> bool:
    return all(summary.status == FAILED for summary in entry.archives)


def read_pairs(spark: SparkSession, storage: Storage, ledger: Ledger, bucket: int | None = None) -> DataFrame:
    """Reads the raw pairs that count, of one bucket; None for a pool that is not split.

    The rows of archives that failed, or that a later wave repeats, are left out.
    """
    files = [file for file, _ in ledger.written("pair", bucket)]
    return _read_rows(spark, storage, ledger, files, PAIRS)


def recorded_pairs(ledger: Ledger, bucket: int | None = None) -> int | None:
    """Gives how many raw pairs were written, of one bucket; None where not all that was written counts."""
    rows = [rows for _, rows in ledger.written("pair", bucket)]
    return None if ledger.superseded(ledger.accepted()) or min(rows, default=0) < 0 else sum(rows)


def read_rejects(spark: SparkSession, storage: Storage, ledger: Ledger) -> DataFrame:
    """Reads the rejects of each archive's accepted attempt or, where all failed, of its last one."""
    return _read_rows(spark, storage, ledger, [file for file, _ in ledger.written("reject")], REJECTS)


def archive_rows(ledger: Ledger) -> pa.Table:
    """Gives the row of each archive, in UTF-8 order: of its accepted attempt or, where all failed, of its last one."""
    attempts = {**ledger.failed(), **ledger.accepted()}
    rows = [msgspec.structs.asdict(attempts[archive][1]) for archive in sorted(attempts, key=str.encode)]
    columns = {name: [row[name] for row in rows] for name in ARCHIVES.names}
    columns["rejected"] = [list(reasons.items()) for reasons in columns["rejected"]]
    return pa.table(columns, schema=ARCHIVES)


def _read_rows(spark: SparkSession, storage: Storage, ledger: Ledger, names: list[str], schema: pa.Schema) -> DataFrame:
    files = [storage.location(name) for name in names]
    if not files:
        return spark.createDataFrame([], spark_schema(schema))
    based = spark.read.schema(spark_schema(EXTRACTED)).option("basePath", storage.location(EXTRACTED_FOLDER))
    rows = based.parquet(*files).withColumn("wave", F.col("wave").cast("string"))
    counted = ledger.accepted() if schema is PAIRS else {**ledger.failed(), **ledger.accepted()}
    superseded = ledger.superseded(counted)
    if superseded:
        not_counted = [(wave_name(folder), archive) for folder, archive in superseded]
        named = spark.createDataFrame(not_counted, "superseded_wave string, superseded_archive string")
        same = (F.col("wave") == F.col("superseded_wave")) & (F.col("archive") == F.col("superseded_archive"))
        rows = rows.join(F.broadcast(named), same, "left_anti")
    return require_columns(rows, schema)


def extraction_numbers(ledger: Ledger) -> ExtractNumbers:
    """Adds up the accepted archives.

    `without_pages` and `with_unknown_records` name archives that may hide a loss.
    """
    summaries = [summary for _, summary in ledger.accepted().values()]
    statuses = [summary.status for summary in summaries]
    return ExtractNumbers(
        archives=len(summaries) + len(ledger.failed()),
        archives_ok=statuses.count("ok"),
        archives_damaged=statuses.count("damaged"),
        archives_failed=len(ledger.failed()),
        archives_empty=sum(summary.size == 0 for summary in summaries),
        **{name: sum(getattr(summary, name) for summary in summaries) for name in _NUMBERS},
        rejected=added_up(summary.rejected for summary in summaries),
        without_pages=_named(summary for summary in summaries if _lost_every_page(summary)),
        with_unknown_records=_named(summary for summary in summaries if summary.rejected.get(UNKNOWN_RECORDS)),
    )


def _lost_every_page(summary: ArchiveSummary) -> bool:
    """Tells whether an archive holds records that could be pages, and none that is one."""
    reasons = {reason for reason in summary.rejected if reason.startswith("record.")}
    return not summary.pages and bool(reasons - _NO_RESPONSES)


def _named(summaries: Iterator[ArchiveSummary]) -> NamedArchives:
    names = [summary.archive for summary in summaries]
    return NamedArchives(archives=len(names), first=names[:NAMED_ARCHIVES])


def _kind_of(failed: ArchiveSummary) -> str:
    """Says what a file is that no further attempt could read as an archive; empty for any other failure."""
    return next((words for reason, words in _NOT_ARCHIVES.items() if reason in failed.rejected), "")


def bad_records(rejected: Mapping[str, int]) -> dict[str, int]:
    """Takes from counts by reason those of records that should have been pages: what --max-rejects limits."""
    return {
        reason: count
        for reason, count in rejected.items()
        if reason.startswith("record.") and not reason.startswith(NORMAL_REASON)
    }


def check_losses(
    ledger: Ledger,
    numbers: ExtractNumbers,
    config: ExtractConfig,
    named: list[str],
    example_of: Callable[[str], str] = lambda _: "",
) -> None:
    """Stops a run that lost more than its user allows.

    Args:
        ledger: The ledger of the run.
        numbers: The accepted archives added up.
        config: The limits.
        named: The archives that the user names now; that others failed in earlier runs is no reason to stop.
        example_of: Gives the reject of an archive that could not be read.

    Raises:
        InputError: If more archives than the limit says could not be read, and no further attempt could read them.
        TooManyRejectsError: If more archives failed, or a larger share of records is bad, than the limits say.
    """
    failed = sorted(set(ledger.failed()).intersection(named))
    if len(failed) > config.max_failed_archives:
        error = _too_many_failed(ledger, config, failed, example_of)
        raise error
    untried = sorted(set(named).difference(failed, ledger.accepted()))
    if untried:
        raise TooManyRejectsError(
            f"{_first_of(untried)} {_were(untried)} not read at all: --resume reads {_them(untried)}"
        )
    bad = bad_records(numbers.rejected)
    records = numbers.pages + sum(bad.values())
    share = sum(bad.values()) / records if records else 0.0
    if share > config.max_rejects:
        most = max(bad, key=lambda reason: (bad[reason], reason))
        raise TooManyRejectsError(
            f"{percent(share)} of {counted(records, 'record')} are bad (limit {percent(config.max_rejects)}), "
            f"most often {most} ({bad[most]:,}): see rejects/; --resume with a larger --max-rejects goes on"
        )


def _too_many_failed(
    ledger: Ledger, config: ExtractConfig, failed: list[str], example_of: Callable[[str], str]
) -> InputError | TooManyRejectsError:
    option = "--pool" if config.pool else "--crawl" if config.crawl else "--archives"
    line = f"{option}: {_first_of(failed)} could not be read"
    limit = f" (--max-failed-archives is {config.max_failed_archives})" if config.max_failed_archives else ""
    example = example_of(failed[0])
    without = f"--max-failed-archives {len(failed)} goes on without {_them(failed)}"
    summaries = ledger.failed()
    kinds = [_kind_of(summaries[archive][1]) for archive in failed]
    if all(kinds):
        kind = kinds[0]
        is_what = f"it is {kind}" if len(failed) == 1 else f"the first is {kind}"
        shown = f" ({_start_of(example)})" if example else ""
        return InputError(f"{line}{limit}: {is_what}, not an archive{shown}: check the address; {without}")
    shown = f": {_RAISED.sub('', example)}" if example else ""
    return TooManyRejectsError(f"{line}{limit}{shown}; --resume tries {_them(failed)} again, {without}")


def _first_of(archives: list[str]) -> str:
    """Names one archive, or the first of several."""
    return archives[0] if len(archives) == 1 else f"{archives[0]} and {len(archives) - 1:,} more"


def _them(archives: list[str]) -> str:
    return "it" if len(archives) == 1 else "them"


def _were(archives: list[str]) -> str:
    return "was" if len(archives) == 1 else "were"


def _start_of(page: str) -> str:
    """The title of a page, or its first words, in quotes."""
    title = _TITLE.search(page)
    return brief((title[1] if title else page).strip())


def _check_complete(archives: list[ArchiveSummary], names: list[str]) -> None:
    written = [summary.archive for summary in archives]
    if sorted(written) != sorted(names):
        missing = sorted(set(names).difference(written))
        raise RuntimeError(
            f"a wave of {len(names)} archives was written with {len(written)} closing rows (missing: {missing[:5]}): "
            "it does not count; run again with --resume, and report this as a bug"
        )


def check_pairs(archives: Sequence[ArchiveSummary], written: Written) -> None:
    """Refuses a wave that does not hold the pairs that its archives tell of.

    Raises:
        RuntimeError: If it does not.
    """
    told = sum(summary.pairs for summary in archives)
    rows = sum(file.rows for file in written.files if file.name.startswith("kind=pair/"))
    if rows != told:
        raise RuntimeError(
            f"{written.folder} holds {rows:,} pairs where its archives tell of {told:,}: it does not count; run again "
            "with --resume, and report this as a bug"
        )


def _read_summaries(spark: SparkSession, storage: Storage, folder: str) -> tuple[list[ArchiveSummary], dict[str, int]]:
    """Reads the archives' rows, and adds up what the reference reader has read of them."""
    rows = spark.read.schema(spark_schema(EXTRACTED)).parquet(storage.location(folder))
    found = [row.asDict() for row in rows.select(*ARCHIVES.names, "reference_records").collect()]
    by_reference = added_up(row.pop("reference_records") or {} for row in found)
    for row in found:
        row["rejected"] = dict(sorted((row["rejected"] or {}).items()))
    return [ArchiveSummary(**row) for row in sorted(found, key=lambda row: row["archive"].encode())], by_reference
