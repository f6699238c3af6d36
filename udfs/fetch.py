"""Opens archives as byte streams: the door to all input of the workers.

Local paths, `s3://` (`fetch_s3`), `https://` (`fetch_https`), and whatever else fsspec has a package for.
"""

import hashlib
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import fsspec
from fsspec.registry import known_implementations

from udfs import fetch_https, fetch_s3
from udfs.fetch_remote import FetchOptions, ResumingReader, without_credentials

DEFAULT_OPTIONS = FetchOptions()
_TAGGED_BYTES = 1 << 16


@dataclass(frozen=True)
class ArchiveStat:
    """What tells one version of an archive from another.

    Attributes:
        size: Bytes.
        etag: The store's tag for this content; for a local file made of its size and its first and last bytes.
    """

    size: int
    etag: str


class _Raw(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...
    def seek(self, offset: int, whence: int = 0, /) -> int: ...
    def tell(self) -> int: ...
    def close(self) -> None: ...


class ArchiveStream:
    """A readable, seekable byte stream over one archive that counts what it read.

    Attributes:
        path: The path or URL that was opened.
        size: Bytes of the whole archive.
        etag: See `ArchiveStat`.
        bytes_read: Offset behind the last byte that was handed out: `size` once the end has been read.
    """

    def __init__(self, path: str, raw: _Raw, stat: ArchiveStat) -> None:
        """Wraps an open binary file of a known size."""
        self.path = path
        self.size = stat.size
        self.etag = stat.etag
        self.bytes_read = 0
        self._raw = raw

    def read(self, size: int = -1, /) -> bytes:
        """Reads up to `size` bytes (all that is left for -1); fewer only at the end of the archive."""
        data = self._raw.read(size)
        self.bytes_read = max(self.bytes_read, self._raw.tell() if data else 0)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Moves to a byte offset and returns it."""
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        """Returns the byte offset of the next read."""
        return self._raw.tell()

    def close(self) -> None:
        """Closes the stream."""
        self._raw.close()

    def __enter__(self) -> "ArchiveStream":
        """Returns itself, to be closed at the end of a `with` block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the stream."""
        self.close()


def stat_archive(path: str, options: FetchOptions = DEFAULT_OPTIONS) -> ArchiveStat:
    """Looks up size and tag of an archive without reading it.

    Args:
        path: A local path or a URL.
        options: How remote stores are reached.

    Returns:
        Its size in bytes and its tag.

    Raises:
        OSError: There is no such archive, or it cannot be looked up.
        ValueError: Nothing that is installed opens the URL's scheme.
    """
    scheme = scheme_of(path)
    if scheme in fetch_s3.SCHEMES:
        return ArchiveStat(*fetch_s3.stat_s3(path, options))
    if scheme in fetch_https.SCHEMES:
        return ArchiveStat(*fetch_https.stat_https(path, options))
    if scheme != "file":
        return _stat_of_info(*_filesystem(path))
    return _stat_of_file(local_path(path))


def open_archive(path: str, options: FetchOptions = DEFAULT_OPTIONS) -> ArchiveStream:
    """Opens an archive for reading.

    Args:
        path: A local path or a URL.
        options: How remote stores are reached.

    Returns:
        A stream that stands at the archive's first byte. A remote body that breaks off is resumed.

    Raises:
        OSError: There is no such archive, or it cannot be opened.
        ValueError: Nothing that is installed opens the URL's scheme.
    """
    scheme = scheme_of(path)
    if scheme in {*fetch_s3.SCHEMES, *fetch_https.SCHEMES}:
        open_body = fetch_s3.open_s3_body if scheme in fetch_s3.SCHEMES else fetch_https.open_https_body
        reader = ResumingReader(without_credentials(path), partial(open_body, path, options), options)
        return ArchiveStream(path, reader, ArchiveStat(reader.size, reader.etag))
    if scheme != "file":
        filesystem, below = _filesystem(path)
        return ArchiveStream(path, filesystem.open(below, "rb"), _stat_of_info(filesystem, below))
    stat = stat_archive(path)
    return ArchiveStream(path, local_path(path).open("rb"), stat)


def scheme_of(path: str) -> str:
    """Gives the scheme of a URL.

    Args:
        path: A local path or a URL.

    Returns:
        The scheme, in lower case; `file` for a path without one.
    """
    scheme, separator, _ = path.partition("://")
    return scheme.lower() if separator else "file"


def _filesystem(path: str) -> tuple[Any, str]:
    # The file system that fsspec has for a URL, and the path in it.
    scheme = scheme_of(path)
    known = known_implementations
    try:
        filesystem, below = fsspec.core.url_to_fs(path)
    except ImportError:
        module = known[scheme]["class"].partition(".")[0] if scheme in known else scheme
        raise ValueError(
            f"cannot open {path!r}: no package for {scheme}:// is installed; install {module} on every worker"
        ) from None
    except ValueError:
        raise ValueError(
            f"cannot open {path!r}: {scheme}:// is unknown; give a local path, s3://, https://, or a scheme of fsspec"
        ) from None
    return filesystem, below


def _stat_of_info(filesystem: Any, below: str) -> ArchiveStat:
    info = filesystem.info(below)
    tag = next((str(info[name]) for name in ("etag", "ETag", "generation", "mtime", "md5Hash") if info.get(name)), "")
    return ArchiveStat(int(info["size"]), tag or filesystem.ukey(below))


def local_path(path: str) -> Path:
    """Turns a local path or a `file://` URL into a path.

    Args:
        path: A path without a scheme, or a `file://` URL of this machine.

    Returns:
        The path on this machine.

    Raises:
        ValueError: The path has another scheme.
    """
    if "://" not in path:
        return Path(path)
    parts = urlsplit(path)
    if parts.scheme != "file" or parts.netloc not in {"", "localhost"}:
        raise ValueError(f"cannot open {path!r}: only local paths and file:// URLs can be read; copy the archive first")
    return Path(unquote(parts.path))


def _stat_of_file(path: Path) -> ArchiveStat:
    """Gives a local file's size, and a tag made of its size, first and last bytes: copies of one file have one tag."""
    size = path.stat().st_size
    with path.open("rb") as file:
        ends = file.read(_TAGGED_BYTES)
        file.seek(max(size - _TAGGED_BYTES, 0))
        ends += file.read(_TAGGED_BYTES)
    return ArchiveStat(size, f"{size:x}-{hashlib.blake2b(ends, digest_size=12).hexdigest()}")
