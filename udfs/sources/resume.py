"""Remote bodies that are read to their end whatever the network does: retried with back-off, resumed by range.

No HTTP client retries a body that breaks off. Here the reader asks again from the byte that it has, on condition that
the object is still the same (If-Match), and gives up only after several attempts in a row that brought nothing.
"""

import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from time import sleep
from typing import Protocol, TypeVar

S3_ACCESS = ("signed", "anonymous", "requester-pays")
BLOCK_BYTES = 1 << 20
_ERROR_PAGE_HEAD = 1024
_SKIP_RATHER_THAN_ASK_BYTES = 1 << 20

Result = TypeVar("Result")


@dataclass(frozen=True)
class FetchOptions:
    """How remote archives are reached. It travels from the driver to the workers, so it holds no credentials.

    Attributes:
        s3_access: signed (the usual chain of credentials), anonymous, or requester-pays.
        s3_endpoint: URL of an S3 server other than AWS; None for AWS, or what boto3's own settings say.
        attempts: Requests in a row that may fail before an archive is given up.
        first_delay_seconds: Wait before the second attempt; it doubles from one attempt to the next.
        longest_delay_seconds: Cap of a wait, also of one that a server asks for by Retry-After.
        timeout_seconds: Longest silence of a server.
    """

    s3_access: str = "signed"
    s3_endpoint: str | None = None
    attempts: int = 8
    first_delay_seconds: float = 0.5
    longest_delay_seconds: float = 60.0
    timeout_seconds: float = 60.0


class TransientFetchError(OSError):
    """A fault that may be gone at the next attempt: SlowDown, a broken connection, an error page.

    Attributes:
        retry_after_seconds: What the server asked to wait, if it did.
    """

    def __init__(self, message: str, retry_after_seconds: float | None = None) -> None:
        """Takes a message that names the path."""
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class ArchiveChangedError(OSError):
    """The object is no longer the one whose first bytes were read."""


class Body(Protocol):
    """An open answer, read in order."""

    def read(self, size: int, /) -> bytes:
        """Reads up to `size` bytes; none only at the end.

        Raises:
            TransientFetchError: The connection broke.
        """
        ...

    def close(self) -> None:
        """Ends the connection."""
        ...


@dataclass(frozen=True)
class OpenedBody:
    """An answer to a request.

    Attributes:
        body: Its bytes.
        size: Bytes of the whole object, not of this answer.
        etag: The object's tag; empty where the server gives none.
    """

    body: Body
    size: int
    etag: str


OpenBody = Callable[[int, str], OpenedBody]
"""(first byte, ETag that the object must have, or "" at the first request) -> answer. Raises TransientFetchError,
ArchiveChangedError, or any other OSError for what no further attempt would change."""


def size_by_range(path: str, content_range: str, start: int) -> str:
    """Reads the size of a file from the header of an answer that holds a part of it.

    Args:
        path: What was asked for, for the message.
        content_range: The header, such as "bytes 100-199/200".
        start: The first byte that was asked for.

    Returns:
        The size as the header has it.

    Raises:
        TransientFetchError: The answer begins with another byte.
    """
    part, _, size = content_range.rpartition("/")
    if part.partition(" ")[2].partition("-")[0].strip() != str(start):
        raise TransientFetchError(f"{path}: the server answered {content_range!r} when asked for bytes {start}-")
    return size


def with_retries(operation: Callable[[], Result], options: FetchOptions) -> Result:
    """Calls an operation until it does not fail for a passing reason.

    Args:
        operation: Raises `TransientFetchError` for what may pass.
        options: Attempts and waits. Each wait is drawn from its upper half, so that many workers do not ask at once.

    Returns:
        What the operation returns.

    Raises:
        OSError: The last fault, with the number of attempts.
    """
    for attempt in range(options.attempts):
        try:
            return operation()
        except TransientFetchError as fault:
            if attempt + 1 == options.attempts:
                raise OSError(f"{fault} (given up after {options.attempts} attempts)") from fault
            sleep(_delay(attempt, fault, options))
    raise OSError("a fetch needs at least one attempt")


def _delay(attempt: int, fault: TransientFetchError, options: FetchOptions) -> float:
    longest = min(options.first_delay_seconds * 2**attempt, options.longest_delay_seconds)
    # How long to wait is the one thing that chance decides; no result depends on it.
    drawn: float = longest * random.uniform(0.5, 1.0)  # noqa: S311
    return max(drawn, min(fault.retry_after_seconds or 0.0, options.longest_delay_seconds))


