"""Parquet files that a user names, as batches of one schema; and URLs by their keys."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from udfs.exclusion.digest_table import DIGEST_BYTES
from udfs.exclusion.key_arrays import url_keys
from udfs.exclusion.key_kernel import digest_keys
from udfs.sources import ArchiveStream

_ROWS_PER_BATCH = 8192


def read_parts(
    batches: Iterator[pa.RecordBatch],
    schema: pa.Schema,
    open_archive: Callable[[str], AbstractContextManager[ArchiveStream]],
) -> Iterator[pa.RecordBatch]:
    """Reads parts of Parquet files.

    Args:
        batches: Rows of `udfs.schemas.FILE_PARTS`, whose `columns` are those of `schema`.
        schema: The columns to make of them; each must hold what the file's column can be cast to.
        open_archive: Opens a path.

    Yields:
        Batches of `schema`.

    Raises:
        ArrowInvalid: If a file is damaged, or a value does not fit its column.
        OSError: If a file cannot be read.
    """
    for batch in batches:
        for part in batch.to_pylist():
            first = part["first_row_group"]
            groups = list(range(first, first + part["row_groups"]))
            names = list(dict.fromkeys(name for name in part["columns"] if name))
            with (
                open_archive(part["path"]) as stream,
                pq.ParquetFile(pa.PythonFile(stream, mode="r")) as file,
            ):
                for rows in file.iter_batches(_ROWS_PER_BATCH, row_groups=groups, columns=names):
                    columns = [
                        _column(rows, name, field.type) for name, field in zip(part["columns"], schema, strict=True)
                    ]
                    yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _column(rows: pa.RecordBatch, name: str, kind: pa.DataType) -> pa.Array:
    if not name:
        return pa.nulls(len(rows), kind)
    column = rows.column(name)
    return column if column.type == kind else column.cast(kind)


def url_digests(urls: pa.Array) -> pa.Array:
    """Gives the digests of n URLs' keys, by which two URLs of one image are alike.

    Args:
        urls: strings[n].

    Returns:
        binary[n], `DIGEST_BYTES` each; null where the URL is.
    """
    keys = url_keys(urls)
    digests = digest_keys(keys.data, keys.begins, keys.ends).astype(">u8")
    ends = np.arange(len(urls) + 1, dtype=np.int32) * DIGEST_BYTES
    validity = np.packbits(keys.begins >= 0, bitorder="little")
    buffers = [pa.py_buffer(array) for array in (validity, ends, digests)]
    return pa.Array.from_buffers(pa.binary(), len(urls), buffers)
