"""What a URL holds that nobody else should see: user info, and a query with signatures or tokens."""

import re
from typing import NamedTuple
from urllib.parse import quote, unquote

_KEY_SCHEMES = {"s3", "s3a", "s3n", "gs", "gcs", "oss", "hdfs", "viewfs", "file"}
"""Schemes of stores whose keys may hold "?" and "#": their URLs have neither query nor fragment."""

_CONTAINER_SCHEMES = {"abfs", "abfss", "az", "wasb", "wasbs"}
"""Schemes that name a container where others name a user: abfs://container@account."""

_CHAINED = re.compile(r"::(?=[A-Za-z][A-Za-z0-9+.-]*://)")
_END_OF_PART = re.compile("[/?#]")
_URL = re.compile(
    r"(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]*://(?:[^\s/?#]*@)?[^\s'\"<>?]*(?:\?\S*?(?=['\">]?[,:;)]?(?:\s|$)))?"
)
_PORT = re.compile(r"\d*")
_SHORTEST_VALUE = 6
_HIDDEN = "..."


class _Url(NamedTuple):
    start: str
    user_info: str
    rest: str
    query: str
    fragment: str


def bare_url(url: str) -> str:
    """Leaves user info, query and fragment out of a URL: what is left names a file, and may stand in tables.

    The URL may be a chain of them as fsspec takes it; any other text stays as it is.
    """
    return "::".join(f"{part.start}{part.rest}" for part in _parts_of(url))


def without_query(url: str) -> str:
    """Leaves query and fragment out of a URL; the rest, user info included, is not to be shown."""
    return "::".join(f"{part.start}{part.user_info}{part.rest}" for part in _parts_of(url))


def without_credentials(url: str) -> str:
    """Returns a URL as messages and manifests show it: the bare URL, with "?..." for a query."""
    parts = _parts_of(url)
    return "::".join(f"{part.start}{part.rest}{f'?{_HIDDEN}' if part.query else ''}" for part in parts)


def hide_credentials(text: str, *urls: str) -> str:
    """Leaves out of a message of others what `without_credentials` leaves out of the URLs that it is about.

    Args:
        text: The message. It may quote a URL, a part of one, or the same in another percent-encoding.
        *urls: The URLs.

    Returns:
        The message with "..." in place of user infos, queries, their values and fragments.
    """
    secrets = {form for url in urls for part in _parts_of(url) for secret in _secrets(part) for form in _forms(secret)}
    for secret in sorted(secrets, key=lambda secret: (-len(secret), secret)):
        text = text.replace(secret, f"{secret[:1] if secret[0] in '?#' else ''}{_HIDDEN}")
    return text


def urls_without_credentials(text: str) -> str:
    """Leaves out of each URL in a text, such as a message, what `without_credentials` leaves out."""
    return _URL.sub(lambda found: without_credentials(found[0]), text)


def has_ending(path: str, endings: tuple[str, ...]) -> bool:
    """Tells whether a path, or a URL without its query, has one of the endings (in lower case), in any case."""
    return bare_url(path).lower().endswith(endings)


def has_credentials(url: str) -> bool:
    """Tells whether a URL holds user info."""
    return any(part.user_info for part in _parts_of(url))


def _parts_of(url: str) -> list[_Url]:
    return [_split(part) for part in _CHAINED.split(url)]


def _split(url: str) -> _Url:
    """Cuts a URL by hand: it may be malformed, and what it holds stays as it was typed."""
    scheme, separator, rest = url.partition("://")
    name = scheme.lower()
    if not separator or name == "file":
        return _Url("", "", url, "", "")
    place = _end_of_user_info(rest)
    user_info, rest = rest[:place], rest[place:]
    if name in _CONTAINER_SCHEMES and ":" not in user_info:
        user_info, rest = "", f"{user_info}{rest}"
    if name in _KEY_SCHEMES:
        return _Url(f"{scheme}://", user_info, rest, "", "")
    rest, _, fragment = rest.partition("#")
    rest, _, query = rest.partition("?")
    return _Url(f"{scheme}://", user_info, rest, query, fragment)


def _end_of_user_info(rest: str) -> int:
    authority = _END_OF_PART.split(rest, maxsplit=1)[0]
    if "@" in authority:
        return authority.rindex("@") + 1
    host, _, port = authority.rpartition(":")
    if not host or host.startswith("[") or _PORT.fullmatch(port):
        return 0
    # What stands behind the colon is no port but a password, with a "/" in it that should be "%2F": rather too much is
    # left out than too little.
    first = rest.find("@") + 1
    return first + re.split("[?#]", rest[first:], maxsplit=1)[0].rfind("@") + 1 if first else 0


def _secrets(part: _Url) -> list[str]:
    values = [field.partition("=")[2] or field for field in re.split("[&;]", part.query)]
    password = part.user_info.rstrip("@").partition(":")[2]
    lone = [text for text in (*values, password, part.fragment) if len(text) >= _SHORTEST_VALUE]
    whole = [part.user_info, f"?{part.query}" if part.query else "", f"#{part.fragment}" if part.fragment else ""]
    return [*lone, *(text for text in whole if text)]


def _forms(secret: str) -> set[str]:
    plain = unquote(secret)
    # The marks between the values are those of the URL.
    return {secret, plain, quote(plain, safe="?#&=@:"), quote(plain, safe="")}
