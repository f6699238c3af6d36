"""Archives on the web, such as https://data.commoncrawl.org/."""

import logging
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import urldefrag, urljoin

import urllib3
import urllib3.exceptions

from udfs.sources.credentials import hide_credentials, without_credentials
from udfs.sources.options import FetchOptions
from udfs.sources.resume import (
    ArchiveChangedError,
    RefusedConnectionError,
    RemoteBody,
    TransientFetchError,
    is_refused,
    refuse_whole_answer,
    seconds_to_wait,
    size_by_range,
    with_retries,
)

SCHEMES = ("http", "https")
_CHANGED = 412
_MISSING = (404, 410)
# Common Crawl's CDN answers 403 to whom it finds too fast, as others do with 429 or 503.
_SLOW_DOWN = (403, 408, 425, 429, 500, 502, 503, 504)
_OK, _PARTIAL = 200, 206
_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 5
# A signed URL is signed for one method, and some servers know no HEAD.
_NO_HEAD = (HTTPStatus.FORBIDDEN, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED)

# What it warns of quotes URLs with their queries, and the faults that matter are raised as well.
logging.getLogger("urllib3").setLevel(logging.ERROR)

_pools: dict[float, Any] = {}


class _Asked(NamedTuple):
    answer: Any
    shown: str


def open_https_body(path: str, options: FetchOptions, start: int, etag: str) -> RemoteBody:
    """Asks for a file from a byte on.

    Raises:
        TransientFetchError: It may go well at the next attempt.
        OSError: The server ignores Range requests, gives no length, or refuses; the file no longer has the tag.
    """
    headers = {"Accept-Encoding": "identity"}
    headers |= {"Range": f"bytes={start}-"} if start else {}
    # A tag that the server did not make is not sent; size and date are compared instead.
    headers |= {"If-Match": etag} if etag.startswith('"') else {}
    answer, shown = _ask("GET", path, options, headers)
    if answer.status == _PARTIAL:
        try:
            size = size_by_range(shown, answer.headers.get("Content-Range", ""), start)
        except TransientFetchError:
            answer.close()
            raise
    elif start:
        answer.close()
        refuse_whole_answer(shown, is_tagged=not etag or bool(_tag(answer)))
    else:
        size = answer.headers.get("Content-Length", "")
    if not size.isdigit():
        answer.close()
        raise OSError(f"{shown}: the server gives no length, so that a cut body could not be noticed: copy it first")
    return RemoteBody(shown, answer, int(size), _tag(answer))


def stat_https(path: str, options: FetchOptions) -> tuple[int, str]:
    """Looks up the bytes and the tag of a file."""
    headers = {"Accept-Encoding": "identity"}

    def look() -> tuple[int, str]:
        asked = _follow("HEAD", path, options, headers)
        if asked.answer.status in _NO_HEAD:
            asked = _follow("GET", path, options, headers)
        answer, _ = _succeeded(asked)
        answer.close()
        return int(answer.headers.get("Content-Length", "-1")), _tag(answer)

    return with_retries(look, options)


def _tag(answer: Any) -> str:
    headers = answer.headers
    return str(headers.get("ETag") or headers.get("Last-Modified") or "")


def _ask(method: str, path: str, options: FetchOptions, headers: dict[str, str]) -> _Asked:
    return _succeeded(_follow(method, path, options, headers))


def _succeeded(asked: _Asked) -> _Asked:
    if asked.answer.status in {_OK, _PARTIAL}:
        return asked
    asked.answer.close()
    raise _error_of_status(asked.shown, asked.answer)


def _follow(method: str, path: str, options: FetchOptions, headers: dict[str, str]) -> _Asked:
    """Asks, and asks on where a redirect points. No header holds credentials, so none can reach another host.

    Raises:
        OSError: A redirect cannot be followed, or as `_request`.
    """
    shown, url = without_credentials(path), path
    for _ in range(_MOST_REDIRECTS + 1):
        answer = _request(method, url, shown, options, headers)
        location = answer.headers.get("Location", "")
        if answer.status not in _REDIRECTS or not location:
            return _Asked(answer, shown)
        answer.close()
        try:
            url = urldefrag(urljoin(url, location)).url
        except ValueError:
            raise OSError(f"{shown}: a redirect that points to an invalid URL: ask the site's owner") from None
        shown = f"{without_credentials(path)} (redirected to {without_credentials(url)})"
        if url.partition("://")[0].lower() not in SCHEMES:
            raise OSError(f"{shown}: only redirects to http:// and https:// are followed: give the file's own URL")
    raise OSError(f"{shown}: more than {_MOST_REDIRECTS} redirects: give the file's own URL")


def _request(method: str, url: str, shown: str, options: FetchOptions, headers: dict[str, str]) -> Any:
    timeout = urllib3.Timeout(connect=min(10.0, options.timeout_seconds), read=options.timeout_seconds)
    pool = _pools.setdefault(options.timeout_seconds, urllib3.PoolManager(retries=False, timeout=timeout))
    try:
        return pool.request(method, url, headers=headers, preload_content=False, redirect=False)
    except urllib3.exceptions.LocationValueError:
        raise OSError(f"{shown} is not a valid URL: check it") from None
    except (urllib3.exceptions.HTTPError, OSError) as error:
        if is_refused(error):
            raise RefusedConnectionError(shown, url) from None
        raise TransientFetchError(f"{shown}: {hide_credentials(repr(error), url)}") from None


def _error_of_status(path: str, answer: Any) -> OSError:
    status = answer.status
    if status == _CHANGED:
        return ArchiveChangedError(f"{path} has changed while it was read (412): run again when it is complete")
    if status in _MISSING:
        return FileNotFoundError(f"{path}: there is no such file ({status}): check the URL")
    if status in _SLOW_DOWN:
        hint = "; if it stays, the path is wrong or the site blocks this network" if status == 403 else ""  # noqa: PLR2004
        return TransientFetchError(
            f"{path}: status {status}{hint}", seconds_to_wait(answer.headers.get("Retry-After", ""))
        )
    return OSError(f"{path}: status {status}: check the URL")
