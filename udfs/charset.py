"""Finds a page's character encoding and turns the page into UTF-8.

Order: byte order mark, HTTP header, `<meta>` in the first 1,024 bytes, detector, windows-1252: the order of the HTML
Standard, whose label rules apply (latin-1 means windows-1252, a `<meta>` that says UTF-16 means UTF-8).
"""

import codecs
import re
from functools import lru_cache

from charset_normalizer import from_bytes

_BYTE_ORDER_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_BE, "utf-16-be"), (codecs.BOM_UTF16_LE, "utf-16-le"))
_META_BYTES = 1024
_DETECTED_BYTES = 16_384
_BYTES_BEFORE = 256
_FALLBACK = "cp1252"
_DETECTABLE = ["cp1252", "cp1250", "cp1251", "koi8_r", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp874"]
_DETECTABLE += ["gb18030", "big5", "cp932", "euc_jp", "cp949"]

_CODEC_OF_LABEL = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "johab": "cp949",
    "big5": "big5hkscs",
    "cp950": "big5hkscs",
    "utf-16": "utf-16-le",
}
"""Where the HTML Standard reads a label as a superset of what it names. Keys are Python's names of codecs."""

_ALLOWED = (
    {"utf-8", "utf-16-le", "utf-16-be", "cp866", "cp874", "cp932", "cp949", "gb18030", "big5hkscs", "euc_jp"}
    | {"iso2022_jp", "koi8-r", "koi8-u", "mac-roman", "mac-cyrillic"}
    | {f"cp{number}" for number in range(1250, 1259)}
    | {f"iso8859-{number}" for number in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)}
)
_LIKE_ASCII = _ALLOWED - {"utf-16-le", "utf-16-be", "iso2022_jp"}
"""Codecs that read bytes below 128 as ASCII does: where a page has no others, there is nothing to do."""

_PYTHON_ALIASES = {
    "x-sjis": "cp932",
    "windows-31j": "cp932",
    "x-gbk": "gb18030",
    "x-x-big5": "big5hkscs",
    "cn-big5": "big5hkscs",
    "windows-949": "cp949",
    "windows-874": "cp874",
    "dos-874": "cp874",
    "x-mac-roman": "mac-roman",
    "x-mac-cyrillic": "mac-cyrillic",
    "x-mac-ukrainian": "mac-cyrillic",
    "koi": "koi8-r",
    "koi8": "koi8-r",
    "unicode": "utf-16-le",
    "ucs-2": "utf-16-le",
    "iso-10646-ucs-2": "utf-16-le",
    "unicodefffe": "utf-16-be",
    "unicodefeff": "utf-16-le",
    "unicode-1-1-utf-8": "utf-8",
    "iso-8859-8-i": "iso8859-8",
    "iso-8859-8-e": "iso8859-8",
    "logical": "iso8859-8",
    "visual": "iso8859-8",
    "x-euc-jp": "euc_jp",
}

_HTTP_CHARSET = re.compile(r"charset\s*=\s*[\"']?\s*([^\s\"';,]+)", re.IGNORECASE)
_NOT_ASCII = re.compile(rb"[\x80-\xff]")
_WHOLE_CHARACTERS = re.compile(rb".*[\x00-\x2f]", re.DOTALL)  # no such byte ends a longer character
_TAG = re.compile(rb"<[^>]*>")
_COMMENT = re.compile(rb"<!--.*?(?:-->|$)", re.DOTALL)
_META = re.compile(rb"<meta[\s/]((?:[^>\"']|\"[^\"]*\"|'[^']*')*)", re.IGNORECASE)
_ATTRIBUTE = re.compile(rb"([^\s=/>\"']+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s>]+))")


def page_to_utf8(body: bytes, content_type: str = "") -> tuple[bytes, str]:
    """Turns a page into UTF-8.

    Args:
        body: The page's bytes, content encodings removed.
        content_type: The HTTP header's value, or "".

    Returns:
        The page in UTF-8 without a byte order mark, and the Python name of the codec it was read with. Bytes that the
        codec does not know become U+FFFD, those of a page in UTF-8 only when a text is taken out.
    """
    for mark, codec in _BYTE_ORDER_MARKS:
        if body.startswith(mark):
            return _recode(body[len(mark) :], codec), codec
    codec = _declared_codec(body, content_type) or _detected_codec(body)
    return _recode(body, codec), codec


@lru_cache(256)
def codec_of_label(label: str) -> str | None:
    """Finds the codec of an encoding's label.

    Args:
        label: What a header or `<meta>` names, in any case.

    Returns:
        A Python codec, or None for a label that names no encoding of web pages.
    """
    name = label.strip().lower()
    if name in _PYTHON_ALIASES:
        return _PYTHON_ALIASES[name]
    try:
        name = codecs.lookup(name).name
    except (LookupError, ValueError):
        return None
    name = _CODEC_OF_LABEL.get(name, name)
    return name if name in _ALLOWED else None


def _recode(body: bytes, codec: str) -> bytes:
    if codec == "utf-8" or (codec in _LIKE_ASCII and body.isascii()):
        return body
    return body.decode(codec, "replace").encode("utf-8", "replace")


def _declared_codec(body: bytes, content_type: str) -> str | None:
    named = _HTTP_CHARSET.search(content_type)
    codec = codec_of_label(named[1]) if named else None
    # A page without a single NUL among its first bytes has no markup in UTF-16, whatever its header says.
    if codec is not None and not (codec.startswith("utf-16") and b"\0" not in body[:_META_BYTES]):
        return codec
    if body[:2] == b"<\0":
        return "utf-16-le"
    if body[:2] == b"\0<":
        return "utf-16-be"
    codec = _meta_codec(body[:_META_BYTES])
    return "utf-8" if codec is not None and codec.startswith("utf-16") else codec


def _meta_codec(start: bytes) -> str | None:
    start = _COMMENT.sub(b"", start) if b"<!--" in start else start
    return next(filter(None, (_codec_of_meta(meta[1]) for meta in _META.finditer(start))), None)


@lru_cache(1024)
def _codec_of_meta(content: bytes) -> str | None:
    """Reads one `<meta>`; the pages of a site have few different ones."""
    attributes: dict[bytes, bytes] = {}
    for name, *values in _ATTRIBUTE.findall(content):
        attributes.setdefault(name.lower(), b"".join(values))
    label = attributes.get(b"charset")
    if label is None and attributes.get(b"http-equiv", b"").strip().lower() == b"content-type":
        named = _HTTP_CHARSET.search(attributes.get(b"content", b"").decode("latin-1"))
        label = named[1].encode("latin-1") if named else None
    return codec_of_label(label.decode("latin-1")) if label is not None else None


def _detected_codec(body: bytes) -> str:
    """Asks the detector. It hardly tells code pages of Latin script apart: windows-1252 wins where they are even."""
    if is_utf8(body):
        return "utf-8"
    matches = from_bytes(_sample(body), cp_isolation=_DETECTABLE)
    best = matches.best()
    if best is None:
        return _FALLBACK
    western = next((match for match in matches if match.encoding == _FALLBACK), None)
    if western is not None and western.chaos <= best.chaos and western.coherence >= best.coherence:
        return _FALLBACK
    return codec_of_label(best.encoding) or _FALLBACK


def is_utf8(body: bytes) -> bool:
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
    text = _TAG.sub(b" ", sample)
    return text if _NOT_ASCII.search(text) else sample
