"""Which listed values name a pair: all of them, where an exclusion needs only the first reason."""

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from udfs.exclusion.block_lists import listed_reasons
from udfs.exclusion.digest_table import DigestTable, short_digest
from udfs.exclusion.kinds import COLUMNS
from udfs.exclusion.url_key import keys_of

NAMED = pa.schema([("pair_id", pa.string()), ("kind", pa.string()), ("digest", pa.string())])
"""A pair, and the digest of a listed value that names it, in hexadecimal digits."""


def is_listed(table: DigestTable, digest: bytes) -> bool:
    """Tells whether a digest, as `short_digest` gives it, is in a table."""
    first, second = np.frombuffer(digest, ">u8").astype(np.uint64)
    place = int(np.searchsorted(table.digests[::2], first))
    while place < table.size and table.digests[2 * place] == first:
        if table.digests[2 * place + 1] == second:
            return True
        place += 1
    return False


def named_values(batches: Iterator[pa.RecordBatch], tables: Mapping[str, DigestTable]) -> Iterator[pa.RecordBatch]:
    """Finds the listed values that name each pair.

    Args:
        batches: Batches with `pair_id` and the columns of `COLUMNS` that the tables' kinds need.
        tables: Kind -> what is listed.

    Yields:
        Batches of `NAMED`, of the pairs that are named; never an empty one.
    """
    columns = sorted({COLUMNS[kind] for kind in tables})
    for batch in batches:
        reasons = listed_reasons({name: batch.column(name) for name in columns}, tables)
        rows = batch.filter(pc.is_valid(reasons)).select(list(dict.fromkeys(["pair_id", *columns]))).to_pylist()
        found = [
            {"pair_id": row["pair_id"], "kind": kind, "digest": digest.hex()}
            for row in rows
            for kind, table in tables.items()
            for digest in _digests(kind, row[COLUMNS[kind]])
            if is_listed(table, digest)
        ]
        if found:
            yield pa.RecordBatch.from_pylist(found, NAMED)


def _digests(kind: str, value: str | None) -> list[bytes]:
    return [] if value is None else [short_digest(key) for key in keys_of(kind, value)]
