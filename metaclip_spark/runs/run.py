"""One run: its session, its folder, and the rule by which a step is done once.

A step's table counts by its manifest. A manifest names what the step was made with (`config`), what it was made from
(`input`: the digest of the manifest before it) and what came of it (`numbers`); where the first two are as before, the
step is done.
"""

import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from rich.console import Console

from metaclip_spark.config.curation import OutputConfig
from metaclip_spark.errors import InputError, OutputExistsError
from metaclip_spark.runs.buckets import BY_BUCKET, buckets_of, combined_manifest
from metaclip_spark.runs.lock import locked
from metaclip_spark.runs.progress import StepProgress, watch
from metaclip_spark.steps.schemas import spark_schema
from metaclip_spark.stores.session import get_session, is_submitted
from metaclip_spark.stores.spark_io import (
    check_committed,
    package_settings,
    prepare_compression,
    prepare_tables,
    refuse_packages_under_submit,
    warn_of_region,
)
from metaclip_spark.stores.storage import MANIFESTS, RUN, Storage, bucket_folder, manifest_name

SMALLEST_PARTITION_ROWS = 20_000


@dataclass(frozen=True)
class Run:
    """Where a run computes, where it stores, and where it speaks.

    Attributes:
        spark: The session.
        storage: The run's folder, whose lock the caller holds.
        output: Its configuration.
        console: Where progress is shown.
    """

    spark: SparkSession
    storage: Storage
    output: OutputConfig
    console: Console

    def say(self, line: str, **fields: Any) -> None:
        """Prints one line: text, or with --log-format json an object that a log service can index.

        Args:
            line: The line.
            **fields: What the object holds besides `message`: step, bucket, wave, numbers.
        """
        if self.output.log_format == "json":
            line = json.dumps({"message": line, **fields}, ensure_ascii=False)
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)

    @property
    def buckets(self) -> int:
        """Into how many buckets the pool is split."""
        return buckets_of(self.storage)

    def manifest(self, step: str, bucket: int | None = None) -> dict[str, Any]:
        """Reads the manifest of a step that must have been done.

        Args:
            step: The step.
            bucket: The bucket, where the step works by bucket; None puts all buckets together.

        Returns:
            The manifest.

        Raises:
            InputError: If the step has not been done, or its files are no longer what it wrote.
        """
        names = [manifest_name(step, bucket)]
        if step in BY_BUCKET and bucket is None:
            names = [manifest_name(step, each) for each in range(self.buckets)]
        found = combined_manifest(self.storage, step, [self.storage.read_json(name) for name in names])
        lost = self.lost_files(found)
        if lost:
            raise InputError(
                f"{len(lost)} files of the step '{step}' are gone from {self.storage.root}, first {lost[0]}: "
                "run that step again"
            )
        return found

    def lost_files(self, manifest: dict[str, Any]) -> list[str]:
        """Compares what a step wrote with what is there.

        Args:
            manifest: The step's manifest.

        Returns:
            Files that it wrote and that are gone, and files that are there and that it did not write.
        """
        files = manifest.get("files", {})
        return sorted(
            file
            for folder, written in files.items()
            for file in set(written).symmetric_difference(self.storage.data_files(folder))
        )

    def read(self, folder: str, schema: pa.Schema) -> DataFrame:
        """Reads a table's folder.

        Args:
            folder: Relative to the run's folder.
            schema: One of `udfs.schemas`.

        Returns:
            The table; empty where the step wrote no file.
        """
        columns = spark_schema(schema)
        if not self.storage.data_files(folder):
            return self.spark.createDataFrame([], columns)
        return self.spark.read.schema(columns).parquet(self.storage.location(folder))

    def read_buckets(self, table: str, schema: pa.Schema) -> DataFrame:
        """Reads all buckets of a table.

        Args:
            table: pool or matched.
            schema: One of `udfs.schemas`.

        Returns:
            The table.
        """
        columns = spark_schema(schema)
        folders = [bucket_folder(table, bucket) for bucket in range(self.buckets)]
        with_files = [self.storage.location(folder) for folder in folders if self.storage.data_files(folder)]
        if not with_files:
            return self.spark.createDataFrame([], columns)
        return self.spark.read.schema(columns).parquet(*with_files)

    def write(self, table: DataFrame, folder: str) -> None:
        """Empties a table's folder and writes it.

        Args:
            table: The table.
            folder: Relative to the run's folder.
        """
        self.storage.delete(folder)
        rows = self.output.rows_per_file
        table.write.mode("overwrite").option("maxRecordsPerFile", rows).parquet(self.storage.location(folder))
        check_committed(self.storage, folder)

    def write_rows(self, rows: pa.Table, folder: str) -> None:
        """Empties a table's folder and puts one file, where the driver has all rows: a Spark job takes seconds more.

        Args:
            rows: The table.
            folder: Relative to the run's folder.
        """
        self.storage.delete(folder)
        # As Spark names its files, so that a manifest's list of files tells this write from any other.
        self.storage.put_table(f"{folder}/part-00000-{uuid.uuid4()}.zstd.parquet", rows)

    def read_rows(self, folder: str, schema: pa.Schema) -> pa.Table:
        """Reads a table that fits on the driver.

        Args:
            folder: Relative to the run's folder.
            schema: One of `udfs.schemas`.

        Returns:
            The table, file by file; empty where the step wrote no file.
        """
        files = [pa.BufferReader(self.storage.read_bytes(file)) for file in self.storage.data_files(folder)]
        tables = [pq.read_table(file, columns=schema.names).cast(schema) for file in files]
        return pa.concat_tables([schema.empty_table(), *tables])

    def partitions(self, rows: int) -> int:
        """Chooses into how many partitions a table is shuffled.

        Args:
            rows: An upper bound of its rows.

        Returns:
            One per file, and at least one per core while each has `SMALLEST_PARTITION_ROWS`.
        """
        files = -(-rows // self.output.rows_per_file)
        cores = self.spark.sparkContext.defaultParallelism
        return max(1, files, min(cores, rows // SMALLEST_PARTITION_ROWS))

    def step(
        self,
        name: str,
        *,
        config: dict[str, Any],
        settings: dict[str, Any],
        input_digest: str,
        work: Callable[[StepProgress], dict[str, Any]],
        folders: Sequence[str],
        bucket: int | None = None,
    ) -> dict[str, Any]:
        """Does a step unless its manifest says that it is done.

        Args:
            name: The step.
            config: What its result depends on, besides its input.
            settings: Its whole configuration, to be saved.
            input_digest: Digest of its input's manifest.
            work: Does the step and returns its numbers.
            folders: What the step writes; the files in them are recorded, and a loss of one is noticed.
            bucket: The bucket, where the step works by bucket.

        Returns:
            The step's manifest.
        """
        before = self.storage.read_json(manifest_name(name, bucket))
        if before:
            why = _why_again(before, config, input_digest, self.lost_files(before))
            if not why:
                if not bucket:
                    self.say(f"{name}: done before, kept")
                return dict(before)
            self.say(f"{name}: {why}, so it is done again")
        self.storage.delete(RUN)
        self.storage.delete(manifest_name(name, bucket))
        with watch(self.spark, self.console, StepProgress(name, "partitions")) as progress:
            numbers = work(progress)
        manifest = {
            "step": name,
            "config": config,
            "input": input_digest,
            "numbers": numbers,
            "settings": settings,
            "files": {folder: self.storage.data_files(folder) for folder in folders},
            "seconds": round(progress.seconds, 3),
        }
        self.storage.put_json(manifest_name(name, bucket), manifest)
        words = f"{name}: {_in_words(numbers)}, {progress.seconds:.1f} s"
        self.say(words, step=name, bucket=bucket, seconds=round(progress.seconds, 3), numbers=numbers)
        return manifest


@contextmanager
def open_run(
    output: OutputConfig, application: str, prepare: Callable[[Storage, OutputConfig], None], *, begins: bool = False
) -> Iterator[Run]:
    """Takes a run's lock, prepares its folder, and only then starts Spark.

    Args:
        output: Its configuration.
        application: Who holds the lock, and the name in Spark's UI.
        prepare: Refuses or empties what the folder holds, such as `prepare_output`.
        begins: Whether the job may begin a run; others need one.

    Yields:
        The run.

    Raises:
        InputError: If the job needs a run and the folder holds none.
        OutputExistsError: If the folder cannot be written to.
    """
    storage = Storage(output.output)
    console = Console(stderr=True)
    session_for(storage, application, output)
    storage.check_usable()
    if not begins and not storage.holds_a_run():
        raise InputError(f"{storage.root} holds no run: make one with curate or extract_pool, or check --output")
    with locked(storage, application):
        prepare(storage, output)
        session = get_session(application, session_settings(output))
        prepare_compression(session)
        run = Run(session, storage, output, console)
        line = prepare_tables(session, storage, allow_rename_committer=output.allow_rename_committer)
        if storage.scheme != "file":
            run.say(line)
        if warning := warn_of_region(storage):
            run.say(warning)
        _tidy_uploads(run)
        yield run


def session_settings(output: OutputConfig) -> dict[str, str]:
    """Gives what a session that plain python starts needs for a run's store.

    Args:
        output: The run's configuration.

    Returns:
        Setting -> value.
    """
    if not output.s3_packages:
        return {}
    refuse_packages_under_submit(submitted=is_submitted())
    return package_settings()


def session_for(storage: Storage, application: str, output: OutputConfig) -> SparkSession | None:
    """Starts Spark early where Hadoop alone reaches a run's folder, so that not even its lock can be taken without.

    Args:
        storage: The run's folder.
        application: The name in Spark's UI.
        output: The run's configuration.

    Returns:
        The session, or None where it can wait until all is checked.
    """
    settings = session_settings(output)
    return get_session(application, settings) if storage.needs_session else None


def _tidy_uploads(run: Run) -> None:
    store = run.storage.uploads
    uploads = store.unfinished_uploads() if store else []
    if store is None or not uploads:
        return
    if run.output.clean:
        store.abort_uploads(uploads)
        run.say(f"{len(uploads)} unfinished uploads below {run.storage.root} aborted")
        return
    run.say(
        f"{len(uploads)} unfinished uploads below {run.storage.root}, first {uploads[0][0]}: their parts are billed; "
        "--clean aborts them, a lifecycle rule of the bucket does so for good"
    )


def check_number(found: int, recorded: int, what: str) -> None:
    """Stops a step that reads another number of rows than the step before it has recorded.

    Args:
        found: Rows that were read.
        recorded: Rows that were recorded when they were written.
        what: What the rows are.

    Raises:
        InputError: If the numbers differ.
    """
    if found != recorded:
        raise InputError(
            f"{found:,} {what} were read where {recorded:,} were written: files were lost or changed; restore them, or "
            "use --overwrite"
        )


def prepare_output(storage: Storage, output: OutputConfig) -> None:
    """Refuses or empties an output that holds a run, as the user asked.

    Args:
        storage: The run.
        output: Its configuration.

    Raises:
        OutputExistsError: If the output holds a run and the user gave neither --resume nor --overwrite.
    """
    if output.overwrite:
        storage.delete_run()
    elif storage.holds_a_run() and not output.resume:
        raise OutputExistsError(f"{storage.root} holds a run: give --resume to go on with it, or --overwrite")
    storage.begin_run()


def prepare_step(
    storage: Storage, output: OutputConfig, step: str, bucket: int | None = None, needs: Sequence[str] = ()
) -> None:
    """Refuses or undoes one step that was done before, as the user asked.

    Args:
        storage: The run.
        output: Its configuration.
        step: The step.
        bucket: The bucket, where the step works by bucket.
        needs: Names of the manifests of the steps before it.

    Raises:
        InputError: If a step before it has not been done.
        OutputExistsError: If the step was done and the user gave neither --resume nor --overwrite.
    """
    for missing in (name for name in needs if storage.read_json(name) is None):
        raise InputError(f"{storage.root} has no finished step '{missing}': run that step first")
    manifest = manifest_name(step, bucket)
    if output.overwrite:
        storage.delete(RUN)
        for name in storage.names(MANIFESTS):
            if name == f"{step}.json" or name.startswith(f"{step}-"):
                storage.delete(f"{MANIFESTS}/{name}")
    elif storage.read_json(manifest) is not None and not output.resume:
        raise OutputExistsError(
            f"{storage.root} has the step '{step}' already: give --resume to keep it where its settings are the same, "
            "or --overwrite to do it again"
        )


def prepare_nothing(storage: Storage, output: OutputConfig) -> None:
    """Leaves the folder as it is: the report is written anew each time.

    Args:
        storage: The run.
        output: Its configuration.
    """
    del storage, output


def _why_again(before: dict[str, Any], config: dict[str, Any], input_digest: str, lost: list[str]) -> str | None:
    keys = sorted(key for key in {*before["config"], *config} if before["config"].get(key) != config.get(key))
    if keys:
        return f"other settings ({', '.join(keys)})"
    if before["input"] != input_digest:
        return "its input has changed"
    return f"{len(lost)} of its files are gone" if lost else None


def _in_words(numbers: dict[str, Any]) -> str:
    return ", ".join(
        f"{number:,} {name.replace('_', ' ')}"
        for name, number in numbers.items()
        if isinstance(number, int) and not isinstance(number, bool)
    )
