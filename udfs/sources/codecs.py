"""Forms of compression: how each begins, and one stream of it decompressed in steps of bounded size."""

import bz2
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple, Protocol

import zstandard

CHUNK_BYTES = 64 * 1024
LARGEST_OUTPUT_BYTES = 64 * 1024
"""Most decoded bytes at a time."""

START_BYTES = 10
"""Bytes that tell the form of a file."""

UNREADABLE_STARTS = {
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
    b"Rar!\x1a\x07": "rar",
    b"\x04\x22\x4d\x18": "lz4",
    b"LZIP\x01": "lzip",
    b"\x1f\x9d": "compress",
}
"""How a file begins that is compressed in a form that nothing here reads, and the form's name."""

_PACKED_BYTES = 16 * 1024
_ZSTD_PACKED_BYTES = 256
"""They hold at most 64 blocks of at most 128 KiB."""

_LARGEST_WINDOW_BYTES = 128 * 1024 * 1024
"""Memory that a stream may demand: enough for `xz -9` and `zstd --long`."""


class CorruptStreamError(ValueError):
    """Compressed bytes that fail their format's checks, or demand too much memory."""


class _Decompressor(Protocol):
    """What `bz2` and `lzma` offer for one stream."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _ZlibDecompressor:
    def __init__(self, window_bits: int) -> None:
        self._stream = zlib.decompressobj(window_bits)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        output = self._stream.decompress(self._stream.unconsumed_tail + data, max_length)
        self.needs_input = len(output) < max_length
        return output


class _GzipDecompressor(_ZlibDecompressor):
    """One gzip member. What zlib decodes in a step that ends with an error comes out before the error."""

    def __init__(self) -> None:
        super().__init__(31)
        self._error: zlib.error | None = None

    def decompress(self, data: bytes, max_length: int) -> bytes:
        if self._error is not None:
            raise self._error
        saved, packed = self._stream.copy(), self._stream.unconsumed_tail + data
        try:
            return super().decompress(data, max_length)
        except zlib.error as error:
            output = _decoded_before_error(saved, packed)
            if not output:
                raise
            self._error, self.needs_input = error, False
            return output


def _decoded_before_error(stream: "zlib._Decompress", packed: bytes) -> bytes:
    """Decodes what is before the error in these bytes, halving them until one is left."""
    output = b""
    while packed:
        saved, half = stream.copy(), (len(packed) + 1) // 2
        try:
            output += stream.decompress(packed[:half])
            packed = packed[half:]
        except zlib.error:
            if half == 1:
                break
            stream, packed = saved, packed[:half]
    return output


class _ZstdDecompressor:
    """One zstd frame. Its library takes no limit, so that it gets few bytes at a time."""

    def __init__(self, dictionary: zstandard.ZstdCompressionDict | None = None) -> None:
        decompressor = zstandard.ZstdDecompressor(dict_data=dictionary, max_window_size=_LARGEST_WINDOW_BYTES)
        self._stream = decompressor.decompressobj()
        self._waiting = b""
        self._error: zstandard.ZstdError | None = None

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def needs_input(self) -> bool:
        return not self._waiting and self._error is None

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data + self._waiting

    def decompress(self, data: bytes, max_length: int) -> bytes:
        if self._error is not None:
            raise self._error
        stream, data = self._stream, self._waiting + data
        outputs: list[bytes] = []
        size, at = 0, 0
        try:
            while at < len(data) and size < max_length and not stream.eof:
                outputs.append(stream.decompress(data[at : at + _ZSTD_PACKED_BYTES]))
                size += len(outputs[-1])
                at += _ZSTD_PACKED_BYTES
        except zstandard.ZstdError as error:
            self._error = error
            if not size:
                raise
        self._waiting = data[at:]
        return b"".join(outputs)


_NEVER = re.compile(rb"(?!)")
_ZEROS = re.compile(rb"\0+")


class Codec(NamedTuple):
    """A form of compression whose files are streams one after another (members of gzip, frames of zstd).

    Attributes:
        magic: The first bytes of every stream that holds something; empty where there are none.
        start: How a stream begins.
        errors: What its decompressor raises.
        new_decompressor: Makes a decompressor for one stream.
        step_bytes: Compressed bytes that are decompressed at once.
        is_found_again: Whether the start is safe to look for behind damage.
        padding: What may stand between streams.
    """

    magic: bytes
    start: re.Pattern[bytes]
    errors: type[Exception]
    new_decompressor: Callable[[], _Decompressor]
    step_bytes: int
    is_found_again: bool = False
    padding: re.Pattern[bytes] = _NEVER


_GZIP_START = re.compile(rb"\x1f\x8b")
_ZSTD_START = re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18")
"""The second form is a frame without content, which tools put before or behind the others."""
_BZIP2_START = re.compile(rb"BZh[1-9](?:1AY&SY|\x17\x72\x45\x38\x50\x90)")
"""The signature, then the mark of the first block or, in an empty stream, of its end."""
_XZ_START = re.compile(rb"\xfd7zXZ\0\0[\0\x01\x04\x0a]")

GZIP = Codec(b"\x1f\x8b\x08", _GZIP_START, zlib.error, _GzipDecompressor, 4096, padding=_ZEROS)
ZSTD = Codec(b"\x28\xb5\x2f\xfd", _ZSTD_START, zstandard.ZstdError, _ZstdDecompressor, 4096, padding=_ZEROS)
BZIP2 = Codec(b"BZh", _BZIP2_START, OSError, bz2.BZ2Decompressor, _PACKED_BYTES, is_found_again=True)
XZ = Codec(
    b"\xfd7zXZ\0",
    _XZ_START,
    lzma.LZMAError,
    partial(lzma.LZMADecompressor, lzma.FORMAT_XZ, _LARGEST_WINDOW_BYTES),
    _PACKED_BYTES,
    is_found_again=True,
    padding=_ZEROS,
)
# Bodies in large steps: of a small one that is corrupt nothing is kept.
GZIP_BODY = GZIP._replace(new_decompressor=partial(_ZlibDecompressor, 31), step_bytes=CHUNK_BYTES)
ZLIB_BODY = Codec(b"", _NEVER, zlib.error, partial(_ZlibDecompressor, zlib.MAX_WBITS), CHUNK_BYTES)
DEFLATE_BODY = Codec(b"", _NEVER, zlib.error, partial(_ZlibDecompressor, -zlib.MAX_WBITS), CHUNK_BYTES)


def zstd_with_dictionary(dictionary: bytes) -> Codec:
    """Makes the codec of zstd frames that need a dictionary.

    Raises:
        ValueError: It is no dictionary.
    """
    known = zstandard.ZstdCompressionDict(dictionary, dict_type=zstandard.DICT_TYPE_FULLDICT)
    codec = ZSTD._replace(new_decompressor=partial(_ZstdDecompressor, known))
    try:
        codec.new_decompressor()
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from None
    return codec


_UNREADABLE = tuple(UNREADABLE_STARTS)
_BY_START = (GZIP, ZSTD, BZIP2, XZ)
_ANY_START = re.compile(b"|".join(b"(%b)" % codec.start.pattern for codec in _BY_START))


def codec_of(start: bytes) -> Codec | None:
    """Tells by a file's first bytes how it is compressed; None where it is not, or in a form that is not read."""
    found = _ANY_START.match(start)
    return _BY_START[(found.lastindex or 0) - 1] if found else None


