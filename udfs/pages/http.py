"""HTTP messages as archives keep them: headers apart, transfer and content encodings removed where they are real.

Archives often keep headers of an encoding that the writer already removed, so the bytes decide, not the header.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from udfs.pages.charset import is_utf8_start
from udfs.pages.declared.preferences import HEADERS, header_preferences
from udfs.pages.image_table import LostRecordError
from udfs.sources.codecs import GZIP, START_BYTES, ZSTD, codec_of, unreadable_form
from udfs.sources.compression import Fault, decompress_brotli, decompress_deflate, decompress_gzip, decompress_zstd

UNSURE_TYPES = {"", "application/octet-stream", "application/unknown", "unknown/unknown", "binary/octet-stream", "*/*"}
"""Media types that do not tell what a body is."""

_STATUS_LINE = re.compile(rb"\s*HTTP(?:/\d+(?:\.\d+)?)?[ \t]+(\d{3})(?!\d)", re.IGNORECASE)
_EMPTY_LINE = re.compile(rb"\n\r?\n")
_HEADER_LINES = re.compile(rb"[^\r\n]*+(?:\r?\n(?:[ \t][^\r\n]*|[!#$%&'*+.^_`|~0-9A-Za-z-]+[ \t]*:[^\r\n]*))*+")
_CHUNK_SIZE = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?\r?\n")
_LINE_END = re.compile(rb"\r?\n")
_HTML_TAG = (
    rb"<(?:!doctype\s+html|html|head|body|script|iframe|h1|div|font|table|a|style|title|b|br|p|meta|link|img|base|"
    rb"noscript)[\s/>]"
)
_HTML_START = re.compile(
    rb"(?:\xef\xbb\xbf)?(?:\s|<!--(?:[^-]|-(?!->))*-->|<\?xml[^>]*>)*" + _HTML_TAG,
    re.IGNORECASE,
)
_UTF16_HTML_START = re.compile(rb"(?:\xff\xfe|\xfe\xff)?\0?(?:[\s]\0?)*<\0?(?:!|h|H)\0")
_MARKUP_LINE = re.compile(
    rb"\n(?:\xef\xbb\xbf)?(?=<[a-z!/?])|\n[ \t]+(?=" + _HTML_TAG + rb"|<!--|<\?xml\s)", re.IGNORECASE
)
_KNOWN_HEADER = re.compile(
    rb"\n(?:content-(?:type|length|encoding|language)|transfer-encoding|set-cookie|connection|server|cache-control|"
    rb"etag|expires|last-modified|location|vary|x-powered-by)[ \t]*:",
    re.IGNORECASE,
)
_NEXT_STATUS_LINE = re.compile(rb"[^\r\n]*\r?\n(?=HTTP/\d)", re.IGNORECASE)
_WHOLE_STATUS_LINE = re.compile(rb"HTTP/\d(?:\.\d)? \d{3}[ \r\n]")
_SNIFFED_BYTES = 2048


def _header_pattern(names: Iterable[str]) -> re.Pattern[bytes]:
    """Makes a pattern of some headers: name and value, which may be folded."""
    return re.compile(
        rb"\n[ \t\v\f]*(" + "|".join(names).encode() + rb")[ \t\v\f]*:"
        rb"([^\r\n]*(?:\r?\n[ \t][^\r\n:]*(?![^\r\n]))*)",
        re.IGNORECASE,
    )


_BODY_HEADER = _header_pattern(("content-type", "content-encoding", "transfer-encoding"))
_PREFERENCE_HEADER = _header_pattern(HEADERS)
_TAG_START = re.compile(rb"<[a-zA-Z!/]")
_BINARY = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")
"""What the MIME Sniffing Standard calls a binary data byte: none stands in text."""

_MOST_BINARY_SHARE = 0.05
_MOST_LAYERS = 4

Decoder = Callable[[bytes, int], bytes]
"""(body, cap in bytes) -> decoded body."""


class HttpMessage(NamedTuple):
    """A response.

    Attributes:
        status: Its code.
        headers: Those that say what the body is: names in lower case, repeated ones joined.
        body: As kept.
        preferences: What other headers say about the use of the page: a bit for each of `preferences.PREFERENCES`.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    preferences: int = 0


def split_http_message(block: bytes, agents: tuple[str, ...] = ()) -> HttpMessage:
    """Parts an HTTP response into status, headers and body.

    Args:
        block: The block of a response record.
        agents: Whose directives count, too, as for `preferences.header_preferences`.

    Returns:
        The parts of the final response; interim ones (1xx) before it are left out. Where no empty line ends the
        headers, the body begins with the first line that is none of them.

    Raises:
        LostRecordError: The block does not start with an HTTP status line.
    """
    status = _STATUS_LINE.match(block)
    if status is None:
        raise LostRecordError("record.bad_http_header", block[:100].decode("latin-1"))
    while status[1].startswith(b"1") and (final := _status_behind(block, status.end())):
        status = final
    head_end, body_start = _header_end(block, status.end())
    headers = _headers(block, status.end(), head_end)
    if not headers and _WHOLE_STATUS_LINE.match(block, body_start) and (final := _STATUS_LINE.match(block, body_start)):
        # A proxy's own answer stands before that of the server.
        status = final
        head_end, body_start = _header_end(block, status.end())
        headers = _headers(block, status.end(), head_end)
    preferences = _header_preferences(block, status.end(), head_end, agents)
    return HttpMessage(int(status[1]), headers, block[body_start:], preferences)


def _headers(block: bytes, start: int, end: int) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, text in _found(_BODY_HEADER, block, start, end):
        headers[name] = f"{headers[name]}, {text}" if name in headers else text
    return headers


