"""Metadata lists and the entry counts that belong to them."""

from metaclip_spark.entries.counts import (
    DIGEST_KEY,
    CountSource,
    load_entry_counts,
    load_summed_counts,
    load_summed_list_counts,
    read_any_counts,
)
from metaclip_spark.entries.language_thresholds import load_language_thresholds
from metaclip_spark.entries.lists import OTHER
from metaclip_spark.entries.matchable import check_matchable, load_to_match
from metaclip_spark.entries.metadata import (
    SPACES,
    Metadata,
    MetadataList,
    as_metadata,
    check_entries,
    load_metadata,
    read_unchecked_entries,
)
from metaclip_spark.entries.texts import EntryTexts, texts_of, with_surrogates

__all__ = [
    "DIGEST_KEY",
    "OTHER",
    "SPACES",
    "CountSource",
    "EntryTexts",
    "Metadata",
    "MetadataList",
    "as_metadata",
    "check_entries",
    "check_matchable",
    "load_entry_counts",
    "load_language_thresholds",
    "load_metadata",
    "load_summed_counts",
    "load_summed_list_counts",
    "load_to_match",
    "read_any_counts",
    "read_unchecked_entries",
    "texts_of",
    "with_surrogates",
]
