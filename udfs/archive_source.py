"""Recognises what an archive is by its content, and removes compression that covers many records.

Archives come plain, compressed record by record (each record is a gzip member or zstd frame of its own, the usual
form), or compressed as a whole, sometimes twice. What reads records sees only the first two forms.
"""

import gzip
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import zstandard

READ_BYTES = 1 << 16
WARC_START = re.compile(rb"\s*WARC/\d")
ARC_START = re.compile(rb"\s*(?:filedesc://|[a-z][a-z0-9+.-]*:[^\r\n]* \d{12,18} [^ \r\n]+ -?\d+\r?\n)", re.IGNORECASE)

_MOST_LAYERS = 3
_STEP_BYTES = 1024
_HEAD_BYTES = 32_768
_SLACK_BYTES = 16
_MARKUP_START = re.compile(rb"(?:\xef\xbb\xbf)?\s*<[?!a-z]", re.IGNORECASE)
_CONTENT_LENGTH = re.compile(rb"^content-length:[ \t]*(\d+)", re.IGNORECASE | re.MULTILINE)
_ARC_LENGTH = re.compile(rb"\s*[^\r\n]* (\d+)\r?\n")
_HEADER_END = re.compile(rb"\r?\n\r?\n")
_ZSTD_DICTIONARY_START = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")


class ByteStream(Protocol):
    """What archives are read from: `fetch.ArchiveStream` or one of the layers over it."""

    def read(self, size: int = -1, /) -> bytes:
        """Reads up to `size` bytes; none only at the end."""
        ...

    def seek(self, offset: int, /) -> int:
        """Moves to an offset from the start."""
        ...


class ArchiveReadError(OSError):
    """The bytes of an archive could not be fetched: a fault of transport, not of the archive."""


class NotAnArchiveError(ValueError):
    """A file that holds no records.

    Attributes:
        reason: `archive.error_page` for XML or HTML, else `archive.not_an_archive`.
        example: Its first characters.
    """

    def __init__(self, reason: str, start: bytes) -> None:
        """Takes the reason and the file's first bytes."""
        self.reason = reason
        self.example = start[:200].decode("latin-1")
        super().__init__(f"{reason}: {self.example!r}")


@dataclass(frozen=True)
class Codec:
    """A compression whose files are members one after another.

    Attributes:
        magic: The first bytes of every member.
        errors: What its decompressor raises for corrupt bytes.
        new_decompressor: Makes an object with `decompress`, `eof` and `unused_data` for one member.
        open_reader: Opens a stream of members as one stream of decompressed bytes.
    """

    magic: bytes
    errors: tuple[type[Exception], ...]
    new_decompressor: Callable[[], Any]
    open_reader: Callable[[Any], Any]


GZIP = Codec(
    b"\x1f\x8b\x08",
    (zlib.error, gzip.BadGzipFile),
    lambda: zlib.decompressobj(31),
    lambda stream: gzip.GzipFile(fileobj=stream, mode="rb"),
)
ZSTD = Codec(
    b"\x28\xb5\x2f\xfd",
    (zstandard.ZstdError,),
    lambda: zstandard.ZstdDecompressor().decompressobj(),
    lambda stream: zstandard.ZstdDecompressor().stream_reader(stream, read_across_frames=True, closefd=False),
)


class GuardedStream:
    """Turns every error of the stream below into an `ArchiveReadError` and notices a stream that ends early."""

    def __init__(self, stream: ByteStream, size: int) -> None:
        """Takes the stream and the size that it should have."""
        self._stream = stream
        self._size = size
        self._position = 0

    def read(self, size: int = -1, /) -> bytes:
        """Reads as the stream below does.

        Raises:
            ArchiveReadError: It fails, or ends before its size.
        """
        try:
            data = self._stream.read(size)
        except Exception as error:
            raise ArchiveReadError(f"reading failed at byte {self._position}: {error!r}") from error
        self._position += len(data)
        if not data and size != 0 and self._position < self._size:
            raise ArchiveReadError(f"the stream ended at byte {self._position} of {self._size}")
        return data

    def seek(self, offset: int, /) -> int:
        """Moves as the stream below does.

        Raises:
            ArchiveReadError: It fails.
        """
        try:
            self._position = self._stream.seek(offset)
        except Exception as error:
            raise ArchiveReadError(f"seeking to byte {offset} failed: {error!r}") from error
        return self._position


