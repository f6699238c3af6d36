"""Detects what an archive is by its content, whatever its name says.

Archives come plain, compressed record by record (each record is a gzip member or zstd frame of its own, the usual
form), or compressed as a whole, sometimes twice. What reads records sees only the first two forms.
"""

import io
import re
from contextlib import suppress

from udfs.archives.member_reader import MemberReader
from udfs.archives.members import find_next_start
from udfs.archives.source import (
    ARC_START,
    WARC_START,
    ArchiveSource,
    DecompressedStream,
    DictionaryError,
    GuardedStream,
    NotAnArchiveError,
    PartStream,
)
from udfs.sources.codecs import GZIP, ZSTD, Codec, CorruptStreamError, StreamDecompressor, zstd_with_dictionary

_MOST_LAYERS = 3
_HEAD_BYTES = 32_768
_LARGEST_MEMBER_BYTES = 64 << 20
"""A member that holds more behind its first record is an archive that was compressed as a whole."""

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
        first = _FirstMember(top, codec)
        if not first.is_readable:
            return _behind_damage(top, layers) or ArchiveSource(top, is_arc=False, codec=codec, layers=layers)
        record = first.read_by_member()
        if record is not None:
            return ArchiveSource(top, ARC_START.match(record) is not None, codec, layers)
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


class _FirstMember:
    """The first member of an archive that holds more than white space."""

    def __init__(self, stream: io.RawIOBase, codec: Codec) -> None:
        """Decompresses its first bytes, which are none where all members are empty, or nothing of it can be read."""
        self._stream = stream
        self._codec = codec
        self._reader = MemberReader(PartStream(stream, 0), codec, WARC_START)
        self._start = self._content()

    def _content(self) -> bytes:
        """Goes on to the next bytes that are no white space; gives as many as a record's header has, or less."""
        while True:
            with suppress(CorruptStreamError):
                self._reader.skip_space()
            content = self._reader.peek(_HEAD_BYTES)
            if content or not self._reader.next_member():
                return content

    @property
    def is_readable(self) -> bool:
        """Whether something in it can be read, or the archive holds nothing."""
        return bool(self._start) or not self._reader.is_cut_off

    def read_by_member(self) -> bytes | None:
        """Tells how the archive's first record begins, if members hold few records each.

        Returns:
            None where the archive is compressed as a whole: it ends with this member, or the next one goes on with what
            this one holds, or this one is very large.
        """
        is_record = _begins_record(self._start)
        if not is_record and (GZIP.start.match(self._start) or ZSTD.start.match(self._start)):
            return None
        length = _record_length(self._start) if is_record else None
        if is_record and (length is None or self._end_within(length + _SLACK_BYTES) is not None):
            return self._start
        is_whole = self._end_within(_LARGEST_MEMBER_BYTES)
        if is_whole is None:
            return None
        following = self._content() if is_whole and self._reader.next_member() else b""
        if _begins_record(following):
            return self._start if is_record else following
        is_damaged = not is_whole or (not following and self._reader.is_cut_off)
        return self._start if is_record and is_damaged and self._is_found_again() else None

    def _end_within(self, limit: int) -> bool | None:
        """Goes to the end of the member: whether it is whole; None where its rest is larger than a limit."""
        try:
            return not self._reader.is_cut_off if self._reader.skip_rest(limit) else None
        except CorruptStreamError:
            return False

    def _is_found_again(self) -> bool:
        source = ArchiveSource(self._stream, ARC_START.match(self._start) is not None, self._codec)
        return find_next_start(source, self._reader.start + 1) is not None


def _begins_record(content: bytes) -> bool:
    return WARC_START.match(content) is not None or ARC_START.match(content) is not None


def _record_length(head: bytes) -> int | None:
    """Bytes of the first record, header included; None while that is not known."""
    start = len(head) - len(head.lstrip())
    if ARC_START.match(head):
        line = _ARC_LENGTH.match(head, start)
        return line.end() + int(line[1]) if line else None
    end = _HEADER_END.search(head, start)
    stated = _CONTENT_LENGTH.search(head, start, end.start()) if end else None
    return end.end() + int(stated[1]) if end and stated else None
