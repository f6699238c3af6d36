"""What is kept of URLs, and that it is what urljoin returns."""

from random import Random
from urllib.parse import urljoin, urlsplit

import pytest

from udfs.pairs.image_urls import resolve_image_url

PARTS = ["/", "//", "a", "b.jpg", ".", "..", "../", "?", "#", ";", ":", "http:", "https:", "h.org", "data:", "%20"]
PARTS += [" ", "\t", "é", "x@y", "[", "]", "\\", "@", "=", ":80", "~", "\ud800", "javascript:"]
BASES = ["http://h.org", "http://h.org/", "http://h.org/a/b/c.html", "https://h.org/a//b/", "http://h.org?x/y", ""]
BASES += ["http://h.org/a;p/b?x=/y/z", "http://h.org/a?q", "http://h.org#a/b", "file:///a/b", "http://[bad", "a/b"]
BASES += ["http://h.org/../x/./y", "HTTP://H/a/b", "//h/a/b", "http:///x/y", "http:/a/b", "mailto:a/b"]


def check(base: str, src: str) -> None:
    try:
        expected = urljoin(base, src)
        parts = urlsplit(expected)
        is_kept = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        is_kept = False
    start = src.lstrip()
    if not start or start.startswith("#") or start[:5].lower() == "data:":
        is_kept = False
    url, reason = resolve_image_url(base, src)
    assert (url is not None) == is_kept
    assert (reason == "") == is_kept
    if url is not None:
        assert url == expected.replace("\ud800", "\ufffd")


@pytest.mark.parametrize("base", BASES)
def test_an_image_url_is_what_urljoin_returns(base: str) -> None:
    random = Random(base)
    for _ in range(500):
        check(base, "".join(random.choice(PARTS) for _ in range(random.randint(0, 6))))
