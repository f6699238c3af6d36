"""Metadata lists and the entry counts that belong to them."""

from metaclip_spark.entries.counts import (
    DIGEST_KEY,
    CountSource,
    entries_of_counts,
    load_entry_counts,
    load_summed_counts,
)
from metaclip_spark.entries.metadata import Metadata, as_metadata, check_entries, load_metadata, read_unchecked_entries

__all__ = [
    "DIGEST_KEY",
    "CountSource",
    "Metadata",
    "as_metadata",
    "check_entries",
    "entries_of_counts",
    "load_entry_counts",
    "load_metadata",
    "load_summed_counts",
    "read_unchecked_entries",
]
