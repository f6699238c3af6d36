"""Removals: what an operator lists is registered for ever, and leaves the curated set."""

from dataclasses import dataclass
from functools import cached_property

import msgspec
import pyarrow as pa
from pyspark import StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from metaclip_spark.commits.entries import NAMED_PAIRS, REGISTER, Removal, Written
from metaclip_spark.commits.files import tidy, write_rows, write_to
from metaclip_spark.commits.removals import named_folders, read_registers, tables_of_rows
from metaclip_spark.config.exclusion import REMOVALS as OPTIONS
from metaclip_spark.config.exclusion import RemovalConfig
from metaclip_spark.config.fields import option_of
from metaclip_spark.errors import ConfigError, counted, joined
from metaclip_spark.inputs.block_lists import IMAGE_DIGITS, Values, paths_of, read_values
from metaclip_spark.pipeline.again import Again
from metaclip_spark.pipeline.balancing.list_thresholds import with_kept
from metaclip_spark.pipeline.exclusion import Judging
from metaclip_spark.pipeline.images import write_images
from metaclip_spark.runs.entry_tables import read_lists
from metaclip_spark.runs.layout import REGISTERS, THRESHOLDS
from metaclip_spark.runs.records import RefillNumbers
from metaclip_spark.runs.run import Run
from metaclip_spark.runs.step import SAMPLE, Attempt
from metaclip_spark.steps.exclusion.lists import find_named, first_reasons, share_lists
from udfs.exclusion.digest_table import DigestTable
from udfs.exclusion.kinds import KINDS, PAGE_KINDS, reason_of
from udfs.schemas import CURATED, REMOVALS, REMOVED_PAIRS
from udfs.schemas import THRESHOLDS as OF_LISTS
from udfs.sources import environment_options

_DRAWN = ("curated", "refill")
"""The tables of drawn pairs."""


@dataclass(frozen=True)
class Listed:
    """What is to be removed, read and checked before Spark starts.

    Attributes:
        config: What the user configured.
        values: The lists.
    """

    config: RemovalConfig
    values: tuple[Values, ...]

    @cached_property
    def rows(self) -> pa.Table:
        """What is listed: columns of `udfs.schemas.REMOVALS`, sorted."""
        parts = [
            pa.Table.from_arrays(
                [
                    pa.repeat(values.kind, len(values.keys)),
                    pa.array([each.hex() for each in values.keys], pa.string()),
                    pa.array(list(values.keys.values()), pa.string()),
                ],
                schema=REMOVALS,
            )
            for values in self.values
        ]
        return pa.concat_tables(parts)

    @cached_property
    def tables(self) -> dict[str, DigestTable]:
        """What is listed, by kind."""
        return tables_of_rows(self.rows)

    @property
    def numbers(self) -> dict[str, int]:
        """Kind to its number of values."""
        return {values.kind: len(values.keys) for values in self.values}

    @property
    def has_images(self) -> bool:
        """Whether hashes of images are listed, which only the run's rules can tell of pairs."""
        return "image" in self.numbers

    @property
    def paths(self) -> list[str]:
        """Where it was read."""
        return paths_of(self.config.lists)


def read_listed(config: RemovalConfig) -> Listed:
    """Reads what is to be removed.

    Raises:
        InputError: If a list is missing, damaged or empty, or holds what it cannot hold.
    """
    options = environment_options()
    values = [
        read_values(
            option_of(OPTIONS[kind]),
            kind,
            named,
            options=options,
            allow_public_suffix=config.allow_public_suffix,
            legible=config.store_values,
        )
        for kind, named in config.lists.items()
    ]
    return Listed(config, tuple(sorted(values, key=lambda each: KINDS.index(each.kind))))


