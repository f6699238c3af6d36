"""The files of metadata lists and entry counts: plain or compressed, as text, JSON or Parquet."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from metaclip_spark.errors import MetadataError, joined
from metaclip_spark.inputs.remote import files_of_url
from udfs.sources import environment_options, local_path, open_archive, scheme_of, stat_archive
from udfs.sources.codecs import codec_of
from udfs.sources.compression import decompress_whole, decompressed
from udfs.sources.credentials import without_credentials

PARQUET_START = b"PAR1"

_HEAD_BYTES = 65_536
_OTHER_KINDS: dict[str, tuple[bytes, ...]] = {
    "a WARC archive": (b"WARC/", b"warc/"),
    "an ARC archive": (b"filedesc://",),
    "a ZIP archive": (b"PK\x03\x04",),
    "a PNG image": (b"\x89PNG",),
    "a JPEG image": (b"\xff\xd8\xff",),
    "a GIF image": (b"GIF87a", b"GIF89a"),
    "a WebP or other RIFF file": (b"RIFF",),
    "a PDF": (b"%PDF-",),
    "an HTML page": (b"<!DOCTYPE", b"<!doctype", b"<html", b"<HTML"),
}
"""What people give by mistake, and the bytes that it begins with."""


def file_digest(path: str) -> str:
    """sha256 of a file of this machine.

    Raises:
        OSError: If it cannot be read.
    """
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_folder(path: str) -> bool:
    """Whether a path names a folder; in a store, whatever is not one object."""
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


def part_files(path: str) -> list[str]:
    """The Parquet files of a folder, in the order of their names."""
    if scheme_of(path) != "file":
        return [part for _, part in sorted(files_of_url(f"{path.rstrip('/')}/", (".parquet",), environment_options()))]
    return [str(part) for part in sorted(Path(local_path(path)).glob("*.parquet")) if part.name[0] not in "._"]


def read_file(path: str) -> bytes:
    """Reads a file, unpacked.

    Raises:
        MetadataError: If it is missing or damaged, or an archive, an image or the like.
    """
    shown = without_credentials(path)
    try:
        with open_archive(path, environment_options()) as stream:
            head = stream.read(_HEAD_BYTES)
            # An archive may hold gigabytes: it is refused before it is unpacked.
            _check_kind(head, shown)
            return decompress_whole(head + stream.read())
    except FileNotFoundError:
        raise MetadataError(f"{shown}: no such file") from None
    except MetadataError:
        raise
    except (OSError, ValueError) as error:
        raise MetadataError(f"{shown} cannot be read: {error}") from error


def _check_kind(head: bytes, shown: str) -> None:
    """Refuses what is neither a list nor counts, by its first bytes.

    Raises:
        MetadataError: If it is an archive, an image or the like.
    """
    parts = (part for part in decompressed([head]) if isinstance(part, bytes) and part)
    start = head if codec_of(head) is None else next(parts, b"")
    kind = next((kind for kind, firsts in _OTHER_KINDS.items() if start.startswith(firsts)), None)
    if kind is None and codec_of(head) is not None and codec_of(start) is not None:
        kind = "compressed twice"
    if kind is not None:
        advice = "; are --archives and --metadata swapped?" if kind.endswith("archive") else ""
        raise MetadataError(f"{shown} is {kind}, not a list of entries{advice}")


def decode(content: bytes, path: str) -> str:
    """Decodes a file, with or without a byte order mark.

    Raises:
        MetadataError: If it is not UTF-8.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MetadataError(f"{path} is not UTF-8 at byte {error.start}: convert it to UTF-8") from None


class JsonObject(list[tuple[str, Any]]):
    """A JSON object as its pairs, so that a repeated key shows."""


def parse_json(text: str, path: str) -> Any:
    """Parses JSON, with objects as `JsonObject`.

    Raises:
        MetadataError: If it is not JSON.
    """
    try:
        return json.loads(text, object_pairs_hook=JsonObject)
    except (ValueError, RecursionError) as error:
        raise MetadataError(f"{path} is not valid JSON: {error}; plain text must be named .txt") from None


def open_parquet(content: bytes, path: str, columns: Sequence[str]) -> pa.Table:
    """Reads Parquet from memory.

    Raises:
        MetadataError: If it is damaged or lacks a column.
    """
    try:
        table = pq.read_table(pa.BufferReader(content))
    except (pa.ArrowException, OSError) as error:
        raise MetadataError(f"{path} cannot be read as Parquet: {error}") from error
    missing = [column for column in columns if column not in table.column_names]
    if missing:
        raise MetadataError(f"{path} has no column {joined(missing)}; its columns are {joined(table.column_names)}")
    return table
