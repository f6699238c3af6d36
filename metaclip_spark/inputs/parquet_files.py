"""Parquet files that a user names, whose columns are read as those of one table."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from metaclip_spark.errors import InputError, SchemaMismatchError, counted
from metaclip_spark.inputs.files import NAMED_FILES, resolve_files
from udfs.sources import FetchOptions, open_archive
from udfs.sources.credentials import without_credentials

_ENDINGS = (".parquet",)
_FOOTERS_AT_ONCE = 32


class ParquetFile(NamedTuple):
    """A file as its footer tells of it.

    Attributes:
        path: A local path or a URL.
        schema: Its columns.
        rows: The rows of each of its row groups.
    """

    path: str
    schema: pa.Schema
    rows: tuple[int, ...]

    @property
    def shown(self) -> str:
        """The path as messages have it."""
        return without_credentials(self.path)


@dataclass(frozen=True)
class UserTable:
    """Files that are read as one table.

    Attributes:
        schema: The table's columns.
        files: The files.
        columns: For each file its names of these columns, an empty one where it has none.
    """

    schema: pa.Schema
    files: tuple[ParquetFile, ...]
    columns: tuple[tuple[str, ...], ...]

    @property
    def rows(self) -> int:
        """The rows of all files."""
        return sum(sum(file.rows) for file in self.files)

    def select(self, names: Sequence[str]) -> "UserTable":
        """Gives the table with some of its columns."""
        places = [self.schema.get_field_index(name) for name in names]
        columns = tuple(tuple(each[place] for place in places) for each in self.columns)
        return replace(self, schema=pa.schema([self.schema.field(place) for place in places]), columns=columns)


def find_parquet_files(named: Sequence[str], options: FetchOptions) -> list[ParquetFile]:
    """Finds Parquet files and reads their footers; files of other endings beside them in a folder are left out.

    Args:
        named: Files, globs, folders or URLs.
        options: How remote stores are reached.

    Returns:
        Each file once, however many ways lead to it.

    Raises:
        InputError: If something named is not there.
        SchemaMismatchError: If files have no Parquet footer.
    """
    found: dict[str, str] = {}
    for item in named:
        for _, path in resolve_files([item], options, _ENDINGS):
            found.setdefault(path if "://" in path else os.path.realpath(path), path)
    with ThreadPoolExecutor(_FOOTERS_AT_ONCE) as pool:
        footers = list(pool.map(partial(_footer, options=options), found.values()))
    refuse([footer for footer in footers if isinstance(footer, str)], len(footers), "write them again")
    return [footer for footer in footers if isinstance(footer, ParquetFile)]


def _footer(path: str, options: FetchOptions) -> ParquetFile | str:
    """Reads a footer; gives what is wrong where there is none.

    Raises:
        InputError: If the file cannot be reached.
    """
    try:
        with open_archive(path, options) as stream, pq.ParquetFile(pa.PythonFile(stream, mode="r")) as file:
            groups = [file.metadata.row_group(number).num_rows for number in range(file.metadata.num_row_groups)]
            return ParquetFile(path, file.schema_arrow, tuple(groups))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return f"{without_credentials(path)} (no Parquet footer: empty or half-written)"
    except OSError as error:
        raise InputError(f"{without_credentials(path)} cannot be read ({error}): check the path") from None


def refuse(problems: Sequence[str], files: int, advice: str) -> None:
    """Refuses files, if there are any.

    Args:
        problems: Of each such file its name and, in brackets, what is wrong.
        files: How many files there are in all.
        advice: What to do.

    Raises:
        SchemaMismatchError: If there is a problem.
    """
    if not problems:
        return
    more = f" and {len(problems) - NAMED_FILES} more" if len(problems) > NAMED_FILES else ""
    raise SchemaMismatchError(
        f"{len(problems):,} of {counted(files, 'file')} cannot be used: {'; '.join(problems[:NAMED_FILES])}{more}: "
        f"{advice}"
    )


def twice(schema: pa.Schema, names: Sequence[str]) -> str | None:
    """Tells which of some columns a file has twice."""
    found = [name for name in dict.fromkeys(names) if schema.names.count(name) > 1]
    return f"two columns {', '.join(found)}" if found else None


def is_text(kind: pa.DataType) -> bool:
    """Tells whether a column holds strings, in a dictionary or without."""
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(value) or pa.types.is_large_string(value))
