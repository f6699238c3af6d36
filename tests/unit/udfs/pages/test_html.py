"""Images of HTML pages: what counts as one, its texts, its URL."""

import resource
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.archive_files import ReadPage, extract_bytes, http_response, read_images, warc_record
from udfs.pages.html import read_html, read_whole_page
from udfs.pages.html_kernel import tag_kernel
from udfs.pages.image_table import LostRecordError
from udfs.pairs.image_urls import resolve_image_url

PAGE_URL = "https://example.org/dir/page.html"


def read(html: str, page_url: str = PAGE_URL) -> ReadPage:
    page = read_images(read_html(html.encode(), page_url))
    lost_images = sum(loss.reason.startswith("image.") for loss in page.losses)
    lost_texts = sum(loss.reason.startswith("text.") for loss in page.losses)
    assert page.images == page.images_kept + lost_images
    assert page.texts == len(page.pairs) + lost_texts
    return page


def urls(html: str) -> list[str]:
    return [pair.image_url for pair in read(html).pairs]


def reasons(html: str) -> list[str]:
    return [loss.reason for loss in read(html).losses]


def test_each_text_attribute_is_a_pair_in_a_fixed_order() -> None:
    page = read('<p><img data-image-title=c title="b &amp; d" alt="a" src=x.png><img src=y.png title=t>')
    assert [tuple(pair) for pair in page.pairs] == [
        (0, "https://example.org/dir/x.png", "alt", "a"),
        (0, "https://example.org/dir/x.png", "title", "b & d"),
        (0, "https://example.org/dir/x.png", "data-image-title", "c"),
        (1, "https://example.org/dir/y.png", "title", "t"),
    ]


def test_texts_are_stripped_and_their_line_breaks_become_spaces() -> None:
    page = read('<img src=x alt="\n a\r\ndog  runs\t\u00a0">')
    assert [pair.alt_text for pair in page.pairs] == ["a dog  runs"]


@pytest.mark.parametrize(
    "html",
    [
        "<!-- <img src=a alt=b> -->",
        "<template><img src=a alt=b></template>",
        '<script>document.write("<img src=a alt=b>")</script>',
        "<style><img src=a alt=b></style>",
        "<textarea><img src=a alt=b></textarea>",
        "<title><img src=a alt=b></title>",
        "<iframe><img src=a alt=b></iframe>",
        "<xmp><img src=a alt=b></xmp>",
        "<plaintext><img src=a alt=b>",
        "<svg><image href=a alt=b></svg>",
        "&lt;img src=a alt=b>",
        "<imgs src=a alt=b>",
    ],
)
def test_what_is_no_image(html: str) -> None:
    assert read(html).images == 0


@pytest.mark.parametrize(
    "html",
    [
        "<noscript><img src=a alt=b></noscript>",
        "<head><noscript><img src=a alt=b></noscript></head>",
        "<IMG SRC=a ALT=b/>",
        "<image src=a alt=b>",
        "<svg><img src=a alt=b></svg>",
        "<table><img src=a alt=b></table>",
        "<picture><source srcset=z><img src=a alt=b></picture>",
        "<img\nsrc=a\talt=b>",
        "<img/src=a/alt=b>".replace("/alt", " /alt"),
    ],
)
def test_what_is_an_image(html: str) -> None:
    page = read(html)
    assert page.images == 1
    assert [pair.alt_text.rstrip("/") for pair in page.pairs] == ["b"]


def test_only_src_counts() -> None:
    assert reasons("<img data-src=a.jpg srcset='b.jpg 2x' alt=x>") == ["image.no_url"]


def test_the_first_of_duplicate_attributes_wins() -> None:
    assert [tuple(pair)[1:] for pair in read("<img src=a SRC=b alt=1 Alt=2>").pairs] == [
        ("https://example.org/dir/a", "alt", "1")
    ]


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ("<base href='/other/'>", "https://example.org/other/a"),
        ("<base href='//cdn.example.com/x/'>", "https://cdn.example.com/x/a"),
        ("<base target=_top><base href=/one/><base href=/two/>", "https://example.org/one/a"),
        ("<base href=''>", "https://example.org/dir/a"),
        ("<base href>", "https://example.org/dir/a"),
        ("<base href='http://[bad/'>", "https://example.org/dir/a"),
        ("<template><base href=/no/></template>", "https://example.org/dir/a"),
    ],
)
def test_base(base: str, expected: str) -> None:
    assert urls(f"<head>{base}</head><img src=a alt=x>") == [expected]


@pytest.mark.parametrize(
    ("src", "expected"),
    [
        ("a b.jpg", "https://example.org/dir/a b.jpg"),
        ("../up.jpg?q=1#f", "https://example.org/up.jpg?q=1#f"),
        ("//cdn.example.com/a.jpg", "https://cdn.example.com/a.jpg"),
        ("http://example.com:99999/a.jpg", "http://example.com:99999/a.jpg"),
        ("http://bücher.example/ä.jpg", "http://bücher.example/ä.jpg"),
        ("HTTP://EXAMPLE.COM/A.jpg", "HTTP://EXAMPLE.COM/A.jpg"),
    ],
)
def test_urls_that_are_kept(src: str, expected: str) -> None:
    assert urls(f'<img src="{src}" alt=x>') == [expected]


