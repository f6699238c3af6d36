"""Finds a page's character encoding and turns the page into UTF-8.

Order: byte order mark, HTTP header, WARC-Identified-Payload-Type, `<meta>` wherever it stands, XML declaration,
detector, windows-1252: the order of the HTML Standard, whose label rules apply (latin-1 means windows-1252, a `<meta>`
that says UTF-16 means UTF-8).
"""

import codecs
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

import webencodings
from charset_normalizer import from_bytes

from udfs.pages.legacy_encodings import to_utf8

_BYTE_ORDER_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_BE, "utf-16-be"), (codecs.BOM_UTF16_LE, "utf-16-le"))
_META_BYTES = 1024
_DETECTED_BYTES = 16_384
_BYTES_BEFORE = 256
_FALLBACK = "cp1252"
_DETECTABLE = ["cp1252", "cp1250", "cp1251", "koi8_r", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp874"]
_DETECTABLE += ["gb18030", "big5", "cp932", "euc_jp", "cp949"]
_CODEC_OF_DETECTED = {"koi8_r": "koi8-r", "big5": "big5hkscs"}
_DECLARED_IN_MARKUP = {"utf-16-le": "utf-8", "utf-16-be": "utf-8", "x-user-defined": "cp1252"}
"""What markup that can be read as ASCII says of itself and what it is."""

_HEADER_CHARSET = re.compile(r"charset\s*=[\s\"']*([^\s\"';,]+)", re.IGNORECASE)
_META_CHARSET = re.compile(rb"charset\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s;\"'][^\s;]*))", re.IGNORECASE)
_XML_ENCODING = re.compile(rb"<\?xml[^>]*?encoding[\0- ]*=[\0- ]*(?:\"([^\"]*)\"|'([^']*)')")
_NOT_ASCII = re.compile(rb"[\x80-\xff]")
_WHOLE_CHARACTERS = re.compile(rb".*[\x00-\x2f]", re.DOTALL)  # no such byte ends a longer character
_TAG = re.compile(rb"<[^>]*(?:>|\Z)")

_ATTRIBUTE = (
    rb"[\t\n\f\r /]*(=?[^\t\n\f\r />=]*)"
    rb"(?:[\t\n\f\r ]*=[\t\n\f\r ]*(?:\"([^\"]*)(?:\"|\Z)|'([^']*)(?:'|\Z)|([^\t\n\f\r >\"'][^\t\n\f\r >]*)?))?"
)
_ATTRIBUTES = re.compile(_ATTRIBUTE)
_TAG_ATTRIBUTES = b"(?:" + re.sub(rb"\((?!\?)", b"(?:", _ATTRIBUTE) + b"){0,1000}"
_MARKUP = re.compile(
    (
        rb"<(?:!--(?:-?>|.*?--!?>|.*)|meta(?=[\t\n\f\r /])(?P<meta>"
        + _TAG_ATTRIBUTES
        + rb")|(?:(?P<text>script|style|title|"
    )
    + (rb"textarea|xmp|iframe|noembed|noframes|plaintext)(?=[\t\n\f\r />])|/?[a-z][^\t\n\f\r />]*)" + _TAG_ATTRIBUTES)
    + rb"|[!?/][^>]*)",
    re.IGNORECASE | re.DOTALL,
)
"""A comment, a tag but for its last character (what `text` holds is no markup), or what browsers take for a comment.

Nothing stands behind a repetition that could fail and be tried again: the work grows with the bytes, whatever they are.
"""


def page_to_utf8(body: bytes, content_type: str = "", payload_type: str = "") -> tuple[bytes, str]:
    """Turns a page, whose content encodings are removed, into UTF-8.

    Args:
        body: The page's bytes.
        content_type: The HTTP header's value, or "".
        payload_type: What WARC-Identified-Payload-Type says, or ""; heard where the HTTP header names no encoding.

    Returns:
        The page in UTF-8 without a byte order mark, and the Python name of the codec it was read with. Bytes that the
        encoding does not know become U+FFFD, those of a page in UTF-8 only when a text is taken out.
    """
    for mark, codec in _BYTE_ORDER_MARKS:
        if body.startswith(mark):
            return to_utf8(body[len(mark) :], codec), codec
    codec = _transport_codec(body, content_type, payload_type) or _markup_codec(body) or _detected_codec(body)
    return to_utf8(body, codec), codec


def codec_of_label(label: str) -> str | None:
    """Finds Python's nearest codec for a label of the Encoding Standard; `legacy_encodings` knows the difference."""
    encoding = webencodings.lookup(label)
    if encoding is None:
        return None
    return "gb18030" if encoding.name == "gbk" else str(encoding.codec_info.name)


def _transport_codec(body: bytes, *headers: str) -> str | None:
    for header in headers:
        named = _HEADER_CHARSET.search(header)
        codec = codec_of_label(named[1]) if named else None
        # A page without a single NUL among its first bytes has no markup in UTF-16, whatever its header says.
        if codec is not None and not (codec.startswith("utf-16") and b"\0" not in body[:_META_BYTES]):
            return codec
    return None


def _markup_codec(body: bytes) -> str | None:
    if body[:2] == b"<\0":
        return "utf-16-le"
    if body[:2] == b"\0<":
        return "utf-16-be"
    start = body[:_META_BYTES]
    codec = _codec_of_known_start(_through_first_charset(start)) or _codec_of_metas(start)
    if codec is None and len(body) > _META_BYTES and b"charset" in body.lower():
        codec = _codec_of_metas(body)
    return codec or _xml_codec(start)


def _through_first_charset(start: bytes) -> bytes:
    """Cuts a page behind the tag that names a charset first; the pages of a site are mostly alike up to there."""
    return start[: start.find(b">", start.lower().find(b"charset")) + 1]


def _codec_of_metas(html: bytes) -> str | None:
    return _first(map(_codec_of_meta, _metas(html)))


_codec_of_known_start = lru_cache(1024)(_codec_of_metas)


def _first(codecs_or_none: Iterable[str | None]) -> str | None:
    return next(filter(None, codecs_or_none), None)


def _metas(html: bytes) -> Iterator[bytes]:
    """Finds the attributes of each complete `<meta>` that is neither in a comment nor in a text like a script."""
    position = 0
    while tag := _MARKUP.search(html, position):
        position = tag.end()
        if tag.lastgroup == "text":
            end = re.compile(b"</" + tag["text"].lower() + rb"[\t\n\f\r />]", re.IGNORECASE).search(html, position)
            position = end.start() if end else len(html)
        elif tag.lastgroup == "meta" and html[position : position + 1] == b">":
            yield tag["meta"]


def _codec_of_meta(content: bytes) -> str | None:
    if b"charset" not in content.lower():
        return None
    attributes: dict[bytes, bytes] = {}
    for name, *values in _ATTRIBUTES.findall(content):
        attributes.setdefault(name.lower(), b"".join(values))
    label = attributes.get(b"charset")
    if label is None and attributes.get(b"http-equiv", b"").lower() == b"content-type":
        named = _META_CHARSET.search(attributes.get(b"content", b""))
        label = named[named.lastindex or 0] if named else None
    return _codec_in_markup(label) if label is not None else None


def _xml_codec(start: bytes) -> str | None:
    named = _XML_ENCODING.match(start)
    return _codec_in_markup(named[1] or named[2] or b"") if named else None


def _codec_in_markup(label: bytes) -> str | None:
    codec = codec_of_label(label.decode("latin-1"))
    return _DECLARED_IN_MARKUP.get(codec, codec) if codec is not None else None


def _detected_codec(body: bytes) -> str:
    """Asks the detector. It hardly tells code pages of Latin script apart: windows-1252 wins where they are even."""
    if is_utf8_start(body):
        return "utf-8"
    matches = from_bytes(_sample(body), cp_isolation=_DETECTABLE)
    best = matches.best()
    if best is None:
        return _FALLBACK
    western = next((match for match in matches if match.encoding == _FALLBACK), None)
    if western is not None and western.chaos <= best.chaos and western.coherence >= best.coherence:
        return _FALLBACK
    return _CODEC_OF_DETECTED.get(best.encoding, best.encoding)


def is_utf8_start(body: bytes) -> bool:
    """Tells whether bytes are valid UTF-8, but for a character cut off at the end."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(body)
    except UnicodeDecodeError:
        return False
    return True


def _sample(body: bytes) -> bytes:
    """Takes a bounded part around the first byte that is not ASCII; without tags, if the text alone has such bytes."""
    first = _NOT_ASCII.search(body)
    start = first.start() if first else 0
    sample = body[max(0, start - _BYTES_BEFORE) : start + _DETECTED_BYTES]
    if start + _DETECTED_BYTES < len(body):
        whole = _WHOLE_CHARACTERS.match(sample)
        sample = whole[0] if whole else sample
    last = sample.rfind(b">") + 1  # what is behind it is no tag
    text = _TAG.sub(b" ", sample[:last]) + sample[last:]
    return text if _NOT_ASCII.search(text) else sample
