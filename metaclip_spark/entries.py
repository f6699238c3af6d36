"""The metadata list: read in any accepted form, checked, and known by its digest. Entry counts that come with it.

A metadata entry's id is its place in the list, so ids mean nothing without the exact list: the digest goes with
everything that holds ids.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from metaclip_spark.balance import LARGEST_COUNT
from metaclip_spark.config.fields import path_text
from metaclip_spark.errors import MetadataError
from metaclip_spark.inputs.remote import files_of_url
from udfs.matching.entries import entries_as_json
from udfs.sources import environment_options, local_path, open_archive, scheme_of, stat_archive
from udfs.sources.compression import decompress_whole
from udfs.sources.credentials import bare_url, without_credentials

DIGEST_KEY = "metadata_digest"
"""Where a Parquet footer names the list that its ids belong to."""

_PARQUET_START = b"PAR1"
_SHOWN = 5
_SHOWN_CHARACTERS = 40


@dataclass(frozen=True)
class Metadata:
    """A metadata list: the paper's 500,000 query strings, or your own.

    An entry's id is its position in the list, so ids mean nothing without the exact list; `digest` identifies it.

    Example:
        >>> from metaclip_spark import Metadata
        >>> metadata = Metadata.from_entries(["dog", "New York"])
        >>> len(metadata), list(metadata)
        (2, ['dog', 'New York'])
        >>> metadata
        Metadata(2 entries, digest='3863388a5ca6...')
        >>> len(Metadata.load("tests/data/wordnet_lemmas.txt.gz"))
        86654
    """

    entries: tuple[str, ...]
    """The entries, in the order of their ids: distinct, none empty."""

    digest: str
    """sha256 of the entries as a compact JSON list in UTF-8: the same in whatever form the file has."""

    @staticmethod
    def load(path: str | PathLike[str]) -> "Metadata":
        """Reads a metadata list from a file.

        Args:
            path: A file on this machine or in a store (s3://, https:// ...): a JSON list of strings, a JSON object (its
                keys, in their order), plain text (one entry per line), or Parquet (a column `entry_text`, ordered by
                `entry_id` where that column exists); plain or compressed with gzip or zstd.

        Returns:
            The list.

        Raises:
            MetadataError: If the file is missing or has another form, the list is empty, or entries are not strings,
                empty, white space only, repeated, or not valid Unicode; the message names their ids.
        """
        return load_metadata(path_text(path))

    @staticmethod
    def from_entries(entries: Iterable[str]) -> "Metadata":
        """Makes a metadata list of strings in memory.

        Args:
            entries: The entries, in the order of their ids.

        Returns:
            The list.

        Raises:
            MetadataError: If there are no entries, or some are not strings, empty, white space only, repeated, or not
                valid Unicode; the message names their ids.
        """
        if isinstance(entries, str):
            raise MetadataError(
                f"entries is the single string {entries[:40]!r}: pass a list of strings, or a path to Metadata.load"
            )
        return check_entries(list(entries), "in memory")

    def __len__(self) -> int:
        """The number of entries."""
        return len(self.entries)

    def __iter__(self) -> Iterator[str]:
        """Iterates over the entries, in the order of their ids."""
        return iter(self.entries)

    def __repr__(self) -> str:
        """Shows size and digest, not the entries: there may be 500,000."""
        return f"Metadata({len(self):,} entries, digest='{self.digest[:12]}...')"


def load_metadata(path: str) -> Metadata:
    """Reads a metadata list.

    Args:
        path: A file, on this machine or in a store (s3://, https:// ...): a JSON list of strings, a JSON object (its
            keys are the entries, in their order), plain text (one entry a line; files not named .json whose text starts
            with neither [ nor {, or files named .txt), or Parquet (a column `entry_text`, ordered by `entry_id` where
            that column exists); plain or packed with gzip or zstd.

    Returns:
        The list and its digest.

    Raises:
        MetadataError: If the file is missing or has another form, the list is empty, or entries are no strings, empty,
            white space only, repeated, or not valid Unicode; the message names their ids.
    """
    return check_entries(read_unchecked_entries(path), without_credentials(path))


def read_unchecked_entries(path: str) -> list[Any]:
    """Reads a metadata list as it is, for the linter: its entries may be of any type, empty or repeated.

    Args:
        path: As for `load_metadata`.

    Returns:
        The entries, in the order of their ids.

    Raises:
        MetadataError: If the file is missing or has another form.
    """
    content, shown = _read(path), without_credentials(path)
    return _parquet_entries(content, shown) if content.startswith(_PARQUET_START) else _text_entries(content, shown)


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
    if not isinstance(source, str) or _is_folder(source):
        parts = _part_files(source) if isinstance(source, str) else source
        if not parts:
            raise MetadataError(f"the folder of entry counts {shown} has no Parquet file")
        return _parquet_counts([(part, _read(part)) for part in parts], shown, metadata)
    content = _read(source)
    if content.startswith(_PARQUET_START):
        return _parquet_counts([(shown, content)], shown, metadata)
    counts = _parse_json(_decode(content, shown), shown)
    if not isinstance(counts, _JsonObject):
        raise MetadataError(f"the entry counts {shown} are no JSON object of entry to count, and no Parquet")
    return _arranged([entry for entry, _ in counts], [count for _, count in counts], shown, metadata)


def entries_of_counts(source: CountSource) -> Metadata:
    """Reads the entries that counts are of.

    Raises:
        MetadataError: If a file is missing or has another form, or the entries are no metadata list.
    """
    if isinstance(source, str):
        return load_metadata(source)
    shown = _shown_source(source)
    parts = [_open_parquet(_read(part), part, ["entry_id", "entry_text"]) for part in source]
    whole = pa.concat_tables([part.select(["entry_id", "entry_text"]) for part in parts])
    return check_entries(_in_order(whole, shown), shown)


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
                f"the entry counts of --entry-counts up to {_shown_source(source)} add up to {reached} for the "
                f"entry {_shown(metadata.entries[entry])}, but a count is at most 2^63 - 1: give fewer of them, or "
                "divide all counts and t by one number"
            )
        total += counts
    return total


def _is_folder(path: str) -> bool:
    if scheme_of(path) == "file":
        return Path(local_path(path)).is_dir()
    try:
        stat_archive(path, environment_options())
    except FileNotFoundError:
        return True
    except (OSError, ValueError):
        # What reading it raises says more.
        return False
    return False


def _part_files(path: str) -> list[str]:
    if scheme_of(path) != "file":
        return [part for _, part in sorted(files_of_url(f"{path.rstrip('/')}/", (".parquet",), environment_options()))]
    return [str(part) for part in sorted(Path(local_path(path)).glob("*.parquet")) if part.name[0] not in "._"]


def _read(path: str) -> bytes:
    """Reads a file, unpacked.

    Raises:
        MetadataError: If it is missing or damaged.
    """
    try:
        with open_archive(path, environment_options()) as stream:
            return decompress_whole(stream.read())
    except FileNotFoundError:
        shown = without_credentials(path)
        raise MetadataError(f"the file {shown} does not exist; give the path of a metadata list or of counts") from None
    except (OSError, ValueError) as error:
        raise MetadataError(f"the file {without_credentials(path)} cannot be read: {error}") from error


def _decode(content: bytes, path: str) -> str:
    """Decodes a file, with or without a byte order mark.

    Raises:
        MetadataError: If it is not UTF-8.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MetadataError(f"the file {path} is not UTF-8 at byte {error.start}; convert it to UTF-8") from None


class _JsonObject(list[tuple[str, Any]]):
    """A JSON object as its pairs, so that a repeated key shows."""


def _parse_json(text: str, path: str) -> Any:
    """Parses JSON, with objects as `_JsonObject`.

    Raises:
        MetadataError: If it is not JSON.
    """
    try:
        return json.loads(text, object_pairs_hook=_JsonObject)
    except (ValueError, RecursionError) as error:
        raise MetadataError(f"the file {path} is not valid JSON: {error}; plain text must be named .txt") from None


def _text_entries(content: bytes, path: str) -> list[Any]:
    """Gives the entries of a JSON or plain-text file.

    Raises:
        MetadataError: If the JSON holds something else than a list or an object.
    """
    text = _decode(content, path)
    suffix = next(
        (end for end in reversed(Path(bare_url(path)).suffixes) if end.lower() not in {".gz", ".zst"}), ""
    ).lower()
    if suffix != ".json" and (suffix == ".txt" or not text.lstrip().startswith(("[", "{"))):
        lines = text.split("\n")
        if not lines[-1]:
            lines.pop()
        return [line.removesuffix("\r") for line in lines]
    parsed = _parse_json(text, path)
    if isinstance(parsed, _JsonObject):
        return [entry for entry, _ in parsed]
    if not isinstance(parsed, list):
        raise MetadataError(f"the metadata list {path} holds neither a JSON list nor a JSON object")
    return parsed


def _open_parquet(content: bytes, path: str, columns: Sequence[str]) -> pa.Table:
    """Reads Parquet from memory.

    Raises:
        MetadataError: If it is damaged or lacks a column.
    """
    try:
        table = pq.read_table(pa.BufferReader(content))
    except (pa.ArrowException, OSError) as error:
        raise MetadataError(f"the Parquet file {path} cannot be read: {error}") from error
    missing = [column for column in columns if column not in table.column_names]
    if missing:
        raise MetadataError(f"the Parquet file {path} lacks {', '.join(missing)}; it has {table.column_names}")
    return table


def _parquet_entries(content: bytes, path: str) -> list[Any]:
    """Gives the entries of a Parquet file, in the order of `entry_id` where it has that column.

    Raises:
        MetadataError: If the ids are not 0 to n - 1, each once.
    """
    table = _open_parquet(content, path, ["entry_text"])
    if "entry_id" in table.column_names:
        return _in_order(table, path)
    entries: list[Any] = table["entry_text"].to_pylist()
    return entries


def _in_order(table: pa.Table, path: str) -> list[Any]:
    """Gives the entries in the order of their ids.

    Raises:
        MetadataError: If the ids are not 0 to n - 1, each once.
    """
    table = table.sort_by("entry_id")
    if table["entry_id"].to_pylist() != list(range(table.num_rows)):
        raise MetadataError(f"the column entry_id of {path} must hold each number from 0 to {table.num_rows - 1} once")
    entries: list[Any] = table["entry_text"].to_pylist()
    return entries


def check_entries(entries: list[Any], path: str) -> Metadata:
    """Checks every entry, and makes the digest.

    Args:
        entries: What a file or a user gave.
        path: How messages name the list.

    Returns:
        The list and its digest.

    Raises:
        MetadataError: If the list cannot be used.
    """
    if not entries:
        raise MetadataError(f"the metadata list {path} has no entries")
    _refuse(path, "no strings", entries, (place for place, entry in enumerate(entries) if not isinstance(entry, str)))
    _refuse(
        path, "empty or white space only", entries, (place for place, entry in enumerate(entries) if not entry.strip())
    )
    if len(set(entries)) != len(entries):
        first: dict[str, int] = {}
        _refuse(
            path,
            "repeated from earlier ones",
            entries,
            (place for place, entry in enumerate(entries) if first.setdefault(entry, place) != place),
        )
    surrogates = (place for place, entry in enumerate(entries) if any("\ud800" <= sign <= "\udfff" for sign in entry))
    if not all(map(str.isascii, entries)):
        _refuse(path, "not valid Unicode (lone surrogates)", entries, surrogates)
    digest = hashlib.sha256(entries_as_json(entries)).hexdigest()
    return Metadata(tuple(entries), digest)


def _refuse(path: str, fault: str, entries: Sequence[Any], places: Iterable[int]) -> None:
    """Refuses a list, in one line that names the first faulty entries.

    Raises:
        MetadataError: If there is a faulty entry.
    """
    faulty = list(places)
    if faulty:
        shown = ", ".join(f"{place} ({_shown(entries[place])})" for place in faulty[:_SHOWN])
        more = f" and {len(faulty) - _SHOWN} more" if len(faulty) > _SHOWN else ""
        raise MetadataError(
            f"the metadata list {path} has {len(faulty)} of {len(entries)} entries that are {fault}: "
            f"ids {shown}{more}; remove them"
        )


def _shown(value: object) -> str:
    """Gives a value as part of a one-line message."""
    text = ascii(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."


def _parquet_counts(parts: list[tuple[str, bytes]], path: str, metadata: Metadata) -> npt.NDArray[np.int64]:
    """Gives the counts that stand in part files.

    Raises:
        MetadataError: If they belong to another list, or cannot be used.
    """
    texts: list[Any] = []
    counts: list[Any] = []
    for name, content in parts:
        table = _open_parquet(content, name, ["entry_text", "entry_count"])
        digest = (table.schema.metadata or {}).get(DIGEST_KEY.encode(), metadata.digest.encode()).decode()
        if digest != metadata.digest:
            raise MetadataError(
                f"the entry counts {path} belong to the metadata list {digest}, but this run works with "
                f"{metadata.digest}; give the list that they were counted with"
            )
        if pc.any(pc.is_null(table["entry_count"])).as_py() or not pa.types.is_integer(table["entry_count"].type):
            raise MetadataError(f"the column entry_count of {name} must hold whole numbers, without nulls")
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
    for fault, found in (("not in the metadata list", sorted(unknown, key=ascii)), ("missing", missing)):
        if found:
            shown = ", ".join(_shown(text) for text in found[:_SHOWN])
            raise MetadataError(
                f"the entry counts {path} do not belong to the metadata list {metadata.digest}: "
                f"{len(found)} entries are {fault}, such as {shown}"
            )
    if len(by_text) != len(texts):
        raise MetadataError(f"the entry counts {path} name {len(texts) - len(by_text)} entries more than once")
    wrong = [
        f"{_shown(text)}: {_shown(count)}"
        for text, count in by_text.items()
        if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= LARGEST_COUNT
    ]
    if wrong:
        raise MetadataError(
            f"the entry counts {path} have {len(wrong)} counts that are no whole number of at least 0: "
            f"{', '.join(wrong[:_SHOWN])}; a count is at most 2^63 - 1"
        )
    return np.fromiter((by_text[entry] for entry in metadata.entries), np.int64, len(metadata.entries))