def unreadable_form(start: bytes) -> str | None:
    """Names the form of a file that is compressed, by its first bytes, in a form that nothing here reads."""
    if not start.startswith(_UNREADABLE):
        return None
    return next(form for magic, form in UNREADABLE_STARTS.items() if start.startswith(magic))


class StreamDecompressor:
    """Decompresses one stream in parts of bounded size, however much its compressed bytes stand for.

    Attributes:
        unused: Bytes given that are behind the stream's end.
    """

    def __init__(self, codec: Codec) -> None:
        """Begins a stream."""
        self.unused = b""
        self._codec = codec
        self._stream = codec.new_decompressor()

    @property
    def is_complete(self) -> bool:
        """Whether the stream's end has been reached."""
        return self._stream.eof

    def parts(self, packed: bytes) -> Iterator[bytes]:
        """Decompresses further bytes of the stream.

        Args:
            packed: They follow those that were given before.

        Yields:
            Decoded bytes, at most `LARGEST_OUTPUT_BYTES` at a time.

        Raises:
            CorruptStreamError: The stream fails its checks.
        """
        stream, step = self._stream, self._codec.step_bytes
        for start in range(0, len(packed), step):
            data = packed[start : start + step]
            while data or not stream.needs_input:
                try:
                    output = stream.decompress(data, LARGEST_OUTPUT_BYTES)
                except self._codec.errors as error:
                    raise CorruptStreamError(str(error)) from None
                data = b""
                for begin in range(0, len(output), LARGEST_OUTPUT_BYTES):
                    yield output[begin : begin + LARGEST_OUTPUT_BYTES]
                output = b""  # not held while the next is made
                if stream.eof:
                    self.unused = stream.unused_data + packed[start + step :]
                    return
