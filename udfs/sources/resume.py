"""Remote bodies that are read to their end whatever the network does: retried with back-off, resumed by range.

No HTTP client retries a body that breaks off. Here the reader asks again from the byte that it has, on condition that
the object is still the same (If-Match), and gives up only after several attempts in a row that brought nothing.
"""

import os
import random
from collections.abc import Callable
from functools import partial
from time import sleep
from typing import Any, NoReturn, TypeVar
from urllib.parse import urlsplit

import botocore.exceptions
import urllib3.exceptions
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_exponential

from udfs.sources.options import FetchOptions
from udfs.sources.stream import ByteStream

BLOCK_BYTES = 1 << 20
_ERROR_PAGE_HEAD = 1024
_SKIP_RATHER_THAN_ASK_BYTES = 1 << 20
ATTEMPTS_WHERE_REFUSED = 5

Result = TypeVar("Result")


class TransientFetchError(OSError):
    """A fault that may be gone at the next attempt: SlowDown, a broken connection, an error page.

    Attributes:
        retry_after_seconds: What the server asked to wait, if it did.
    """

    def __init__(self, message: str, retry_after_seconds: float | None = None) -> None:
        """Takes a message that names the path."""
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class RefusedConnectionError(TransientFetchError):
    """Nothing listens at the address: few further attempts are worth the wait."""

    def __init__(self, shown: str, url: str) -> None:
        """Takes what was asked for, as messages show it, and the URL that was called."""
        super().__init__(f"{shown}: cannot connect to {urlsplit(url).netloc.rpartition('@')[2]} (connection refused)")


def is_refused(error: BaseException | None) -> bool:
    """Tells whether nothing listens there, by the causes of an error."""
    while error is not None and not isinstance(error, ConnectionRefusedError):
        error = error.__cause__ or error.__context__
    return error is not None


class ArchiveChangedError(OSError):
    """The object is no longer the one whose first bytes were read."""


class RemoteBody(ByteStream):
    """The open answer to a request for an object from some byte on, read in order.

    Attributes:
        size: Bytes of the whole object, not of this answer.
        etag: The object's tag; empty where the server sends none.
    """

    def __init__(self, shown: str, answer: Any, size: int, etag: str) -> None:
        """Wraps what boto3 or urllib3 return for a request; `shown` is its URL in messages."""
        self.size = size
        self.etag = etag
        self._shown = shown
        self._answer = answer

    def read(self, size: int = -1, /) -> bytes:
        """Reads up to `size` bytes; none only at the end. A broken connection is a `TransientFetchError`."""
        try:
            return bytes(self._answer.read(size))
        except (botocore.exceptions.BotoCoreError, urllib3.exceptions.HTTPError, OSError) as error:
            raise TransientFetchError(f"{self._shown}: the answer broke off: {error!r}") from None

    def close(self) -> None:
        """Ends the connection."""
        self._answer.close()
        super().close()


OpenBody = Callable[[int, str], RemoteBody]
"""(first byte, ETag that the object must have, or "" at the first request) -> answer. Raises TransientFetchError,
ArchiveChangedError, or any other OSError for what no further attempt would change."""


def size_by_range(path: str, content_range: str, start: int) -> str:
    """Reads the size of a file from the Content-Range of an answer, such as "bytes 100-199/200".

    Raises:
        TransientFetchError: The answer begins with another byte than `start`, the one that was asked for.
    """
    part, _, size = content_range.rpartition("/")
    if part.partition(" ")[2].partition("-")[0].strip() != str(start):
        raise TransientFetchError(f"{path}: the server answered {content_range!r} when asked for bytes {start}-")
    return size


def refuse_whole_answer(path: str, *, is_tagged: bool) -> NoReturn:
    """Refuses a whole file in answer to a request for a part.

    Raises:
        TransientFetchError: It has no tag, so it is an error page.
        OSError: The server ignores Range requests.
    """
    if not is_tagged:
        raise TransientFetchError(f"{path}: an answer with status 200 and no ETag to a Range request: an error page")
    raise OSError(f"{path}: the server ignores Range requests: a body that broke off cannot be resumed")


def seconds_to_wait(retry_after: str) -> float | None:
    """Reads the header Retry-After where it holds seconds; None where it holds a date, or nothing."""
    return float(retry_after) if retry_after.isdigit() else None


def with_retries(operation: Callable[[], Result], options: FetchOptions) -> Result:
    """Calls an operation until it raises no `TransientFetchError`; the last one becomes an OSError."""
    attempts = Retrying(
        retry=retry_if_exception_type(TransientFetchError),
        stop=partial(_is_enough, options),
        wait=partial(_delay, options),
        sleep=sleep,
        retry_error_callback=_give_up,
    )
    return attempts(operation)


