"""The scanner of tags against the full parse of the page: the same images, texts, URLs and losses, in one order."""

import os
import re
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest

from tests.support.archive_files import extract_path, read_images
from tests.support.declarations import AGENTS, any_head
from tests.support.paths import SAMPLE_FOLDER
from udfs.pages import parse
from udfs.pages.declared.kernel import DECLARED_LENGTH, agent_list
from udfs.pages.html import read_html, read_whole_page
from udfs.pages.html_kernel import tag_kernel
from udfs.pages.image_table import TAG_COLUMNS, UNMODELLED, PageImages

DATA = os.environ.get("METACLIP_TEST_DATA")
SAMPLES = sorted(path.name for path in SAMPLE_FOLDER.glob("*.warc.gz"))
PAGE_URL = "https://example.org/dir/page.html"
IMAGE = "<img src=a alt=b>"

NAMES = re.findall(
    r"\w+",
    "img image base p a b div br table tbody tr td th caption col colgroup thead title textarea style "
    "script xmp iframe noembed noframes noscript select option optgroup svg path g text math template "
    "plaintext frameset frame head body html form input button nobr i pre li hr imgs titles scripts "
    "object marquee foreignObject desc ",
)
VALUES = ["x", "'a > b'", '"a > b"', "a'b", "&amp;c", '"&lt;d&copy=1"', "''", "é", "a\r\nb", "\0", "/", '=">"', "/e/"]
ATTRIBUTES = ["src", "alt", "title", "data-image-title", "href", "SRC", "Alt", "width", "=", '"', "<", "data-x"]
LOOSE = ["<", ">", "</", "<!", "<!--", "-->", "--!>", "<!-->", "<!--->", "<!--", "<!doctype", "<?", "/>", "'"]
LOOSE += ['"', "=", "&", "&amp;", "text", "\n", "é", "\x00", "\r", "</>", "<![CDATA[", "]]>", "<3", "--", "-"]


def make_name(random: Random) -> str:
    name = random.choice(NAMES)
    return random.choice([name, name.upper(), name.capitalize()])


def make_attributes(random: Random) -> str:
    return "".join(
        random.choice([" ", "\n", "/", " /", "", "\t"])
        + random.choice(ATTRIBUTES)
        + random.choice(["=", " = ", "", "=\n"])
        + random.choice(VALUES)
        for _ in range(random.randint(0, 4))
    )


def make_piece(random: Random) -> str:
    """A start tag, an end tag, an image, a usual image, or any markup."""
    kind = random.randrange(5)
    if kind == 0:
        return f"<{make_name(random)}{make_attributes(random)}{random.choice(['>', '/>', ' />', chr(10) + '>'])}"
    if kind == 1:
        return f"</{make_name(random)}" + random.choice([">", " >", "/>", " a='>'>"])
    if kind == 2:
        return f"<img{make_attributes(random)}>"
    return IMAGE if kind == 3 else random.choice(LOOSE)


def make_page(random: Random) -> bytes:
    return "".join(make_piece(random) for _ in range(random.randint(1, 25))).encode()


def scan(html: bytes, agents: tuple[str, ...] = ()) -> int:
    images, base = np.empty((64, TAG_COLUMNS), np.int64), np.empty(TAG_COLUMNS, np.int64)
    declared = np.empty(DECLARED_LENGTH, np.int64)
    return int(tag_kernel()(np.frombuffer(html, np.uint8), images, base, declared, agent_list(agents)))


def check(html: bytes, page_url: str = PAGE_URL, preferences: int = 0, agents: tuple[str, ...] = ()) -> PageImages:
    found, parsed = (read(html, page_url, preferences, agents) for read in (read_html, read_whole_page))
    page, whole = read_images(found), read_images(parsed)
    # Base and declarations of a page without images are of no use, and not always looked for.
    assert page == (whole if whole.images else replace(whole, base_url=page.base_url))
    assert found.declared == parsed.declared or not whole.images
    return found


@pytest.mark.parametrize("seed", range(3))
def test_generated_markup(seed: int) -> None:
    random = Random(seed)
    pages = [make_page(random) for _ in range(1000)]
    for html in pages:
        check(html)
    # Else two full parses would be compared.
    assert sum(scan(html) not in {0, UNMODELLED} for html in pages) > 100


@pytest.mark.parametrize(("seed", "agents"), [(0, ()), (1, AGENTS), (2, AGENTS)])
def test_generated_heads(seed: int, agents: tuple[str, ...]) -> None:
    random = Random(seed)
    heads = [any_head(random).encode() for _ in range(1000)]
    declared = [check(head + IMAGE.encode(), agents=agents).declared for head in heads]
    assert sum(scan(head + IMAGE.encode(), agents) != UNMODELLED for head in heads) > 700
    assert sum(each.language is not None for each in declared) > 200
    assert sum(bool(each.preferences) for each in declared) > 200


