"""HTTP messages as archives keep them: headers apart, transfer and content encodings removed where they are real.

Archives often keep headers of an encoding that the writer already removed, so the bytes decide, not the header.
"""

import io
import re
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import zstandard
from fastwarc.stream_io import BrotliReader

from udfs.page_pairs import LostRecordError

_STATUS_LINE = re.compile(rb"\s*HTTP/\d+(?:\.\d+)?[ \t]+(\d{3})")
_HEADER_END = re.compile(rb"\r?\n\r?\n")
_CHUNK_SIZE = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?\r?\n")
_LINE_END = re.compile(rb"\r?\n")
_HTML_START = re.compile(
    rb"(?:\xef\xbb\xbf)?(?:\s|<!--(?:[^-]|-(?!->))*-->|<\?xml[^>]*>)*<(?:!doctype\s+html|html|head|body|script|iframe|h1|div|font|"
    rb"table|a|style|title|b|br|p|meta|link|img|base|noscript)[\s/>]",
    re.IGNORECASE,
)
_UTF16_HTML_START = re.compile(rb"(?:\xff\xfe|\xfe\xff)?\0?(?:[\s]\0?)*<\0?(?:!|h|H)\0")
_SNIFFED_BYTES = 2048
_BODY_HEADER = re.compile(
    rb"[\r\n][ \t\v\f]*(content-type|content-encoding|transfer-encoding)[ \t\v\f]*:([^\r\n]*)", re.IGNORECASE
)
_READ_BYTES = 1 << 16
_MOST_LAYERS = 4
_DEFLATE_METHOD = 8


class HttpMessage(NamedTuple):
    """Status, the headers that say what a body is (names in lower case, repeated ones joined) and the body as kept."""

    status: int
    headers: dict[str, str]
    body: bytes


def split_http_message(block: bytes) -> HttpMessage:
    """Parts an HTTP response into status, headers and body.

    Args:
        block: The block of a response record.

    Returns:
        The parts. Without an empty line after the headers the body is empty.

    Raises:
        LostRecordError: The block does not start with an HTTP status line.
    """
    status = _STATUS_LINE.match(block)
    if status is None:
        raise LostRecordError("record.bad_http_header", block[:100].decode("latin-1"))
    end = _HEADER_END.search(block, status.end())
    head = block[: end.start()] if end else block
    headers: dict[str, str] = {}
    for name, value in _BODY_HEADER.findall(head):
        key, text = name.lower().decode(), value.strip().decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return HttpMessage(int(status[1]), headers, block[end.end() :] if end else b"")


def looks_like_html(body: bytes) -> bool:
    """Tells by its first bytes whether a body is HTML, in an encoding like ASCII or in UTF-16."""
    start = body[:_SNIFFED_BYTES]
    return _HTML_START.match(start) is not None or _UTF16_HTML_START.match(start) is not None


def decode_body(body: bytes, transfer_encoding: str, content_encoding: str, max_bytes: int) -> bytes:
    """Removes the encodings of a body that are really there.

    Args:
        body: The body as the archive keeps it.
        transfer_encoding: The header's value, or "".
        content_encoding: The header's value, or "".
        max_bytes: Cap for the decoded body; guards against bombs.

    Returns:
        The decoded body. A body that ends early gives what could be decoded.

    Raises:
        LostRecordError: The body is larger than `max_bytes`, or damaged inside.
    """
    if "chunked" in transfer_encoding.lower():
        body = remove_chunks(body)
    for _ in range(_MOST_LAYERS):
        decoder = _decoder_by_magic(body) or _decoder_by_name(body, content_encoding)
        if decoder is None:
            break
        body = decoder(body, max_bytes)
        content_encoding = ""
    if len(body) > max_bytes:
        raise LostRecordError("record.page_too_large", f"more than {max_bytes} bytes")
    return body


def remove_chunks(body: bytes) -> bytes:
    """Joins the chunks of a chunked body; a body that is not chunked, or stops being so, keeps its bytes."""
    parts: list[bytes] = []
    position = 0
    while size := _CHUNK_SIZE.match(body, position):
        length = int(size[1], 16)
        if length == 0:
            return b"".join(parts)
        parts.append(body[size.end() : size.end() + length])
        position = size.end() + length
        line_end = _LINE_END.match(body, position)
        position = line_end.end() if line_end else position
    return b"".join(parts) + body[position:]


def _decoder_by_magic(body: bytes) -> Callable[[bytes, int], bytes] | None:
    if body.startswith(b"\x1f\x8b\x08"):
        return _gunzip
    return _unzstd if body.startswith(b"\x28\xb5\x2f\xfd") else None


def _decoder_by_name(body: bytes, content_encoding: str) -> Callable[[bytes, int], bytes] | None:
    """Deflate and Brotli have no magic bytes: the header is believed unless the body is readable as it is."""
    if looks_like_html(body) or not body:
        return None
    encodings = content_encoding.lower()
    if "deflate" in encodings:
        return _inflate
    return _unbrotli if "br" in encodings.replace(" ", "").split(",") else None


def _gunzip(body: bytes, max_bytes: int) -> bytes:
    return _join_within(_zlib_parts(body, 31), max_bytes)


def _inflate(body: bytes, max_bytes: int) -> bytes:
    """Servers send deflate with or without the zlib frame, or do not send it at all."""
    has_frame = body[0] & 15 == _DEFLATE_METHOD and int.from_bytes(body[:2]) % 31 == 0
    if not has_frame and _is_corrupt(body[:_SNIFFED_BYTES]):
        return body
    return _join_within(_zlib_parts(body, 15 if has_frame else -15), max_bytes)


def _is_corrupt(start: bytes) -> bool:
    try:
        zlib.decompressobj(-15).decompress(start)
    except zlib.error:
        return True
    return False


def _zlib_parts(body: bytes, window_bits: int) -> Iterator[bytes]:
    rest = body
    try:
        while rest:
            decoder = zlib.decompressobj(window_bits)
            while rest and not decoder.eof:
                yield decoder.decompress(rest, _READ_BYTES)
                rest = decoder.unconsumed_tail
            rest = decoder.unused_data if decoder.unused_data.startswith(b"\x1f\x8b") else b""
    except zlib.error as error:
        raise LostRecordError("record.undecodable", str(error)) from error


def _unzstd(body: bytes, max_bytes: int) -> bytes:
    reader = zstandard.ZstdDecompressor().stream_reader(body)
    try:
        return _join_within(iter(lambda: reader.read(_READ_BYTES), b""), max_bytes)
    except zstandard.ZstdError as error:
        raise LostRecordError("record.undecodable", str(error)) from error


def _unbrotli(body: bytes, max_bytes: int) -> bytes:
    reader = BrotliReader(io.BytesIO(body))
    try:
        return _join_within(iter(lambda: reader.read(_READ_BYTES), b""), max_bytes) or body
    except OSError:
        return body


def _join_within(parts: Iterator[bytes], max_bytes: int) -> bytes:
    kept: list[bytes] = []
    size = 0
    for part in parts:
        size += len(part)
        if size > max_bytes:
            raise LostRecordError("record.page_too_large", f"more than {max_bytes} bytes when decompressed")
        kept.append(part)
    return b"".join(kept)