def _is_enough(options: FetchOptions, state: RetryCallState) -> bool:
    refused = isinstance(_fault(state), RefusedConnectionError)
    return state.attempt_number >= (min(options.attempts, ATTEMPTS_WHERE_REFUSED) if refused else options.attempts)


def _delay(options: FetchOptions, state: RetryCallState) -> float:
    longest = wait_exponential(multiplier=options.first_delay_seconds, max=options.longest_delay_seconds)(state)
    # Drawn from the upper half, so that many workers do not ask at once; no result depends on it.
    drawn: float = longest * random.uniform(0.5, 1.0)  # noqa: S311
    return max(drawn, min(getattr(_fault(state), "retry_after_seconds", None) or 0.0, options.longest_delay_seconds))


def _give_up(state: RetryCallState) -> Any:
    fault = _fault(state)
    attempts = "1 attempt" if state.attempt_number == 1 else f"{state.attempt_number} attempts"
    kind = ConnectionError if isinstance(fault, RefusedConnectionError) else OSError
    raise kind(f"{fault} (given up after {attempts})") from fault


def _fault(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def is_error_page(head: bytes) -> bool:
    """Tells an S3 error document from an archive: some servers and caches send it with status 200."""
    start = head[:_ERROR_PAGE_HEAD].lstrip()
    return start.startswith((b"<?xml", b"<Error")) and b"<Error>" in start and b"<Code>" in start


class ResumingReader(ByteStream):
    """A remote object as a stream that can be read anywhere.

    Attributes:
        size: Bytes of the object.
        etag: Its tag.
    """

    def __init__(self, path: str, open_body: OpenBody, options: FetchOptions) -> None:
        """Opens the object and reads its first block, which is kept: readers look at an archive's start repeatedly."""
        self._path = path
        self._open_body = open_body
        self._options = options
        self._position = 0
        self._body: RemoteBody | None = None
        self._body_position = 0
        self.size, self.etag = -1, ""
        self._head = with_retries(lambda: self._read_block(0), options)
        self._block, self._block_start = self._head, 0

    def read(self, size: int = -1, /) -> bytes:
        """Reads up to `size` bytes; an object that has changed, or cannot be read on, is an OSError."""
        end = self.size if size < 0 else min(self.size, self._position + size)
        parts: list[bytes] = []
        while self._position < end:
            part = self._cached(end)
            if not part:
                self._block = with_retries(partial(self._read_block, self._position), self._options)
                self._block_start = self._position
                continue
            parts.append(part)
            self._position += len(part)
        return b"".join(parts)

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """See `io.IOBase`; no request is made before the next read."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        self._position = base + offset
        return self._position

    def close(self) -> None:
        """Ends the connection."""
        self._end_body()
        super().close()

    def _end_body(self) -> None:
        if self._body is not None:
            self._body.close()
            self._body = None

    def _cached(self, end: int) -> bytes:
        for start, block in ((self._block_start, self._block), (0, self._head)):
            if start <= self._position < start + len(block):
                return block[self._position - start : end - start]
        return b""

    def _read_block(self, start: int) -> bytes:
        """Reads from the answer at hand where that is at the byte or shortly before it, else from a new one."""
        try:
            body = self._body_at(start)
            block = _read_up_to(body, min(BLOCK_BYTES, self.size - start))
            if not block and start < self.size:
                raise TransientFetchError(f"{self._path}: the answer ended at byte {start} of {self.size}")
        except OSError:
            self._end_body()
            raise
        if start == 0 and is_error_page(block) and not self.etag:
            self._end_body()
            self.size = -1
            raise TransientFetchError(f"{self._path}: the server sent an error page with status 200: {block[:200]!r}")
        self._body_position = start + len(block)
        return block

    def _body_at(self, start: int) -> RemoteBody:
        if self._body is not None and 0 <= start - self._body_position <= _SKIP_RATHER_THAN_ASK_BYTES:
            skipped = len(_read_up_to(self._body, start - self._body_position))
            self._body_position += skipped
            if self._body_position == start:
                return self._body
        self._end_body()
        body = self._open_body(start, self.etag)
        if self.etag and not body.etag:
            body.close()
            raise TransientFetchError(f"{self._path}: the answer at byte {start} has no ETag, as error pages have none")
        if self.size >= 0 and (body.size, body.etag) != (self.size, self.etag):
            body.close()
            raise ArchiveChangedError(
                f"{self._path} has changed while it was read (size {self.size}, ETag {self.etag!r} before, "
                f"{body.size}, {body.etag!r} now): run again with --resume when it is complete"
            )
        self.size, self.etag = body.size, body.etag
        self._body, self._body_position = body, start
        return body


def _read_up_to(body: RemoteBody, size: int) -> bytes:
    """Reads bytes; a fault is raised only where it left nothing: what came before it is kept, and is progress."""
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
