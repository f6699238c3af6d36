"""The images that a WAT record describes: JSON on one capture, which Common Crawl derives from its WARC files.

Typed decoding is fast and stops at the first surprise; such a record is read again by a tolerant reader that guards
every level, so that one odd value never costs more than itself. Entities are not decoded: the writer did that, but
before July 2019.
"""

from typing import Any, Generic, TypeVar

import msgspec
import numpy as np

from udfs.archives import ArchiveRecord
from udfs.pages.declared.capture import load_json, read_declared
from udfs.pages.image_table import (
    MOST_IMAGES,
    MOST_VALUES,
    TAG_COLUMNS,
    UNMODELLED,
    Declared,
    ImageValues,
    Loss,
    LostRecordError,
    PageImages,
    decoded_images,
    images_in_rows,
)
from udfs.pages.page_url import clean_page_url, join_base
from udfs.pages.wat_kernel import link_kernel

IMAGE_PATH = "IMG@/src"
"""The path of an image's `src` among the links; an image's other attributes have other paths."""

_MOST_IMAGES = 4096
_BEFORE_VALUES = b"{", b"[", b","
_FEWEST_BYTES = len('{"path":"IMG@/src"},')
_NULL = b"null"
_ENVELOPE_BYTES = 4096

NO_ENVELOPE = "record.no_envelope"
"""The reason of a JSON record that is no description of a capture: bad in a WAT archive, normal in a WARC."""

_OTHER_TYPES = {"request", "metadata", "warcinfo", "revisit", "conversion", "continuation"}

LinksT = TypeVar("LinksT")
# Raw text cannot be one of several types to the decoder, so that None is only what stands for missing links.
_NO_LINKS: Any = None
_NOTHING = msgspec.Raw(_NULL)


class _Link(msgspec.Struct, gc=False):
    path: str | None = None
    url: str | None = None
    alt: str | None = None
    title: str | None = None


class _Head(msgspec.Struct):
    base: str | None = msgspec.field(name="Base", default=None)
    metas: msgspec.Raw = msgspec.field(name="Metas", default=_NOTHING)


class _Html(msgspec.Struct, Generic[LinksT]):
    head: _Head | None = msgspec.field(name="Head", default=None)
    links: LinksT = msgspec.field(name="Links", default=_NO_LINKS)


class _Message(msgspec.Struct):
    status: str | int | None = msgspec.field(name="Status", default=None)


class _Response(msgspec.Struct, Generic[LinksT]):
    message: _Message | None = msgspec.field(name="Response-Message", default=None)
    headers: msgspec.Raw = msgspec.field(name="Headers", default=_NOTHING)
    html: _Html[LinksT] | None = msgspec.field(name="HTML-Metadata", default=None)


class _Payload(msgspec.Struct, Generic[LinksT]):
    response: _Response[LinksT] | None = msgspec.field(name="HTTP-Response-Metadata", default=None)
    html: _Html[LinksT] | None = msgspec.field(name="HTML-Metadata", default=None)


class _WarcHeader(msgspec.Struct):
    warc_type: str | None = msgspec.field(name="WARC-Type", default=None)
    target_uri: str | None = msgspec.field(name="WARC-Target-URI", default=None)


class _ArcHeader(msgspec.Struct):
    target_uri: str | None = msgspec.field(name="Target-URI", default=None)


class _Envelope(msgspec.Struct, Generic[LinksT]):
    warc_header: _WarcHeader | None = msgspec.field(name="WARC-Header-Metadata", default=None)
    arc_header: _ArcHeader | None = msgspec.field(name="ARC-Header-Metadata", default=None)
    payload: _Payload[LinksT] | None = msgspec.field(name="Payload-Metadata", default=None)


class _Document(msgspec.Struct, Generic[LinksT]):
    envelope: _Envelope[LinksT] | None = msgspec.field(name="Envelope", default=None)


_WITH_RAW_LINKS = msgspec.json.Decoder(_Document[msgspec.Raw])
_WITH_LINKS = msgspec.json.Decoder(_Document[list[_Link] | None])
_LINK = msgspec.json.Decoder(_Link)
_DECODE_ERRORS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def is_json_metadata(record: ArchiveRecord) -> bool:
    """Tells whether a record is of the kind that WAT archives hold."""
    return record.record_type == "metadata" and "json" in (record.content_type or "").lower()


def describes_capture(record: ArchiveRecord) -> bool:
    """Tells by its first bytes whether a record shows that its archive is a WAT archive."""
    return is_json_metadata(record) and b'"Envelope"' in record.block[:_ENVELOPE_BYTES]


