"""Bytes to records: WARC, WAT and ARC, damaged or not."""

from udfs.archives.formats import detect_format
from udfs.archives.reader import read_archive, read_source
from udfs.archives.record import PAGE_TYPES, ArchiveRecord, Damage
from udfs.archives.source import ArchiveReadError, DictionaryError, NotAnArchiveError

__all__ = [
    "PAGE_TYPES",
    "ArchiveReadError",
    "ArchiveRecord",
    "Damage",
    "DictionaryError",
    "NotAnArchiveError",
    "detect_format",
    "read_archive",
    "read_source",
]
