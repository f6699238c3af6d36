"""Block lists in the workers: which matched pairs are listed, and by what."""

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from udfs.arrow import arrow_numbers
from udfs.exclusion.digest_table import DigestTable, open_tables
from udfs.exclusion.key_arrays import Keys, text_keys, url_keys
from udfs.exclusion.key_kernel import DOMAINS, PREFIXES, WHOLE, Marks, find_listed
from udfs.exclusion.kinds import COLUMNS, KINDS, PAGE_KINDS, REASONS

_PARTS = {"prefix": PREFIXES, "image_domain": DOMAINS, "page_domain": DOMAINS}

_KEYS = {"image_url": url_keys, "page_url": url_keys}
"""What gives the keys of a column that has others than its values."""

_opened: dict[str, dict[str, DigestTable]] = {}


def open_lists(path: str, digest: str) -> dict[str, DigestTable]:
    """Maps the lists' file, once per worker process; only the last one is kept.

    Raises:
        ValueError: If the file holds other lists.
        OSError: If the file cannot be read.
    """
    if digest not in _opened:
        _opened.clear()
        _opened[digest] = open_tables(path, digest)
    return _opened[digest]


def listed_reasons(columns: Mapping[str, pa.Array], tables: Mapping[str, DigestTable]) -> pa.Array:
    """Gives the first reason of `REASONS` for which each of n pairs is listed.

    Args:
        columns: The columns of `COLUMNS` that the tables' kinds need, strings[n] each.
        tables: Kind -> what is listed. A null is listed nowhere.

    Returns:
        strings[n], null where a pair is not listed.
    """
    rows = len(next(iter(columns.values())))
    first = np.full(rows, len(KINDS), np.int8)
    keys: dict[str, Keys] = {}
    for place, kind in enumerate(KINDS):
        if kind in tables and tables[kind].size:
            column = COLUMNS[kind]
            if column not in keys:
                keys[column] = _KEYS.get(column, text_keys)(columns[column])
            first[_is_listed(keys[column], tables[kind], kind) & (first == len(KINDS))] = place
    return _named(first)


def page_occurrences(batches: Iterator[pa.RecordBatch], tables: Mapping[str, DigestTable]) -> Iterator[pa.RecordBatch]:
    """Finds raw pairs whose page is listed, or its domain is.

    Args:
        batches: Batches with the columns `pair_id` and `page_url`.
        tables: Kind -> what is listed; only `PAGE_KINDS` count.

    Yields:
        Batches of (pair_id, reason), of those that are listed; never an empty one.
    """
    of_pages = {kind: table for kind, table in tables.items() if kind in PAGE_KINDS}
    for batch in batches:
        reasons = listed_reasons({"page_url": batch.column("page_url")}, of_pages)
        found = pa.RecordBatch.from_arrays([batch.column("pair_id"), reasons], ["pair_id", "reason"]).filter(
            pc.is_valid(reasons)
        )
        if found.num_rows:
            yield found


def _is_listed(keys: Keys, table: DigestTable, kind: str) -> Marks:
    what = _PARTS.get(kind, WHOLE)
    spans = keys.begins, keys.host_ends if what == DOMAINS else keys.ends
    return find_listed(keys.data, spans, what, table.starts, table.digests, table.shift)


def _named(places: npt.NDArray[np.int8]) -> pa.Array:
    """Gives the reasons at places of `REASONS`; null at a place behind them."""
    return pc.take(pa.array([*REASONS, None], pa.string()), arrow_numbers(places))
