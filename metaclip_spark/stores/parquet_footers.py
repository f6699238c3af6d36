"""The rows that Parquet files hold, by their footers: some kilobytes at the end of each, whatever its size."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.parquet as pq

from metaclip_spark.errors import InputError
from metaclip_spark.stores.object_store import ObjectStore

_AT_ONCE = 32
_USUAL_TAIL_BYTES = 64 << 10
_LONGEST_FOOTER_BYTES = 128 << 20
_MAGIC = b"PAR1"
_END_BYTES = 4 + len(_MAGIC)
"""A file ends with its footer, the footer's length in four bytes, and the magic with which it begins."""


def parquet_rows(store: ObjectStore, root: str, files: Mapping[str, int]) -> dict[str, int]:
    """Counts the rows of Parquet files without reading them, many at once.

    Args:
        store: Where they are.
        root: The store's root, for messages.
        files: Name -> bytes.

    Returns:
        Name -> rows, in the same order.

    Raises:
        InputError: A file is gone, or is not a Parquet file of that size.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        try:
            rows = list(pool.map(lambda name: _rows(store, root, name, files[name]), files))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return dict(zip(files, rows, strict=True))


def _rows(store: ObjectStore, root: str, name: str, size: int) -> int:
    try:
        footer = _footer(store, name, size)
    except FileNotFoundError:
        raise InputError(f"{root}/{name} is gone") from None
    try:
        # The reader looks for nothing but the footer: the rest need not be there.
        return int(pq.read_metadata(pa.BufferReader(_MAGIC + footer)).num_rows)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{root}/{name} is not a Parquet file of {size} bytes: {error}") from None


def _footer(store: ObjectStore, name: str, size: int) -> bytes:
    """Reads what a file ends with: its footer where it is a Parquet file, else at most as much as one could have."""
    tail = store.read_tail(name, size, _USUAL_TAIL_BYTES)
    if len(tail) < min(size, _USUAL_TAIL_BYTES):
        # The file is shorter than it was written.
        return b""
    length = int.from_bytes(tail[-_END_BYTES : -len(_MAGIC)], "little") + _END_BYTES
    if len(tail) < length <= min(size, _LONGEST_FOOTER_BYTES) and tail.endswith(_MAGIC):
        tail = store.read_tail(name, size, length)
    return tail[-length:]
