"""What a removal leaves as it is, whether what was removed is excluded, and what has become of the curated set."""

from collections.abc import Iterable, Sequence

import msgspec
from pyspark.sql import functions as F

from metaclip_spark.commits.entries import Removal, Removed, Sample, Table, Written
from metaclip_spark.commits.files import lost_files, lost_of, tidy
from metaclip_spark.commits.removals import Register, named_folders, read_registers, removals_digest
from metaclip_spark.errors import ConfigError, InputError
from metaclip_spark.runs.buckets import bucket_of
from metaclip_spark.runs.layout import place_of
from metaclip_spark.runs.records import (
    ExcludeManifest,
    ExcludeNumbers,
    ExcludeSettings,
    Manifest,
    MatchManifest,
)
from metaclip_spark.runs.run import Run
from metaclip_spark.runs.step import EXCLUDE, MATCH, SAMPLE
from metaclip_spark.stores.storage import JsonObject
from udfs.schemas import CURATED, REMOVED_PAIRS


def check_removals_excluded(run: Run, eligible: MatchManifest | ExcludeManifest) -> None:
    """Refuses to count or draw pairs before what was removed from the run is excluded.

    Raises:
        InputError: If it is not.
    """
    removed = eligible.config.removed if isinstance(eligible.config, ExcludeSettings) else msgspec.UNSET
    if (removals_digest(read_registers(run.storage, run.state)) or msgspec.UNSET) != removed:
        raise InputError(
            f"{run.storage.root} has removals, and its matched pairs still hold what they name: run curate, exclude or "
            "rebalance again with --resume and its rules"
        )


def check_hash_told(run: Run, removals: Iterable[Removal], told: str | None, advice: str) -> None:
    """Refuses to look for images that were removed from a run where nothing tells the hash that they are listed by.

    Args:
        run: The run.
        removals: Some of its removals.
        told: The hash that a download tells of images.
        advice: What is to be done with such a download.

    Raises:
        ConfigError: If one lists images by another hash, or nothing tells any.
    """
    for removal in removals:
        if "image" in removal.values and (told is None or removal.image_hash not in {"", told}):
            wanted = removal.image_hash or "hash"
            given = f"--downloaded tells {told}" if told else "no --downloaded tells it"
            raise ConfigError(
                f"images were removed from {run.storage.root} by their {wanted}, and {given}: {advice} --downloaded "
                f"that tells their {wanted}, so that they stay removed"
            )


def conclude_pending(run: Run) -> None:
    """Concludes what the curated set was just made without: removals of this command, and those that were stopped."""
    if run.state.pending:
        conclude(run, sorted(run.state.pending), "rebalance")


def conclude(run: Run, numbers: Sequence[int], mode: str) -> None:
    """Notes what has become of the curated set by removals, and deletes the sets before it."""
    nonce, sample = run.owned.nonce, run.state.sample
    pairs = sample.tables["curated"].rows if sample else 0
    for number in numbers:
        entered = _entered(run, run.state.removals[number])
        run.owned.commit(Removed(owner=nonce, removal=number, mode=mode, pairs=pairs, entered=entered))
    # Also where earlier sets are to stay: they hold what was removed.
    for table in SAMPLE.tables:
        tidy(run.owned, place_of(table))


def _entered(run: Run, removal: Removal) -> int | None:
    """Counts the curated pairs that were not curated when a removal was registered; None where that set is gone."""
    now = run.state.written("curated")
    if now is None or now.folder == removal.sample:
        return 0
    before = next((_curated(each) for each in run.state.samples if _curated(each).folder == removal.sample), None)
    if before is None or lost_of(run.storage, before):
        return None
    ids = [run.read_written([written], CURATED).select("pair_id") for written in (now, before)]
    return ids[0].join(ids[1], "pair_id", "left_anti").count()


def _curated(sample: Sample) -> Written:
    return sample.tables["curated"]


def judged_digest(run: Run) -> str:
    """Gives the digest of the pairs that a run judges: its matched ones, or those of the run that it began with."""
    begun = run.state.begins.get(EXCLUDE.name)
    first_draw = begun[1].config.get("first_draw") if begun else None
    return first_draw["digest"] if first_draw else run.manifest(MATCH).digest


def untouched_buckets(
    run: Run, settings: ExcludeSettings, saved: JsonObject, matched: MatchManifest, judged: str
) -> dict[int, Table]:
    """Finds the buckets of which new removals name no pair, so that what was excluded of them stays as it is.

    Args:
        run: The run.
        settings: What the exclusion depends on now.
        saved: All of its options.
        matched: The manifest of the matched pairs.
        judged: The digest of the pairs that are judged: those, or another run's.

    Returns:
        Bucket to the entry that counts for it, with the new settings; it lacks its round. Empty where more has changed
        than that something was removed, and where pairs of one bucket decide on those of another.
    """
    begun = run.state.begins.get(EXCLUDE.name)
    removals = _since(read_registers(run.storage, run.state), begun[1].config.get("removed") if begun else None)
    compared = {register.removal.input for register in removals}
    if compared != {judged} or settings.deduplicate_images is not msgspec.UNSET:
        return {}
    before = ExcludeSettings() if begun is None else msgspec.convert(begun[1].config, ExcludeSettings)
    if msgspec.structs.replace(settings, removed=before.removed) != before:
        return {}
    folders = named_folders(register.removal for register in removals)
    named = run.read_written(folders, REMOVED_PAIRS).select(bucket_of(F.col("pair_id"), run.buckets).alias("bucket"))
    touched = {row.bucket for row in named.distinct().collect()}
    told = {bucket: _as_before(run, bucket, matched) for bucket in range(run.buckets) if bucket not in touched}
    return {bucket: _entry(bucket, settings, saved, *made) for bucket, made in told.items() if made is not None}


def _since(registers: Sequence[Register], known: str | None) -> Sequence[Register]:
    """Gives the removals that came after those with this digest; none where no beginning of them has it."""
    # From the end: as a rule only the last ones are new.
    for number in reversed(range(len(registers) + 1)):
        if removals_digest(registers[:number]) == known:
            return registers[number:]
    return []


def _as_before(run: Run, bucket: int, matched: MatchManifest) -> tuple[dict[str, Written], ExcludeManifest] | None:
    """Gives what counts for a bucket; None where files of it are gone, or it was made of other pairs."""
    if EXCLUDE.name not in run.state.begins:
        pairs = run.manifest(MATCH, bucket).numbers.pairs
        numbers = ExcludeNumbers(pairs_in=pairs, reasons={}, pairs=pairs)
        none = ExcludeSettings()
        return {}, Manifest(
            step=EXCLUDE.name, config=none, input=matched.digest, numbers=numbers, settings={}, seconds=0.0
        )
    entry, made = run.entry(EXCLUDE, bucket), run.manifest_if_done(EXCLUDE, bucket)
    if entry is None or made is None or made.input != matched.digest or lost_files(run.storage, entry):
        return None
    return dict(entry.tables), made


def _entry(
    bucket: int, settings: ExcludeSettings, saved: JsonObject, tables: dict[str, Written], made: ExcludeManifest
) -> Table:
    manifest = msgspec.structs.replace(made, config=settings, settings=saved)
    return Table(owner="", step=EXCLUDE.name, bucket=bucket, tables=tables, manifest=msgspec.to_builtins(manifest))