def read_wat_record(payload: bytes, agents: tuple[str, ...] = ()) -> PageImages:
    """Finds the images that a WAT record describes, from the block of a metadata record of type application/json.

    Only the `IMG@/src` links count, so images without `src` are unknown.

    Args:
        payload: The block.
        agents: Whose directives count, too, as for `preferences.meta_preferences`.

    Raises:
        LostRecordError: The record describes no page (`record.skipped_*`), is too large, or cannot be read.
    """
    values = sum(map(payload.count, _BEFORE_VALUES))
    if values > MOST_VALUES:
        raise LostRecordError("record.page_too_large", f"JSON of {values} values")
    find_images = link_kernel.loaded
    if find_images is None:
        return _read_all_links(payload, agents)
    try:
        document = _WITH_RAW_LINKS.decode(payload)
    except _DECODE_ERRORS:
        return _read_all_links(payload, agents)
    if _lacks_names(document):
        return _read_all_links(payload, agents)
    page_url, html, headers = _page_of(document)
    base_url = join_base(page_url, html.head.base if html.head else None)
    if html.links is None or (links := bytes(html.links)) == _NULL:
        return PageImages(page_url, base_url)
    rows = np.empty((min(len(links) // _FEWEST_BYTES + 1, _MOST_IMAGES), TAG_COLUMNS), np.int64)
    found = find_images(np.frombuffer(links, np.uint8), rows)
    if found == UNMODELLED:
        return _read_all_links(payload, agents)
    declared = read_declared(html.head.metas if html.head else None, headers, agents) if found else Declared()
    return images_in_rows(page_url, base_url, links, rows[:found], decode_link, declared)


def decode_link(content: bytes) -> ImageValues:
    """Decodes a link with escapes or invalid UTF-8, which becomes U+FFFD."""
    try:
        link = _LINK.decode(content)
    except _DECODE_ERRORS:
        link = _LINK.decode(content.decode("utf-8", "replace"))
    return ImageValues(link.url, _texts(link))


def _read_all_links(payload: bytes, agents: tuple[str, ...]) -> PageImages:
    """Reads a record without the compiled loop, or one whose links need more than that.

    Raises:
        LostRecordError: As `read_wat_record`.
    """
    try:
        document = _WITH_LINKS.decode(payload)
    except _DECODE_ERRORS:
        document = _decode_tolerantly(payload)
    if _lacks_names(document):
        document = _decode_tolerantly(payload)
    page_url, html, headers = _page_of(document)
    base_url = join_base(page_url, html.head.base if html.head else None)
    images = _images_of(html)
    if len(images) > MOST_IMAGES:
        raise LostRecordError("record.page_too_large", f"more than {MOST_IMAGES} images: {page_url}")
    values = [_values_of_link(link, page_url) for link in images]
    return decoded_images(
        page_url, base_url, values, read_declared(html.head.metas if html.head else None, headers, agents)
    )


def _images_of(html: _Html[Any]) -> list[_Link | None]:
    """Takes the images among the links, and None for what is no link.

    Raises:
        LostRecordError: The links are no list.
    """
    links: object = html.links  # the tolerant reader does not check types
    if links is not None and not isinstance(links, list):
        raise LostRecordError("record.bad_links", f"Links is no list but {type(links).__name__}")
    return [link for link in map(_link, links or ()) if link is None or link.path == IMAGE_PATH]


def _values_of_link(link: _Link | None, page_url: str) -> ImageValues | Loss:
    if link is None:
        return Loss("image.bad_link", page_url)
    url: object = link.url  # the tolerant reader does not check types
    if url is None or isinstance(url, str):
        return ImageValues(url, _texts(link))
    return Loss("image.bad_link", str(url))


def _texts(link: _Link) -> list[tuple[str, Any]]:
    return [(source, text) for source, text in (("alt", link.alt), ("title", link.title)) if text is not None]


def _page_of(document: _Document[Any]) -> tuple[str, _Html[Any], msgspec.Raw]:
    """Finds URL and HTML metadata of the page, and the headers of its response.

    Raises:
        LostRecordError: The record describes no page.
    """
    envelope = document.envelope
    if envelope is None:
        raise LostRecordError(NO_ENVELOPE)
    if envelope.warc_header is None and envelope.arc_header is None:
        raise LostRecordError("record.bad_envelope", "an Envelope without a header")
    warc_type, target_uri = _header_of(envelope)
    page_url = clean_page_url(target_uri or "")
    if warc_type not in {"response", "resource"}:
        raise LostRecordError(f"record.skipped_{warc_type if warc_type in _OTHER_TYPES else 'unknown'}")
    if page_url[:4].lower() == "dns:":
        raise LostRecordError("record.skipped_dns")
    if envelope.payload is None:
        raise LostRecordError("record.bad_envelope", f"no Payload-Metadata: {page_url}")
    response, html = envelope.payload.response, envelope.payload.html
    if response is not None:
        html = _html_of_success(response, page_url) or html
    elif warc_type == "response" and envelope.warc_header is not None:
        raise LostRecordError("record.bad_envelope", f"no HTTP-Response-Metadata: {page_url}")
    if html is None:
        raise LostRecordError("record.skipped_not_html")
    if not page_url:
        raise LostRecordError("record.no_target_uri")
    return page_url, html, response.headers if response else _NOTHING


def _lacks_names(document: _Document[Any]) -> bool:
    """Tells whether a WARC header may hold its fields by names in another case, as the archive's writer chose it."""
    header = document.envelope.warc_header if document.envelope else None
    return header is not None and (header.warc_type is None or header.target_uri is None)


def _header_of(envelope: _Envelope[Any]) -> tuple[str, str | None]:
    """Takes type and URI from the header; records of an ARC file have no type and are all captures."""
    if envelope.warc_header is not None:
        return (envelope.warc_header.warc_type or "unknown").lower(), envelope.warc_header.target_uri
    return "response", envelope.arc_header.target_uri if envelope.arc_header else None


def _html_of_success(response: _Response[Any], page_url: str) -> _Html[Any] | None:
    status = response.message.status if response.message else None
    if status is None:
        raise LostRecordError("record.bad_envelope", f"no status: {page_url}")
    if not (len(str(status)) == 3 and str(status).startswith("2")):  # noqa: PLR2004 - HTTP's class of success
        raise LostRecordError("record.skipped_status")
    return response.html


def _decode_tolerantly(payload: bytes) -> _Document[Any]:
    """Reads any JSON that Python can, lone surrogates too, and checks each level by hand.

    Raises:
        LostRecordError: It is no JSON, or a level has the wrong type.
    """
    try:
        root: object = load_json(payload.decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError) as error:
        raise LostRecordError("record.invalid_json", str(error)) from error
    if not isinstance(root, dict):
        raise LostRecordError("record.bad_envelope", f"the root is no object but {type(root).__name__}")
    envelope = _level(root, "Envelope")
    if envelope is None:
        return _Document()
    warc, arc = _level(envelope, "WARC-Header-Metadata"), _level(envelope, "ARC-Header-Metadata")
    payload_level = _level(envelope, "Payload-Metadata")
    return _Document(
        _Envelope(
            None if warc is None else _WarcHeader(_string(warc, "WARC-Type"), _string(warc, "WARC-Target-URI")),
            None if arc is None else _ArcHeader(_string(arc, "Target-URI")),
            None if payload_level is None else _payload(payload_level),
        )
    )


def _payload(level: dict[str, object]) -> _Payload[Any]:
    response = _level(level, "HTTP-Response-Metadata")
    if response is None:
        return _Payload(None, _html(level))
    message = _level(response, "Response-Message") or {}
    status = message.get("Status")
    return _Payload(
        _Response(
            _Message(status if isinstance(status, str | int) else None),
            _decoded(response.get("Headers")),
            _html(response),
        ),
        _html(level),
    )


def _html(parent: dict[str, object]) -> _Html[Any] | None:
    html = _level(parent, "HTML-Metadata")
    if html is None:
        return None
    head = _level(html, "Head") or {}
    base = head.get("Base")
    if base is not None and not isinstance(base, str):
        raise LostRecordError("record.bad_envelope", f"Base is no string but {type(base).__name__}")
    return _Html(_Head(base, _decoded(head.get("Metas"))), html.get("Links"))


def _link(link: object) -> _Link | None:
    """Takes a link's values as they are: wrong types are counted one by one later."""
    if not isinstance(link, dict):
        return link if isinstance(link, _Link) else None
    return _Link(link.get("path"), link.get("url"), link.get("alt"), link.get("title"))


def _decoded(value: object) -> Any:
    """Stands where typed decoding leaves raw JSON."""
    return value


def _level(parent: dict[str, object], name: str) -> dict[str, object] | None:
    level = parent.get(name)
    if level is None or isinstance(level, dict):
        return level
    raise LostRecordError("record.bad_envelope", f"{name} is no object but {type(level).__name__}")


def _string(parent: dict[str, object], name: str) -> str | None:
    """Gives a header's value by its name, in any case where it is not there as typed decoding finds it."""
    value = (
        parent[name]
        if name in parent
        else next((value for key, value in parent.items() if key.lower() == name.lower()), None)
    )
    return value if isinstance(value, str) else None
