"""Detects what an archive is by its content, whatever its name says.

Archives come plain, compressed record by record (each record is a gzip member or zstd frame of its own, the usual
form), or compressed as a whole, sometimes twice. What reads records sees only the first two forms.
"""

import io
import re

from udfs.archives.members import find_next_start
from udfs.archives.source import (
    ARC_START,
    WARC_START,
    ArchiveSource,
    DecompressedStream,
    DictionaryError,
    GuardedStream,
    NotAnArchiveError,
)
from udfs.sources.codecs import GZIP, ZSTD, Codec, CorruptStreamError, StreamDecompressor, zstd_with_dictionary

_MOST_LAYERS = 3
_STEP_BYTES = 1024
_HEAD_BYTES = 32_768
_SLACK_BYTES = 16
_MARKUP_START = re.compile(rb"(?:\xef\xbb\xbf)?\s*<[?!a-z]", re.IGNORECASE)
_CONTENT_LENGTH = re.compile(rb"^content-length[ \t]*:(?:\r?\n[ \t]|[ \t])*(\d{1,18})", re.IGNORECASE | re.MULTILINE)
_ARC_LENGTH = re.compile(rb"[^\r\n]* (\d{1,18})\r?\n")
_HEADER_END = re.compile(rb"\r?\n\r?\n")
_DICTIONARY_FRAME = b"\x5d\x2a\x4d\x18"
"""What begins the frame of a `.warc.zst` that holds the dictionary of all others, plain or itself a zstd frame."""

_FRAME_HEADER_BYTES = 8
_DICTIONARY_START = b"\x37\xa4\x30\xec"
_LARGEST_DICTIONARY_BYTES = 16 << 20


def detect_format(stream: io.RawIOBase, size: int) -> ArchiveSource | None:
    """Detects the format of an archive of `size` bytes; None where it holds nothing.

    Raises:
        NotAnArchiveError: It holds something, but no record starts it.
        DictionaryError: It begins with a zstd dictionary that cannot be used.
    """
    layers: list[DecompressedStream] = []
    top: io.RawIOBase = GuardedStream(stream, size)
    for _ in range(_MOST_LAYERS):
        top.seek(0)
        head = top.read(_HEAD_BYTES)
        codec = _codec_of(top, head)
        if codec is None:
            return _without_codec(top, head, layers)
        first, holds_more, is_readable = _first_record(top, codec)
        if not is_readable:
            return _behind_damage(top, layers) or ArchiveSource(top, is_arc=False, codec=codec, layers=layers)
        if not holds_more and (WARC_START.match(first) or ARC_START.match(first)):
            return ArchiveSource(top, ARC_START.match(first) is not None, codec, layers)
        top = DecompressedStream(top, codec)
        layers.append(top)
    raise NotAnArchiveError("archive.not_an_archive", b"compressed too often")


def _codec_of(stream: io.RawIOBase, head: bytes) -> Codec | None:
    if head.startswith(GZIP.magic):
        return GZIP
    if head.startswith(_DICTIONARY_FRAME):
        return _codec_with_dictionary(stream)
    return ZSTD if ZSTD.start.match(head) else None


def _codec_with_dictionary(stream: io.RawIOBase) -> Codec:
    stream.seek(0)
    size = int.from_bytes(stream.read(_FRAME_HEADER_BYTES)[len(_DICTIONARY_FRAME) :], "little")
    if size > _LARGEST_DICTIONARY_BYTES:
        raise DictionaryError(_too_large())
    dictionary = b""
    while len(dictionary) < size and (data := stream.read(size - len(dictionary))):
        dictionary += data
    if len(dictionary) < size:
        raise DictionaryError("the file ends inside its zstd dictionary")
    if dictionary.startswith(ZSTD.magic):
        dictionary = _unpacked_dictionary(dictionary)
    if not dictionary.startswith(_DICTIONARY_START):
        raise DictionaryError(f"a zstd dictionary does not begin with {dictionary[:20]!r}")
    try:
        return zstd_with_dictionary(dictionary)
    except ValueError as error:
        raise DictionaryError(f"the zstd dictionary at its start is damaged: {error}") from None


def _unpacked_dictionary(packed: bytes) -> bytes:
    frame = StreamDecompressor(ZSTD)
    dictionary = b""
    try:
        for part in frame.parts(packed):
            dictionary += part
            if len(dictionary) > _LARGEST_DICTIONARY_BYTES:
                break
    except CorruptStreamError as error:
        raise DictionaryError(f"the zstd dictionary at its start is damaged: {error}") from None
    if len(dictionary) > _LARGEST_DICTIONARY_BYTES:
        raise DictionaryError(_too_large())
    if not frame.is_complete:
        raise DictionaryError("the zstd dictionary at its start is cut off")
    return dictionary


def _too_large() -> str:
    return f"the zstd dictionary at its start is larger than {_LARGEST_DICTIONARY_BYTES:,} bytes"


def _without_codec(stream: io.RawIOBase, head: bytes, layers: list[DecompressedStream]) -> ArchiveSource | None:
    if not head:
        return None
    if WARC_START.match(head):
        return ArchiveSource(stream, is_arc=False, codec=None, layers=layers)
    if ARC_START.match(head):
        return ArchiveSource(stream, is_arc=True, codec=None, layers=layers)
    if _MARKUP_START.match(head):
        raise NotAnArchiveError("archive.error_page", head)
    source = _behind_damage(stream, layers)
    if source is None:
        raise NotAnArchiveError("archive.not_an_archive", head)
    return source


def _behind_damage(stream: io.RawIOBase, layers: list[DecompressedStream]) -> ArchiveSource | None:
    """Looks for records behind a start that nothing can be made of."""
    for codec in (GZIP, ZSTD, None):
        for is_arc in (False, True):
            source = ArchiveSource(stream, is_arc, codec, layers)
            if find_next_start(source, 0) is not None:
                return source
    return None


def _first_record(stream: io.RawIOBase, codec: Codec) -> tuple[bytes, bool, bool]:
    """Decompresses the first member as far as its first record goes.

    Returns:
        The member's first bytes, whether it holds more than one record, and whether anything in it can be read.
    """
    stream.seek(0)
    member = StreamDecompressor(codec)
    head, size, length = b"", 0, None
    try:
        while not member.is_complete and (data := stream.read(_STEP_BYTES)):
            for part in member.parts(data):
                size += len(part)
                if len(head) < _HEAD_BYTES:
                    head += part[: _HEAD_BYTES - len(head)]
                    length = length or _record_length(head)
                if length is not None and size > length + _SLACK_BYTES:
                    return head, True, True
    except CorruptStreamError:
        pass
    return head, False, bool(head) or member.is_complete


def _record_length(head: bytes) -> int | None:
    """Bytes of the first record, header included; None while that is not known."""
    start = len(head) - len(head.lstrip())
    if ARC_START.match(head):
        line = _ARC_LENGTH.match(head, start)
        return line.end() + int(line[1]) if line else None
    end = _HEADER_END.search(head, start)
    stated = _CONTENT_LENGTH.search(head, start, end.start()) if end else None
    return end.end() + int(stated[1]) if end and stated else None
