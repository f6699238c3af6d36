"""Unpacks dumps as a stream: bzip2 (one stream or many), gzip or plain bytes, keeping what lies before a fault."""

import bz2
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import Any, Protocol

import pyarrow as pa

CHUNK_BYTES = 64 * 1024
LARGEST_OUTPUT_BYTES = 1024 * 1024
BZIP2_START = re.compile(rb"BZh[1-9]1AY&SY|BZh[1-9]\x17\x72\x45\x38\x50\x90")
"""How a bzip2 stream begins: signature, then the mark of its first block or, in an empty stream, of its end."""

_BZIP2_START_LENGTH = 10
_GZIP_START = b"\x1f\x8b"


class ReadableBytes(Protocol):
    """A stream of bytes that can be moved within."""

    def read(self, size: int = -1, /) -> bytes:
        """Reads up to `size` bytes, fewer only at the end."""
        ...

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Moves to a byte offset."""
        ...

    def close(self) -> None:
        """Closes the stream."""
        ...


Opener = Callable[[str], ReadableBytes]
"""Opens a path or URL for reading."""


def opened_rows(batches: Iterable[pa.RecordBatch], opener: Opener) -> Iterator[tuple[dict[str, Any], ReadableBytes]]:
    """Opens the file of each row that a worker is given.

    Args:
        batches: Rows with a column `path`.
        opener: Opens it.

    Yields:
        The row and its file, which is closed when the next one is asked for.
    """
    for batch in batches:
        for row in batch.to_pylist():
            with closing(opener(row["path"])) as stream:
                yield row, stream


def read_chunks(stream: ReadableBytes, start: int = 0, end: int | None = None) -> Iterator[bytes]:
    """Reads a byte range.

    Args:
        stream: An open dump.
        start: Offset of the first byte.
        end: Offset behind the last byte; None reads to the end.

    Yields:
        The bytes of the range, at most `CHUNK_BYTES` at a time.
    """
    stream.seek(start)
    left = CHUNK_BYTES if end is None else end - start
    while left > 0 and (chunk := stream.read(min(CHUNK_BYTES, left))):
        yield chunk
        left -= 0 if end is None else len(chunk)


def unpack(chunks: Iterable[bytes], losses: Counter[str]) -> Iterator[bytes]:
    """Unpacks a dump by its content, never by its name, in memory that does not depend on its size.

    A fault never hides what lies before it, and behind a corrupt bzip2 stream the next one is looked for.

    Args:
        chunks: The dump's bytes, in order.
        losses: Gets `dump.truncated` (the end is missing), `dump.corrupt_stream` (a stream fails its checks; what
            follows in it is lost) and `dump.bytes_after_end` (what follows the last stream is no stream).

    Yields:
        Unpacked bytes; an empty value stands where bytes are missing.
    """
    source = _Source(chunks)
    start = source.peek(_BZIP2_START_LENGTH)
    if not start.startswith((b"BZh", _GZIP_START)):
        yield from source.rest()
        return
    while start := source.peek(_BZIP2_START_LENGTH):
        if BZIP2_START.match(start):
            yield from _unpack_bzip2(source, losses)
        elif start.startswith(_GZIP_START):
            yield from _unpack_gzip(source, losses)
        else:
            # A cut inside a stream's first bytes looks the same as foreign bytes; both are reported.
            losses["dump.bytes_after_end"] += 1
            return


def unpacked_lines(chunks: Iterable[bytes], losses: Counter[str]) -> Iterator[bytes]:
    """Cuts a packed or plain text file into lines.

    Args:
        chunks: The file's bytes, in order.
        losses: See `unpack`; also gets `line.unfinished` for a line that a fault cut off.

    Yields:
        The lines, without their LF. A last line without LF counts as a line where the file is whole.
    """
    left = b""
    for output in unpack(chunks, losses):
        if not output:
            losses["line.unfinished"] += 1 if left else 0
            left = b""
            continue
        lines = (left + output).split(b"\n")
        left = lines.pop()
        yield from lines
    if left:
        yield left


class _Source:
    """Chunks of bytes of which the next can be looked at and put back."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._ahead = b""

    def peek(self, length: int) -> bytes:
        while len(self._ahead) < length and (chunk := next(self._chunks, b"")):
            self._ahead += chunk
        return self._ahead[:length]

    def read(self) -> bytes:
        ahead, self._ahead = self._ahead, b""
        return ahead or next(self._chunks, b"")

    def put_back(self, data: bytes) -> None:
        self._ahead = data + self._ahead

    def rest(self) -> Iterator[bytes]:
        while data := self.read():
            yield data


def _unpack_bzip2(source: _Source, losses: Counter[str]) -> Iterator[bytes]:
    stream = bz2.BZ2Decompressor()
    while not stream.eof:
        data = source.read()
        if not data:
            losses["dump.truncated"] += 1
            yield b""
            return
        try:
            yield from filter(None, [stream.decompress(data, LARGEST_OUTPUT_BYTES)])
            while not stream.eof and not stream.needs_input:
                yield from filter(None, [stream.decompress(b"", LARGEST_OUTPUT_BYTES)])
        except OSError:
            losses["dump.corrupt_stream"] += 1
            source.put_back(data)
            _skip_to_next_bzip2(source)
            yield b""
            return
    source.put_back(stream.unused_data)


def _skip_to_next_bzip2(source: _Source) -> None:
    """Leaves the source at the next bzip2 stream, or at its end."""
    window = source.read()[1:]
    while not (found := BZIP2_START.search(window)):
        data = source.read()
        if not data:
            return
        window = window[1 - _BZIP2_START_LENGTH :] + data
    source.put_back(window[found.start() :])


def _unpack_gzip(source: _Source, losses: Counter[str]) -> Iterator[bytes]:
    stream = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    while not stream.eof:
        data = source.read()
        try:
            output = stream.decompress(data)
        except zlib.error:
            losses["dump.corrupt_stream"] += 1
            yield b""
            # Gzip members have no signature that is safe to look for inside packed bytes.
            for _ in source.rest():
                pass
            return
        if output:
            yield output
        if not data:
            losses["dump.truncated"] += 1
            yield b""
            return
    source.put_back(stream.unused_data)
