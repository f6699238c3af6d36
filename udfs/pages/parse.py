"""From a record to the images of its page, or the reason why there is none. Pure: a record in, a value out."""

import re
from functools import lru_cache

from udfs.archives import PAGE_TYPES, ArchiveRecord
from udfs.pages.charset import page_to_utf8
from udfs.pages.html import has_too_many_images, read_html
from udfs.pages.html_kernel import tag_kernel
from udfs.pages.http import UNSURE_TYPES, HttpMessage, decode_body, looks_like_html, split_http_message
from udfs.pages.image_table import MOST_IMAGES, Loss, LostRecordError, PageImages
from udfs.pages.page_url import clean_page_url
from udfs.pages.wat import is_json_metadata, read_wat_record
from udfs.pages.wat_kernel import link_kernel

_OK = 200
_SUCCESS_CLASS = 2
_HTML_TYPES = {"text/html", "application/xhtml+xml"}
_MEDIA_TYPE = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+/[!#$%&'*+.^_`|~0-9a-z-]+")


def load_kernels() -> None:
    """Loads the compiled loops over pages, where they are there: without them pages are parsed as a whole."""
    tag_kernel.load()
    link_kernel.load()


def parse_page(record: ArchiveRecord, max_page_bytes: int, agents: tuple[str, ...] = ()) -> PageImages | Loss:
    """Finds the images of a record's page.

    Args:
        record: A record of a WARC, ARC or WAT archive, its block read.
        max_page_bytes: Cap for a page after its encodings are removed.
        agents: Names in small letters, whose directives count beside those for all agents.

    Returns:
        The images, or the loss of a record that gives no page: `record.skipped_*` for what is normally none, another
        `record.*` for what could not be read.
    """
    try:
        page = _read_record(record, max_page_bytes, agents)
    except LostRecordError as lost:
        return lost.loss
    if len(page.rows) * len(page.base_url) > max_page_bytes:
        # A long base before many images makes much of a small page.
        example = f"{len(page.rows)} images below a base URL of {len(page.base_url)} characters: {page.page_url}"
        return Loss("record.page_too_large", example)
    return page


def _read_record(record: ArchiveRecord, max_page_bytes: int, agents: tuple[str, ...]) -> PageImages:
    """Chooses the reader of a record.

    Raises:
        LostRecordError: It holds no page that can be read.
    """
    if record.is_truncated:
        raise LostRecordError("record.truncated", record.target_uri or "")
    if record.content_length < 0 and record.record_type != "arc_header":
        raise LostRecordError("record.bad_content_length", record.target_uri or "")
    if not is_json_metadata(record):
        return read_warc_record(record, max_page_bytes=max_page_bytes, agents=agents)
    if record.is_cut_short:
        raise LostRecordError("record.page_too_large", f"a record of {record.content_length} bytes")
    return read_wat_record(record.block, agents)


def read_warc_record(record: ArchiveRecord, *, max_page_bytes: int, agents: tuple[str, ...] = ()) -> PageImages:
    """Finds the images of a record that holds a page.

    A page is a response with a 2xx status, or a resource, whose body is HTML by WARC-Identified-Payload-Type, else
    Content-Type, else by its first bytes.

    Raises:
        LostRecordError: The record is no page (`record.skipped_*`) or cannot be read.
    """
    if record.record_type not in PAGE_TYPES:
        raise LostRecordError(f"record.skipped_{record.record_type}")
    page_url = clean_page_url(record.target_uri or "")
    if page_url[:4].lower() == "dns:":
        raise LostRecordError("record.skipped_dns")
    if record.record_type == "response":
        message = _http_message(record, agents)
        if message.status // 100 != _SUCCESS_CLASS:
            raise LostRecordError("record.skipped_status")
    else:
        message = HttpMessage(_OK, {"content-type": record.content_type or ""}, record.block)
    headers, body = message.headers, message.body
    declared = _declared_html(record.payload_type, headers.get("content-type", ""))
    if declared is False:
        raise LostRecordError("record.skipped_not_html")
    body = _decoded(record, headers, body, max_page_bytes, is_html=declared is True)
    if not page_url:
        raise LostRecordError("record.no_target_uri")
    html, _ = page_to_utf8(body, headers.get("content-type", ""), record.payload_type or "")
    if has_too_many_images(html):
        raise LostRecordError("record.page_too_large", f"more than {MOST_IMAGES} images: {page_url}")
    return read_html(html, page_url, message.preferences, agents)


def _http_message(record: ArchiveRecord, agents: tuple[str, ...]) -> HttpMessage:
    """Parts the message; a page in an ARC archive may be the answer of a server that sent no header (HTTP/0.9).

    Raises:
        LostRecordError: The header is neither there nor missing for that reason.
    """
    try:
        return split_http_message(record.block, agents)
    except LostRecordError:
        declared = None if record.content_type is None else _declared_html(None, record.content_type)
        if record.content_type is None or not (declared or (declared is None and looks_like_html(record.block))):
            raise
        return HttpMessage(_OK, {"content-type": record.content_type}, record.block)


def _decoded(
    record: ArchiveRecord, headers: dict[str, str], body: bytes, max_page_bytes: int, *, is_html: bool
) -> bytes:
    """Removes encodings. A body of unknown type counts as lost only if it looks like HTML.

    Raises:
        LostRecordError: It is too large, damaged, or no HTML.
    """
    encodings = headers.get("transfer-encoding", ""), headers.get("content-encoding", "")
    try:
        decoded = decode_body(body, *encodings, max_bytes=max_page_bytes)
    except LostRecordError:
        if is_html or looks_like_html(body):
            raise
        raise LostRecordError("record.skipped_not_html") from None
    if not is_html and not looks_like_html(decoded):
        raise LostRecordError("record.skipped_not_html")
    if record.is_cut_short:
        raise LostRecordError("record.page_too_large", f"a record of {record.content_length} bytes")
    return decoded


@lru_cache(1024)
def _declared_html(payload_type: str | None, content_type: str) -> bool | None:
    """Says whether the headers call a body HTML; None where they do not know, or say it in several ways or wrongly."""
    for named in (payload_type or "", content_type):
        media_types = {part.partition(";")[0].strip().lower() for part in named.split(",")} - {""}
        if media_types and media_types <= _HTML_TYPES:
            return True
        if len(media_types) == 1:
            media_type = media_types.pop()
            if media_type not in UNSURE_TYPES and _MEDIA_TYPE.fullmatch(media_type):
                return False
    return None
