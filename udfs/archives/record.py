"""What archives are read into: records, and the parts that hold none."""

from typing import NamedTuple

RECORD_TYPES = ("warcinfo", "response", "resource", "request", "metadata", "revisit", "conversion", "continuation")
PAGE_TYPES = {"response", "resource"}
_TYPES_WITH_TYPED_BLOCKS = {"resource", "metadata"}


class ArchiveRecord(NamedTuple):
    """One record, with what tells whether and where it holds a page.

    Attributes:
        offset: Byte offset of the record in the archive; within what is decompressed where the archive is compressed
            as a whole. Offsets grow from record to record.
        record_type: WARC-Type in lower case, "arc_header", or "unknown".
        target_uri: The target URI as written, or None; read only of records that can hold a page or are damaged.
        content_type: Content-Type of the block, or None; read only of records whose block it describes: resources,
            metadata, and all of ARC, whose pages may have no HTTP header.
        payload_type: WARC-Identified-Payload-Type, or None; read only of records that can hold a page.
        content_length: Bytes that the header promises; -1 where it does not say.
        block: The block, empty for types that hold neither page nor WAT.
        is_cut_short: True where the block is larger than the cap for a record, and only its start was read.
        is_truncated: True where the archive ends, or another record begins, inside the block.
        begins_member: True where the record is the first thing in the gzip member or zstd frame at its offset, so that
            reading may begin there.

    Example:
        >>> from metaclip_spark import read_archive
        >>> record = list(read_archive("tests/data/sample/sample-00000.warc.gz"))[2]
        >>> record.record_type, record.target_uri
        ('response', 'http://en3.example.org/a/b/page-0.html')
        >>> record.block[:15], len(record.block) == record.content_length
        (b'HTTP/1.1 200 OK', True)
    """

    offset: int
    record_type: str
    target_uri: str | None = None
    content_type: str | None = None
    payload_type: str | None = None
    content_length: int = 0
    block: bytes = b""
    is_cut_short: bool = False
    is_truncated: bool = False
    begins_member: bool = False


class Damage(NamedTuple):
    """A part of an archive that holds no readable record.

    Attributes:
        reason: `archive.truncated` or `archive.corrupt`.
        start: Offset of its first byte.
        end: Offset of the byte after it; None for the rest of the archive.

    Example:
        >>> from pathlib import Path
        >>> from metaclip_spark import Damage, read_archive
        >>> whole = Path("tests/data/sample/sample-00000.warc.gz").read_bytes()
        >>> _ = Path("cut.warc.gz").write_bytes(whole[:-100])
        >>> [item.reason for item in read_archive("cut.warc.gz") if isinstance(item, Damage)]
        ['archive.truncated']
    """

    reason: str
    start: int
    end: int | None


def has_typed_block(record_type: str) -> bool:
    """Tells whether a record's Content-Type is that of what it holds, not of a protocol's message around it."""
    return record_type in _TYPES_WITH_TYPED_BLOCKS
