"""Archives on this machine."""

import hashlib
import io
import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from udfs.sources.resume import ArchiveChangedError

_READ_BYTES = 1 << 20
_END_BYTES = 1 << 16
TAG_OF_ENDS = re.compile(r"[0-9a-f]+-[0-9a-f]{24}")
"""The tags that local files had once: of the size, and of the first and last bytes."""


class LocalFile(io.FileIO):
    """A local file whose content is digested while it is read: to read it a second time for that costs more.

    Attributes:
        size: Bytes when it was opened.
    """

    def __init__(self, path: Path) -> None:
        """Opens the file."""
        super().__init__(str(path))
        self._opened = self._version()
        self._digest = hashlib.sha1(usedforsecurity=False)  # processors know it
        self._digested = 0
        self.size = self._opened[0]

    def _version(self) -> tuple[int, int]:
        found = os.fstat(self.fileno())
        return found.st_size, found.st_mtime_ns

    def read(self, size: int | None = -1, /) -> bytes:
        """See `io.RawIOBase`; a file that has changed since it was opened is an error at its end."""
        size = -1 if size is None else size
        start = self.tell()
        data = super().read(size)
        end = start + len(data)
        if start <= self._digested < end:
            self._digest.update(memoryview(data)[self._digested - start :])
            self._digested = end
        if end >= self.size or len(data) < size:
            self._check_unchanged()
        return data

    def _check_unchanged(self) -> None:
        if self._version() != self._opened:
            raise ArchiveChangedError(f"{self.name} has changed while it was read: run again when it is complete")

    def tag(self) -> str:
        """Returns the tag, made of the size and the whole content; what was not read so far is read for it."""
        self.seek(self._digested)
        while part := super().read(_READ_BYTES):
            self._digest.update(part)
            self._digested += len(part)
        self._check_unchanged()
        return f"{self._digested:x}-{self._digest.hexdigest()}"

    def tag_if_readable(self) -> str:
        """Returns the tag; "" where the file cannot be read to its end."""
        try:
            return self.tag()
        except OSError:
            return ""


def local_path(path: str) -> Path:
    """Turns a local path, or a `file://` URL of this machine, into a path; raises ValueError for other schemes."""
    if "://" not in path:
        return Path(path)
    parts = urlsplit(path)
    if parts.scheme != "file" or parts.netloc not in {"", "localhost"}:
        raise ValueError(f"cannot open {path!r}: only local paths and file:// URLs can be read; copy the archive first")
    return Path(unquote(parts.path))


def tag_of_ends(path: Path) -> str:
    """Returns the tag that `TAG_OF_ENDS` describes."""
    size = path.stat().st_size
    with path.open("rb") as file:
        ends = file.read(_END_BYTES)
        file.seek(max(size - _END_BYTES, 0))
        ends += file.read(_END_BYTES)
    return f"{size:x}-{hashlib.blake2b(ends, digest_size=12).hexdigest()}"
