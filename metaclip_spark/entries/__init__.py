"""Metadata lists and the entry counts that belong to them."""

from metaclip_spark.entries.metadata import (
    DIGEST_KEY,
    Metadata,
    check_entries,
    load_entry_counts,
    load_metadata,
    load_summed_counts,
    read_unchecked_entries,
)

__all__ = [
    "DIGEST_KEY",
    "Metadata",
    "check_entries",
    "load_entry_counts",
    "load_metadata",
    "load_summed_counts",
    "read_unchecked_entries",
]
