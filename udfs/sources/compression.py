"""Unpacks dumps as a stream (bzip2, gzip, xz, zstd or plain bytes), keeping what lies before a fault."""

import bz2
import lzma
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import Any, NamedTuple, Protocol

import pyarrow as pa
import zstandard

CHUNK_BYTES = 64 * 1024
LARGEST_OUTPUT_BYTES = 256 * 1024
LARGEST_LINE_BYTES = 16 * 1024 * 1024
"""Size above which a line is not held in memory."""

BZIP2_START = re.compile(rb"BZh[1-9](?:1AY&SY|\x17\x72\x45\x38\x50\x90)")
"""How a bzip2 stream begins: signature, then the mark of its first block or, in an empty stream, of its end."""

UNREADABLE_STARTS = {
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
    b"Rar!\x1a\x07": "rar",
    b"\x04\x22\x4d\x18": "lz4",
    b"LZIP": "lzip",
    b"\x1f\x9d": "compress",
}
"""How a file begins that is packed in a form that nothing here reads, and the form's name."""

START_BYTES = 10
"""Bytes that tell the form of a file."""

_PACKED_BYTES = 16 * 1024
_ZSTD_PACKED_BYTES = 128
"""zstd's decompressor takes no limit, but 128 bytes hold at most 32 blocks of at most 128 KiB."""

