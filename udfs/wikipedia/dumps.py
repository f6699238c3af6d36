"""Dumps as decoded bytes and lines, with what was lost of them counted."""

import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from itertools import chain
from typing import Any

import pyarrow as pa

from udfs.sources.compression import Fault, decompressed
from udfs.sources.lines import LARGEST_LINE_BYTES, cut_lines

Opener = Callable[[str], io.RawIOBase]
"""Opens a path or URL for reading."""


def opened_rows(batches: Iterable[pa.RecordBatch], opener: Opener) -> Iterator[tuple[dict[str, Any], io.RawIOBase]]:
    """Opens the file of each row, which has a column `path`, and closes it when the next one is asked for."""
    for batch in batches:
        for row in batch.to_pylist():
            with closing(opener(row["path"])) as stream:
                yield row, stream


def unpack(chunks: Iterable[bytes], losses: Counter[str]) -> Iterator[bytes]:
    """Decompresses a dump; an empty value stands where bytes are missing.

    Args:
        chunks: The dump's bytes, in order.
        losses: Gets `dump.*` for each `Fault`, under its reason.

    Yields:
        As `decompressed`.
    """
    for part in decompressed(chunks):
        if not isinstance(part, Fault):
            yield part
            continue
        losses[f"dump.{part.reason}"] += 1
        if part.reason != "bytes_after_end":
            yield b""


def unpacked_lines(
    chunks: Iterable[bytes], losses: Counter[str], largest_bytes: int = LARGEST_LINE_BYTES
) -> Iterator[bytes]:
    """Cuts a compressed or plain text file into lines; see `unpack` and `cut_lines` for the losses."""
    return chain.from_iterable(cut_lines(unpack(chunks, losses), largest_bytes, losses))
