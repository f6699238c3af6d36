"""Bytes to records: WARC, WAT and ARC, damaged or not."""

from udfs.archives.reader import read_archive
from udfs.archives.record import ArchiveRecord, Damage
from udfs.archives.source import ArchiveReadError, NotAnArchiveError

__all__ = ["ArchiveReadError", "ArchiveRecord", "Damage", "NotAnArchiveError", "read_archive"]
