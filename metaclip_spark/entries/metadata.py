"""The metadata list, or one per language: read in any accepted form, checked, and known by a digest.

A metadata entry's id is its place in the list, so ids mean nothing without the exact list: the digest goes with
everything that holds ids. Of several lists the ids go on from one list to the next.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from metaclip_spark.config.fields import listed, path_text
from metaclip_spark.entries.files import PARQUET_START, JsonObject, decode, open_parquet, parse_json, read_file
from metaclip_spark.entries.lists import ListsFile, digest_of_lists, first_of, names_lists, read_lists_file
from metaclip_spark.entries.messages import MOST_SHOWN, brief
from metaclip_spark.entries.texts import join_texts, with_surrogates
from metaclip_spark.errors import MetadataError, counted, said_of, wrong_type
from udfs.matching.borders import WORD_BORDERS
from udfs.matching.entries import entries_as_json
from udfs.sources import scheme_of
from udfs.sources.credentials import bare_url, without_credentials

IN_MEMORY = "the metadata list in memory"
"""How messages name a list that is not a file."""


SPACES = "spaces"
"""The word borders of the paper: an entry begins and ends at a space."""

SCRIPT = "script"
"""The word borders where lists are by language: also where a script without spaces begins or goes on."""

_MOST_ENTRIES = 2**31 - 1


@dataclass(frozen=True)
class MetadataList:
    """One of several lists: the entries of a language."""

    code: str
    """Its metadata language, such as `ja`, `zh_yue` or `other`."""

    first_id: int
    """The id of its first entry; the others go on from it."""

    size: int
    """Its number of entries."""

    digest: str
    """The digest that it has as a list of its own."""


@dataclass(frozen=True)
class Metadata:
    """A metadata list: the paper's 500,000 query strings, or your own; or one list per language.

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
        >>> worldwide = Metadata.load("tests/data/languages")
        >>> [each.code for each in worldwide.lists], worldwide.word_borders
        (['bg', 'de', 'en', 'es', 'fr', 'ja', 'other', 'ru', 'zh'], 'script')
        >>> list(worldwide.of("ja"))[:3]
        ['写真', '犬', '猫']
    """

    entries: Sequence[str]
    """The entries, in the order of their ids: distinct, none empty. A tuple; of several lists they are in Arrow's
    memory (`metaclip_spark.entries.texts`)."""

    digest: str
    """sha256 of the entries as a compact JSON list in UTF-8: the same in whatever form the file has. With several
    lists, or other word borders than spaces, sha256 of compact JSON of their codes and digests, the labels and the
    borders."""

    lists: tuple[MetadataList, ...] = ()
    """The lists by language, in the order of their codes and ids; empty where there is one list for all languages."""

    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    """The label of language identification -> the code of the list that its texts are matched against."""

    anchor: str | None = None
    """The code of the list whose threshold is given, and whose tail share all others take."""

    word_borders: str = SPACES
    """Where an entry may begin and end: spaces, script or metaclip2 (`udfs.matching.borders`)."""

    @property
    def starts(self) -> npt.NDArray[np.int64]:
        """The first id of each list and, last, the number of entries: shape (lists + 1,), (2,) for a single list."""
        return np.array([*(each.first_id for each in self.parts), len(self.entries)], np.int64)

    @property
    def parts(self) -> tuple[MetadataList, ...]:
        """The lists; of a single list that one, without a code."""
        return self.lists or (MetadataList("", 0, len(self.entries), self.digest),)

    @staticmethod
    def load(path: str | PathLike[str], *, word_borders: str | None = None) -> "Metadata":
        """Reads a metadata list from a file, or a folder of lists.

        Args:
            path: A folder with `languages.json` and one file per language, or a file, on this machine or in a store
                (s3://, https:// ...): a JSON list of strings, a JSON object (its keys, in their order), plain text (one
                entry per line; a file named .txt, or not named .json whose text starts with neither [ nor {), or
                Parquet (a column `entry_text`, ordered by `entry_id` where that column exists); plain or compressed
                with gzip or zstd. A folder in a store ends with a slash.
            word_borders: spaces, script or metaclip2; script for a folder and spaces for a file where it is None.

        Returns:
            The list, or the lists.

        Raises:
            MetadataError: If the file is missing or has another form, the list is empty, or entries are not strings,
                empty, white space only, repeated, or not valid Unicode; the message names their ids. Of a folder, also
                if its languages.json is missing, or names what is not there.
        """
        return load_metadata(path_text(path), _known_borders(word_borders))

    @staticmethod
    def from_entries(entries: Iterable[str], *, word_borders: str = SPACES) -> "Metadata":
        """Makes a metadata list of strings in memory.

        Args:
            entries: The entries, in the order of their ids.
            word_borders: Where they may begin and end: spaces, script or metaclip2.

        Returns:
            The list.

        Raises:
            MetadataError: If there are no entries, or some are not strings, empty, white space only, repeated, or not
                valid Unicode; the message names their ids.
        """
        made = _of_values("entries", entries, "a list of strings, or a path to Metadata.load")
        return with_borders(made, _known_borders(word_borders) or SPACES)

    def of(self, code: str) -> "Metadata":
        """Gives the list of one language, with the same word borders; its ids begin at 0.

        Args:
            code: The code of the list, such as `ja`.

        Returns:
            The list.

        Raises:
            MetadataError: If there is no list of this code.
        """
        found = next((each for each in self.lists if each.code == code), None)
        if found is None:
            there = f"there are {first_of(each.code for each in self.lists)}" if self.lists else "this is a single list"
            raise MetadataError(f"there is no metadata list {brief(code)}: {there}")
        entries = self.entries[found.first_id : found.first_id + found.size]
        return with_borders(Metadata(entries, found.digest or _digest_of(entries)), self.word_borders)

    def __len__(self) -> int:
        """The number of entries."""
        return len(self.entries)

    def __iter__(self) -> Iterator[str]:
        """Iterates over the entries, in the order of their ids."""
        return iter(self.entries)

    def __repr__(self) -> str:
        """Shows size and digest, not the entries: there may be 500,000."""
        return f"Metadata({counted(len(self), 'entry', 'entries')}, digest='{self.digest[:12]}...')"


def _known_borders(word_borders: str | None) -> str | None:
    if word_borders not in {None, *WORD_BORDERS}:
        raise MetadataError(f"word_borders is {brief(word_borders)}: it must be one of {', '.join(WORD_BORDERS)}")
    return word_borders


def _digest_of(entries: Sequence[str]) -> str:
    return hashlib.sha256(entries_as_json(entries)).hexdigest()


def as_metadata(metadata: object) -> Metadata:
    """The metadata list that an argument of the library stands for: a list, its file, or its entries.

    Raises:
        MetadataError: If it is none of these, or the list cannot be used.
    """
    if isinstance(metadata, Metadata):
        return metadata
    if isinstance(metadata, str | PathLike):
        return Metadata.load(metadata)
    return _of_values("metadata", metadata, "a Metadata, a path, or a list of strings")


def _of_values(name: str, entries: object, wanted: str) -> Metadata:
    if isinstance(entries, set | frozenset):
        raise MetadataError(wrong_type(name, entries, f"{wanted}: a set has no order, and so no ids"))
    return check_entries(listed(name, entries, wanted, MetadataError), IN_MEMORY)


def load_metadata(path: str, word_borders: str | None = None) -> Metadata:
    """Reads a metadata list in any form that `Metadata.load` accepts."""
    if names_lists(path):
        return load_lists(path, word_borders)
    try:
        single = _load_single(path)
    except MetadataError as error:
        if scheme_of(path) == "file" or not str(error).endswith("no such file"):
            raise
        raise MetadataError(f"{error}; the name of a folder of lists ends with a slash") from None
    return with_borders(single, word_borders or SPACES)


def _load_single(path: str) -> Metadata:
    return check_entries(read_unchecked_entries(path), without_credentials(path))


def load_lists(folder: str, word_borders: str | None = None) -> Metadata:
    """Reads a folder of metadata lists, one per language.

    Args:
        folder: The folder, with `languages.json`.
        word_borders: Where entries may begin and end; None for script.

    Raises:
        MetadataError: If `languages.json` or a list cannot be used, or there are 2^31 entries or more.
    """
    found = read_lists_file(folder)
    read = ((code, load_list_of(code, path)) for code, path in found.files.items())
    return join_lists(read, found, word_borders or SCRIPT)


def load_list_of(code: str, path: str) -> Metadata:
    """Reads the list of one language; messages name the language."""
    with said_of(f"the list {code}"):
        return _load_single(path)


def join_lists(read: Iterable[tuple[str, Metadata]], found: ListsFile, word_borders: str) -> Metadata:
    """Puts lists one after the other, in the order of their codes."""
    texts, lists, entries = list[pa.Array](), list[MetadataList](), 0
    for code, each in read:
        lists.append(MetadataList(code, entries, len(each), each.digest))
        texts.append(pa.array(each.entries, pa.string()))
        entries += len(each)
        if entries > _MOST_ENTRIES:
            raise MetadataError(f"the lists up to {code} have {entries:,} entries: at most 2^31 - 1 have ids")
    digest = digest_of_lists(((each.code, each.digest) for each in lists), found.labels, word_borders)
    return Metadata(join_texts(texts), digest, tuple(lists), found.labels, found.anchor, word_borders)


def with_borders(metadata: Metadata, word_borders: str) -> Metadata:
    """Gives a single list with other word borders: another digest, since other texts match."""
    if word_borders == SPACES:
        return metadata
    digest = digest_of_lists([("", metadata.digest)], {}, word_borders)
    return replace(metadata, digest=digest, word_borders=word_borders)


def read_unchecked_entries(path: str) -> list[Any]:
    """Reads a metadata list as it is, for the linter: its entries may be of any type, empty or repeated."""
    content, shown = read_file(path), without_credentials(path)
    return _parquet_entries(content, shown) if content.startswith(PARQUET_START) else _text_entries(content, shown)


def _text_entries(content: bytes, path: str) -> list[Any]:
    """Gives the entries of a JSON or plain-text file.

    Raises:
        MetadataError: If the JSON holds something else than a list or an object.
    """
    text = decode(content, path)
    suffix = next(
        (end for end in reversed(Path(bare_url(path)).suffixes) if end.lower() not in {".gz", ".zst"}), ""
    ).lower()
    if suffix != ".json" and (suffix == ".txt" or not text.lstrip().startswith(("[", "{"))):
        lines = text.split("\n")
        if not lines[-1]:
            lines.pop()
        return [line.removesuffix("\r") for line in lines]
    parsed = parse_json(text, path)
    if isinstance(parsed, JsonObject):
        keys = [key for key, _ in parsed]
        if {"format", "lists"} <= set(keys):
            raise MetadataError(
                f"{path} names the lists of a folder: give the folder, {path.rpartition('/')[0] or '.'}/"
            )
        return list(keys)
    if not isinstance(parsed, list):
        raise MetadataError(f"{path} holds neither a JSON list nor a JSON object")
    return parsed


def _parquet_entries(content: bytes, path: str) -> list[Any]:
    """Gives the entries of a Parquet file, in the order of `entry_id` where it has that column.

    Raises:
        MetadataError: If the ids are not 0 to n - 1, each once.
    """
    table = open_parquet(content, path, ["entry_text"])
    if "entry_id" in table.column_names:
        return list(in_order(table, path).to_pylist())
    entries: list[Any] = table["entry_text"].to_pylist()
    return entries


def in_order(table: pa.Table, path: str, column: str = "entry_text") -> pa.Array:
    """Gives the entries, or another column, in the order of the entries' ids.

    Raises:
        MetadataError: If the ids are not 0 to n - 1, each once.
    """
    fault = f"{path}: its column entry_id must hold each number from 0 to {table.num_rows - 1} once"
    try:
        table = table.sort_by("entry_id")
    except pa.ArrowException:
        raise MetadataError(fault) from None
    if not np.array_equal(table["entry_id"].to_numpy(), np.arange(table.num_rows)):
        raise MetadataError(fault)
    return table[column].combine_chunks()


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
        raise MetadataError(f"{path} has no entries")
    _refuse(
        path,
        ("is not a string", "are not strings"),
        entries,
        (place for place, entry in enumerate(entries) if not isinstance(entry, str)),
    )
    _refuse(
        path,
        ("is empty or white space only", "are empty or white space only"),
        entries,
        (place for place, entry in enumerate(entries) if not entry.strip()),
    )
    if len(set(entries)) != len(entries):
        first: dict[str, int] = {}
        _refuse(
            path,
            ("repeats an earlier one", "repeat earlier ones"),
            entries,
            (place for place, entry in enumerate(entries) if first.setdefault(entry, place) != place),
        )
    _refuse(
        path,
        ("is not valid Unicode (a lone surrogate)", "are not valid Unicode (lone surrogates)"),
        entries,
        with_surrogates(entries),
    )
    return Metadata(tuple(entries), _digest_of(entries))


def _refuse(path: str, fault: tuple[str, str], entries: Sequence[Any], places: Iterable[int]) -> None:
    """Refuses a list, in one line that names the first faulty entries.

    Raises:
        MetadataError: If there is a faulty entry.
    """
    faulty = list(places)
    if faulty:
        shown = ", ".join(f"{place} ({brief(entries[place])})" for place in faulty[:MOST_SHOWN])
        more = f" and {len(faulty) - MOST_SHOWN:,} more" if len(faulty) > MOST_SHOWN else ""
        one = len(faulty) == 1
        advice = "take it out" if one else "take them out"
        if path != IN_MEMORY:
            fix = f"metaclip-spark lint-metadata {path} --fix clean.json"
            advice = f"{fix} writes the list without {'it' if one else 'them'}"
        raise MetadataError(
            f"{path}: {len(faulty):,} of {counted(len(entries), 'entry', 'entries')} {fault[not one]}: "
            f"{'id' if one else 'ids'} {shown}{more}; {advice}"
        )
