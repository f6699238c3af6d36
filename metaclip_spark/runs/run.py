"""One run: its session, its folder, what counts in it, and the rule by which a step is done once.

A step's table counts by an entry of the run's log. The entry says what the step was made with (`config`), what it was
made from (`input`: the digest of the step before it) and what came of it (`numbers`); where the first two are as
before, the step is done.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame, SparkSession

from metaclip_spark.commits.entries import Begin, Sample, Table, Written
from metaclip_spark.commits.files import garbage_of, lost_files, lost_of, read_rows, readable_paths, tidy
from metaclip_spark.commits.log import Log
from metaclip_spark.commits.owner import Owner
from metaclip_spark.commits.state import State
from metaclip_spark.config.curation import OutputConfig
from metaclip_spark.config.fields import differing
from metaclip_spark.errors import InputError, counted
from metaclip_spark.runs.buckets import buckets_of, combine
from metaclip_spark.runs.layout import CURATED, place_of
from metaclip_spark.runs.progress import StepProgress, watch
from metaclip_spark.runs.records import Gate, Manifest, Record, StepNumbers, manifest_of
from metaclip_spark.runs.step import Attempt, Step, step_before
from metaclip_spark.steps.language_filter import filter_languages
from metaclip_spark.steps.schemas import spark_schema
from metaclip_spark.stores.storage import JsonObject, Storage
from udfs.schemas import ELIGIBLE, EXPECTED_KEPT, MATCHED

log = logging.getLogger(__name__)

SMALLEST_PARTITION_ROWS = 20_000

Config = TypeVar("Config", bound=Record)
Numbers = TypeVar("Numbers", bound=StepNumbers)


class NotOpenForWorkError(RuntimeError):
    """A run that was opened without Spark, or for reading, lacks what is wanted of it."""


@dataclass(frozen=True)
class Run:
    """Where a run computes, where it stores, and where it speaks.

    Attributes:
        get_session: Finds or starts the session, once it is needed; None where only what the driver itself can read is
            wanted.
        storage: The run's folder.
        output: Its configuration.
        log: Its log, as far as it has been read.
        owner: Its owner, where this driver may write to it.
        redone: The step that is done again whatever was done before.
    """

    get_session: Callable[[], SparkSession] | None
    storage: Storage
    output: OutputConfig
    log: Log
    owner: Owner | None = None
    redone: str | None = None

    @cached_property
    def spark(self) -> SparkSession:
        """The session.

        Raises:
            NotOpenForWorkError: If the run was opened without one.
            ConfigError: If one must be started and there is no Java 17 or newer.
        """
        if self.get_session is None:
            raise NotOpenForWorkError(f"{self.storage.root} was opened without Spark")
        return self.get_session()

    @property
    def state(self) -> State:
        """What counts."""
        return self.log.state

    @property
    def owned(self) -> Owner:
        """The run's owner.

        Raises:
            NotOpenForWorkError: If the run was opened for reading.
        """
        if self.owner is None:
            raise NotOpenForWorkError(f"{self.storage.root} was opened for reading")
        return self.owner

    def check_open_for_work(self) -> None:
        """Refuses where there is something to do and this run may only be read.

        Raises:
            NotOpenForWorkError: If it was opened for reading.
        """
        _ = self.owned

    @property
    def buckets(self) -> int:
        """Into how many buckets the pool is split."""
        return buckets_of(self.state) or 1

    def entry(self, step: Step[Any, Any], bucket: int | None = None) -> Table | Sample | None:
        """Gives the entry by which a step counts, or one of its buckets; None where it does not."""
        return self.state.sample if step.is_sample else self.state.tables.get((step.name, bucket))

    def manifest(self, step: Step[Config, Numbers], bucket: int | None = None) -> Manifest[Config, Numbers]:
        """Gives the manifest of a step that must have been done, of one bucket or of all together.

        Raises:
            InputError: If the step has not been done, or its files are no longer what it wrote.
        """
        parts = step.parts(self.buckets) if bucket is None else [bucket]
        entries = [self.entry(step, part) for part in parts]
        done = [entry for entry in entries if entry is not None]
        if len(done) < len(entries):
            what = f"only {len(done)} of {len(entries)} buckets of" if done else "no finished"
            raise InputError(f"{self.storage.root} has {what} step '{step.name}': run that step first")
        lost = [file for entry in done for file in lost_files(self.storage, entry)]
        if lost:
            raise InputError(self.explain_loss(step.name, lost))
        before = self.step_before(step)
        made_before = [] if bucket is not None or before is None else self._manifests_if_done(before)
        return combine([self._manifest_of(step, entry) for entry in done], before, made_before)

    def step_before(self, step: Step[Any, Any]) -> Step[Any, Any] | None:
        """Gives the step whose result a step reads; None for the first."""
        return step_before(step, self.state.begins)

    def explain_loss(self, step: str, lost: Sequence[str]) -> str:
        """Says that files are gone, unless the log says meanwhile that they no longer count."""
        number = self.state.number
        if self.log.read_on().number != number:
            return (
                f"{self.storage.root} was changed by another driver while it was read ({lost[0]} no longer counts): "
                "run this again"
            )
        return (
            f"{counted(len(lost), 'file')} of the step '{step}' {'is' if len(lost) == 1 else 'are'} gone from "
            f"{self.storage.root}, such as {lost[0]}: run that step again with --resume"
        )

    def _manifests_if_done(self, step: Step[Any, Any]) -> list[Manifest[Any, Any]]:
        entries = [self.entry(step, part) for part in step.parts(self.buckets)]
        return [self._manifest_of(step, entry) for entry in entries if entry is not None]

    def _manifest_of(self, step: Step[Config, Numbers], entry: Table | Sample) -> Manifest[Config, Numbers]:
        shown = f"the entry of the step '{step.name}' in {self.storage.root}"
        made: Manifest[Config, Numbers] = manifest_of(entry.manifest, step.config, step.numbers, shown)
        return made

    def manifest_if_done(
        self, step: Step[Config, Numbers], bucket: int | None = None
    ) -> Manifest[Config, Numbers] | None:
        """Gives one manifest of a step as it is; None where the step is not done."""
        entry = self.entry(step, bucket)
        return None if entry is None else self._manifest_of(step, entry)

    def read(self, table: str, schema: pa.Schema, bucket: int | None = None) -> DataFrame:
        """Reads a table of one of `udfs.schemas` that counts; empty where the step wrote no file."""
        return self.read_written([self.state.written(table, bucket)], schema)

    def read_buckets(self, table: str, schema: pa.Schema, bucket: int | None = None) -> DataFrame:
        """Reads a table that lies by bucket: one bucket, or all."""
        buckets = range(self.buckets) if bucket is None else [bucket]
        return self.read_written([self.state.written(table, each) for each in buckets], schema)

    def read_written(self, folders: Sequence[Written | None], schema: pa.Schema) -> DataFrame:
        """Reads folders of one table; empty where they hold no file."""
        # The session comes first: it settles by which scheme Spark reads the paths.
        spark, columns = self.spark, spark_schema(schema)
        if self.owner is None:
            # Who writes has looked at the files of the step before; a reader sees them for the first time.
            self._check_files([written for written in folders if written])
        paths = [path for written in folders if written for path in readable_paths(self.storage, written)]
        if not paths:
            return spark.createDataFrame([], columns)
        return spark.read.schema(columns).parquet(*paths)

    def _check_files(self, folders: Sequence[Written]) -> None:
        lost = [file for written in folders for file in lost_of(self.storage, written)]
        if lost:
            raise InputError(self.explain_loss(folders[0].folder.partition("/")[0], lost))

    @property
    def _every(self) -> range:
        return range(self.buckets)

    def has_table(self, table: str) -> bool:
        """Tells whether a table that lies by bucket was written for any of them."""
        return any(self.state.written(table, bucket) for bucket in self._every)

    def matched(self) -> DataFrame:
        """Reads the matched pairs; of a run that began with another's pairs, the eligible ones."""
        return self.read_buckets("matched", MATCHED) if self.has_table("matched") else self.eligible()

    def eligible(self) -> DataFrame:
        """Reads the matched pairs that no rule excludes: columns of `ELIGIBLE`, of `MATCHED` where there is no rule."""
        if not self.has_table("eligible"):
            return self.read_buckets("matched", MATCHED)
        # In a bucket of which nothing was excluded the matched pairs are the eligible ones.
        folders = [self.state.written("eligible", each) or self.state.written("matched", each) for each in self._every]
        return self.read_written(folders, ELIGIBLE)

    def passed_pairs(self, gate: Gate) -> DataFrame:
        """Reads the eligible pairs that pass the language filter: what count and sample work with."""
        return filter_languages(
            self.eligible(), gate.languages, min_language_probability=float(gate.min_language_probability)
        )

    def read_rows(self, table: str, schema: pa.Schema) -> pa.Table:
        """Reads a table that fits on the driver, file by file; empty where the step wrote no file."""
        return read_rows(self.storage, self.state.written(table), schema)

    def partitions(self, rows: int) -> int:
        """Chooses into how many partitions a table of at most this many rows is shuffled.

        One per file, and at least one per core while each has `SMALLEST_PARTITION_ROWS`.
        """
        files = -(-rows // self.output.rows_per_file)
        cores = self.spark.sparkContext.defaultParallelism
        return max(1, files, min(cores, rows // SMALLEST_PARTITION_ROWS))

    def is_done(self, step: Step[Config, Any], config: Config, input_digest: str) -> bool:
        """Tells whether a step that begins rounds was done in all its parts, with the same settings and input."""
        begun = self.state.begins.get(step.name)
        if begun is None or self.redone == step.name:
            return False
        why = _why_again(begun[1].config, msgspec.to_builtins(config), begun[1].input == input_digest)
        return why is None and all(self.entry(step, part) for part in step.parts(self.buckets))

    def begin(self, step: Step[Config, Any], config: Config, input_digest: str, *, buckets: int | None = None) -> int:
        """Begins a round of a step, or goes on with one that was begun with the same.

        What is decided for a step is decided here, for all of its buckets.

        Args:
            step: The step.
            config: What its result depends on, besides its input.
            input_digest: Digest of its input.
            buckets: Into how many buckets the pool is split; None for as before.

        Returns:
            The number of the round's `Begin`.
        """
        begun = self.state.begins.get(step.name)
        settings = msgspec.to_builtins(config)
        if begun and self.redone != step.name:
            why = _why_again(begun[1].config, settings, begun[1].input == input_digest)
            if why is None:
                return begun[0]
            log.info(f"{step.name}: {why}, so it is done again", extra={"step": step.name, "event": "redone"})
        return self.owned.commit(
            Begin(
                owner=self.owned.nonce,
                step=step.name,
                config=settings,
                input=input_digest,
                buckets=buckets or self.buckets,
            )
        )

    def do(
        self,
        step: Step[Config, Numbers],
        *,
        config: Config,
        settings: JsonObject,
        input_digest: str,
        work: Callable[[Attempt], Numbers],
        bucket: int | None = None,
        begin: int = 0,
    ) -> Manifest[Config, Numbers]:
        """Does a step, or one of its buckets, unless the log says that it is done.

        Args:
            step: The step.
            config: What its result depends on, besides its input.
            settings: Its whole configuration, to be saved.
            input_digest: Digest of its input's manifest.
            work: Does the step: writes its tables by the attempt that it is given, and returns its numbers.
            bucket: The bucket, where the step works by bucket.
            begin: The number of the round, where the step is done in rounds.

        Returns:
            The step's manifest.
        """
        entry = self.entry(step, bucket)
        if entry is not None and (begin or self.redone != step.name):
            before = self._manifest_of(step, entry)
            lost = lost_files(self.storage, entry)
            was, now = msgspec.to_builtins(before.config), msgspec.to_builtins(config)
            why = _why_again(was, now, before.input == input_digest)
            why = why or (f"{counted(len(lost), 'of its files is gone', 'of its files are gone')}" if lost else None)
            if why is None:
                if not bucket:
                    log.info(f"{step.name}: already done, reused", extra={"step": step.name, "event": "reused"})
                return before
            log.info(f"{step.name}: {why}, so it is done again", extra={"step": step.name, "event": "redone"})
        for table in step.tables:
            tidy(self.owned, place_of(table, bucket), samples=self.output.keep_samples if step.is_sample else 1)
        attempt = Attempt(self, bucket)
        part = "" if bucket is None or self.buckets == 1 else f"bucket {bucket + 1} of {self.buckets}"
        with watch(self.spark, StepProgress(step.name, "partitions", part=part)) as progress:
            numbers = work(attempt)
        seconds = round(progress.seconds, 3)
        manifest: Manifest[Config, Numbers] = Manifest(
            step=step.name, config=config, input=input_digest, numbers=numbers, settings=settings, seconds=seconds
        )
        self.commit(step, manifest, attempt, begin)
        told = msgspec.to_builtins(numbers)
        words = f"{step.name}: {numbers.in_words()}, {progress.seconds:.1f} s"
        done = {"event": "done", "step": step.name, "bucket": bucket, "seconds": seconds, "numbers": told}
        log.info(words, extra=done)
        return manifest

    @property
    def _excludes_removals(self) -> bool:
        """Whether something was removed for ever, from this run or from the one that it began with."""
        begun = self.state.begins.get("exclude")
        first_draw = begun[1].config.get("first_draw") if begun else None
        return bool(self.state.removals or (first_draw and first_draw.get("removed")))

    def commit(self, step: Step[Any, Any], manifest: Manifest[Any, Any], attempt: Attempt, begin: int = 0) -> None:
        """Creates the entry that makes a step's tables count, once they are written and checked."""
        told: JsonObject = msgspec.to_builtins(manifest)
        nonce = self.owned.nonce
        if step.is_sample:
            self.owned.commit(Sample(owner=nonce, tables=attempt.tables, manifest=told))
            # A folder of layout 1 that readers would take for the curated set goes at once.
            if CURATED in garbage_of(self.owned, [CURATED], samples=self.output.keep_samples):
                self.storage.delete(CURATED)
            if self._excludes_removals and not self.state.pending:
                # Sets before this one may hold what was removed; what removes it compares the two before.
                for table in step.tables:
                    tidy(self.owned, place_of(table))
            return
        self.owned.commit(
            Table(owner=nonce, step=step.name, bucket=attempt.bucket, begin=begin, tables=attempt.tables, manifest=told)
        )


def entry_table(schema: pa.Schema, *columns: Sequence[Any] | NDArray[Any] | pa.Array) -> pa.Table:
    """Makes a table with one row per entry: entry_id, then the given columns in the order of entry_id."""
    all_columns = zip((np.arange(len(columns[0]), dtype=np.int32), *columns), schema, strict=True)
    arrays = [each if isinstance(each, pa.Array) else pa.array(each, field.type) for each, field in all_columns]
    return pa.Table.from_arrays(arrays, schema=schema)


def read_expected_kept(run: Run, number_of_entries: int) -> NDArray[np.float64]:
    """Reads how many pairs of each entry the draw was expected to keep, shape (number_of_entries,).

    Raises:
        InputError: If the sample step did not write it.
    """
    rows = run.read_rows("expected_kept", EXPECTED_KEPT).sort_by("entry_id")
    if rows.num_rows != number_of_entries:
        raise InputError(
            f"{run.storage.root} has no expected_kept/ for its {number_of_entries} entries: it was sampled by another "
            "version of metaclip-spark; run sample again with --overwrite"
        )
    expected: NDArray[np.float64] = rows["expected_kept"].to_numpy()
    return expected


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


def _why_again(was: JsonObject, now: JsonObject, same_input: bool) -> str | None:  # noqa: FBT001
    keys = differing(was, now)
    if keys:
        return f"other settings ({', '.join(keys)})"
    return None if same_input else "its input has changed"