@pytest.mark.parametrize(
    ("head", "declared"),
    [
        ("<html lang=en>", ("en", 0)),
        ("<!doctype html>\n<html class=a lang='de-AT'><head><title>a</title><style>b</style>", ("de", 0)),
        ("<html lang=''><html lang=en>", (None, 0)),
        ("<html><body><p><html lang=fr>", ("fr", 0)),
        ("<html xml:lang=fr>", (None, 0)),
        ("<head><meta charset=utf-8><meta name=robots content='noai, noimageai'></head>", (None, 3)),
        ("<meta content=noindex name=ROBOTS><link><meta name=tdm-reservation content=1>", (None, 20)),
        ("<meta name=googlebot content=noindex><meta name=robots content='x: noai'>", (None, 0)),
        ("<head><noscript><meta name=robots content=none></noscript></head>", (None, 4)),
        ("<head></head> <!-- c --> <meta name=robots content=noimageindex>", (None, 8)),
        ("<head><noscript><p></noscript><meta name=robots content=noai></head>", (None, 0)),
        ("<head></head>text<meta name=robots content=noai>", (None, 0)),
        ("<body><meta name=robots content=noai>", (None, 0)),
        ("<!-- <meta name=robots content=noai> -->", (None, 0)),
        ("<meta property=robots content=noai><meta name=robots value=noai>", (None, 0)),
        ("<meta name=robots name=x content=noai content=noindex>", (None, 1)),
    ],
)
def test_what_a_page_declares(head: str, declared: tuple[str | None, int]) -> None:
    # What is said to all is not changed by who else is heard.
    assert check((head + IMAGE).encode(), agents=("ccbot",)).declared == declared
    assert scan((head + IMAGE).encode()) == 1
    assert check((head + IMAGE).encode()).declared == declared
    assert check((head + IMAGE).encode(), preferences=32).declared == (declared[0], declared[1] | 32)


@pytest.mark.parametrize(
    ("head", "preferences"),
    [
        ("<meta name=CCBot content='noai, noindex'><meta name=googlebot content=noimageai>", 5),
        ("<meta content=NoAI name=' ccbot\n'><meta name=i content=noimageai>", 3),
        ("<meta name=robots content='ccbot: noai, x: noindex, *: noimageai'>", 3),
        ("<meta name=ccbots content=noai><meta name=ccbo content=noai><meta property=ccbot content=noai>", 0),
        ("<meta name=ccbot content='x: noai, i: noindex'><meta name=ccbot content=1>", 4),
        ("<body><meta name=ccbot content=noai>", 0),
    ],
)
def test_what_a_page_declares_to_agents(head: str, preferences: int) -> None:
    html = (head + IMAGE).encode()
    assert scan(html, ("ccbot", "i")) == 1
    assert check(html, agents=("ccbot", "i")).declared.preferences == preferences


def test_generated_markup_that_is_cut_and_holds_any_bytes() -> None:
    random = Random(0)
    for _ in range(1000):
        data = make_page(random)
        data = data[: random.randint(0, len(data))]
        place = random.randint(0, len(data))
        check(data[:place] + random.randbytes(random.randint(0, 12)) + data[place:])


@pytest.mark.parametrize(
    "html",
    [
        "<p>no image</p>",
        "<!-- <img> --> <!doctype html><?php > ?><!x <img> a < b <3",
        "<script>if (a < b) '<img>' </script ><style><img></style><TITLE>a<b</Title>",
        "<script><!-- <img> --></script>",
        "<table><tr><td><img></td></tr></table><img>",
        "<select><option>a<OPTGROUP label='<img>'></select><img>",
        "<svg><title>a</title><g><path d='a'/></g><svg></svg></svg><img>",
        "<noscript><img src=a alt=b></noscript>",
    ],
)
def test_what_the_scanner_models(html: str) -> None:
    assert scan(html.encode()) == html.endswith("<img>") + html.count("<td><img>") + html.count("<noscript><img ")
    check(html.encode())


@pytest.mark.parametrize(
    "html",
    [
        "<template>",
        "<math>",
        "<plaintext>",
        "<frameset>",
        "<select><img></select>",
        "<svg><style></style></svg>",
        "<svg><![CDATA[ <img> ]]></svg>",
        "<svg><title><b></title></svg>",
        "<script><!-- <script> </script> --></script>",
        "<script>",
        "<!-- ",
        "<img alt='",
        "<table><tr><td>a</td><img>",
        "<img>" * 65,
        "<html lang='e&#110;'>",
        "<meta name=robots content='no&#97;i'>",
        "<meta name='robo&#116;s' content='noai'>",
        "<head>&#32;<meta name=robots content=noai>",
    ],
)
def test_what_is_left_to_the_full_parse(html: str) -> None:
    assert scan(html.encode()) == UNMODELLED
    check(html.encode())


@pytest.mark.parametrize("html", [" <img src=a", '\n<img src="x', "<base href=a", ' <img src=a alt="b>', "<img", "<"])
def test_a_tag_that_the_end_cuts_off(html: str) -> None:
    check(html.encode())


def test_every_beginning_of_a_page() -> None:
    html = b"x <base href='/d/'><p><img src=a alt=\"b\"> <!-- c --><IMG title=t src='e' />"
    html += b"<svg><path/></svg><script>f</script>"
    for end in range(len(html) + 1):
        check(html[:end])


def test_images_between_cells_come_before_the_table() -> None:
    images = check(b"<table><tr><td><img src=1 alt=a></td></tr><img src=2 alt=b></table>")
    assert [pair.alt_text for pair in read_images(images).pairs] == ["b", "a"]


@pytest.mark.parametrize(
    "name", ["debian-docs.warc.gz", "gimp-en.warc.gz", *sorted(p.name for p in SAMPLE_FOLDER.glob("*.warc.gz"))]
)
def test_real_pages(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = SAMPLE_FOLDER
    if not (SAMPLE_FOLDER / name).exists():
        if DATA is None:
            pytest.skip("METACLIP_TEST_DATA is not set")
        folder = Path(DATA) / "archives"
    monkeypatch.setattr(parse, "read_html", check)
    outcome = extract_path(folder / name)
    assert outcome.archive["pages"] > 0
    assert outcome.rejected.get("record.parser_error", 0) == 0
