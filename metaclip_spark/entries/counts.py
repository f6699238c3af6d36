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

_LIST = "metadata_language"
_KINDS = {"entry_id": pa.int64(), "entry_text": pa.string(), "entry_count": pa.int64(), _LIST: pa.string()}
"""What the columns are read as; their own types may be wider or narrower, and differ between part files."""


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
    parts = _contents(source)
    if not _is_one_json(parts):
        return _parquet_counts(parts, shown, metadata)
    content = parts[0][1]
    counts = parse_json(decode(content, shown), shown)
    if not isinstance(counts, JsonObject):
        raise MetadataError(f"{shown} holds neither a JSON object of entry to count nor Parquet")
    return _arranged([entry for entry, _ in counts], [count for _, count in counts], shown, metadata)


def read_any_counts(source: CountSource) -> tuple[pa.Array, pa.Array | None, npt.NDArray[np.int64]]:
    """Reads entry counts of any metadata list, or of several.

    Args:
        source: As for `load_entry_counts`, or `load_summed_list_counts`.

    Returns:
        The entries in the order of their ids, the code of each entry's list where there are several lists, and one
        int64 count per entry.

    Raises:
        MetadataError: If a file is missing or has another form, or the entries are no metadata list.
    """
    shown = _shown_source(source)
    parts = _contents(source)
    if _is_one_json(parts):
        metadata = load_metadata(parts[0][0])
        return pa.array(metadata.entries, pa.string()), None, load_entry_counts(source, metadata)
    required = ["entry_text", "entry_count"]
    tables = [(name, open_parquet(content, without_credentials(name), required)) for name, content in parts]
    columns = [column for column in _KINDS if all(column in table.column_names for _, table in tables)]
    if _LIST in columns:
        if "entry_id" not in columns:
            raise MetadataError(f"{shown} has no column entry_id, which tells the order of the entries")
        whole = pa.concat_tables([_read_as(table, name, list(_KINDS)) for name, table in tables])
        return in_order(whole, shown), in_order(whole, shown, _LIST), _numbers(whole.sort_by("entry_id"), shown)
    in_file = [column for column in columns if column != "entry_count"]
    whole = pa.concat_tables([_read_as(table, name, in_file) for name, table in tables])
    entries = in_order(whole, shown) if "entry_id" in in_file else whole["entry_text"].combine_chunks()
    metadata = check_entries(entries.to_pylist(), shown)
    return entries, None, _parquet_counts(parts, shown, metadata)


def _shown_source(source: CountSource) -> str:
    return without_credentials(source if isinstance(source, str) else next(iter(source), "").rpartition("/")[0])


def _contents(source: CountSource) -> list[tuple[str, bytes]]:
    """Reads a file, or the files of a folder, each with its name.

    Raises:
        MetadataError: If one is missing or damaged, or there is none.
    """
    if isinstance(source, str) and not is_folder(source):
        return [(source, read_file(source))]
    parts = part_files(source) if isinstance(source, str) else source
    if not parts:
        raise MetadataError(f"{_shown_source(source)} holds no Parquet file of entry counts")
    return [(part, read_file(part)) for part in parts]


def _is_one_json(parts: Sequence[tuple[str, bytes]]) -> bool:
    name, content = parts[0]
    return len(parts) == 1 and not content.startswith(PARQUET_START) and not name.endswith(".parquet")


def _read_as(table: pa.Table, name: str, columns: Sequence[str]) -> pa.Table:
    """Gives columns of a part file with the types that all parts are read as.

    Raises:
        MetadataError: If one has another type, or holds numbers beyond 64 bits or nulls.
    """
    shown = without_credentials(name)
    cast = {}
    for column in columns:
        found, kind = table[column], _KINDS[column]
        is_number = pa.types.is_integer(kind)
        wanted = "whole numbers from 0 to 2^63 - 1" if is_number else "texts"
        try:
            cast[column] = found.cast(kind)
        except pa.ArrowException:
            raise MetadataError(f"{shown}: its column {column} is {found.type}: it must hold {wanted}") from None
        if found.null_count or is_number != pa.types.is_integer(found.type):
            raise MetadataError(f"{shown}: its column {column} must hold {wanted}, without nulls")
    return pa.table(cast)


def _numbers(table: pa.Table, shown: str) -> npt.NDArray[np.int64]:
    counts: npt.NDArray[np.int64] = table["entry_count"].to_numpy()
    if counts.size and counts.min() < 0:
        raise MetadataError(f"{shown}: its column entry_count must hold whole numbers from 0 on, without nulls")
    return counts


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
    columns = list(_KINDS)
    read: list[pa.Table] = []
    for name, content in _contents(source):
        if not content.startswith(PARQUET_START):
            raise MetadataError(
                f"{shown} holds counts without languages: with a folder of metadata lists give runs that had it, too"
            )
        table = open_parquet(content, without_credentials(name), columns)
        _check_digest((table.schema.metadata or {}).get(DIGEST_KEY.encode()), digest, shown)
        read.append(_read_as(table, name, columns))
    whole = pa.concat_tables(read).sort_by("entry_id")
    pairs = ((texts, "entry_text"), (languages, _LIST))
    if any(not pa.chunked_array([wanted]).equals(whole[name].cast(wanted.type)) for wanted, name in pairs):
        raise MetadataError(f"{shown} holds counts of other metadata lists: give counts of the same folder of lists")
    return _numbers(whole, shown)


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
        table = open_parquet(content, without_credentials(name), ["entry_text", "entry_count"])
        if _LIST in table.column_names:
            raise MetadataError(f"{path} holds counts of several metadata lists: give counts of this single list")
        digest = (table.schema.metadata or {}).get(DIGEST_KEY.encode(), metadata.digest.encode()).decode()
        if digest != metadata.digest:
            raise MetadataError(
                f"{path} holds counts of another metadata list (digest {digest[:12]}..., not "
                f"{metadata.digest[:12]}...): give the list that they were counted with"
            )
        if pc.any(pc.is_null(table["entry_count"])).as_py() or not pa.types.is_integer(table["entry_count"].type):
            raise MetadataError(f"{name}: its column entry_count must hold whole numbers, without nulls")
        texts += _read_as(table, name, ["entry_text"])["entry_text"].to_pylist()
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
