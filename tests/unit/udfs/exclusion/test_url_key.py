"""Keys of URLs and domains: vectors, idempotence, and the compiled way against the one in Python."""

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from udfs.exclusion.key_arrays import url_keys
from udfs.exclusion.url_key import domain_key, url_key

VECTORS = [
    # scheme, host and path
    ("http://example.org/a.jpg", "example.org/a.jpg"),
    ("https://example.org/a.jpg", "example.org/a.jpg"),
    ("HTTP://example.org/a.jpg", "example.org/a.jpg"),
    ("//example.org/a.jpg", "example.org/a.jpg"),
    (" \n http://example.org/a.jpg \t", "example.org/a.jpg"),
    ("http://example.org", "example.org/"),
    ("http://example.org/", "example.org/"),
    ("http://example.org//", "example.org//"),
    ("http://example.org/a/", "example.org/a/"),
    ("http://EXAMPLE.org/A.JPG", "example.org/A.JPG"),
    ("http://EXAMPLE.org:80/a%7eb.jpg#x", "example.org/a~b.jpg"),
    ("https://example.org/a~b.jpg", "example.org/a~b.jpg"),
    ("http://my_host.example.org/a", "my_host.example.org/a"),
    ("http://192.0.2.7/a", "192.0.2.7/a"),
    ("http://localhost/a", "localhost/a"),
    # dots behind the host
    ("http://example.org./a", "example.org/a"),
    ("http://example.org.:80/a", "example.org/a"),
    ("http://example.org../a", "example.org/a"),
    # credentials, fragments, ports
    ("http://user:secret@example.org/a", "example.org/a"),
    ("http://a@b@example.org/a", "example.org/a"),
    ("http://user@example.org:8080/a", "example.org:8080/a"),
    ("http://example.org/a#b", "example.org/a"),
    ("http://example.org#b", "example.org/"),
    ("http://example.org/a?b#c?d", "example.org/a?b"),
    ("https://example.org:443/a", "example.org/a"),
    ("https://example.org:80/a", "example.org:80/a"),
    ("http://example.org:443/a", "example.org:443/a"),
    ("//example.org:80/a", "example.org:80/a"),
    ("http://example.org:/a", "example.org/a"),
    ("http://example.org:0080/a", "example.org/a"),
    ("http://example.org:08080/a", "example.org:8080/a"),
    ("http://example.org:0/a", "example.org:0/a"),
    ("http://example.org:65535/a", "example.org:65535/a"),
    # percent triplets
    ("http://example.org/%c3%a4", "example.org/%C3%A4"),
    ("http://example.org/%41%5A%2d%2E%5f%7E%30", "example.org/AZ-._~0"),
    ("http://example.org/%2f%3a%20", "example.org/%2F%3A%20"),
    ("http://example.org/a b", "example.org/a%20b"),
    ("http://example.org/a+b", "example.org/a+b"),
    ("http://example.org/ä", "example.org/%C3%A4"),
    ("http://example.org/日本", "example.org/%E6%97%A5%E6%9C%AC"),
    ("http://example.org/😀", "example.org/%F0%9F%98%80"),
    ("http://example.org/100%", "example.org/100%"),
    ("http://example.org/%zz%4", "example.org/%zz%4"),
    ("http://example.org/?q=%e4 ä", "example.org/?q=%E4%20%C3%A4"),
    ("http://example.org/[x]|'\"<>", "example.org/[x]|'\"<>"),
    ("http://example.org/a;b=c,d", "example.org/a;b=c,d"),
    ("http://example.org/\ud800", "example.org/%EF%BF%BD"),
    # queries
    ("http://example.org?a", "example.org/?a"),
    ("http://example.org/a?", "example.org/a"),
    ("http://example.org/a?b=2&a=1", "example.org/a?b=2&a=1"),
    ("http://example.org/a??", "example.org/a??"),
    ("http://example.org/a?b/../c", "example.org/a?b/../c"),
    # dot segments
    ("http://example.org/a/../b", "example.org/b"),
    ("http://example.org/a/./b", "example.org/a/b"),
    ("http://example.org/../a", "example.org/a"),
    ("http://example.org/a/..", "example.org/"),
    ("http://example.org/a/.", "example.org/a/"),
    ("http://example.org/a/%2e%2E/b", "example.org/b"),
    ("http://example.org//../a", "example.org/a"),
    ("http://example.org/a//../b", "example.org/a/b"),
    ("http://example.org/.well-known/a", "example.org/.well-known/a"),
    ("http://example.org/.../a", "example.org/.../a"),
    # names beyond ASCII
    ("//bücher.example/ä", "xn--bcher-kva.example/%C3%A4"),
    ("http://BÜCHER.example/", "xn--bcher-kva.example/"),
    ("http://bu\u0308cher.example/", "xn--bcher-kva.example/"),
    ("http://XN--BCHER-KVA.example/", "xn--bcher-kva.example/"),
    ("http://straße.example/", "xn--strae-oqa.example/"),
    ("http://例え。テスト/", "xn--r8jz45g.xn--zckzah/"),
    ("http://ｅｘａｍｐｌｅ.org/", "example.org/"),
    ("http://exam\u00adple.org/", "example.org/"),
    ("http://☃.example/", "xn--n3h.example/"),
    # addresses
    ("http://[2001:DB8::1]/a", "[2001:db8::1]/a"),
    ("http://[::1]:80/a", "[::1]/a"),
    ("http://[::1]:8080/a", "[::1]:8080/a"),
]

