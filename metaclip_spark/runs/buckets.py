"""How a pool is split, so that deduplication and matching go bucket by bucket and a kill costs one bucket.

A pair belongs to a bucket by the first byte of its pair_id, so equal pairs meet in one bucket and no shuffle is larger
than a bucket. The number of buckets is fixed by the first run into an output, since its files lie by bucket.
"""

from collections.abc import Sequence
from typing import TypeVar

import msgspec
from pyspark.sql import Column
from pyspark.sql import functions as F

from metaclip_spark.config.fields import digest
from metaclip_spark.errors import ConfigError, InputError
from metaclip_spark.runs.layout import BUCKETS
from metaclip_spark.runs.records import BucketNumber, Manifest, Record, put_record, read_manifest, read_record
from metaclip_spark.runs.step import STEPS, Step
from metaclip_spark.stores.storage import Storage

Config = TypeVar("Config", bound=Record)
Numbers = TypeVar("Numbers", bound=Record)

MOST_BUCKETS = 256
ARCHIVES_PER_BUCKET = 512
"""So many that no shuffle of a bucket outgrows a cluster's disks."""


def buckets_of(storage: Storage) -> int:
    """Reads into how many buckets a run's pool is split: 1 where nothing else was fixed."""
    fixed = read_record(storage, BUCKETS, BucketNumber)
    return fixed.buckets if fixed else 1


def fix_buckets(storage: Storage, wanted: int, archives: int) -> int:
    """Fixes the number of buckets at the first run into an output, and keeps it later.

    Args:
        storage: The run, whose lock the caller holds.
        wanted: What the user asks for; 0 for the default, which grows with the number of archives.
        archives: Archives of this run.

    Returns:
        The number of buckets.

    Raises:
        ConfigError: If the output has another number than the user asks for.
    """
    fixed = read_record(storage, BUCKETS, BucketNumber)
    if fixed is None:
        needed = max(1, -(-archives // ARCHIVES_PER_BUCKET))
        chosen = wanted or min(MOST_BUCKETS, 1 << (needed - 1).bit_length())
        put_record(storage, BUCKETS, BucketNumber(buckets=chosen))
        return chosen
    if wanted not in {0, fixed.buckets}:
        raise ConfigError(
            f"--buckets is {wanted}, but {storage.root} was begun with {fixed.buckets}: leave the option out, or give "
            "another --output"
        )
    return fixed.buckets


def bucket_of(pair_id: Column, buckets: int) -> Column:
    """Gives the bucket, from 0 to buckets - 1, of a pair by its id of 32 hex digits."""
    first_byte = F.conv(F.substring(pair_id, 1, 2), 16, 10).cast("int")
    return F.floor(first_byte * F.lit(buckets) / F.lit(MOST_BUCKETS)).cast("int")


def read_step(
    storage: Storage, step: Step[Config, Numbers], buckets: Sequence[int]
) -> list[Manifest[Config, Numbers] | None]:
    """Reads a step's manifests: one, or one per bucket; None where one is missing."""
    return [read_manifest(storage, name, step.config, step.numbers) for name in step.manifest_names(buckets)]


def combined(
    storage: Storage, step: Step[Config, Numbers], manifests: Sequence[Manifest[Config, Numbers] | None]
) -> Manifest[Config, Numbers]:
    """Puts the manifests of a step's buckets together, with the sums of all numbers.

    Raises:
        InputError: If a bucket is missing or was made with other settings.
    """
    done = [manifest for manifest in manifests if manifest is not None]
    if len(done) < len(manifests):
        what = f"only {len(done)} of {len(manifests)} buckets of" if done else "no finished"
        raise InputError(f"{storage.root} has {what} step '{step.name}': run that step first")
    first = done[0]
    if len(done) == 1:
        return first
    if any(manifest.config != first.config for manifest in done):
        raise InputError(
            f"the buckets of step '{step.name}' in {storage.root} have several settings: run that step again"
        )
    return msgspec.structs.replace(
        first,
        input=_combined_input(storage, step, [manifest.input for manifest in done]),
        numbers=_sum([manifest.numbers for manifest in done]),
        files={folder: files for manifest in done for folder, files in manifest.files.items()},
        seconds=round(sum(manifest.seconds for manifest in done), 3),
    )


def _sum(numbers: Sequence[Numbers]) -> Numbers:
    sums = {name: sum(getattr(each, name) for each in numbers) for name in numbers[0].__struct_fields__}
    return type(numbers[0])(**sums)


def _combined_input(storage: Storage, step: Step[Config, Numbers], inputs: list[str]) -> str:
    """The digest of the step before as a whole, where each bucket was made from its own part of it."""
    if len(set(inputs)) == 1:
        return inputs[0]
    before = STEPS.get(step.after or "")
    if before is not None and before.by_bucket:
        parts = read_step(storage, before, range(len(inputs)))
        if [part.digest for part in parts if part is not None] == inputs:
            return combined(storage, before, parts).digest
    return digest(inputs)
