"""Bytes wherever they are: local files, HTTPS, S3 and fsspec stores, read with retries and resumed."""

from udfs.sources.fetch import (
    ArchiveStat,
    ArchiveStream,
    open_archive,
    scheme_of,
    size_of_archive,
    stat_archive,
    tag_like,
)
from udfs.sources.local import local_path
from udfs.sources.options import DEFAULT_OPTIONS, S3_ACCESS, FetchOptions, environment_options, s3_endpoint
from udfs.sources.resume import ArchiveChangedError

__all__ = [
    "DEFAULT_OPTIONS",
    "S3_ACCESS",
    "ArchiveChangedError",
    "ArchiveStat",
    "ArchiveStream",
    "FetchOptions",
    "environment_options",
    "local_path",
    "open_archive",
    "s3_endpoint",
    "scheme_of",
    "size_of_archive",
    "stat_archive",
    "tag_like",
]