@dataclass(frozen=True)
class Named:
    """The matched pairs of a run that a removal names, found by Spark.

    Attributes:
        run: The run.
        listed: What is listed.
        values: Columns of `udfs.exclusion.named_values.NAMED`, kept on the executors' disks.
    """

    run: Run
    listed: Listed
    values: DataFrame

    @property
    def pairs(self) -> DataFrame:
        """Each pair once: columns of `udfs.schemas.REMOVED_PAIRS`."""
        kinds = F.create_map(*(F.lit(each) for kind in KINDS for each in (kind, reason_of(kind))))
        named = first_reasons([self.values.select("pair_id", kinds[F.col("kind")].alias("reason"))])
        curated = self.run.read("curated", CURATED).select("pair_id", F.lit(True).alias("is_curated"))  # noqa: FBT003
        return named.join(curated, "pair_id", "left").select(
            "pair_id",
            "reason",
            F.coalesce("is_curated", F.lit(False)).alias("is_curated"),  # noqa: FBT003
        )

    def without_pairs(self) -> dict[str, int]:
        """Counts the values that name no pair, by kind."""
        rows = self.values.select("kind", "digest").distinct().groupBy("kind").count().collect()
        found = {row.kind: row["count"] for row in rows}
        return {kind: number - found.get(kind, 0) for kind, number in self.listed.numbers.items()}

    def counts(self, pairs: DataFrame) -> tuple[dict[str, int], dict[str, int]]:
        """Counts the pairs, and the curated ones, by the kind that names them first."""
        rows = pairs.groupBy("reason").agg(F.count("*").alias("all"), F.count_if("is_curated").alias("kept")).collect()
        by_reason = {row.reason: row for row in rows}
        named = [(kind, by_reason.get(reason_of(kind))) for kind in self.listed.numbers]
        return ({kind: row["all"] if row else 0 for kind, row in named},
                {kind: row["kept"] if row else 0 for kind, row in named})  # fmt: skip

    def release(self) -> None:
        """Lets go of what was kept."""
        self.values.unpersist()


def judging_for(made: Again, listed: Listed) -> Judging:
    """Gives what tells of a run's pairs, as far as lists ask for it.

    Raises:
        ConfigError: If hashes of images are listed and the run was made without any.
    """
    [digits] = [values.digits for values in listed.values if values.kind == "image"] or [frozenset[int]()]
    if listed.has_images:
        told = made.rules.downloads.hash_name if made.rules.downloads else None
        if told is None:
            raise ConfigError(
                f"--images needs hashes of images, and {made.run.storage.root} was made without --downloaded that "
                "tells one: list URLs or pair_ids"
            )
        if digits != {IMAGE_DIGITS[told]}:
            raise ConfigError(
                f"--images lists hashes of {joined(sorted(map(str, digits)), 'and')} digits, and images of "
                f"{made.run.storage.root} are known by their {told} of {IMAGE_DIGITS[told]}: give hashes of that kind"
            )
    from_first = listed.config.mode == "rebalance" or not listed.numbers.keys().isdisjoint(PAGE_KINDS)
    return made.judging(with_rules=listed.has_images, with_first=from_first)


def find_pairs(judging: Judging, listed: Listed, pairs: DataFrame) -> Named:
    """Finds the pairs that are named.

    Args:
        judging: Tells of the pairs' images and pages.
        listed: What is listed.
        pairs: Where to look: columns of `udfs.schemas.PAIRS`.

    Raises:
        InputError: If pages are listed and the raw pairs, which tell of all pages, are gone.
        ConfigError: If hashes of images are listed and the run's rules tell of none.
    """
    run, tables = judging.run, listed.tables
    of_pages = {kind: table for kind, table in tables.items() if kind in PAGE_KINDS}
    of_pairs = {kind: table for kind, table in tables.items() if kind not in PAGE_KINDS}
    found: list[DataFrame] = []
    if of_pairs:
        known = judging.with_hashes(pairs) if listed.has_images else pairs
        found.append(find_named(known, share_lists(run.spark, of_pairs)))
    if of_pages:
        judging.check_raw_pairs("restore them")
        named = find_named(judging.raw_pairs(), share_lists(run.spark, of_pages))
        found.append(named.join(pairs.select("pair_id"), "pair_id", "left_semi"))
    values = found[0] if len(found) == 1 else found[0].unionByName(found[1])
    return Named(run, listed, values.persist(StorageLevel.DISK_ONLY))


