"""Entry counts made over a pool: read in any accepted form, and put in the order of their metadata list."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from metaclip_spark.entries.files import (
    PARQUET_START,
    JsonObject,
    decode,
    is_folder,
    open_parquet,
    parse_json,
    part_files,
    read_file,
)
from metaclip_spark.entries.messages import MOST_SHOWN, brief
from metaclip_spark.entries.metadata import Metadata, check_entries, in_order, load_metadata
from metaclip_spark.errors import MetadataError, counted
from metaclip_spark.thresholds import LARGEST_COUNT
from udfs.sources.credentials import without_credentials

DIGEST_KEY = "metadata_digest"
"""Where a Parquet footer names the list that its ids belong to."""


CountSource = str | Sequence[str]
"""A file or folder of entry counts, or the part files of one table."""


def load_entry_counts(source: CountSource, metadata: Metadata) -> npt.NDArray[np.int64]:
    """Reads entry counts made over another pool, to balance with them or to add to them.

    Args:
        source: A JSON object (entry to count; plain or packed), or Parquet with the columns of
            `udfs.schemas.ENTRY_COUNTS`: a file, a folder of part files, or those part files.
        metadata: The list that the counts must belong to.

    Returns:
        One int64 count per entry, in the order of the ids.

    Raises:
        MetadataError: If the file is missing or has another form, belongs to another list (by the digest in its footer
            or by the texts), lacks an entry or has it twice, or a count is negative or no whole number.
    """
    shown = _shown_source(source)
    if not isinstance(source, str) or is_folder(source):
        parts = part_files(source) if isinstance(source, str) else source
        if not parts:
            raise MetadataError(f"{shown} holds no Parquet file of entry counts")
        return _parquet_counts([(part, read_file(part)) for part in parts], shown, metadata)
    content = read_file(source)
    if content.startswith(PARQUET_START):
        return _parquet_counts([(shown, content)], shown, metadata)
    counts = parse_json(decode(content, shown), shown)
    if not isinstance(counts, JsonObject):
        raise MetadataError(f"{shown} holds neither a JSON object of entry to count nor Parquet")
    return _arranged([entry for entry, _ in counts], [count for _, count in counts], shown, metadata)


def entries_of_counts(source: CountSource) -> Metadata:
    """Reads the entries that counts are of.

    Raises:
        MetadataError: If a file is missing or has another form, or the entries are no metadata list.
    """
    if isinstance(source, str):
        return load_metadata(source)
    shown = _shown_source(source)
    parts = [open_parquet(read_file(part), part, ["entry_id", "entry_text"]) for part in source]
    whole = pa.concat_tables([part.select(["entry_id", "entry_text"]) for part in parts])
    return check_entries(in_order(whole, shown), shown)


def _shown_source(source: CountSource) -> str:
    return without_credentials(source if isinstance(source, str) else next(iter(source), "").rpartition("/")[0])


def load_summed_counts(sources: Sequence[CountSource], metadata: Metadata) -> npt.NDArray[np.int64]:
    """Reads entry counts made over several disjoint pools, and adds them up.

    Args:
        sources: At least one, each as for `load_entry_counts`.
        metadata: The list that the counts must belong to.

    Returns:
        One int64 count per entry, in the order of the ids.

    Raises:
        MetadataError: If a file cannot be used, or a sum exceeds `LARGEST_COUNT`.
    """
    total = load_entry_counts(sources[0], metadata)
    for source in sources[1:]:
        counts = load_entry_counts(source, metadata)
        wrapping = np.flatnonzero(counts > LARGEST_COUNT - total)
        if wrapping.size:
            entry = int(wrapping[0])
            reached = int(total[entry]) + int(counts[entry])
            raise MetadataError(
                f"{_shown_source(source)}: with the files before it, the counts add up to {reached} for the entry "
                f"{brief(metadata.entries[entry])}, but a count is at most 2^63 - 1: give fewer files, or divide all "
                "counts and t by one number"
            )
        total += counts
    return total


def load_summed_list_counts(
    sources: Sequence[CountSource], texts: pa.Array, languages: pa.Array, digest: str
) -> npt.NDArray[np.int64]:
    """Reads entry counts of several metadata lists made over several disjoint pools, and adds them up.

    Args:
        sources: At least one: Parquet with the columns of `udfs.schemas.ENTRY_COUNTS` and `metadata_language`, as a run
            with the same folder of lists writes it: a file, a folder of part files, or those part files.
        texts: The entries of all lists, in the order of the ids.
        languages: The code of each entry's list.
        digest: That of the folder.

    Returns:
        One int64 count per entry, in the order of the ids.

    Raises:
        MetadataError: If a file is missing or has another form, holds counts of other lists, or a sum exceeds
            `LARGEST_COUNT`.
    """
    total = np.zeros(len(texts), np.int64)
    for source in sources:
        counts = _list_counts(source, texts, languages, digest)
        if (counts > LARGEST_COUNT - total).any():
            raise MetadataError(
                f"{_shown_source(source)}: with the files before it, counts add up to more than 2^63 - 1: give fewer "
                "files"
            )
        total += counts
    return total


def _list_counts(source: CountSource, texts: pa.Array, languages: pa.Array, digest: str) -> npt.NDArray[np.int64]:
    """Gives the counts of several lists that stand in one source.

    Raises:
        MetadataError: If they cannot be used.
    """
    shown = _shown_source(source)
    columns = ["entry_id", "entry_text", "entry_count", "metadata_language"]
    names = [source] if isinstance(source, str) and not is_folder(source) else source
    parts = part_files(names) if isinstance(names, str) else names
    read: list[pa.Table] = []
    for name in parts:
        content = read_file(name)
        if not content.startswith(PARQUET_START):
            raise MetadataError(
                f"{shown} holds counts without languages: with a folder of metadata lists give runs that had it, too"
            )
        table = open_parquet(content, name, columns)
        _check_digest((table.schema.metadata or {}).get(DIGEST_KEY.encode()), digest, shown)
        read.append(table.select(columns))
    if not read:
        raise MetadataError(f"{shown} holds no Parquet file of entry counts")
    whole = pa.concat_tables(read).sort_by("entry_id")
    pairs = ((texts, "entry_text"), (languages, "metadata_language"))
    if any(not pa.chunked_array([wanted]).equals(whole[name].cast(wanted.type)) for wanted, name in pairs):
        raise MetadataError(f"{shown} holds counts of other metadata lists: give counts of the same folder of lists")
    column = whole["entry_count"]
    if column.null_count or not pa.types.is_integer(column.type) or (len(column) and pc.min(column).as_py() < 0):
        raise MetadataError(f"{shown}: its column entry_count must hold whole numbers from 0 on, without nulls")
    counts: npt.NDArray[np.int64] = column.cast(pa.int64()).to_numpy()
    return counts


def _check_digest(stored: bytes | None, digest: str, shown: str) -> None:
    if stored is not None and stored.decode() != digest:
        raise MetadataError(
            f"{shown} holds counts of other metadata lists (digest {stored.decode()[:12]}..., not {digest[:12]}...): "
            "give counts of the same folder of lists"
        )


def _parquet_counts(parts: list[tuple[str, bytes]], path: str, metadata: Metadata) -> npt.NDArray[np.int64]:
    """Gives the counts that stand in part files.

    Raises:
        MetadataError: If they belong to another list, or cannot be used.
    """
    texts: list[Any] = []
    counts: list[Any] = []
    for name, content in parts:
        table = open_parquet(content, name, ["entry_text", "entry_count"])
        digest = (table.schema.metadata or {}).get(DIGEST_KEY.encode(), metadata.digest.encode()).decode()
        if digest != metadata.digest:
            raise MetadataError(
                f"{path} holds counts of another metadata list (digest {digest[:12]}..., not "
                f"{metadata.digest[:12]}...): give the list that they were counted with"
            )
        if pc.any(pc.is_null(table["entry_count"])).as_py() or not pa.types.is_integer(table["entry_count"].type):
            raise MetadataError(f"{name}: its column entry_count must hold whole numbers, without nulls")
        texts += table["entry_text"].to_pylist()
        counts += table["entry_count"].to_pylist()
    return _arranged(texts, counts, path, metadata)


def _arranged(texts: list[Any], counts: list[Any], path: str, metadata: Metadata) -> npt.NDArray[np.int64]:
    """Puts counts in the order of the entries' ids.

    Raises:
        MetadataError: If texts are unknown, repeated or missing, or a count is negative or no whole number.
    """
    by_text = dict(zip(texts, counts, strict=True))
    unknown = by_text.keys() - set(metadata.entries)
    missing = [entry for entry in metadata.entries if entry not in by_text]
    for faults, found in (
        (("is not in the list", "are not in the list"), sorted(unknown, key=ascii)),
        (("of the list is missing", "of the list are missing"), missing),
    ):
        if found:
            shown = ", ".join(brief(text) for text in found[:MOST_SHOWN])
            raise MetadataError(
                f"{path} holds counts of another metadata list: {counted(len(found), 'entry', 'entries')} "
                f"{faults[len(found) > 1]}, such as {shown}; give counts of this list"
            )
    if len(by_text) != len(texts):
        repeated = counted(len(texts) - len(by_text), "entry", "entries")
        raise MetadataError(f"{path} names {repeated} more than once")
    wrong = [
        f"{brief(text)}: {brief(count)}"
        for text, count in by_text.items()
        if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= LARGEST_COUNT
    ]
    if wrong:
        raise MetadataError(
            f"{path} has {counted(len(wrong), 'count')} that {'is' if len(wrong) == 1 else 'are'} not a whole number "
            f"from 0 to 2^63 - 1: {', '.join(wrong[:MOST_SHOWN])}"
        )
    return np.fromiter((by_text[entry] for entry in metadata.entries), np.int64, len(metadata.entries))
