"""Decompression: gzip, zstd, bzip2, xz, deflate and Brotli, by content and never by name, in bounded memory.

A fault never hides what is before it: decoded bytes come first, then a `Fault` says that some are missing.
"""

import io
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from fastwarc.stream_io import BrotliReader

from udfs.sources.codecs import (
    BZIP2,
    CHUNK_BYTES,
    DEFLATE_BODY,
    GZIP,
    GZIP_BODY,
    START_BYTES,
    ZLIB_BODY,
    ZSTD,
    Codec,
    CorruptStreamError,
    StreamDecompressor,
    codec_of,
)

_DEFLATE_METHOD = 8
_BROTLI_READ_BYTES = 4096
"""What a read of FastWARC's reader has decoded is lost where it ends with an error."""


class Fault(NamedTuple):
    """Decoded bytes are missing.

    Attributes:
        reason: `truncated` (the end is missing), `corrupt_stream` (a stream fails its checks; what follows in it is
            lost), `window_too_large` (the same where a stream demands too much memory) or `bytes_after_end` (what
            follows the last stream is no stream).
        detail: What was seen.
    """

    reason: str
    detail: str


def decompressed(chunks: Iterable[bytes], codec: Codec | None = None) -> Iterator[bytes | Fault]:
    """Decompresses a file in memory that does not depend on its size. Bytes in no known form pass as they are.

    Args:
        chunks: The file's bytes, in order.
        codec: How its first stream is compressed, where that is known; else its first bytes tell.

    Yields:
        Decoded bytes, at most `LARGEST_OUTPUT_BYTES` at a time, and a fault where some are missing. Behind a corrupt
        bzip2 or xz stream the next one is looked for.
    """
    source = _Source(chunks)
    start = source.peek(START_BYTES)
    codec = codec or codec_of(start)
    if codec is None and not start.startswith(BZIP2.magic):
        yield from source.rest()
        return
    while start:
        if codec is None:
            # A cut inside a stream's first bytes looks the same as foreign bytes.
            yield Fault("bytes_after_end", f"no stream begins with {start!r}")
            return
        yield from _decompressed_stream(source, codec)
        source.skip(codec.padding)
        start = source.peek(START_BYTES)
        codec = codec if codec.start.match(start) else codec_of(start)


def _decompressed_stream(source: "_Source", codec: Codec) -> Iterator[bytes | Fault]:
    """Decompresses one stream; leaves the source at what follows it: behind a fault, at the next stream or the end."""
    stream = StreamDecompressor(codec)
    data = b""
    try:
        while not stream.is_complete:
            data = source.read(codec.step_bytes)
            if not data:
                yield Fault("truncated", "cut off")
                return
            yield from stream.parts(data)
    except CorruptStreamError as error:
        # All libraries with windows say so in these words alone.
        yield Fault("window_too_large" if "memory" in str(error).lower() else "corrupt_stream", str(error))
        source.unread(max(0, len(data) - 1))
        source.skip_to(codec.start if codec.is_found_again else None)
        return
    source.unread(len(stream.unused))


def _decompressed_body(body: bytes, first: Codec, further: Codec | None) -> Iterator[bytes | Fault]:
    """Decompresses streams of one codec directly behind each other; what follows them is left out."""
    source = _Source([body])
    yield from _decompressed_stream(source, first)
    while further and further.start.match(source.peek(START_BYTES)):
        yield from _decompressed_stream(source, further)


def decompress_gzip(body: bytes) -> Iterator[bytes | Fault]:
    """Decompresses a body in gzip."""
    return _decompressed_body(body, GZIP_BODY, GZIP)


def decompress_zstd(body: bytes) -> Iterator[bytes | Fault]:
    """Decompresses a body in zstd."""
    return _decompressed_body(body, ZSTD, ZSTD)


def decompress_deflate(body: bytes) -> Iterator[bytes | Fault]:
    """Decompresses a body that a header calls deflate: servers send it with or without the zlib frame."""
    has_frame = body[0] & 15 == _DEFLATE_METHOD and int.from_bytes(body[:2], "big") % 31 == 0
    return _decompressed_body(body, ZLIB_BODY if has_frame else DEFLATE_BODY, None)


def decompress_brotli(body: bytes) -> Iterator[bytes | Fault]:
    """Decompresses a Brotli stream."""
    reader = BrotliReader(io.BytesIO(body))
    try:
        while part := reader.read(_BROTLI_READ_BYTES):
            yield bytes(part)
    except (OSError, EOFError) as error:
        yield Fault("corrupt_stream", str(error))


def decompress_whole(content: bytes) -> bytes:
    """Decompresses a file that is small enough to be held; any fault is a ValueError, and plain bytes pass."""
    if codec_of(content) is None:
        return content
    parts = list(decompressed([content]))
    fault = next((part for part in parts if isinstance(part, Fault)), None)
    if fault is not None:
        raise ValueError(f"its compression is damaged: {fault.reason}, {fault.detail}")
    return b"".join(part for part in parts if isinstance(part, bytes))


def read_chunks(stream: io.RawIOBase, start: int = 0, end: int | None = None) -> Iterator[bytes]:
    """Reads a byte range (to the file's end where `end` is None), at most `CHUNK_BYTES` at a time."""
    stream.seek(start)
    left = CHUNK_BYTES if end is None else end - start
    while left > 0 and (chunk := stream.read(min(CHUNK_BYTES, left))):
        yield chunk
        left -= 0 if end is None else len(chunk)


class _Source:
    """Chunks of bytes of which the next can be looked at, and what was just read can be read again."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._held = b""
        self._at = 0

    def peek(self, length: int) -> bytes:
        while len(self._held) - self._at < length and self._load():
            pass
        return self._held[self._at : self._at + length]

    def read(self, length: int) -> bytes:
        """Reads up to `length` bytes, none only at the end."""
        if self._at == len(self._held) and not self._load():
            return b""
        begin, self._at = self._at, min(self._at + length, len(self._held))
        return self._held[begin : self._at]

    def unread(self, length: int) -> None:
        """Goes back within what the last `read` returned."""
        self._at -= length

    def skip(self, padding: re.Pattern[bytes]) -> None:
        """Moves behind what matches, across chunks."""
        while self.peek(1) and (found := padding.match(self._held, self._at)):
            self._at = found.end()

    def skip_to(self, start: re.Pattern[bytes] | None) -> None:
        """Moves to the next match of at most `START_BYTES`, or to the end; for None to the end, and reads nothing."""
        if start is None:
            self._chunks, self._at = iter(()), len(self._held)
            return
        while not (found := start.search(self._held, self._at)):
            self._at = max(self._at, len(self._held) - START_BYTES + 1)
            if not self._load():
                self._at = len(self._held)
                return
        self._at = found.start()

    def rest(self) -> Iterator[bytes]:
        while data := self.read(CHUNK_BYTES):
            yield data

    def _load(self) -> bool:
        chunk = next(self._chunks, b"")
        self._held, self._at = self._held[self._at :] + chunk, 0
        return bool(chunk)
