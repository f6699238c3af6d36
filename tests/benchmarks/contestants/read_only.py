"""The floor of extraction: FastWARC reads every record and nothing looks at it."""

import pathlib

from fastwarc.warc import ArchiveIterator, WarcRecordType
from loop import compete


def read(path: str) -> None:
    """Reads an archive."""
    with pathlib.Path(path).open("rb") as stream:
        for record in ArchiveIterator(stream, record_types=WarcRecordType.any_type, parse_http=False):
            record.reader.read()


compete(read)
