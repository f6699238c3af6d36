"""Reads the records of an ARC archive (the form before WARC), over damage and on."""

from collections.abc import Iterator
from functools import partial

from udfs.archives.record_reader import open_arc_records, take_record
from udfs.archives.recovery import ArchiveRecord, Damage, read_over_damage
from udfs.archives.source import ArchiveSource


def read_arc_records(source: ArchiveSource, *, max_block_bytes: int) -> Iterator[ArchiveRecord | Damage]:
    """Reads every complete record, before and after damage.

    Args:
        source: An ARC archive.
        max_block_bytes: Cap for the part of a block that is read into memory.

    Returns:
        Records and damaged parts in the archive's order.
    """
    return read_over_damage(source, open_arc_records, partial(take_record, max_block_bytes=max_block_bytes))
