"""How a pool is split, so that deduplication and matching go bucket by bucket and a kill costs one bucket.

A pair belongs to a bucket by the first byte of its pair_id, so equal pairs meet in one bucket and no shuffle is larger
than a bucket. The number of buckets is fixed by the first run into an output, since its files lie by bucket.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec
from pyspark.sql import Column
from pyspark.sql import functions as F

from metaclip_spark.commits.state import State
from metaclip_spark.config.fields import digest
from metaclip_spark.errors import ConfigError
from metaclip_spark.runs.records import Manifest, Record, StepNumbers
from metaclip_spark.runs.step import Step

Config = TypeVar("Config", bound=Record)
Numbers = TypeVar("Numbers", bound=StepNumbers)

MOST_BUCKETS = 256
ARCHIVES_PER_BUCKET = 512
"""So many that no shuffle of a bucket outgrows a cluster's disks."""


def buckets_of(state: State) -> int | None:
    """Gives into how many buckets a run's pool is split; None where nothing has fixed it."""
    return state.buckets("extract") or state.buckets("deduplicate")


def choose_buckets(state: State, wanted: int, archives: int, shown: object) -> int:
    """Chooses the number of buckets at the first run into an output, and keeps it later.

    Args:
        state: What counts in the output.
        wanted: What the user asks for; 0 for the default, which grows with the number of archives.
        archives: Archives of this run.
        shown: The output, for messages.

    Returns:
        The number of buckets.

    Raises:
        ConfigError: If the output has another number than the user asks for.
    """
    fixed = buckets_of(state)
    if fixed is None:
        needed = max(1, -(-archives // ARCHIVES_PER_BUCKET))
        return wanted or min(MOST_BUCKETS, 1 << (needed - 1).bit_length())
    if wanted not in {0, fixed}:
        raise ConfigError(
            f"--buckets is {wanted}, but {shown} was begun with {fixed}: leave the option out, or give another --output"
        )
    return fixed


def bucket_of(pair_id: Column, buckets: int) -> Column:
    """Gives the bucket, from 0 to buckets - 1, of a pair by its id of 32 hex digits."""
    first_byte = F.conv(F.substring(pair_id, 1, 2), 16, 10).cast("int")
    return F.floor(first_byte * F.lit(buckets) / F.lit(MOST_BUCKETS)).cast("int")


def is_in_bucket(bucket: int, buckets: int) -> Column:
    """Tells whether a pair belongs to a bucket, by bounds of its id, which skip what lies elsewhere in sorted files."""
    first, last = (-(-place * MOST_BUCKETS // buckets) for place in (bucket, bucket + 1))
    after = "g" if last == MOST_BUCKETS else f"{last:02x}"
    return (F.col("pair_id") >= f"{first:02x}") & (F.col("pair_id") < after)


def combine(
    manifests: Sequence[Manifest[Config, Numbers]],
    before: Step[Any, Any] | None,
    made_before: Sequence[Manifest[Any, Any]],
) -> Manifest[Config, Numbers]:
    """Puts the manifests of a step's buckets together, with the sums of all numbers.

    Args:
        manifests: One per bucket.
        before: The step whose result it reads.
        made_before: That step's manifests.

    Returns:
        The one manifest of the whole step.
    """
    first = manifests[0]
    if len(manifests) == 1:
        return first
    return msgspec.structs.replace(
        first,
        input=combined_input(before, [manifest.input for manifest in manifests], made_before),
        numbers=_sum([manifest.numbers for manifest in manifests]),
        seconds=round(sum(manifest.seconds for manifest in manifests), 3),
    )


def _sum(numbers: Sequence[Numbers]) -> Numbers:
    sums = {name: _added([getattr(each, name) for each in numbers]) for name in numbers[0].__struct_fields__}
    return type(numbers[0])(**sums)


def _added(values: Sequence[Any]) -> Any:
    """Adds up numbers, or numbers by reason; what not all of them tell stays untold."""
    if any(value is msgspec.UNSET for value in values):
        return msgspec.UNSET
    if not isinstance(values[0], dict):
        return sum(values)
    reasons = dict.fromkeys(reason for value in values for reason in value)
    return {reason: sum(value.get(reason, 0) for value in values) for reason in reasons}


def combined_input(
    before: Step[Any, Any] | None, inputs: Sequence[str], made_before: Sequence[Manifest[Any, Any]]
) -> str:
    """Gives the digest of the step before as a whole, where each bucket was made from its own part of it."""
    # Before they are compared with one another: buckets with equal numbers have equal digests.
    if before is not None and before.by_bucket and [part.digest for part in made_before] == list(inputs):
        return combine(made_before, None, ()).digest
    if len(set(inputs)) == 1:
        return inputs[0]
    return digest(list(inputs))