def register(run: Run, judging: Judging, listed: Listed, made: Again) -> int:
    """Makes a removal count: from now on nothing that it names is counted or drawn.

    Where the set is only to be rid of them, no other pairs are looked at.

    Args:
        run: The run.
        judging: Tells of its pairs.
        listed: What is listed.
        made: How the run was made.

    Returns:
        The number of the removal.

    Raises:
        InputError: If pages are listed and the raw pairs are gone.
    """
    for table in REGISTERS:
        tidy(run.owned, table)
    only_curated, downloads = looks_at_drawn(run, listed.config), judging.rules.downloads
    # A run that began with another one's pairs tells of matched pairs, and has none.
    is_matched = judging.first is not None or run.state.written("matched", 0) is not None
    tables: dict[str, Written] = {}
    without_pairs: dict[str, int] = {}
    matched: dict[str, int] = {}
    curated: dict[str, int] = {}
    pairs = drawn_pairs(run) if only_curated else judging.pairs() if is_matched else None
    if pairs is not None:
        named = find_pairs(judging, listed, pairs)
        one_file = named.pairs.repartition(1).sortWithinPartitions("pair_id")
        tables[NAMED_PAIRS] = write_to(run.owned, one_file, NAMED_PAIRS, lambda writer: writer)
        without_pairs = named.without_pairs()
        matched, curated = named.counts(run.read_written([tables[NAMED_PAIRS]], REMOVED_PAIRS))
        named.release()
    tables[REGISTER] = write_rows(run.owned, listed.rows, REGISTER)
    sample = run.state.written("curated")
    return run.owned.commit(
        Removal(
            owner=run.owned.nonce,
            tables=tables,
            reason=listed.config.reason,
            by=listed.config.by,
            values=listed.numbers,
            without_pairs=without_pairs,
            matched={} if only_curated else matched,
            curated=curated,
            image_hash=(downloads and downloads.hash_name) or "",
            input=judging.digest if is_matched and not only_curated else "",
            sample=sample.folder if sample else "",
            settings=made.options,
            rules=made.before or {},
        )
    )


def looks_at_drawn(run: Run, config: RemovalConfig) -> bool:
    """Tells whether a removal is compared with the drawn pairs alone: those that it only drops."""
    return config.mode == "drop" and run.state.sample is not None


def drawn_pairs(run: Run) -> DataFrame:
    """Gives the curated pairs, and those that a plan for what else to download lists."""
    pairs = [run.read(table, CURATED) for table in _DRAWN if run.state.written(table)]
    return pairs[0] if len(pairs) == 1 else pairs[0].unionByName(pairs[1])


def registered(run: Run, listed: Listed) -> int | None:
    """Finds a removal of the same values that has not come to its end: an earlier command was stopped."""
    for each in read_registers(run.storage, run.state):
        is_open = each.number in run.state.pending or (
            run.state.finished is None and each.number == max(run.state.removals)
        )
        if is_open and each.rows.select(["kind", "value_sha256"]).equals(listed.rows.select(["kind", "value_sha256"])):
            return each.number
    return None


def drop_removed(run: Run) -> None:
    """Takes what was removed out of the curated set; who is in it otherwise stays as the draw has left it."""
    made, tables = run.manifest(SAMPLE), run.state.samples[-1].tables
    named = run.read_written(named_folders(run.state.removals.values()), REMOVED_PAIRS).select("pair_id")
    if named.isEmpty():
        return
    attempt = Attempt(run, tables=dict(tables))
    for table in (table for table in _DRAWN if table in tables):
        left = run.read(table, CURATED).join(named, "pair_id", "left_anti").select(*CURATED.names)
        attempt.write(left.sortWithinPartitions("pair_id"), table)
    kept = attempt.tables["curated"].rows
    dropped = made.numbers.dropped + made.numbers.pairs - kept
    numbers = msgspec.structs.replace(made.numbers, pairs=kept, dropped_since_balance=dropped)
    lists = read_lists(run)
    if lists is not None and THRESHOLDS in tables:
        rows = run.read_rows(THRESHOLDS, OF_LISTS)
        attempt.write_rows(with_kept(rows, attempt.read("curated"), lists), THRESHOLDS)
    if "curated_images" in tables:
        numbers.images = write_images(run, attempt)
    if isinstance(numbers.refill, RefillNumbers):
        numbers.refill = msgspec.structs.replace(numbers.refill, pairs=attempt.tables["refill"].rows)
    run.commit(SAMPLE, msgspec.structs.replace(made, numbers=numbers), attempt)


def removal_lines(title: str, removal: Removal) -> list[str]:
    """Says what a removal names, by kind."""
    told = [f"  {option_of(OPTIONS[kind])[2:]}: {_told_of(removal, kind)}" for kind in removal.values]
    return [f"{title} ({removal.reason}):", *told]


def _told_of(removal: Removal, kind: str) -> str:
    values = counted(removal.values[kind], "value")
    if not removal.without_pairs:
        return f"{values}, for when pairs are matched: there are none yet"
    curated = removal.curated.get(kind, 0)
    named = (
        f"{counted(removal.matched[kind], 'matched pair')}, {curated:,} of them curated"
        if removal.matched
        else counted(curated, "curated pair")
    )
    return f"{values} ({removal.without_pairs[kind]:,} name no pair), {named}"
