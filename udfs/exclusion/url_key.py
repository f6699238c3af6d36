"""Keys of URLs and domains: what stands in a block list and what a pair has are compared by them.

`http://EXAMPLE.org:80/a%7eb.jpg#x` and `https://example.org/a~b.jpg` have one key, `example.org/a~b.jpg`.
"""

import re
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

import idna

from udfs.arrow import replace_lone_surrogates

LONGEST_HOST = 253
"""Characters of the longest name in the domain name system."""

_DEFAULT_PORTS = {"http": 80, "https": 443, "": None}
"""The schemes that a URL may have, and the port that each of them means; a URL that begins with `//` has none."""

_AROUND = "".join(map(chr, range(33)))
"""What surrounds a URL without being a part of it: control characters and spaces."""

_REWRITTEN = re.compile("%[0-9A-Fa-f]{2}|[^\x00-\x7f]+| ")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_DOMAIN = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")
"""Underscores, and hyphens at the ends of a label, are in names that exist, though no registry has them."""


class UrlKey(NamedTuple):
    """The key of a URL, with how much of it is the host; a text that is no URL is its own key, without a host."""

    text: str
    host_length: int


def url_key(url: str) -> UrlKey:
    """Gives the key of a URL.

    Scheme, credentials, fragment, the scheme's default port and dots behind the host are dropped; the host is in lower
    case and ASCII (IDNA); percent triplets are in upper case, those of unreserved characters and spaces decoded or
    encoded as RFC 3986 has them, other characters encoded as UTF-8; dot segments are removed. A text without a host, or
    with another scheme than http and https, or that cannot be parsed, is its own key.
    """
    text = replace_lone_surrogates(url)
    try:
        parts = urlsplit(text.strip(_AROUND))
        host, port = _host(parts), parts.port
    except ValueError:
        host = ""
    if not host or parts.scheme not in _DEFAULT_PORTS:
        return UrlKey(text, 0)
    shown_port = "" if port in {None, _DEFAULT_PORTS[parts.scheme]} else f":{port}"
    path = _without_dot_segments(_REWRITTEN.sub(_rewritten, parts.path))
    query = f"?{_REWRITTEN.sub(_rewritten, parts.query)}" if parts.query else ""
    return UrlKey(f"{host}{shown_port}{path}{query}", len(host))


def domain_key(domain: str) -> str | None:
    """Gives the key of a domain, as it stands at the beginning of the keys of its URLs; None for what is no domain."""
    try:
        host = _ascii_host(domain)
    except ValueError:
        return None
    return host if len(host) <= LONGEST_HOST and _DOMAIN.fullmatch(host) else None


def keys_of(kind: str, value: str) -> list[str]:
    """Lists the keys by which a value of a pair can be listed.

    Args:
        kind: One of `udfs.exclusion.kinds.KINDS`.
        value: What the pair has in that kind's column.

    Returns:
        Of a domain its host and all domains above it, of a prefix all beginnings of the key that end with a slash, of
        any other kind the key alone.
    """
    if kind not in {"url", "page", "prefix", "image_domain", "page_domain"}:
        return [value]
    key = url_key(value)
    if kind in {"url", "page"}:
        return [key.text]
    if not 0 < key.host_length <= LONGEST_HOST:
        return []
    if kind == "prefix":
        return [key.text[: end + 1] for end in range(key.host_length, len(key.text)) if key.text[end] == "/"]
    labels = key.text[: key.host_length].split(".")
    return [".".join(labels[first:]) for first in range(len(labels))]


def _host(parts: SplitResult) -> str:
    """Gives a URL's host as keys have it; empty where there is none.

    Raises:
        ValueError: If its name cannot be one of the domain name system.
    """
    host = _ascii_host(parts.hostname or "")
    return f"[{host}]" if host and "[" in parts.netloc.rpartition("@")[2] else host


def _ascii_host(host: str) -> str:
    """Maps a host to ASCII as browsers do (UTS 46), which take more names than registries do.

    Raises:
        ValueError: If it has characters that no name has, or is too long.
    """
    if host.isascii():
        return host.lower().rstrip(".")
    if len(host) > LONGEST_HOST:
        raise ValueError("a host that is too long")
    mapped = idna.uts46_remap(host, std3_rules=False, transitional=False).rstrip(".")
    return ".".join(label if label.isascii() else f"xn--{label.encode('punycode').decode()}"
                    for label in mapped.split("."))  # fmt: skip


def _rewritten(found: re.Match[str]) -> str:
    text = found[0]
    if text[0] == "%":
        code = int(text[1:], 16)
        return chr(code) if code in _UNRESERVED else text.upper()
    return "".join(f"%{byte:02X}" for byte in text.encode())


def _without_dot_segments(path: str) -> str:
    """Removes `.` and `..` (RFC 3986, section 5.2.4); a path begins with a slash, an empty one becomes one."""
    if "/." not in path:
        return path or "/"
    segments = path.split("/")[1:]
    kept: list[str] = []
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in {".", ".."}:
        kept.append("")
    return f"/{'/'.join(kept)}"