NO_URLS = [
    "",
    " ",
    "example.org/a.jpg",
    "/a.jpg",
    "ftp://example.org/a.jpg",
    "data:image/png;base64,AAAA",
    "http:example.org/a",
    "http:///a",
    "http://:80/a",
    "http://./a",
    "http://user@/a",
    "http://example.org:x/a",
    "http://example.org:65536/a",
    "http://example.org:-1/a",
    "http://[::1/a",
    "http://[nonsense]/a",
    "http://a℀b.example/",
    f"http://{'ä' * 300}.example/",
]


@pytest.mark.parametrize(("url", "key"), VECTORS)
def test_keys_of_urls(url: str, key: str) -> None:
    assert url_key(url).text == key
    assert url_key(f"//{key}") == url_key(url)


@pytest.mark.parametrize("text", NO_URLS)
def test_a_text_that_is_no_url_is_its_own_key(text: str) -> None:
    assert url_key(text) == (text, 0)


def test_the_host_stands_at_the_beginning_of_a_key() -> None:
    key = url_key("https://user@Bücher.example:8080/a")
    assert key.text[: key.host_length] == "xn--bcher-kva.example"


DOMAINS = [
    ("example.org", "example.org"),
    ("EXAMPLE.org.", "example.org"),
    ("bücher.example", "xn--bcher-kva.example"),
    ("my_host.example", "my_host.example"),
    ("192.0.2.7", "192.0.2.7"),
    ("localhost", "localhost"),
    ("-a-.example", "-a-.example"),
    ("*.example.org", None),
    ("||example.org^", None),
    ("example.org,", None),
    ("example.org\n", None),
    ("bü*cher.example", None),
    ("::1", None),
    ("", None),
    (".", None),
    (".example.org", None),
    ("a..example.org", None),
    ("*/example.org", None),
    ("http://example.org", None),
    ("example.org/a", None),
    ("example.org:80", None),
    ("user@example.org", None),
    ("example org", None),
    ("exam\0ple.org", None),
    ("[::1]", None),
    ("a℀b.example", None),
    (f"{'a.' * 200}org", None),
]


@pytest.mark.parametrize(("domain", "key"), DOMAINS)
def test_keys_of_domains(domain: str, key: str | None) -> None:
    assert domain_key(domain) == key


PIECES = st.sampled_from(
    [
        *("http://", "https://", "//", "HTTP://", "example.org", "EXAMPLE.org", "bücher.example", "[::1]", "ftp:"),
        *(
            ":",
            ":80",
            ":443",
            ":8080",
            ":08",
            ":65535",
            ":65536",
            "@",
            "/",
            "/",
            "//",
            ".",
            "..",
            "/.",
            "/..",
            "?",
            "#",
        ),
        *("%", "%41", "%7e", "%2F", "%2f", "%C3%A4", "ä", " ", "\t", "\0", "\x7f", "a", "Z", "_", "-", "~", "&", "="),
        *(";", "[", "]", "\\", "😀", "。"),
    ]
)
URLS = st.lists(PIECES, max_size=12).map("".join) | st.builds("http://example.org/{}".format, st.text(max_size=20))


@given(URLS)
@example("//http://example.org/a")
@example("http://http:8080//a")
def test_a_key_is_its_own_key(url: str) -> None:
    key = url_key(url).text
    assert url_key(key) == (key, 0)


@given(URLS.filter(lambda url: "%%" not in url))
def test_a_key_is_the_key_of_its_url(url: str) -> None:
    key = url_key(url)
    if key.host_length:
        assert url_key(f"//{key.text}") == key


@given(st.lists(st.none() | URLS, max_size=20), st.integers(0, 3))
def test_the_compiled_keys_are_those_of_python(urls: list[str | None], begin: int) -> None:
    sliced = pa.array(urls, pa.string())[begin:]
    keys = url_keys(sliced)
    data = keys.data.tobytes()
    for url, first, end, host_end in zip(
        sliced.to_pylist(), keys.begins.tolist(), keys.ends.tolist(), keys.host_ends.tolist(), strict=True
    ):
        assert (first < 0) == (url is None)
        if url is not None:
            assert (data[first:end].decode(), host_end - first) == url_key(url)


def test_plain_urls_go_the_compiled_way() -> None:
    plain = ["http://example.org/a%20b.jpg?c=d&e=%C3%A4", "https://a-b.example.org:8080/x/y.jpg", "http://127.0.0.1/"]
    urls = pa.array(plain)
    assert url_keys(urls).data.size == sum(map(len, plain))


def test_a_host_that_no_name_server_knows_has_no_domains() -> None:
    keys = url_keys(pa.array([f"http://{'a.' * 500_000}org/a"]))
    assert keys.host_ends[0] == keys.begins[0]
    assert keys.ends[0] - keys.begins[0] == 1_000_005
