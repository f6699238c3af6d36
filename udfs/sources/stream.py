"""The one shape of bytes: a stream that Python's, Arrow's and FastWARC's readers take as they take a file."""

import io
from typing import Any


class ByteStream(io.RawIOBase):
    """A readable stream. A subclass defines `read`, which returns fewer bytes than asked for only at the end."""

    def readable(self) -> bool:
        """See `io.IOBase`."""
        return True

    def seekable(self) -> bool:
        """See `io.IOBase`; true where a subclass defines `seek`."""
        return type(self).seek is not ByteStream.seek

    def readall(self) -> bytes:
        """See `io.RawIOBase`."""
        return bytes(self.read(-1))

    def readinto(self, buffer: Any, /) -> int:
        """See `io.RawIOBase`."""
        content = self.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)
