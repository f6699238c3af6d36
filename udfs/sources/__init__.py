"""Bytes wherever they are: local files, HTTPS, S3 and fsspec stores, read with retries and resumed.

A name is loaded when it is first used: the command line takes `udfs.sources.credentials` without the clients of stores.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
    from udfs.sources.options import (
        DEFAULT_OPTIONS,
        S3_ACCESS,
        FetchOptions,
        aws_region,
        environment_options,
        s3_endpoint,
    )
    from udfs.sources.resume import ArchiveChangedError

__all__ = [
    "DEFAULT_OPTIONS",
    "S3_ACCESS",
    "ArchiveChangedError",
    "ArchiveStat",
    "ArchiveStream",
    "FetchOptions",
    "aws_region",
    "environment_options",
    "local_path",
    "open_archive",
    "s3_endpoint",
    "scheme_of",
    "size_of_archive",
    "stat_archive",
    "tag_like",
]

_MODULES = {
    "udfs.sources.fetch": (
        "ArchiveStat",
        "ArchiveStream",
        "open_archive",
        "scheme_of",
        "size_of_archive",
        "stat_archive",
        "tag_like",
    ),
    "udfs.sources.local": ("local_path",),
    "udfs.sources.options": (
        "DEFAULT_OPTIONS",
        "S3_ACCESS",
        "FetchOptions",
        "aws_region",
        "environment_options",
        "s3_endpoint",
    ),
    "udfs.sources.resume": ("ArchiveChangedError",),
}
"""Module -> the names that it holds."""

_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Loads a name when it is first used (PEP 562)."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'udfs.sources' has no attribute {name!r}")
    value = getattr(import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value
