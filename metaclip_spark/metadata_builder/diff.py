"""Compares two metadata lists: what was added, what was removed, per source."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from metaclip_spark.entries import load_metadata
from metaclip_spark.errors import MetadataError

UNKNOWN_SOURCE = "unknown"


@dataclass(frozen=True)
class SourcedList:
    """A metadata list with the source of each entry.

    Attributes:
        digest: The list's digest.
        sources: Source by entry, in the order of the list; `unknown` where nothing tells it.
    """

    digest: str
    sources: Mapping[str, str]


@dataclass(frozen=True)
class SourceDifference:
    """What differs in one source: old = removed + common, of the old list's entries, and new likewise.

    Attributes:
        source: The source; a removed or common entry has the one of the old list, an added one that of the new.
        old: Its entries in the old list.
        new: Its entries in the new list.
        added: Entries that only the new list has, in its order.
        removed: Entries that only the old list has, in its order.
    """

    source: str
    old: int
    new: int
    added: Sequence[str]
    removed: Sequence[str]


def load_sourced_list(path: str) -> SourcedList:
    """Reads a list with its sources, from its own columns or from a metadata.parquet of the same list beside it."""
    metadata = load_metadata(path)
    if metadata.lists:
        raise MetadataError(
            f"{path} is a folder of lists: compare two lists, such as {path.rstrip('/')}/en/metadata.json"
        )
    file = Path(path)
    beside = file if file.suffix == ".parquet" else file.with_name("metadata.parquet")
    sources: dict[str, str] = {}
    try:
        if beside.is_file() and {"entry_text", "source"} <= set(pq.read_schema(beside).names):
            table = pq.read_table(beside, columns=["entry_text", "source"])
            sources = dict(zip(table["entry_text"].to_pylist(), table["source"].to_pylist(), strict=True))
    except (pa.ArrowException, OSError) as error:
        raise MetadataError(f"{beside}, which names sources, cannot be read: {error}; move it away") from None
    if sources.keys() != set(metadata.entries):
        sources = {}
    return SourcedList(metadata.digest, {entry: sources.get(entry, UNKNOWN_SOURCE) for entry in metadata.entries})


def compare_lists(old: SourcedList, new: SourcedList) -> list[SourceDifference]:
    """One difference per source of either list, in the order in which they first occur, the new list's first."""
    old_sources = _with_sources_of(old, new)
    new_sources = _with_sources_of(new, old)
    olds, news = Counter(old_sources.values()), Counter(new_sources.values())
    added, removed = defaultdict(list), defaultdict(list)
    for entry, source in new_sources.items():
        if entry not in old_sources:
            added[source].append(entry)
    for entry, source in old_sources.items():
        if entry not in new_sources:
            removed[source].append(entry)
    return [
        SourceDifference(name, olds[name], news[name], added[name], removed[name])
        for name in dict.fromkeys([*new_sources.values(), *old_sources.values()])
    ]


def _with_sources_of(this: SourcedList, other: SourcedList) -> dict[str, str]:
    """A list's sources; where it has none itself, those of the other list."""
    return {
        entry: other.sources.get(entry, UNKNOWN_SOURCE) if source == UNKNOWN_SOURCE else source
        for entry, source in this.sources.items()
    }
