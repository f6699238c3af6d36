"""One run: its session, its folder, and the rule by which a step is done once.

A step's table counts by its manifest. A manifest names what the step was made with (`config`), what it was made from
(`input`: the digest of the manifest before it) and what came of it (`numbers`); where the first two are as before, the
step is done.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from rich.console import Console

from metaclip_spark.config import OutputConfig
from metaclip_spark.errors import InputError, OutputExistsError
from metaclip_spark.lock import locked
from metaclip_spark.progress import StepProgress, watch
from metaclip_spark.schemas import spark_schema
from metaclip_spark.session import get_session
from metaclip_spark.storage import RUN, Storage, manifest_name

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

    def say(self, line: str) -> None:
        """Prints one line.

        Args:
            line: The line.
        """
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def manifest(self, step: str, bucket: int | None = None) -> dict[str, Any]:
        """Reads the manifest of a step that must have been done.

        Args:
            step: The step.
            bucket: The bucket, where the step works by bucket.

        Returns:
            The manifest.

        Raises:
            InputError: If the step has not been done.
        """
        found = self.storage.read_json(manifest_name(step, bucket))
        if not isinstance(found, dict):
            raise InputError(f"{self.storage.root} has no finished step '{step}': run that step first")
        return found

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

    def write(self, table: DataFrame, folder: str) -> None:
        """Empties a table's folder and writes it.

        Args:
            table: The table.
            folder: Relative to the run's folder.
        """
        self.storage.delete(folder)
        rows = self.output.rows_per_file
        table.write.mode("overwrite").option("maxRecordsPerFile", rows).parquet(self.storage.location(folder))

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
        bucket: int | None = None,
    ) -> dict[str, Any]:
        """Does a step unless its manifest says that it is done.

        Args:
            name: The step.
            config: What its result depends on, besides its input.
            settings: Its whole configuration, to be saved.
            input_digest: Digest of its input's manifest.
            work: Does the step and returns its numbers.
            bucket: The bucket, where the step works by bucket.

        Returns:
            The step's manifest.
        """
        before = self.storage.read_json(manifest_name(name, bucket))
        if before and before["config"] == config and before["input"] == input_digest:
            self.say(f"{name}: done before, kept")
            return dict(before)
        if before:
            self.say(f"{name}: {_why_again(before['config'], config)}, so it is done again")
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
            "seconds": round(progress.seconds, 3),
        }
        self.storage.put_json(manifest_name(name, bucket), manifest)
        return manifest


@contextmanager
def open_run(output: OutputConfig, application: str, prepare: Callable[[Storage, OutputConfig], None]) -> Iterator[Run]:
    """Takes a run's lock, prepares its folder, and only then starts Spark.

    Args:
        output: Its configuration.
        application: Who holds the lock, and the name in Spark's UI.
        prepare: Refuses or empties what the folder holds, such as `prepare_output`.

    Yields:
        The run.
    """
    storage = Storage(output.output)
    storage.check_usable()
    with locked(storage, application):
        prepare(storage, output)
        yield Run(get_session(application), storage, output, Console(stderr=True))


def prepare_output(storage: Storage, output: OutputConfig) -> None:
    """Refuses or empties an output that holds a run, as the user asked.

    Args:
        storage: The run.
        output: Its configuration.

    Raises:
        OutputExistsError: If the output holds a run and the user gave neither --resume nor --overwrite.
    """
    storage.check_usable()
    if output.overwrite:
        storage.delete_run()
    elif storage.holds_a_run() and not output.resume:
        raise OutputExistsError(f"{storage.root} holds a run: give --resume to go on with it, or --overwrite")


def prepare_step(storage: Storage, output: OutputConfig, step: str, bucket: int | None = None) -> None:
    """Refuses or undoes one step that was done before, as the user asked.

    Args:
        storage: The run.
        output: Its configuration.
        step: The step.
        bucket: The bucket, where the step works by bucket.

    Raises:
        OutputExistsError: If the step was done and the user gave neither --resume nor --overwrite.
    """
    storage.check_usable()
    manifest = manifest_name(step, bucket)
    if output.overwrite:
        storage.delete(RUN)
        storage.delete(manifest)
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


def _why_again(before: dict[str, Any], now: dict[str, Any]) -> str:
    keys = sorted(key for key in {*before, *now} if before.get(key) != now.get(key))
    return f"other settings ({', '.join(keys)})" if keys else "its input has changed"
