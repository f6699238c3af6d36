"""Block lists in the workers: which matched pairs are listed, and by what."""

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from udfs.arrow import arrow_numbers, string_bytes
from udfs.exclusion.digest_table import DigestTable, open_tables
from udfs.exclusion.key_kernel import DOMAINS, PREFIXES, WHOLE, Marks
from udfs.exclusion.url_key import Keys, null_marks, url_keys

KINDS = ("pair", "url", "prefix", "image_domain", "page_domain", "page", "text", "image")
"""What a list may name, in the order in which the first reason counts."""

PAGE_KINDS = ("page_domain", "page")

COLUMNS = {
    "pair": "pair_id",
    "url": "image_url",
    "prefix": "image_url",
    "image_domain": "image_url",
    "page_domain": "page_url",
    "page": "page_url",
    "text": "alt_text",
    "image": "image_hash",
}
"""Kind -> the column that it is compared with."""

_PARTS = {"prefix": PREFIXES, "image_domain": DOMAINS, "page_domain": DOMAINS}

_opened: dict[str, dict[str, DigestTable]] = {}


def reason_of(kind: str) -> str:
    """Names the reason that a pair is listed."""
    return f"removed.{kind}"


REASONS = tuple(map(reason_of, KINDS))


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
                keys[column] = _keys(columns[column], is_url=column.endswith("_url"))
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


def _keys(values: pa.Array, *, is_url: bool) -> Keys:
    if is_url:
        return url_keys(values)
    data, offsets = string_bytes(values)
    begins = offsets[:-1].copy()
    if values.null_count:
        begins[null_marks(values)] = -1
    return Keys(np.frombuffer(data, np.uint8), begins, offsets[1:], begins)


def _is_listed(keys: Keys, table: DigestTable, kind: str) -> Marks:
    what = _PARTS.get(kind, WHOLE)
    return table.contains(keys.data, (keys.begins, keys.host_ends if what == DOMAINS else keys.ends), what)


def _named(places: npt.NDArray[np.int8]) -> pa.Array:
    """Gives the reasons at places of `REASONS`; null at a place behind them."""
    return pc.take(pa.array([*REASONS, None], pa.string()), arrow_numbers(places))