class UnpackedStream:
    """The decompressed bytes of a stream. Moving backwards decompresses from the start again.

    Attributes:
        damage: "truncated" or "corrupt" where decompression had to stop early, else None.
    """

    def __init__(self, stream: ByteStream, codec: Codec) -> None:
        """Starts at the first decompressed byte."""
        self.damage: str | None = None
        self._stream = stream
        self._codec = codec
        self._restart()

    def _restart(self) -> None:
        self._stream.seek(0)
        self._reader = self._codec.open_reader(self._stream)
        self._position = 0

    def read(self, size: int = -1, /) -> bytes:
        """Reads decompressed bytes; the end of the stream is also where damage begins."""
        parts: list[bytes] = []
        wanted = size if size >= 0 else 1 << 62
        while wanted > 0 and (part := self._read_once(min(wanted, READ_BYTES))):
            parts.append(part)
            wanted -= len(part)
        return b"".join(parts)

    def _read_once(self, size: int) -> bytes:
        try:
            part: bytes = self._reader.read1(size)
        except EOFError:
            self.damage = "truncated"
            return b""
        except self._codec.errors:
            self.damage = "corrupt"
            return b""
        self._position += len(part)
        return part

    def seek(self, offset: int, /) -> int:
        """Moves to an offset of the decompressed bytes, or to their end where that comes first."""
        if offset < self._position:
            self._restart()
        while self._position < offset and self._read_once(min(READ_BYTES, offset - self._position)):
            pass
        return self._position


@dataclass
class ArchiveSource:
    """An archive whose format is known.

    Attributes:
        stream: The archive, without the layers that hold many records.
        is_arc: True for ARC, false for WARC and WAT.
        codec: The compression of single records; None for a plain stream of records.
        layers: The layers that were removed; each knows after reading whether it was damaged.
    """

    stream: ByteStream
    is_arc: bool
    codec: Codec | None
    layers: list[UnpackedStream] = field(default_factory=list)


def recognise(stream: ByteStream, size: int) -> ArchiveSource | None:
    """Finds out what an archive is, by its content.

    Args:
        stream: The whole archive.
        size: Its size in bytes.

    Returns:
        The archive, ready to be read; None where it holds nothing.

    Raises:
        NotAnArchiveError: It holds something, but no record starts it.
    """
    layers: list[UnpackedStream] = []
    top: ByteStream = GuardedStream(stream, size)
    for _ in range(_MOST_LAYERS):
        top.seek(0)
        head = top.read(_HEAD_BYTES)
        codec = _codec_of(head)
        if codec is None:
            return _without_codec(top, head, layers)
        first, holds_more = _first_record(top, codec)
        is_record = WARC_START.match(first) or ARC_START.match(first)
        if (is_record and not holds_more) or not first:
            return ArchiveSource(top, ARC_START.match(first) is not None, codec, layers)
        top = UnpackedStream(top, codec)
        layers.append(top)
    raise NotAnArchiveError("archive.not_an_archive", b"compressed too often")


def _codec_of(head: bytes) -> Codec | None:
    return next((codec for codec in (GZIP, ZSTD) if head.startswith(codec.magic)), None)


def _without_codec(stream: ByteStream, head: bytes, layers: list[UnpackedStream]) -> ArchiveSource | None:
    if not head:
        return None
    if WARC_START.match(head) or _ZSTD_DICTIONARY_START.match(head):
        return ArchiveSource(stream, is_arc=False, codec=None, layers=layers)
    if ARC_START.match(head):
        return ArchiveSource(stream, is_arc=True, codec=None, layers=layers)
    reason = "archive.error_page" if _MARKUP_START.match(head) else "archive.not_an_archive"
    raise NotAnArchiveError(reason, head)


def _first_record(stream: ByteStream, codec: Codec) -> tuple[bytes, bool]:
    """Decompresses the first member as far as its first record goes.

    Returns:
        The member's first bytes, and whether it holds more than one record. Corrupt bytes end it early.
    """
    stream.seek(0)
    decompressor = codec.new_decompressor()
    head, size, length = b"", 0, None
    while not decompressor.eof and (data := stream.read(_STEP_BYTES)):
        try:
            part = decompressor.decompress(data)
        except codec.errors:
            break
        size += len(part)
        head += part[: _HEAD_BYTES - len(head)]
        length = length or _record_length(head)
        if length is not None and size > length + _SLACK_BYTES:
            return head, True
    return head, False


def _record_length(head: bytes) -> int | None:
    """Bytes of the first record, header included; None while that is not known."""
    if ARC_START.match(head):
        line = _ARC_LENGTH.match(head)
        return line.end() + int(line[1]) if line else None
    end = _HEADER_END.search(head)
    stated = _CONTENT_LENGTH.search(head, 0, end.start()) if end else None
    return end.end() + int(stated[1]) if end and stated else None
