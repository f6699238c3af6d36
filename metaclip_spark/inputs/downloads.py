"""What became of images that were downloaded: img2dataset's Parquet, or any with the same columns."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from metaclip_spark.errors import InputError, brief, counted, percent, said_of
from metaclip_spark.inputs.parquet_files import ParquetFile, UserTable, find_parquet_files, is_text, refuse, twice
from udfs.schemas import DOWNLOADS
from udfs.sources import DEFAULT_OPTIONS, FetchOptions

OPTION = "--downloaded"

SUCCESS = "success"
"""The status of images that were downloaded."""

URL_COLUMNS = ("image_url", "url")
"""The image's URL, as tables of runs and as img2dataset name it; of both the first is read."""

HASH_COLUMNS = ("sha256", "sha512", "md5")
"""The hashes of an image's bytes that img2dataset knows; the first that all files have is read."""

UNKNOWN_WARNED, UNKNOWN_REFUSED = 0.01, 0.5
"""Shares of rows without a pair in the run, above which something is said, and above which it is another run's."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Downloads:
    """Files that say what was downloaded.

    Attributes:
        table: Columns of `udfs.schemas.DOWNLOADS`.
        key: The column that says whose image it is.
        hash_name: The hash that all files have, one of `HASH_COLUMNS`.
    """

    table: UserTable
    key: Literal["pair_id", "image_url"]
    hash_name: str | None


class DownloadTally(NamedTuple):
    """What a download has to do with a run.

    Attributes:
        rows: The rows of the download.
        unknown: Those of them without a matched pair.
        pairs: Matched pairs with a row.
        failed: Those of them without a success, by what went wrong; the most frequent first.
        successes: Rows that say `SUCCESS`.
        status: A status that is another, where there is one.
    """

    rows: int
    unknown: int
    pairs: int
    failed: dict[str, int]
    successes: int
    status: str | None


def find_downloads(named: Sequence[str], options: FetchOptions = DEFAULT_OPTIONS) -> Downloads:
    """Finds and checks the files that `--downloaded` names.

    Args:
        named: Parquet files, globs, folders (such as img2dataset's output as it is) or URLs.
        options: How remote stores are reached.

    Returns:
        The files and what is read of them. The key is pair_id where all files have it, else the image's URL.

    Raises:
        InputError: If something named is not there.
        SchemaMismatchError: If files lack a column, have it with another type, or have no key in common.
    """
    with said_of(OPTION):
        files = find_parquet_files(named, options)
        problems = [f"{file.shown} ({problem})" for file in files if (problem := _problem(file)) is not None]
        refuse(problems, len(files), "give img2dataset's Parquet, or add the columns")
        by_pair = all("pair_id" in _strings(file) for file in files)
        if not by_pair:
            without_url = [file for file in files if not _first(URL_COLUMNS, file)]
            refuse(
                [f"{file.shown} (no column {' or '.join(URL_COLUMNS)})" for file in without_url],
                len(files),
                "other files have no pair_id: give them apart, in two runs, or add the column",
            )
    hash_name = next((name for name in HASH_COLUMNS if all(name in _strings(file) for file in files)), None)
    columns = tuple(_columns(file, hash_name, by_pair=by_pair) for file in files)
    return Downloads(UserTable(DOWNLOADS, tuple(files), columns), "pair_id" if by_pair else "image_url", hash_name)


def _strings(file: ParquetFile) -> set[str]:
    return {field.name for field in file.schema if is_text(field.type)}


def _first(names: Sequence[str], file: ParquetFile) -> str:
    return next((name for name in names if name in _strings(file)), "")


def _problem(file: ParquetFile) -> str | None:
    known = ("pair_id", *URL_COLUMNS, "status", "error_message", *HASH_COLUMNS)
    problem = twice(file.schema, known)
    if problem:
        return problem
    has, keys = f"it has {', '.join(file.schema.names)}", ("pair_id", *URL_COLUMNS)
    if not set(keys) & set(file.schema.names):
        return f"no column {', '.join(keys[:-1])} or {keys[-1]}; {has}"
    if "status" not in file.schema.names:
        return f"no column status; {has}"
    no_text = [name for name in (*keys, "status") if name in file.schema.names and name not in _strings(file)]
    return f"{no_text[0]} is {file.schema.field(no_text[0]).type}, not a string" if no_text else None


def _columns(file: ParquetFile, hash_name: str | None, *, by_pair: bool) -> tuple[str, ...]:
    found = {
        "pair_id": "pair_id" if by_pair else "",
        "image_url": "" if by_pair else _first(URL_COLUMNS, file),
        "status": "status",
        "error_message": _first(("error_message",), file),
        "image_hash": hash_name or "",
    }
    return tuple(found[name] for name in DOWNLOADS.names)


def check_tally(tally: DownloadTally) -> None:
    """Refuses a download that is none of this run, and tells what is strange.

    Raises:
        InputError: If more than half of its rows have no pair in the run, or none says that an image was downloaded.
    """
    if not tally.rows:
        log.warning(f"{OPTION} has no rows: no image of the run was attempted")
        return
    told = f"{OPTION}: {tally.unknown:,} of {counted(tally.rows, 'row')} ({percent(tally.unknown / tally.rows)})"
    if tally.unknown > UNKNOWN_REFUSED * tally.rows:
        raise InputError(f"{told} belong to no pair of this run: they are of another run, give those of this one")
    if not tally.successes:
        other = "" if tally.status is None else f", but such as {brief(tally.status)}"
        raise InputError(
            f"{OPTION}: none of {counted(tally.rows, 'row')} has the status {SUCCESS}{other}: "
            f"call the status of images that were downloaded {SUCCESS}"
        )
    if tally.unknown > UNKNOWN_WARNED * tally.rows:
        log.warning(f"{told} belong to no pair of this run, and are left out")