@pytest.mark.parametrize(
    ("src", "reason"),
    [
        ("", "image.no_url"),
        (" \t\n", "image.no_url"),
        ("#", "image.only_fragment"),
        (" #top", "image.only_fragment"),
        ("data:image/gif;base64,R0lGOD", "image.data_url"),
        (" DATA:image/gif;base64,R0lGOD", "image.data_url"),
        ("javascript:void(0)", "image.not_http"),
        ("blob:https://example.org/1", "image.not_http"),
        ("file:///c:/a.jpg", "image.not_http"),
        ("cid:part1", "image.not_http"),
        ("https:///x", "image.no_host"),  # with the page's own scheme urljoin would take the page's host
        ("https://", "image.no_host"),
        ("http://:80/a.jpg", "image.no_host"),
        ("http://[bad/a.jpg", "image.unparsable_url"),
        ("//[::1/a.jpg", "image.unparsable_url"),
    ],
)
def test_urls_that_cannot_be_kept(src: str, reason: str) -> None:
    assert resolve_image_url("http://example.org/dir/page", src)[1] == reason
    page = read(f'<img src="{src}" alt=x><img src=ok alt=y>', "http://example.org/dir/page")
    assert [loss.reason for loss in page.losses] == [reason]
    assert [pair.image_index for pair in page.pairs] == [1]


def test_images_of_a_page_without_a_url() -> None:
    assert [loss.reason for loss in read("<img src=a alt=b>", "file:///page.html").losses] == ["image.not_http"]
    assert [loss.reason for loss in read("<img src=a alt=b>", "http://[bad").losses] == ["image.unparsable_url"]


def test_unterminated_markup() -> None:
    assert read('<img src=a alt="never closed><img src=b alt=c>').images == 0
    assert urls("<img src=a alt=x><p") == ["https://example.org/dir/a"]
    assert read("<img src='a' alt='x").images == 0


def test_empty_texts() -> None:
    assert reasons("<img src=a alt><img src=a alt=''><img src=a alt=' \n'>") == ["text.empty"] * 3
    assert reasons("<img src=a>") == ["image.no_text"]
    page = read("<img src=a alt='' title=t>")
    assert (page.images_kept, page.texts, len(page.pairs)) == (1, 2, 1)


def test_huge_data_urls() -> None:
    html = b'<img alt=x src="data:image/png;base64,' + b"A" * 5_000_000 + b'"><img src=a alt=y>'
    outcome = extract_bytes(warc_record(http_response(html)))
    assert outcome.texts == ["y"]
    assert outcome.rejected == {"image.data_url": 1}


@pytest.mark.parametrize("tag", ["b", "table", "svg", "ul", "a", "blink"])
def test_deep_nesting(tag: str) -> None:
    assert read(f"<{tag}>" * 5000 + "<img src=a alt=b>").images == 1


def test_nothing_at_all() -> None:
    for html in ("", " ", "\0", "<", "<img"):
        assert read(html).images == 0
    assert read("<img>").losses == [("image.no_url", "")]


LEFT_OPEN = "".join(f"<b a={number}>" for number in range(2000))
BOMB = f"<img src=a alt=b><p>{LEFT_OPEN}" + "</p><p>x" * 2000
"""A page of 35 kB whose tree takes 1.5 GB: each paragraph opens all anew that the first has left open."""


def test_a_page_whose_tree_would_fill_the_memory_is_lost() -> None:
    before = resource.getrlimit(resource.RLIMIT_DATA)
    # The compiled loop leaves pages with a template to the parser.
    with pytest.raises(LostRecordError, match=r"page_too_large: a tree of more than 402 MB: https://example\.org"):
        read_html(f"{BOMB}<template>".encode(), PAGE_URL)
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
    outcome = extract_bytes(warc_record(http_response(f"{BOMB}<template>".encode())))
    assert (outcome.texts, outcome.rejected) == ([], {"record.page_too_large": 1})


def test_whether_a_page_is_lost_does_not_depend_on_compiled_code(monkeypatch: pytest.MonkeyPatch) -> None:
    tag_kernel()
    with_it = read(BOMB)
    assert with_it.images == 1
    monkeypatch.setattr(tag_kernel, "loaded", None)
    assert read(BOMB) == with_it
    assert tag_kernel() is not None


def test_a_page_of_many_cells_is_read_as_a_whole() -> None:
    html = "<img src=a alt=b><table>" + "<tr><td>1</td><td class=n>22</td></tr>" * 130_000
    assert len(html) > 4_900_000
    assert read_images(read_whole_page(html.encode(), PAGE_URL)).images == 1


def test_the_limit_of_memory_is_given_back_by_the_last_of_several_threads() -> None:
    before = resource.getrlimit(resource.RLIMIT_DATA)
    page = ("<img src=a alt=b>" + "<p>x" * 50_000).encode()
    with ThreadPoolExecutor(4) as pool:
        pages = list(pool.map(lambda _: read_whole_page(page, PAGE_URL), range(12)))
    assert {read_images(each).images for each in pages} == {1}
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
