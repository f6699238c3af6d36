"""Keys of URLs and domains: what stands in a block list and what a pair has are compared by them.

`http://EXAMPLE.org:80/a%7eb.jpg#x` and `https://example.org/a~b.jpg` have one key, `example.org/a~b.jpg`.
"""

import re
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

import idna
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from udfs.arrow import replace_lone_surrogates, string_bytes
from udfs.exclusion.key_kernel import LONGEST_HOST, Bytes, Numbers, plain_keys

_DEFAULT_PORTS = {"http": 80, "https": 443, "": None}
"""The schemes that a URL may have, and the port that each of them means; a URL that begins with `//` has none."""

_AROUND = "".join(map(chr, range(33)))
"""What surrounds a URL without being a part of it: control characters and spaces."""

_REWRITTEN = re.compile("%[0-9A-Fa-f]{2}|[^\x00-\x7f]+| ")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_NOT_IN_A_DOMAIN = re.compile(r"[\x00-\x20\x7f/?#@:\[\]\\%]")


class UrlKey(NamedTuple):
    """The key of a URL, with how much of it is the host; a text that is no URL is its own key, without a host."""

    text: str
    host_length: int


class Keys(NamedTuple):
    """The keys of n URLs.

    Attributes:
        data: uint8[m], bytes that the keys are parts of.
        begins: int64[n], where each key begins, -1 where the URL is null.
        ends: int64[n], where each key ends.
        host_ends: int64[n], where the host at its beginning ends: where it begins, if it has none.
    """

    data: Bytes
    begins: Numbers
    ends: Numbers
    host_ends: Numbers


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
    # A character may be mapped to one that ends a host.
    is_domain = not (_NOT_IN_A_DOMAIN.search(domain) or _NOT_IN_A_DOMAIN.search(host))
    return host if is_domain and len(host) <= LONGEST_HOST and "" not in host.split(".") else None


def url_keys(urls: pa.Array) -> Keys:
    """Gives the keys of n URLs, without a Python object for each that is its own key but for scheme and fragment."""
    data, offsets = string_bytes(urls)
    content = np.frombuffer(data, np.uint8)
    begins, ends, host_ends = plain_keys(content, offsets)
    if urls.null_count:
        begins[null_marks(urls)] = -1
        ends[begins < 0] = 0
    others = np.flatnonzero(ends < 0)
    if not others.size:
        return Keys(content, begins, ends, host_ends)
    keys = [url_key(bytes(data[offsets[row] : offsets[row + 1]]).decode("utf-8", "replace")) for row in others.tolist()]
    encoded = [key.text.encode() for key in keys]
    added_ends = content.size + np.cumsum([len(key) for key in encoded], dtype=np.int64)
    begins[others] = added_ends - [len(key) for key in encoded]
    ends[others] = added_ends
    # A key's host is ASCII.
    host_lengths = np.array([key.host_length for key in keys], np.int64)
    host_ends[others] = begins[others] + np.where(host_lengths <= LONGEST_HOST, host_lengths, 0)
    return Keys(np.concatenate([content, np.frombuffer(b"".join(encoded), np.uint8)]), begins, ends, host_ends)


def null_marks(values: pa.Array) -> npt.NDArray[np.bool_]:
    """Tells of n values, of which at least one is null, which are."""
    bits = np.unpackbits(np.frombuffer(values.buffers()[0], np.uint8), bitorder="little")
    return bits[values.offset : values.offset + len(values)] == 0


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
