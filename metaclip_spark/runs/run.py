"""One run: its session, its folder, and the rule by which a step is done once.

A step's table counts by its manifest. A manifest names what the step was made with (`config`), what it was made from
(`input`: the digest of the manifest before it) and what came of it (`numbers`); where the first two are as before, the
step is done.
"""

import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession

from metaclip_spark.config.curation import OutputConfig
from metaclip_spark.errors import InputError
from metaclip_spark.runs.buckets import buckets_of, combined, read_step
from metaclip_spark.runs.layout import RUN, bucket_folder, manifest_name
from metaclip_spark.runs.progress import StepProgress, watch
from metaclip_spark.runs.records import Gate, Manifest, Record, put_record, read_manifest
from metaclip_spark.runs.step import Step
from metaclip_spark.steps.language_filter import filter_languages
from metaclip_spark.steps.schemas import spark_schema
from metaclip_spark.stores.spark_io import check_committed
from metaclip_spark.stores.storage import JsonObject, Storage
from udfs.schemas import MATCHED

log = logging.getLogger(__name__)

SMALLEST_PARTITION_ROWS = 20_000

Config = TypeVar("Config", bound=Record)
Numbers = TypeVar("Numbers", bound=Record)


@dataclass(frozen=True)
class Run:
    """Where a run computes, where it stores, and where it speaks.

    Attributes:
        spark: The session.
        storage: The run's folder, whose lock the caller holds where it writes.
        output: Its configuration.
    """

    spark: SparkSession
    storage: Storage
    output: OutputConfig

    @property
    def buckets(self) -> int:
        """Into how many buckets the pool is split."""
        return buckets_of(self.storage)

    def manifest(self, step: Step[Config, Numbers], bucket: int | None = None) -> Manifest[Config, Numbers]:
        """Reads the manifest of a step that must have been done, of one bucket or of all together.

        Raises:
            InputError: If the step has not been done, or its files are no longer what it wrote.
        """
        buckets = range(self.buckets) if bucket is None else [bucket]
        found = combined(self.storage, step, read_step(self.storage, step, buckets))
        lost = self.lost_files(found)
        if lost:
            raise InputError(
                f"{len(lost)} files of the step '{step.name}' are gone from {self.storage.root}, first {lost[0]}: "
                "run that step again"
            )
        return found

    def manifest_if_done(
        self, step: Step[Config, Numbers], bucket: int | None = None
    ) -> Manifest[Config, Numbers] | None:
        """Reads one manifest of a step as it is; None where the step is not done."""
        found: Manifest[Config, Numbers] | None = read_manifest(
            self.storage, manifest_name(step.name, bucket), step.config, step.numbers
        )
        return found

    def lost_files(self, manifest: Manifest[Any, Any]) -> list[str]:
        """Lists files that a step wrote and that are gone, and files that are there and that it did not write."""
        return sorted(
            file
            for folder, written in manifest.files.items()
            for file in set(written).symmetric_difference(self.storage.data_files(folder))
        )

    def read(self, folder: str, schema: pa.Schema) -> DataFrame:
        """Reads a folder as a table of one of `udfs.schemas`; empty where the step wrote no file."""
        return self._read([folder], schema)

    def read_buckets(self, table: str, schema: pa.Schema) -> DataFrame:
        """Reads all buckets of pool or matched."""
        return self._read([bucket_folder(table, bucket) for bucket in range(self.buckets)], schema)

    def _read(self, folders: list[str], schema: pa.Schema) -> DataFrame:
        columns = spark_schema(schema)
        with_files = [self.storage.location(folder) for folder in folders if self.storage.data_files(folder)]
        if not with_files:
            return self.spark.createDataFrame([], columns)
        return self.spark.read.schema(columns).parquet(*with_files)

    def matched(self, gate: Gate) -> DataFrame:
        """Reads the matched pairs that pass the language gate: what count and sample work with."""
        return filter_languages(
            self.read_buckets("matched", MATCHED),
            languages=gate.languages,
            min_language_probability=gate.min_language_probability,
        )

    def write(self, table: DataFrame, folder: str) -> None:
        """Empties a table's folder and writes it."""
        self.storage.delete(folder)
        rows = self.output.rows_per_file
        table.write.mode("overwrite").option("maxRecordsPerFile", rows).parquet(self.storage.location(folder))
        check_committed(self.storage, folder)

    def write_rows(self, rows: pa.Table, folder: str) -> None:
        """Empties a table's folder and puts one file, where the driver has all rows, without a Spark job."""
        self.storage.delete(folder)
        # As Spark names its files, so that a manifest's list of files tells this write from any other.
        self.storage.put_table(f"{folder}/part-00000-{uuid.uuid4()}.zstd.parquet", rows)

    def read_rows(self, folder: str, schema: pa.Schema) -> pa.Table:
        """Reads a table that fits on the driver, file by file; empty where the step wrote no file."""
        files = [pa.BufferReader(self.storage.read_bytes(file)) for file in self.storage.data_files(folder)]
        tables = [pq.read_table(file, columns=schema.names).cast(schema) for file in files]
        return pa.concat_tables([schema.empty_table(), *tables])

    def partitions(self, rows: int) -> int:
        """Chooses into how many partitions a table of at most so many rows is shuffled.

        One per file, and at least one per core while each has `SMALLEST_PARTITION_ROWS`.
        """
        files = -(-rows // self.output.rows_per_file)
        cores = self.spark.sparkContext.defaultParallelism
        return max(1, files, min(cores, rows // SMALLEST_PARTITION_ROWS))

    def do(
        self,
        step: Step[Config, Numbers],
        *,
        config: Config,
        settings: JsonObject,
        input_digest: str,
        work: Callable[[], Numbers],
        bucket: int | None = None,
    ) -> Manifest[Config, Numbers]:
        """Does a step unless its manifest says that it is done.

        Args:
            step: The step.
            config: What its result depends on, besides its input.
            settings: Its whole configuration, to be saved.
            input_digest: Digest of its input's manifest.
            work: Does the step and returns its numbers.
            bucket: The bucket, where the step works by bucket.

        Returns:
            The step's manifest.
        """
        before = self.manifest_if_done(step, bucket)
        if before:
            why = _why_again(before, config, input_digest, self.lost_files(before))
            if not why:
                if not bucket:
                    log.info(f"{step.name}: done before, kept")
                return before
            log.info(f"{step.name}: {why}, so it is done again")
        self.undo(step, bucket)
        with watch(self.spark, StepProgress(step.name, "partitions")) as progress:
            numbers = work()
        seconds = round(progress.seconds, 3)
        manifest = self.commit(
            step, config, numbers, settings=settings, input_digest=input_digest, seconds=seconds, bucket=bucket
        )
        told = msgspec.to_builtins(numbers)
        words = f"{step.name}: {_in_words(told)}, {progress.seconds:.1f} s"
        log.info(words, extra={"step": step.name, "bucket": bucket, "seconds": seconds, "numbers": told})
        return manifest

    def undo(self, step: Step[Any, Any], bucket: int | None = None) -> None:
        """Takes a step's table out of the count, and the run out of those that are finished, before either changes."""
        self.storage.delete(RUN)
        self.storage.delete(manifest_name(step.name, bucket))

    def commit(
        self,
        step: Step[Config, Numbers],
        config: Config,
        numbers: Numbers,
        *,
        settings: JsonObject,
        input_digest: str,
        seconds: float,
        bucket: int | None = None,
    ) -> Manifest[Config, Numbers]:
        """Puts the manifest that makes a step's table count, once it is written."""
        manifest: Manifest[Config, Numbers] = Manifest(
            step=step.name,
            config=config,
            input=input_digest,
            numbers=numbers,
            settings=settings,
            files={folder: list(self.storage.data_files(folder)) for folder in step.folders(bucket)},
            seconds=seconds,
        )
        put_record(self.storage, manifest_name(step.name, bucket), manifest)
        return manifest


def check_number(found: int, recorded: int, what: str) -> None:
    """Stops a step that reads another number of rows than the step before it has recorded.

    Raises:
        InputError: If the numbers differ.
    """
    if found != recorded:
        raise InputError(
            f"{found:,} {what} were read where {recorded:,} were written: files were lost or changed; restore them, or "
            "use --overwrite"
        )


def _why_again(before: Manifest[Config, Numbers], config: Config, input_digest: str, lost: list[str]) -> str | None:
    was, now = msgspec.to_builtins(before.config), msgspec.to_builtins(config)
    keys = sorted(key for key in {*was, *now} if was.get(key) != now.get(key))
    if keys:
        return f"other settings ({', '.join(keys)})"
    if before.input != input_digest:
        return "its input has changed"
    return f"{len(lost)} of its files are gone" if lost else None


def _in_words(numbers: JsonObject) -> str:
    return ", ".join(
        f"{number:,} {name.replace('_', ' ')}"
        for name, number in numbers.items()
        if isinstance(number, int) and not isinstance(number, bool)
    )
