"""The files of block lists: text, JSONL or Parquet, plain or compressed, read value by value in little memory."""

import ipaddress
import json
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from metaclip_spark.errors import InputError, brief, joined
from metaclip_spark.inputs.parquet_files import twice
from udfs.sources import FetchOptions, open_archive
from udfs.sources.compression import Fault, decompressed, read_chunks
from udfs.sources.credentials import has_ending, without_credentials
from udfs.sources.lines import cut_lines

VALUE_COLUMN, HASH_COLUMN = "value", "value_sha256"
HASH_PREFIX = "sha256:"

LARGEST_VALUE_BYTES = 1 << 20
"""Size above which a line is not held in memory: no value is as long."""

_JSONL_ENDINGS = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".ndjson", ".ndjson.gz", ".ndjson.zst")
_PARQUET_ENDINGS = (".parquet",)
_ROWS_AT_ONCE = 8_192


class Listed(NamedTuple):
    """A value of a list, or why there is none that can be read."""

    line: int
    """Its line, from 1; in Parquet its row."""

    value: str
    """A hash begins with `HASH_PREFIX`."""

    problem: str = ""
    """Why the value cannot be used, in words behind the value; empty where it can be."""


def read_listed(
    path: str,
    options: FetchOptions,
    *,
    is_domains: bool,
    take: Callable[[list[bytes]], Sequence[int]] | None = None,
) -> Iterator[Listed]:
    """Reads the values of a file of a list.

    Args:
        path: A local path or a URL. Its ending tells Parquet and JSONL, which have a column `VALUE_COLUMN` or
            `HASH_COLUMN`; any other file is text with a value in each line, comments behind "#".
        options: How it is reached.
        is_domains: Whether the values are domains, so that a line may be one of a hosts file, and end with a comment.
        take: Is given lines of a text that follow one another, without spaces around them; takes of these what it can,
            and returns the places of all others, rising.

    Yields:
        The values that `take` has left, in the file's order.

    Raises:
        InputError: If it is missing or damaged, or a row or line has other columns.
    """
    try:
        with open_archive(path, options) as stream:
            if has_ending(path, _PARQUET_ENDINGS):
                yield from _values_of_parquet(stream, path)
            elif has_ending(path, _JSONL_ENDINGS):
                yield from _values_of_jsonl(_lines(read_chunks(stream), path), path)
            else:
                yield from _values_of_text(_lines(read_chunks(stream), path, take), is_domains=is_domains)
    except FileNotFoundError:
        raise InputError(f"{without_credentials(path)}: no such file") from None
    except InputError:
        raise
    except (OSError, ValueError) as error:
        raise InputError(f"{without_credentials(path)} cannot be read ({error}): check the file") from None


def _lines(
    chunks: Iterator[bytes], path: str, take: Callable[[list[bytes]], Sequence[int]] | None = None
) -> Iterator[Listed]:
    """Gives the lines that are not empty, stripped, and that `take` does not take.

    Raises:
        InputError: If the file's compression is damaged.
    """
    number = 1
    for lines in cut_lines(_undamaged(chunks, path), LARGEST_VALUE_BYTES):
        places = range(len(lines)) if take is None else take(list(map(_stripped, lines)))
        yield from filter(None, (_listed_line(number + place, lines[place]) for place in places))
        number += len(lines)


def _stripped(line: bytes) -> bytes:
    """Gives a line without spaces around it; nothing of one that is too long, of which only the beginning is there."""
    return line.strip() if len(line) <= LARGEST_VALUE_BYTES else b""


def _listed_line(number: int, line: bytes) -> Listed | None:
    """Gives what stands in a line; None where it is empty."""
    if len(line) > LARGEST_VALUE_BYTES:
        return Listed(number, _shown(line), f"is longer than {LARGEST_VALUE_BYTES:,} bytes")
    try:
        text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
    except UnicodeDecodeError:
        return Listed(number, _shown(line), "is not UTF-8")
    return Listed(number, text) if text else None


def _shown(line: bytes) -> str:
    return line[:100].decode("utf-8", "replace")


def _undamaged(chunks: Iterator[bytes], path: str) -> Iterator[bytes]:
    for part in decompressed(chunks):
        if isinstance(part, Fault):
            raise InputError(
                f"{without_credentials(path)} cannot be read (its compression is damaged: {part.reason}, "
                f"{part.detail}): fetch it again"
            )
        yield part


def _values_of_text(lines: Iterator[Listed], *, is_domains: bool) -> Iterator[Listed]:
    for line in lines:
        if line.problem:
            yield line
        elif not line.value.startswith("#"):
            words = _domains_of(line.value) if is_domains else [line.value]
            yield from (Listed(line.line, word) for word in words)


def _domains_of(text: str) -> list[str]:
    """Gives the domains of a line, which may begin with an address as those of a hosts file do."""
    words = text.partition("#")[0].split()
    if len(words) < 2:  # noqa: PLR2004 - an address and a name
        return words
    try:
        ipaddress.ip_address(words[0])
    except ValueError:
        return [" ".join(words)]
    return words[1:]


def _values_of_jsonl(lines: Iterator[Listed], path: str) -> Iterator[Listed]:
    for line in lines:
        if line.problem:
            yield line
            continue
        where = f"{without_credentials(path)}, line {line.line:,}"
        try:
            row = json.loads(line.value)
        except (ValueError, RecursionError):
            raise InputError(f"{where}, is not JSON: {brief(line.value)}; text must not be named .jsonl") from None
        if not isinstance(row, dict):
            raise InputError(f"{where}, is no object: give {_columns_wanted()} in each line")
        yield _of_row(line.line, row.get(VALUE_COLUMN), row.get(HASH_COLUMN), where)


def _columns_wanted() -> str:
    return f'"{VALUE_COLUMN}" or "{HASH_COLUMN}"'


def _of_row(number: int, value: object, value_hash: object, where: str) -> Listed:
    given = value if value_hash is None else value_hash
    if not isinstance(given, str):
        raise InputError(f"{where}, has no string {_columns_wanted()}: correct the row")
    return Listed(number, given if value_hash is None else f"{HASH_PREFIX}{given.removeprefix(HASH_PREFIX)}")


def _values_of_parquet(stream: object, path: str) -> Iterator[Listed]:
    shown = without_credentials(path)
    try:
        file = pq.ParquetFile(pa.PythonFile(stream, mode="r"))
    except pa.ArrowException:
        raise InputError(f"{shown} is no Parquet file, or a half-written one: write it again") from None
    schema = file.schema_arrow
    columns = [name for name in (VALUE_COLUMN, HASH_COLUMN) if name in schema.names]
    if not columns:
        raise InputError(f"{shown} has no column {VALUE_COLUMN} or {HASH_COLUMN}; it has {joined(schema.names)}")
    if repeated := twice(schema, columns):
        raise InputError(f"{shown} has {repeated}: write it with one of each name")
    for name in columns:
        kind = schema.field(name).type
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind)):
            raise InputError(f"{shown}: its column {name} is {kind}: it must hold strings")
    number = 0
    for batch in file.iter_batches(_ROWS_AT_ONCE, columns=columns):
        of_column = {name: batch.column(name).to_pylist() for name in columns}
        nothing = [None] * batch.num_rows
        values, hashes = of_column.get(VALUE_COLUMN, nothing), of_column.get(HASH_COLUMN, nothing)
        for value, value_hash in zip(values, hashes, strict=True):
            number += 1
            yield _of_row(number, value, value_hash, f"{shown}, row {number:,}")