_LARGEST_WINDOW_BYTES = 128 * 1024 * 1024
"""Memory that a stream may demand: enough for `xz -9` and `zstd --long`."""


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

    A fault never hides what lies before it, and behind a corrupt bzip2 or xz stream the next one is looked for.

    Args:
        chunks: The dump's bytes, in order.
        losses: Gets `dump.truncated` (the end is missing), `dump.corrupt_stream` (a stream fails its checks; what
            follows in it is lost), `dump.window_too_large` (the same where a stream demands too much memory) and
            `dump.bytes_after_end` (what follows the last stream is no stream).

    Yields:
        Unpacked bytes, at most `LARGEST_OUTPUT_BYTES` at a time; an empty value stands where bytes are missing.
    """
    source = _Source(chunks)
    start = source.peek(START_BYTES)
    if not start.startswith(b"BZh") and _codec_of(start) is None:
        yield from source.rest()
        return
    while start := source.peek(START_BYTES):
        codec = _codec_of(start)
        if codec is None:
            # A cut inside a stream's first bytes looks the same as foreign bytes; both are reported.
            losses["dump.bytes_after_end"] += 1
            return
        for output in _unpack_stream(source, codec, losses):
            yield output[:LARGEST_OUTPUT_BYTES]
            for begin in range(LARGEST_OUTPUT_BYTES, len(output), LARGEST_OUTPUT_BYTES):
                yield output[begin : begin + LARGEST_OUTPUT_BYTES]


def unpacked_lines(
    chunks: Iterable[bytes], losses: Counter[str], largest_bytes: int = LARGEST_LINE_BYTES
) -> Iterator[bytes]:
    """Cuts a packed or plain text file into lines.

    Args:
        chunks: The file's bytes, in order.
        losses: See `unpack`; also gets `line.unfinished` for a line that a fault cut off, and `line.too_large` for
            each above `largest_bytes`.
        largest_bytes: Size above which a line is dropped before it is held.

    Yields:
        The lines, without their LF. A last line without LF counts as a line where the file is whole.
    """
    held, size = bytearray(), 0
    for output in unpack(chunks, losses):
        if not output:
            if size:
                losses["line.unfinished"] += 1
            held, size = bytearray(), 0
            continue
        end, *lines = output.split(b"\n")
        size += len(end)
        if size <= largest_bytes:
            held += end
        else:
            held.clear()
        if lines:
            yield from _whole_line(held, size, largest_bytes, losses)
            held, size = bytearray(lines[-1]), len(lines[-1])
            yield from lines[:-1]
    if size:
        yield from _whole_line(held, size, largest_bytes, losses)


def _whole_line(held: bytearray, size: int, largest_bytes: int, losses: Counter[str]) -> Iterator[bytes]:
    if size > largest_bytes:
        losses["line.too_large"] += 1
    else:
        yield bytes(held)


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
        """Goes back within what the last `read` gave."""
        self._at -= length

    def skip_to(self, start: re.Pattern[bytes]) -> None:
        """Moves to the next match of at most `START_BYTES`, or to the end."""
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


class _Decompressor(Protocol):
    """What `bz2` and `lzma` offer for one stream."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _GzipDecompressor:
    """One gzip member."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        output = self._stream.decompress(self._stream.unconsumed_tail + data, max_length)
        self.needs_input = len(output) < max_length
        return output


class _ZstdDecompressor:
    """One zstd frame. An output can exceed the limit by what `_ZSTD_PACKED_BYTES` unpack to."""

    def __init__(self) -> None:
        self._stream = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW_BYTES).decompressobj()
        self._waiting = b""

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def needs_input(self) -> bool:
        return not self._waiting

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data + self._waiting

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        data = self._waiting + data
        outputs, size, at = [b""], 0, 0
        while at < len(data) and size < max_length and not self._stream.eof:
            outputs.append(self._stream.decompress(data[at : at + _ZSTD_PACKED_BYTES]))
            size += len(outputs[-1])
            at += _ZSTD_PACKED_BYTES
        self._waiting = data[at:]
        return b"".join(outputs)


class _Codec(NamedTuple):
    """A form of packing.

    Attributes:
        start: How a stream begins.
        errors: What its decompressor raises.
        new: Makes a decompressor for one stream.
        is_found_again: Whether the start is safe to look for inside packed bytes.
        padding: A byte that may stand between streams.
    """

    start: re.Pattern[bytes]
    errors: tuple[type[Exception], ...]
    new: Callable[[], _Decompressor]
    is_found_again: bool = False
    padding: bytes = b""


def _new_xz() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_LARGEST_WINDOW_BYTES)


_XZ_START = re.compile(rb"\xfd7zXZ\0\0[\0\x01\x04\x0a]")
_ZSTD_START = re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18")
"""The second form is a frame without content, which tools put before or behind the others."""

_CODECS = (
    _Codec(BZIP2_START, (OSError,), bz2.BZ2Decompressor, is_found_again=True),
    _Codec(re.compile(rb"\x1f\x8b"), (zlib.error,), _GzipDecompressor),
    _Codec(_XZ_START, (lzma.LZMAError,), _new_xz, is_found_again=True, padding=b"\0"),
    _Codec(_ZSTD_START, (zstandard.ZstdError,), _ZstdDecompressor),
)


def _codec_of(start: bytes) -> _Codec | None:
    return next((codec for codec in _CODECS if codec.start.match(start)), None)


def _unpack_stream(source: _Source, codec: _Codec, losses: Counter[str]) -> Iterator[bytes]:
    """Unpacks one stream and leaves the source at what follows it: behind a fault, at the next stream or the end."""
    stream = codec.new()
    data = b""
    while not stream.eof:
        if stream.needs_input and not (data := source.read(_PACKED_BYTES)):
            losses["dump.truncated"] += 1
            yield b""
            return
        try:
            output = stream.decompress(data, LARGEST_OUTPUT_BYTES)
        except codec.errors as error:
            # Both libraries with windows say so in these words alone.
            is_large = "memory" in str(error).lower()
            losses["dump.window_too_large" if is_large else "dump.corrupt_stream"] += 1
            yield b""
            _skip_behind_fault(source, codec, len(data))
            return
        data = b""
        if output:
            yield output
    source.unread(len(stream.unused_data))
    while codec.padding and source.peek(1) == codec.padding:
        source.read(1)


def _skip_behind_fault(source: _Source, codec: _Codec, read: int) -> None:
    if not codec.is_found_again:
        for _ in source.rest():
            pass
        return
    source.unread(max(0, read - 1))
    source.skip_to(codec.start)
