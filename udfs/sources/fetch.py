"""Opens archives as byte streams: local paths, s3://, https://, and whatever else fsspec has a package for."""

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from udfs.sources import https, s3
from udfs.sources.credentials import hide_credentials, without_credentials
from udfs.sources.fsspec_stores import open_file, plain_kind, stat_file
from udfs.sources.local import TAG_OF_ENDS, LocalFile, local_path, tag_of_ends
from udfs.sources.options import DEFAULT_OPTIONS, FetchOptions
from udfs.sources.resume import ResumingReader
from udfs.sources.stream import ByteStream


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


class ArchiveStream(ByteStream):
    """The bytes of one archive. It counts what it read.

    Attributes:
        path: The path or URL that was opened.
        size: Bytes of the whole archive.
        bytes_read: Offset behind the last byte that was handed out: `size` once the end has been read.
    """

    def __init__(self, path: str, raw: io.RawIOBase, stat: ArchiveStat, tag: Callable[[], str] | None = None) -> None:
        """Wraps an open binary file of a known size; `tag` returns its tag where that is known only after reading."""
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
            data: bytes = self._raw.read(size)
        self.bytes_read = max(self.bytes_read, self._raw.tell() if data else 0)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """See `io.IOBase`."""
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        """See `io.IOBase`."""
        return self._raw.tell()

    def close(self) -> None:
        """See `io.IOBase`."""
        self._raw.close()
        super().close()


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
        with LocalFile(local_path(path)) as file:
            return ArchiveStat(file.size, file.tag())
    with credentials_hidden(path):
        if scheme in s3.SCHEMES:
            return ArchiveStat(*s3.stat_s3(path, options))
        if scheme in https.SCHEMES:
            return ArchiveStat(*https.stat_https(path, options))
        return ArchiveStat(*stat_file(path))


def size_of_archive(path: str, options: FetchOptions = DEFAULT_OPTIONS) -> int:
    """Looks up the bytes of an archive as `stat_archive` does; of a local file nothing is read for that."""
    return local_path(path).stat().st_size if scheme_of(path) == "file" else stat_archive(path, options).size


def tag_like(before: str, path: str, options: FetchOptions = DEFAULT_OPTIONS) -> str:
    """Looks up the tag of an archive as `stat_archive` does; of a local file in the form that a stored tag has."""
    if scheme_of(path) == "file" and TAG_OF_ENDS.fullmatch(before):
        return tag_of_ends(local_path(path))
    return stat_archive(path, options).etag


def open_archive(path: str, options: FetchOptions = DEFAULT_OPTIONS) -> ArchiveStream:
    """Opens an archive for reading.

    Args:
        path: A local path or a URL.
        options: How remote stores are reached.

    Returns:
        A stream at the archive's first byte. A remote body that breaks off is resumed.

    Raises:
        OSError: There is no such archive, or it cannot be opened.
        ValueError: Nothing that is installed opens the URL's scheme.
    """
    scheme = scheme_of(path)
    if scheme == "file":
        file = LocalFile(local_path(path))
        return ArchiveStream(path, file, ArchiveStat(file.size, ""), file.tag_if_readable)
    with credentials_hidden(path):
        if scheme in {*s3.SCHEMES, *https.SCHEMES}:
            open_body = s3.open_s3_body if scheme in s3.SCHEMES else https.open_https_body
            reader = ResumingReader(without_credentials(path), partial(open_body, path, options), options)
            return ArchiveStream(path, reader, ArchiveStat(reader.size, reader.etag))
        stored, size, tag = open_file(path)
        return ArchiveStream(path, stored, ArchiveStat(size, tag))


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
        raise plain_kind(error)(hide_credentials(str(error), path)) from None
    except Exception as error:
        if scheme_of(path) == "file":
            raise
        shown = hide_credentials(repr(error), path)
        raise OSError(f"{without_credentials(path)} cannot be reached: {shown}") from None


def scheme_of(path: str) -> str:
    """Returns the scheme of a URL in lower case; `file` for a path without one."""
    scheme, separator, _ = path.partition("://")
    return scheme.lower() if separator else "file"
