"""Archives on the web, such as https://data.commoncrawl.org/."""

from typing import Any

import urllib3
import urllib3.exceptions

from udfs.fetch_remote import (
    ArchiveChangedError,
    FetchOptions,
    OpenedBody,
    TransientFetchError,
    with_retries,
    without_credentials,
)

SCHEMES = ("http", "https")
_CHANGED = 412
_MISSING = (404, 410)
# Common Crawl's CDN answers 403 to whom it finds too fast, as others do with 429 or 503.
_SLOW_DOWN = (403, 408, 425, 429, 500, 502, 503, 504)
_OK, _PARTIAL = 200, 206

_pools: dict[float, Any] = {}


class _HttpsBody:
    def __init__(self, path: str, answer: Any) -> None:
        self._path = path
        self._answer = answer

    def read(self, size: int, /) -> bytes:
        try:
            return bytes(self._answer.read(size))
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise TransientFetchError(f"{self._path}: the answer broke off: {error!r}") from None

    def close(self) -> None:
        self._answer.close()


def open_https_body(path: str, options: FetchOptions, start: int, etag: str) -> OpenedBody:
    """Asks for a file from an offset on.

    Args:
        path: Its URL.
        options: Timeouts.
        start: First byte.
        etag: The tag that it must have; "" for any.

    Returns:
        The answer.

    Raises:
        TransientFetchError: It may go well at the next attempt.
        OSError: The server ignores Range requests, gives no length, or refuses.
    """
    headers = {"Accept-Encoding": "identity"}
    headers |= {"Range": f"bytes={start}-"} if start else {}
    # A tag that the server did not make is not sent; size and date are compared instead.
    headers |= {"If-Match": etag} if etag.startswith('"') else {}
    answer = _ask("GET", path, options, headers)
    shown = without_credentials(path)
    if answer.status == _PARTIAL:
        size = answer.headers.get("Content-Range", "").rpartition("/")[2]
    elif start:
        answer.close()
        if etag and not _tag(answer):
            raise TransientFetchError(
                f"{shown}: an answer with status 200 and no ETag to a Range request: an error page"
            )
        raise OSError(f"{shown}: the server ignores Range requests: a body that broke off cannot be resumed")
    else:
        size = answer.headers.get("Content-Length", "")
    if not size.isdigit():
        answer.close()
        raise OSError(f"{shown}: the server gives no length, so that a cut body could not be noticed: copy it first")
    return OpenedBody(_HttpsBody(shown, answer), int(size), _tag(answer))


def stat_https(path: str, options: FetchOptions) -> tuple[int, str]:
    """Looks up a file.

    Args:
        path: Its URL.
        options: Attempts and timeouts.

    Returns:
        (bytes, tag).
    """

    def look() -> tuple[int, str]:
        answer = _ask("HEAD", path, options, {"Accept-Encoding": "identity"})
        answer.close()
        return int(answer.headers.get("Content-Length", "-1")), _tag(answer)

    return with_retries(look, options)


def _tag(answer: Any) -> str:
    headers = answer.headers
    return str(headers.get("ETag") or headers.get("Last-Modified") or "")


def _ask(method: str, path: str, options: FetchOptions, headers: dict[str, str]) -> Any:
    timeout = urllib3.Timeout(connect=min(10.0, options.timeout_seconds), read=options.timeout_seconds)
    pool = _pools.setdefault(options.timeout_seconds, urllib3.PoolManager(retries=False, timeout=timeout))
    shown = without_credentials(path)
    try:
        answer = pool.request(method, path, headers=headers, preload_content=False, redirect=True)
    except urllib3.exceptions.LocationParseError:
        raise OSError(f"{shown} is no valid URL: check it") from None
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise TransientFetchError(f"{shown}: {error!r}") from None
    if answer.status in {_OK, _PARTIAL}:
        return answer
    answer.close()
    raise _error_of_status(shown, answer)


def _error_of_status(path: str, answer: Any) -> OSError:
    status = answer.status
    if status == _CHANGED:
        return ArchiveChangedError(f"{path} has changed while it was read (412): run again when it is complete")
    if status in _MISSING:
        return FileNotFoundError(f"{path}: there is no such file ({status}): check the URL")
    if status in _SLOW_DOWN:
        waits = answer.headers.get("Retry-After", "")
        hint = "; if it stays, the path is wrong or the site blocks this network" if status == 403 else ""  # noqa: PLR2004
        return TransientFetchError(f"{path}: status {status}{hint}", float(waits) if waits.isdigit() else None)
    return OSError(f"{path}: status {status}: check the URL")
