"""Opens archives as byte streams: the door to all input of the workers.

Local paths, `s3://` (`fetch_s3`), `https://` (`fetch_https`), and whatever else fsspec has a package for.
"""

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import fsspec
from fsspec.registry import known_implementations

from udfs.sources import https as fetch_https
from udfs.sources import s3 as fetch_s3
from udfs.sources.credentials import hide_credentials, without_credentials
from udfs.sources.resume import ArchiveChangedError, FetchOptions, ResumingReader

DEFAULT_OPTIONS = FetchOptions()
_READ_BYTES = 1 << 20
_END_BYTES = 1 << 16
_TAG_OF_ENDS = re.compile(r"[0-9a-f]+-[0-9a-f]{24}")
"""The tags that local files had once: of the size, and of the first and last bytes."""


@dataclass(frozen=True)
class ArchiveStat:
    """What tells one version of an archive from another.

    Attributes:
        size: Bytes.
        etag: The store's tag for this content; for a local file made of its size and content, so that copies of one
            file have one tag, and a change anywhere in it another.
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
        bytes_read: Offset behind the last byte that was handed out: `size` once the end has been read.
    """

    def __init__(self, path: str, raw: _Raw, stat: ArchiveStat, tag: Callable[[], str] | None = None) -> None:
        """Wraps an open binary file of a known size; `tag` gives its tag where that is known only after reading."""
        self.path = path
        self.size = stat.size
        self.bytes_read = 0
        self._raw = raw
        self._tag = tag or (lambda: stat.etag)

    @property
    def etag(self) -> str:
        """See `ArchiveStat`; empty where a local file cannot be read to its end. Asked for when all else is done."""
        return self._tag()

    def read(self, size: int = -1, /) -> bytes:
        """Reads up to `size` bytes (all that is left for -1); fewer only at the end of the archive."""
        with credentials_hidden(self.path):
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
    """Looks up size and tag of an archive without reading it, but for a local file, whose tag is made of its content.

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
    if scheme == "file":
        with _TaggedFile(local_path(path)) as file:
            return ArchiveStat(file.size, file.tag())
    with credentials_hidden(path):
        if scheme in fetch_s3.SCHEMES:
            return ArchiveStat(*fetch_s3.stat_s3(path, options))
        if scheme in fetch_https.SCHEMES:
            return ArchiveStat(*fetch_https.stat_https(path, options))
        return _stat_of_info(*_filesystem(path))


def size_of_archive(path: str, options: FetchOptions = DEFAULT_OPTIONS) -> int:
    """Looks up the size of an archive; nothing is read for that.

    Args:
        path: A local path or a URL.
        options: How remote stores are reached.

    Returns:
        Its bytes.

    Raises:
        OSError: As `stat_archive`.
        ValueError: As `stat_archive`.
    """
    return local_path(path).stat().st_size if scheme_of(path) == "file" else stat_archive(path, options).size


def tag_like(before: str, path: str, options: FetchOptions = DEFAULT_OPTIONS) -> str:
    """Looks up the tag of an archive, to compare it with one that was stored.

    Args:
        before: The stored tag.
        path: A local path or a URL.
        options: How remote stores are reached.

    Returns:
        The tag; of a local file in the form that the stored one has.

    Raises:
        OSError: As `stat_archive`.
        ValueError: As `stat_archive`.
    """
    if scheme_of(path) == "file" and _TAG_OF_ENDS.fullmatch(before):
        return _tag_of_ends(local_path(path))
    return stat_archive(path, options).etag


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
    if scheme == "file":
        file = _TaggedFile(local_path(path))
        return ArchiveStream(path, file, ArchiveStat(file.size, ""), file.tag_if_readable)
    with credentials_hidden(path):
        if scheme in {*fetch_s3.SCHEMES, *fetch_https.SCHEMES}:
            open_body = fetch_s3.open_s3_body if scheme in fetch_s3.SCHEMES else fetch_https.open_https_body
            reader = ResumingReader(without_credentials(path), partial(open_body, path, options), options)
            return ArchiveStream(path, reader, ArchiveStat(reader.size, reader.etag))
        filesystem, below = _filesystem(path)
        return ArchiveStream(path, filesystem.open(below, "rb"), _stat_of_info(filesystem, below))


@contextmanager
def credentials_hidden(path: str) -> Iterator[None]:
    """Lets what libraries say of a fault pass, but for the credentials in a URL that they quote.

    Args:
        path: A local path or a URL.

    Raises:
        OSError: In place of an error that quotes them, or, for a URL, of one that no caller knows.
        ValueError: In place of a ValueError that quotes them.
    """
    try:
        yield
    except (OSError, ValueError) as error:
        if hide_credentials(repr(error), path) == repr(error):
            raise
        kinds = (FileNotFoundError, PermissionError, ArchiveChangedError, OSError, ValueError)
        kind = next(kind for kind in kinds if isinstance(error, kind))
        raise kind(hide_credentials(str(error), path)) from None
    except Exception as error:
        if scheme_of(path) == "file":
            raise
        shown = hide_credentials(repr(error), path)
        raise OSError(f"{without_credentials(path)} cannot be reached: {shown}") from None


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
    known, shown = known_implementations, without_credentials(path)
    try:
        filesystem, below = fsspec.core.url_to_fs(path)
    except ImportError:
        module = known[scheme]["class"].partition(".")[0] if scheme in known else scheme
        raise ValueError(
            f"cannot open {shown!r}: no package for {scheme}:// is installed; install {module} on every worker"
        ) from None
    except ValueError:
        raise ValueError(
            f"cannot open {shown!r}: {scheme}:// is unknown; give a local path, s3://, https://, or a scheme of fsspec"
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


class _TaggedFile:
    """A local file whose content is digested while it is read: to read it a second time for that costs more.

    Attributes:
        size: Bytes when it was opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("rb")
        self._opened = self._version()
        self._digest = hashlib.sha1(usedforsecurity=False)  # half the cost of blake2b where processors know it
        self._digested = 0
        self.size = self._opened[0]

    def __enter__(self) -> "_TaggedFile":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _version(self) -> tuple[int, int]:
        found = os.fstat(self._file.fileno())
        return found.st_size, found.st_mtime_ns

    def read(self, size: int = -1, /) -> bytes:
        start = self._file.tell()
        data = self._file.read(size)
        end = start + len(data)
        if start <= self._digested < end:
            self._digest.update(memoryview(data)[self._digested - start :])
            self._digested = end
        if end >= self.size or len(data) < size:
            self._check_unchanged()
        return data

    def _check_unchanged(self) -> None:
        if self._version() != self._opened:
            raise ArchiveChangedError(f"{self._path} has changed while it was read: run again when it is complete")

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()

    def tag(self) -> str:
        """Gives the tag; what was not read so far is read for it."""
        self._file.seek(self._digested)
        while part := self._file.read(_READ_BYTES):
            self._digest.update(part)
            self._digested += len(part)
        self._check_unchanged()
        return f"{self._digested:x}-{self._digest.hexdigest()}"

    def tag_if_readable(self) -> str:
        try:
            return self.tag()
        except OSError:
            return ""


def _tag_of_ends(path: Path) -> str:
    size = path.stat().st_size
    with path.open("rb") as file:
        ends = file.read(_END_BYTES)
        file.seek(max(size - _END_BYTES, 0))
        ends += file.read(_END_BYTES)
    return f"{size:x}-{hashlib.blake2b(ends, digest_size=12).hexdigest()}"
