"""From one record to one page: which parser reads it, and what is no page at all."""

from udfs.archives.recovery import ArchiveRecord
from udfs.pages.warc import read_warc_record
from udfs.pages.wat import read_wat_record
from udfs.pairs.rules import LostRecordError, PagePairs


def page_in(record: ArchiveRecord, max_page_bytes: int) -> PagePairs:
    """Reads the page of a record.

    Args:
        record: The record.
        max_page_bytes: Cap for a page after its encodings are removed.

    Returns:
        Its pairs and losses.

    Raises:
        LostRecordError: It holds no page that can be read.
    """
    if record.is_truncated:
        raise LostRecordError("record.truncated", record.target_uri or "")
    if record.content_length < 0 and record.record_type != "arc_header":
        raise LostRecordError("record.bad_content_length", record.target_uri or "")
    if not is_json_metadata(record):
        page = read_warc_record(record, max_page_bytes=max_page_bytes)
    elif record.is_cut_short:
        raise LostRecordError("record.page_too_large", f"a record of {record.content_length} bytes")
    else:
        page = read_wat_record(record.block)
    if page.tags is not None and len(page.tags.rows) * len(page.base_url) > max_page_bytes:
        # A long base before many images makes much of a small page.
        example = f"{len(page.tags.rows)} images below a base URL of {len(page.base_url)} characters: {page.page_url}"
        raise LostRecordError("record.page_too_large", example)
    return page


def is_json_metadata(record: ArchiveRecord) -> bool:
    """Tells whether a record is what WAT archives hold.

    Args:
        record: The record.

    Returns:
        True for a metadata record of JSON.
    """
    return record.record_type == "metadata" and "json" in (record.content_type or "").lower()
