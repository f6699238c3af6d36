"""Purge: what was removed leaves the raw pairs, too, and with them every table that is made of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
from pyspark import StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from metaclip_spark.commits.entries import ArchiveSummary, Purge, Wave, Written
from metaclip_spark.commits.files import tidy, write_to
from metaclip_spark.commits.removals import read_registers, removed_tables
from metaclip_spark.config.curation import ExtractConfig
from metaclip_spark.config.fields import from_saved
from metaclip_spark.entries import Metadata
from metaclip_spark.errors import InputError
from metaclip_spark.pipeline.again import Again
from metaclip_spark.pipeline.extraction import deduplicate
from metaclip_spark.pipeline.matching import run_match
from metaclip_spark.pipeline.removals import check_hash_told
from metaclip_spark.reports.figures.rules import named_ids, removed_ids
from metaclip_spark.runs.extraction import finish_extraction
from metaclip_spark.runs.layout import EXTRACTED as EXTRACTED_FOLDER
from metaclip_spark.runs.layout import wave_name, wave_place
from metaclip_spark.runs.ledger import ledger_of, lost_attempts
from metaclip_spark.runs.run import Run
from metaclip_spark.runs.waves import WaveLayout, check_pairs
from metaclip_spark.steps.exclusion.lists import find_named, share_lists
from metaclip_spark.steps.schemas import spark_schema
from udfs.exclusion.digest_table import DigestTable
from udfs.schemas import EXTRACTED

PURGED = "text.purged"
"""The reason of raw pairs that are gone since they were removed."""


@dataclass(frozen=True)
class PurgePlan:
    """What a purge writes anew.

    Attributes:
        ids: The removed pair_ids, each once, kept on the executors' disks; None where nothing was ever removed.
        rows: Folder of a wave to archive to how many raw pairs of it are removed.
        folders: The folders of the waves that hold something removed, or may: examples of rejects may be cut from it.
        bytes_written: Bytes of all files that are made anew.
    """

    ids: DataFrame | None
    rows: dict[str, dict[str, int]]
    folders: list[str]
    bytes_written: int

    @property
    def pairs(self) -> int:
        """How many raw pairs leave."""
        return sum(number for of_archives in self.rows.values() for number in of_archives.values())


def plan_purge(run: Run, again: Again) -> PurgePlan:
    """Finds the raw rows that hold something removed.

    Raises:
        InputError: If raw rows are gone.
        ConfigError: If images were removed, and the run's rules do not tell the hash that they are listed by.
    """
    tables = removed_tables(read_registers(run.storage, run.state))
    if not tables:
        return PurgePlan(None, {}, [], 0)
    ledger = ledger_of(run.state)
    if lost := lost_attempts(run.storage, ledger):
        raise InputError(
            f"raw pairs of {run.storage.root} are gone, such as {lost[0].folder}, so that the tables cannot be made "
            "without what was removed: restore them, or extract the archives again with curate --resume"
        )
    # A wave of which nothing counts any more may be deleted by now.
    counting = {folder for folder, _ in ledger.attempts()}
    waves = [wave.written for folder, wave in ledger.waves.items() if folder in counting]
    raw = _read_folders(run, waves, "pair")
    ids = _removed_ids(run, again, raw if waves else None, tables).persist(StorageLevel.DISK_ONLY)
    counted = raw.join(ids, "pair_id", "left_semi").groupBy("wave", "archive").count().collect()
    names = {wave_name(written.folder): written.folder for written in waves}
    rows: dict[str, dict[str, int]] = {}
    for row in counted:
        rows.setdefault(names[row.wave], {})[row.archive] = row["count"]
    examples = _read_folders(run, waves, "reject").where(F.col("example") != "").select("wave").distinct()
    with_examples = {names[row.wave] for row in examples.collect()}
    folders = [written.folder for written in waves if written.folder in rows or written.folder in with_examples]
    return PurgePlan(ids, rows, folders, _bytes(run, folders))


def purge(run: Run, again: Again, plan: PurgePlan, metadata: Metadata) -> None:
    """Writes what holds something removed anew, and does the steps again up to the curated set.

    Args:
        run: The run.
        again: How it was made.
        plan: What `plan_purge` has found.
        metadata: Its metadata list.

    Raises:
        InputError: If files of the extraction are gone.
    """
    noted = Purge(owner=run.owned.nonce, pairs=plan.pairs, settings=again.options, rules=again.before or {})
    run.owned.commit(noted)
    for folder in plan.folders:
        _purge_wave(run, folder, plan)
    tidy(run.owned, wave_place())
    if run.state.waves:
        extract = finish_extraction(run, from_saved(ExtractConfig, again.options["extract"]), 0.0)
        deduplicate(run, extract)
        run_match(run, again.match, again.language_of_match, metadata)
    again.balance(metadata)


def _read_folders(run: Run, folders: Sequence[Written], kind: str) -> DataFrame:
    """Reads all rows in folders of waves, whether they count or not, of one of `udfs.schemas.KINDS`.

    Returns:
        Columns of `EXTRACTED`, and `wave`, the folder's name.
    """
    files = [
        run.storage.location(f"{written.folder}/{file.name}")
        for written in folders
        for file in written.files
        if f"/kind={kind}" in f"/{file.name}"
    ]
    columns = spark_schema(EXTRACTED)
    if not files:
        return run.spark.createDataFrame([], columns.add("wave", "string"))
    based = run.spark.read.schema(columns).option("basePath", run.storage.location(EXTRACTED_FOLDER)).parquet(*files)
    return based.select(*EXTRACTED.names, F.col("wave").cast("string"))


def _removed_ids(run: Run, again: Again, raw: DataFrame | None, tables: Mapping[str, DigestTable]) -> DataFrame:
    """Finds the pairs to leave: what removals have named, and of raw rows what they would name now."""
    if raw is None:
        return named_ids(run).distinct()
    ids = removed_ids(run, raw, tables)
    if "image" in tables:
        # A removal that only drops has looked at drawn pairs alone.
        of_images = share_lists(run.spark, {"image": tables["image"]})
        ids = ids.unionByName(find_named(_image_hashes(run, again, raw), of_images).select("pair_id"))
    return ids.distinct()


def _image_hashes(run: Run, again: Again, raw: DataFrame) -> DataFrame:
    downloads = again.rules.downloads
    told = downloads.hash_name if downloads else None
    check_hash_told(run, run.state.removals.values(), told, "run curate or exclude with --resume and")
    return again.judging(with_rules=True, with_first=False).image_hashes(raw)


def _purge_wave(run: Run, folder: str, plan: PurgePlan) -> None:
    """Writes a wave without what was removed, and makes that count in the place of the wave."""
    before, dropped = run.state.waves[folder], {each[1] for each in run.state.dropped if each[0] == folder}
    gone = plan.rows.get(folder, {})
    archives = tuple(
        _without(summary, gone.get(summary.archive, 0)) for summary in before.archives if summary.archive not in dropped
    )
    layout = WaveLayout(run.output.rows_per_file, run.buckets)
    rows = _rows_left(run, before.written, plan, archives)
    written = write_to(run.owned, layout.place(rows), wave_place(), layout.settings)
    check_pairs(archives, written)
    run.owned.commit(
        Wave(
            owner=run.owned.nonce,
            wave=before.wave,
            written=written,
            archives=archives,
            reference_records=before.reference_records,
            replaces=folder,
        )
    )


def _without(summary: ArchiveSummary, pairs: int) -> ArchiveSummary:
    """Tells of an archive that so many of its pairs were purged."""
    if not pairs:
        return summary
    purged = summary.rejected.get(PURGED, 0) + pairs
    rejected = dict(sorted({**summary.rejected, PURGED: purged}.items()))
    return msgspec.structs.replace(summary, pairs=summary.pairs - pairs, rejected=rejected)


def _rows_left(run: Run, written: Written, plan: PurgePlan, archives: tuple[ArchiveSummary, ...]) -> DataFrame:
    kinds = {kind: _read_folders(run, [written], kind) for kind in ("pair", "reject", "archive")}
    pairs = kinds["pair"]
    # Lists have hashes, and an example may hold a part of what is listed: none of them tells that it does not.
    rejects = kinds["reject"].withColumn("example", F.lit(None).cast("string"))
    if plan.ids is not None:
        pairs = pairs.join(plan.ids, "pair_id", "left_anti")
    told = [(each.archive, each.pairs, each.rejected) for each in archives]
    now = run.spark.createDataFrame(told, "archive string, pairs_left long, rejected_now map<string, long>")
    summaries = (
        kinds["archive"]
        .join(now, "archive")
        .withColumns({"pairs": F.col("pairs_left"), "rejected": F.col("rejected_now")})
    )
    counting = F.col("archive").isin([each.archive for each in archives])
    parts = [part.select(*EXTRACTED.names) for part in (pairs, rejects, summaries)]
    return parts[0].unionByName(parts[1]).unionByName(parts[2]).where(counting)


def _bytes(run: Run, folders: list[str]) -> int:
    """Adds up what a purge of these waves makes anew: the waves, and all tables after them."""
    if not folders:
        return 0
    waves = [run.state.waves[folder].written for folder in folders]
    tables = [written for entry in run.state.tables.values() for written in entry.tables.values()]
    sample = run.state.sample
    tables += list(sample.tables.values()) if sample else []
    return sum(size for written in (*waves, *tables) for size in written.sizes.values())
