"""The files of metadata lists and entry counts: plain or compressed, as text, JSON or Parquet."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from metaclip_spark.errors import MetadataError
from metaclip_spark.inputs.remote import files_of_url
from udfs.sources import environment_options, local_path, open_archive, scheme_of, stat_archive
from udfs.sources.compression import decompress_whole
from udfs.sources.credentials import without_credentials

PARQUET_START = b"PAR1"


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


def decode(content: bytes, path: str) -> str:
    """Decodes a file, with or without a byte order mark.

    Raises:
        MetadataError: If it is not UTF-8.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MetadataError(f"the file {path} is not UTF-8 at byte {error.start}; convert it to UTF-8") from None


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
        raise MetadataError(f"the file {path} is not valid JSON: {error}; plain text must be named .txt") from None


def open_parquet(content: bytes, path: str, columns: Sequence[str]) -> pa.Table:
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
