"""One door to every archive: a stream in, its records and damage out, whatever the form."""

import io
from collections.abc import Iterator

from udfs.archives.arc import read_arc_records
from udfs.archives.formats import detect_format
from udfs.archives.record import ArchiveRecord, Damage
from udfs.archives.source import ArchiveSource
from udfs.archives.warc import read_warc_records


def read_archive(stream: io.RawIOBase, *, size: int, max_block_bytes: int) -> Iterator[ArchiveRecord | Damage]:
    """Reads every complete record of a WARC, WAT or ARC archive, before and after damage.

    Args:
        stream: The archive.
        size: Its size in bytes; an archive that ends before it is a fault of transport.
        max_block_bytes: Cap for the part of a record's block that is read into memory.

    Yields:
        Records and damaged parts in the archive's order; nothing for an empty archive.
    """
    source = detect_format(stream, size)
    if source is not None:
        yield from read_source(source, max_block_bytes=max_block_bytes)


def read_source(source: ArchiveSource, *, max_block_bytes: int) -> Iterator[ArchiveRecord | Damage]:
    """Reads an archive whose format is known; see `read_archive`."""
    read_records = read_arc_records if source.is_arc else read_warc_records
    lost_rest: Damage | None = None
    last_offset = 0
    for item in read_records(source, max_block_bytes=max_block_bytes):
        if isinstance(item, Damage) and item.end is None:
            lost_rest = item
            continue
        last_offset = item.start if isinstance(item, Damage) else item.offset
        yield item
    # Where compression covers many records, their end is only the effect of what happened below.
    state = next((layer.damage for layer in source.layers if layer.damage is not None), None)
    if state is not None:
        yield Damage(f"archive.{state}", lost_rest.start if lost_rest else last_offset, None)
    elif lost_rest is not None:
        yield lost_rest