def _header_preferences(block: bytes, start: int, end: int, agents: tuple[str, ...]) -> int:
    """Joins what all headers say, each for itself: a name of an agent holds for its own line."""
    found = 0
    for name, text in _found(_PREFERENCE_HEADER, block, start, end):
        found |= header_preferences(name, text, agents)
    return found


def _found(pattern: re.Pattern[bytes], block: bytes, start: int, end: int) -> Iterator[tuple[str, str]]:
    """Finds headers: their names in lower case, and their values in one line."""
    for name, value in pattern.findall(block, start, end):
        yield name.lower().decode(), b" ".join(value.split()).decode("latin-1")


def _status_behind(block: bytes, start: int) -> re.Match[bytes] | None:
    end = _NEXT_STATUS_LINE.match(block, start) or _EMPTY_LINE.search(block, start)
    return _STATUS_LINE.match(block, end.end()) if end else None


def _header_end(block: bytes, start: int) -> tuple[int, int]:
    """Finds where headers end and the body begins; `start` lies in the status line."""
    empty_line = _EMPTY_LINE.search(block, start)
    limit = empty_line.start() if empty_line else len(block)
    # Without the empty line a page may hold one further down; but some headers hold markup.
    markup = _MARKUP_LINE.search(block, start, limit) if block.find(b"<", start, limit) >= 0 else None
    if markup and not (empty_line and _KNOWN_HEADER.search(block, markup.end(), limit)):
        return markup.start(), markup.start() + 1
    if empty_line:
        return empty_line.start(), empty_line.end()
    lines = _HEADER_LINES.match(block, start)
    end = lines.end() if lines else start
    line_end = _LINE_END.match(block, end)
    return end, line_end.end() if line_end else end


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
        The decoded body; of one that is cut off or corrupt what could be decoded.

    Raises:
        LostRecordError: The body is larger than `max_bytes`, or nothing of it can be decoded.
    """
    layers = 0
    for coding in _codings(content_encoding, transfer_encoding):
        if coding == "chunked":
            body = remove_chunks(body)
        elif layers < _MOST_LAYERS and (decode := _decoder_by_magic(body) or _decoder_by_name(body, coding)):
            body, layers = decode(body, max_bytes), layers + 1
    while layers < _MOST_LAYERS and (decode := _decoder_by_magic(body)):
        body, layers = decode(body, max_bytes), layers + 1
    if codec_of(body[:START_BYTES]) or unreadable_form(body[:START_BYTES]) or _is_binary(body):
        raise LostRecordError("record.undecodable", f"packed in a way that is not read: {body[:20]!r}")
    if len(body) > max_bytes:
        raise LostRecordError("record.page_too_large", f"more than {max_bytes} bytes")
    return body


@lru_cache(256)
def _codings(content_encoding: str, transfer_encoding: str) -> list[str]:
    """Gives the codings that two headers name, the last applied first."""
    named = f"{content_encoding},{transfer_encoding}".lower().split(",")
    codings = (coding.strip().removeprefix("x-") for coding in reversed(named))
    return [coding for coding in codings if coding not in {"", "identity"}]


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


def _decoder_by_magic(body: bytes) -> Decoder | None:
    if body.startswith(GZIP.magic):
        return lambda packed, max_bytes: _decoded(decompress_gzip(packed), max_bytes, None)
    if body.startswith(ZSTD.magic):
        return lambda packed, max_bytes: _decoded(decompress_zstd(packed), max_bytes, None)
    return None


def _decoder_by_name(body: bytes, coding: str) -> Decoder | None:
    """Deflate and Brotli have no magic bytes: the header is believed unless the body is readable as it is."""
    # Some servers call gzip what is deflate.
    decompress = {"deflate": decompress_deflate, "gzip": decompress_deflate, "br": decompress_brotli}.get(coding)
    if decompress is None or looks_like_html(body) or not body:
        return None
    return lambda packed, max_bytes: _decoded(decompress(packed), max_bytes, packed)


def _decoded(parts: Iterator[bytes | Fault], max_bytes: int, undecoded: bytes | None) -> bytes:
    """Joins the parts of a decoded body, up to where it is cut off or corrupt.

    Args:
        parts: What a decoder yields.
        max_bytes: Cap for the decoded body.
        undecoded: The body as it came, where only a header says that it is encoded; else None.

    Returns:
        The decoded body, or the body as it came where it cannot be decoded and is text.

    Raises:
        LostRecordError: It is larger than the cap, or nothing of it can be decoded.
    """
    kept: list[bytes] = []
    size = 0
    for part in parts:
        if not isinstance(part, Fault):
            size += len(part)
            if size > max_bytes:
                raise LostRecordError("record.page_too_large", f"more than {max_bytes} bytes when decompressed")
            kept.append(part)
        elif undecoded is not None and _is_text(undecoded):
            return undecoded
        elif not size:
            raise LostRecordError("record.undecodable", part.detail)
        else:
            break
    return b"".join(kept)


def _is_text(body: bytes) -> bool:
    """Tells text from packed bytes, which hold binary data bytes but where they are very short."""
    start = body[:_SNIFFED_BYTES]
    return _BINARY.search(start) is None and (is_utf8_start(start) or _TAG_START.search(start) is not None)


def _is_binary(body: bytes) -> bool:
    """Tells packed bytes, pictures and the like, of which a tenth are binary data bytes, from pages with a few."""
    start = body[:_SNIFFED_BYTES]
    if looks_like_html(start) or is_utf8_start(start) or start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return False
    binary = _BINARY.findall(start)
    # Every other byte of UTF-16 may be a NUL.
    return len(binary) > _MOST_BINARY_SHARE * len(start) and binary.count(b"\0") < len(start) // 4
