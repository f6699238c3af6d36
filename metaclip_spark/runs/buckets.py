"""How a pool is split, so that deduplication and matching go bucket by bucket and a kill costs one bucket.

A pair belongs to a bucket by the first byte of its pair_id, so equal pairs meet in one bucket and no shuffle is larger
than a bucket. The number of buckets is fixed by the first run into an output, since its files lie by bucket.
"""

from typing import Any

from pyspark.sql import Column
from pyspark.sql import functions as F

from metaclip_spark.config.fields import digest
from metaclip_spark.errors import ConfigError, InputError
from metaclip_spark.stores.storage import MANIFESTS, Storage, manifest_digest, manifest_name

FIXED = f"{MANIFESTS}/buckets.json"
MOST_BUCKETS = 256
ARCHIVES_PER_BUCKET = 512
"""Of these, some 3 million pairs each come from a WAT archive: at most 3 x 10^9 raw rows of 200 bytes meet in a bucket
of the largest pools, and far fewer in usual ones."""

BY_BUCKET = ("deduplicate", "match")


def buckets_of(storage: Storage) -> int:
    """Reads into how many buckets a run's pool is split.

    Args:
        storage: The run.

    Returns:
        1 where nothing else was fixed.
    """
    fixed = storage.read_json(FIXED)
    return int(fixed["buckets"]) if fixed else 1


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
    fixed = storage.read_json(FIXED)
    if fixed is None:
        needed = max(1, -(-archives // ARCHIVES_PER_BUCKET))
        chosen = wanted or min(MOST_BUCKETS, 1 << (needed - 1).bit_length())
        storage.put_json(FIXED, {"buckets": chosen})
        return chosen
    buckets = int(fixed["buckets"])
    if wanted not in {0, buckets}:
        raise ConfigError(
            f"--buckets is {wanted}, but {storage.root} was begun with {buckets}: leave the option out, or give "
            "another --output"
        )
    return buckets


def bucket_of(pair_id: Column, buckets: int) -> Column:
    """Gives the bucket of a pair.

    Args:
        pair_id: 32 hex digits.
        buckets: How many there are, 1 to 256.

    Returns:
        An int column, from 0 to buckets - 1.
    """
    first_byte = F.conv(F.substring(pair_id, 1, 2), 16, 10).cast("int")
    return F.floor(first_byte * F.lit(buckets) / F.lit(MOST_BUCKETS)).cast("int")


def combined_manifest(storage: Storage, step: str, manifests: list[dict[str, Any] | None]) -> dict[str, Any]:
    """Puts the manifests of a step's buckets together.

    Args:
        storage: The run, for messages.
        step: The step.
        manifests: One per bucket; None where it is missing.

    Returns:
        A manifest with the sums of all numbers.

    Raises:
        InputError: If a bucket is missing or was made with other settings.
    """
    # An empty manifest says nothing of its step.
    done = [manifest for manifest in manifests if manifest]
    if len(done) < len(manifests):
        what = f"only {len(done)} of {len(manifests)} buckets of" if done else "no finished"
        raise InputError(f"{storage.root} has {what} step '{step}': run that step first")
    first = done[0]
    if len(done) == 1:
        return first
    if any(manifest["config"] != first["config"] for manifest in done):
        raise InputError(f"the buckets of step '{step}' in {storage.root} have several settings: run that step again")
    return {
        **first,
        "input": _combined_input(storage, step, [manifest["input"] for manifest in done]),
        "numbers": {name: sum(manifest["numbers"][name] for manifest in done) for name in first["numbers"]},
        "files": {folder: files for manifest in done for folder, files in manifest["files"].items()},
        "seconds": round(sum(manifest["seconds"] for manifest in done), 3),
    }


def _combined_input(storage: Storage, step: str, inputs: list[str]) -> str:
    """The digest of the step before as a whole, where each bucket was made from its own part of it."""
    if len(set(inputs)) == 1:
        return inputs[0]
    before = [
        storage.read_json(manifest_name(BY_BUCKET[BY_BUCKET.index(step) - 1], each)) for each in range(len(inputs))
    ]
    parts = [manifest for manifest in before if manifest is not None]
    if step != BY_BUCKET[0] and [manifest_digest(manifest) for manifest in parts] == inputs:
        return manifest_digest(combined_manifest(storage, BY_BUCKET[0], before))
    return digest(inputs)
