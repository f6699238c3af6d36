"""Opens archives as byte streams: the only worker module that does input and output."""

import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True)
class ArchiveStat:
    """What tells one version of an archive from another.

    Attributes:
        size: Bytes.
        etag: The store's tag for this content; for a local file made of its size and modification time.
    """

    size: int
    etag: str


class ArchiveStream:
    """A readable, seekable byte stream over one archive that counts what it read.

    Attributes:
        path: The path or URL that was opened.
        size: Bytes of the whole archive.
        etag: See `ArchiveStat`.
        bytes_read: Bytes handed out so far; parts that were read twice count twice.
    """

    def __init__(self, path: str, raw: BinaryIO, stat: ArchiveStat) -> None:
        """Wraps an open binary file of a known size."""
        self.path = path
        self.size = stat.size
        self.etag = stat.etag
        self.bytes_read = 0
        self._raw = raw

    def read(self, size: int = -1, /) -> bytes:
        """Reads up to `size` bytes (all that is left for -1); fewer only at the end of the archive."""
        data = self._raw.read(size)
        self.bytes_read += len(data)
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


def stat_archive(path: str) -> ArchiveStat:
    """Looks up size and tag of an archive without reading it.

    Args:
        path: A local path or a `file://` URL.

    Returns:
        Its size in bytes and its tag.

    Raises:
        OSError: There is no such file, or it cannot be looked up.
        ValueError: The path has a scheme other than `file`.
    """
    status = local_path(path).stat()
    return ArchiveStat(status.st_size, f"{status.st_size:x}-{status.st_mtime_ns:x}")


def open_archive(path: str) -> ArchiveStream:
    """Opens an archive for reading.

    Args:
        path: A local path or a `file://` URL.

    Returns:
        A stream that stands at the archive's first byte.

    Raises:
        OSError: There is no such file, or it cannot be opened.
        ValueError: The path has a scheme other than `file`.
    """
    stat = stat_archive(path)
    return ArchiveStream(path, local_path(path).open("rb"), stat)


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
