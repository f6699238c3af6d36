"""Beginning a run with what another has matched or curated: to balance anew what is left of it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
from msgspec import UnsetType
from numpy.typing import NDArray
from pyspark.sql import DataFrame

from metaclip_spark.commits.entries import Begin, Removal, Table
from metaclip_spark.commits.removals import read_registers, removals_digest
from metaclip_spark.config.curation import LanguageConfig, SampleConfig
from metaclip_spark.config.exclusion import RebalanceConfig, RedrawConfig
from metaclip_spark.entries import SPACES, EntryTexts, Metadata
from metaclip_spark.errors import ConfigError, InputError, said_of
from metaclip_spark.reports.profile import is_estimated, read_balance
from metaclip_spark.runs.buckets import is_in_bucket
from metaclip_spark.runs.entry_tables import metadata_lists, read_counts, read_lists, read_texts
from metaclip_spark.runs.open import check_finished, open_beside, read_log
from metaclip_spark.runs.records import FirstDraw, Gate, RemovalNumbers
from metaclip_spark.runs.run import Run
from metaclip_spark.runs.step import COUNT, DEDUPLICATE, EXCLUDE, EXTRACT, MATCH, SAMPLE, Step
from metaclip_spark.stores.storage import Storage
from udfs.schemas import CURATED, ELIGIBLE, MATCHED

_COPIED: tuple[Step[Any, Any], ...] = (EXTRACT, DEDUPLICATE, MATCH)


@dataclass(frozen=True)
class FirstRun:
    """The run whose pairs are balanced anew; it is only read.

    Attributes:
        run: The run.
        config: How it was named, and what of it was attempted.
        draw: What is told of its draw.
        number: The last entry of its log.
    """

    run: Run
    config: RebalanceConfig
    draw: FirstDraw
    number: int

    @property
    def gate(self) -> Gate:
        """Its language filter."""
        return self.run.manifest(SAMPLE).config.gate

    @property
    def counts(self) -> NDArray[np.int64]:
        """The counts that it balanced with, one per metadata entry."""
        return self._balance[0]

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """The probabilities that it was drawn with, one per metadata entry."""
        return self._balance[1]

    @cached_property
    def _balance(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        return read_balance(self.run, self.run.manifest(SAMPLE), read_counts(self.run))

    @property
    def is_estimated(self) -> bool:
        """Whether it began with the survivors of an earlier draw itself, so that its counts are estimates."""
        return is_estimated(self.run)

    def pairs(self, bucket: int | None = None) -> DataFrame:
        """Gives its matched pairs or, where only they were attempted, its curated ones with their chance."""
        if self.draw.attempted == "matched":
            return self.run.read_buckets("matched", MATCHED, bucket)
        curated = self.run.read("curated", CURATED).withColumnRenamed("keep_probability", "first_keep_probability")
        pairs = curated.select(*ELIGIBLE.names)
        return pairs if bucket is None else pairs.where(is_in_bucket(bucket, self.run.buckets))

    def check_unchanged(self) -> None:
        """Refuses what was read while another driver has changed the run.

        Raises:
            InputError: If one has.
        """
        if self.run.log.read_on().number != self.number:
            raise InputError(f"--from-run {self.run.storage.root} was changed while it was read: run this again")


def open_first_run(run: Run, config: RebalanceConfig) -> FirstRun:
    """Opens a finished run as the first one, in the session of the run that begins with it.

    Raises:
        InputError: If the folder is no finished run, or files of it are gone.
        ConfigError: If it is the run itself.
    """
    with said_of("--from-run"):
        return _read_first_run(_open(run, config.from_run), config)


def _open(run: Run, path: str) -> Run:
    storage = Storage(path)
    if storage.place == run.storage.place:
        raise ConfigError(
            f"{path} is the output itself: give another --output; in place, curate --resume with rules balances anew"
        )
    opened = Run(None, storage, run.output, read_log(storage)) if run.get_session is None else open_beside(run, path)
    check_finished(storage, opened.log)
    return opened


def check_own_pairs(run: Run) -> None:
    """Refuses to extract or to exclude pairs in a run that began with those of another.

    Raises:
        ConfigError: If it did.
    """
    begun = run.state.begins.get(EXCLUDE.name)
    if begun and begun[1].config.get("first_draw"):
        raise ConfigError(begun_by_rebalance(run))


def begun_by_rebalance(run: Run) -> str:
    """Says what to do where a run that began with the pairs of another one is to do what needs that one."""
    return (
        f"--output {run.storage.root} was begun by rebalance, with the pairs of another run: run rebalance again "
        "with --resume, or give another --output"
    )


def _read_first_run(run: Run, config: RebalanceConfig) -> FirstRun:
    sampled, matched = run.manifest(SAMPLE), run.manifest(MATCH)
    if config.attempted == "matched" and run.state.written("matched", 0) is None:
        raise ConfigError(
            f"{run.storage.root} was begun by rebalance and has no matched pairs of its own: leave out --attempted "
            "matched, or give the run that it began with"
        )
    numbers = sampled.numbers
    excluded = run.manifest(EXCLUDE) if EXCLUDE.name in run.state.begins else None
    draw = FirstDraw(
        digest=sampled.digest if config.attempted == "curated" else matched.digest,
        attempted=config.attempted,
        threshold_t=numbers.threshold_t,
        seed=sampled.config.sample.seed,
        matched=excluded.numbers.pairs_in if excluded else matched.numbers.pairs,
        gated_out=numbers.gated_out,
        not_drawn=numbers.not_drawn,
        pairs=numbers.pairs,
        removed=removals_digest(read_registers(run.storage, run.state)) or msgspec.UNSET,
        dropped=numbers.dropped or msgspec.UNSET,
        reasons=(excluded.numbers.reasons if excluded else {}) or msgspec.UNSET,
        preferences=excluded.config.preferences if excluded else msgspec.UNSET,
        removals=_removal_numbers(run.state.removals.values()),
        given_counts=bool(sampled.settings["entry_counts"]) or msgspec.UNSET,
        before=excluded.config.first_draw if excluded else msgspec.UNSET,
    )
    return FirstRun(run, config, draw, run.log.state.number)


def _removal_numbers(removals: Collection[Removal]) -> RemovalNumbers | UnsetType:
    if not removals:
        return msgspec.UNSET
    values, curated = (sum(sum(getattr(each, of).values()) for each in removals) for of in ("values", "curated"))
    return RemovalNumbers(removals=len(removals), values=values, curated=curated)


def metadata_of(run: Run) -> Metadata:
    """Gives the metadata list that a run was matched with, or the lists, as its tables and settings tell them."""
    counted, matched = run.manifest(COUNT).config, run.manifest_if_done(MATCH, 0)
    texts, lists = read_texts(run), metadata_lists(read_lists(run))
    return Metadata(
        entries=EntryTexts(texts) if lists else tuple(texts.to_pylist()),
        digest=counted.metadata_digest,
        lists=lists,
        labels=(matched and matched.config.labels) or {},
        anchor=counted.anchor or None,
        word_borders=(matched and matched.config.word_borders) or SPACES,
    )


def language_of(first: FirstRun) -> LanguageConfig:
    """Gives the language filter of the first run."""
    gate = first.gate
    return LanguageConfig(
        languages=tuple(gate.languages), min_language_probability=float(gate.min_language_probability)
    )


def nested_sample(first: FirstRun, config: RedrawConfig) -> SampleConfig:
    """Tells how the second draw is made: with the seed of the first, in which it is nested.

    Raises:
        ConfigError: If another seed was given.
    """
    if config.seed not in {None, first.draw.seed}:
        raise ConfigError(
            f"--seed is {config.seed}, but {first.run.storage.root} was sampled with {first.draw.seed}: only with the "
            "same seed is the second draw nested in the first; leave the option out"
        )
    given = {field.name: getattr(config, field.name) for field in fields(SampleConfig)}
    return SampleConfig(**{**given, "seed": first.draw.seed})


def begin_with(run: Run, first: FirstRun) -> None:
    """Tells in a run's log what the first run did up to its matched pairs; of its tables nothing is copied."""
    if _told_of(run) == _told_of(first.run):
        return
    for step in _COPIED:
        manifests = [first.run.manifest_if_done(step, part) for part in step.parts(first.run.buckets)]
        told = [msgspec.to_builtins(manifest) for manifest in manifests if manifest is not None]
        begin = run.owned.commit(
            Begin(
                owner=run.owned.nonce,
                step=step.name,
                config=told[0]["config"],
                input=first.run.manifest(step).input,
                buckets=first.run.buckets,
            )
        )
        for part, manifest in zip(step.parts(first.run.buckets), told, strict=True):
            run.owned.commit(
                Table(owner=run.owned.nonce, step=step.name, bucket=part, begin=begin, tables={}, manifest=manifest)
            )


def _told_of(run: Run) -> Sequence[Any]:
    parts = [(step, part) for step in _COPIED for part in step.parts(run.buckets)]
    return [run.manifest_if_done(step, part) for step, part in parts]