def is_error_page(head: bytes) -> bool:
    """Tells an S3 error document from an archive: some servers and caches send it with status 200.

    Args:
        head: The first bytes of an answer.

    Returns:
        True for the XML of an S3 error.
    """
    start = head[:_ERROR_PAGE_HEAD].lstrip()
    return start.startswith((b"<?xml", b"<Error")) and b"<Error>" in start and b"<Code>" in start


class ResumingReader:
    """A remote object as a readable, seekable stream.

    Attributes:
        size: Bytes of the object.
        etag: Its tag.
    """

    def __init__(self, path: str, open_body: OpenBody, options: FetchOptions) -> None:
        """Opens the object and reads its first block, which is kept: readers look at an archive's start repeatedly.

        Raises:
            OSError: The object cannot be opened.
        """
        self._path = path
        self._open_body = open_body
        self._options = options
        self._position = 0
        self._body: Body | None = None
        self._body_position = 0
        self.size, self.etag = -1, ""
        self._head = with_retries(lambda: self._read_block(0), options)
        self._block, self._block_start = self._head, 0

    def read(self, size: int = -1, /) -> bytes:
        """Reads up to `size` bytes (all that is left for -1); fewer only at the end of the object.

        Raises:
            OSError: The object cannot be read on, or has changed.
        """
        end = self.size if size < 0 else min(self.size, self._position + size)
        parts: list[bytes] = []
        while self._position < end:
            part = self._cached(end)
            if not part:
                start = self._position
                self._block = with_retries(lambda: self._read_block(start), self._options)  # noqa: B023 - called here
                self._block_start = start
                continue
            parts.append(part)
            self._position += len(part)
        return b"".join(parts)

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Moves to a byte offset and returns it; no request is made before the next read."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        """Returns the byte offset of the next read."""
        return self._position

    def close(self) -> None:
        """Ends the connection."""
        if self._body is not None:
            self._body.close()
            self._body = None

    def _cached(self, end: int) -> bytes:
        for start, block in ((self._block_start, self._block), (0, self._head)):
            if start <= self._position < start + len(block):
                return block[self._position - start : end - start]
        return b""

    def _read_block(self, start: int) -> bytes:
        # From the answer at hand where it stands there or shortly before, else from a new one.
        try:
            body = self._body_at(start)
            block = _read_up_to(body, min(BLOCK_BYTES, self.size - start))
            if not block and start < self.size:
                raise TransientFetchError(f"{self._path}: the answer ended at byte {start} of {self.size}")
        except OSError:
            self.close()
            raise
        if start == 0 and is_error_page(block) and not self.etag:
            self.close()
            self.size = -1
            raise TransientFetchError(f"{self._path}: the server sent an error page with status 200: {block[:200]!r}")
        self._body_position = start + len(block)
        return block

    def _body_at(self, start: int) -> Body:
        if self._body is not None and 0 <= start - self._body_position <= _SKIP_RATHER_THAN_ASK_BYTES:
            skipped = len(_read_up_to(self._body, start - self._body_position))
            self._body_position += skipped
            if self._body_position == start:
                return self._body
        self.close()
        opened = self._open_body(start, self.etag)
        if self.etag and not opened.etag:
            opened.body.close()
            raise TransientFetchError(f"{self._path}: the answer at byte {start} has no ETag, as error pages have none")
        if self.size >= 0 and (opened.size, opened.etag) != (self.size, self.etag):
            opened.body.close()
            raise ArchiveChangedError(
                f"{self._path} has changed while it was read (size {self.size}, ETag {self.etag!r} before, "
                f"{opened.size}, {opened.etag!r} now): run again with --resume when it is complete"
            )
        self.size, self.etag = opened.size, opened.etag
        self._body, self._body_position = opened.body, start
        return opened.body


def _read_up_to(body: Body, size: int) -> bytes:
    # A fault is raised only where it left nothing: what came before it is kept, and progress.
    parts: list[bytes] = []
    left = size
    while left > 0:
        try:
            part = body.read(min(left, BLOCK_BYTES))
        except TransientFetchError:
            if parts:
                break
            raise
        if not part:
            break
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
