"""Pages of a crawl, made by rule: the same numbers always give the same pages.

Sizes are log-normal. Their means are Common Crawl's: 164 KB of HTML (December 2024), and as many links as give a page
33 KB of plain WAT and one raw pair for 3.9 KB of it, as `extrapolate` assumes. Words of English pages are lemmas of
WordNet; those of other languages are made of their letters, so that texts take the bytes that they take in a crawl.

`plain_pages` are as most pages are. `mixed_pages` have what is not plain in the shares of `MIXTURE`.
"""

import gzip
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate
from random import Random
from typing import NamedTuple, TypeVar
from urllib.parse import urljoin

from tests.benchmarks.peers import CHECKOUT

WORDS = CHECKOUT / "tests" / "data" / "wordnet_lemmas.txt.gz"
MEAN_HTML_BYTES = 164_000
MEAN_LINKS = 217
IMAGES_AMONG_LINKS = 0.07
SPREAD = 0.8
"""Standard deviation of the logarithm of a page's size."""

LETTERS = {
    "de": "aaabcdeeeefghiiklmnnooprrssttuuvwzäéöüß",
    "ru": "аабвгдеежзийклмнооопрстуфхцчшыьюя",
    "ja": "あいうえおかきくけこさしすせそたちつてとなにのはひまみやよらりるれをんアイウエオカスタトリルン日本語人大小",
    "zh": "的一是不了人我在有他这中大来上国个到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可她里后小么",
}
"""What words are made of; `de` stands for all languages of Latin letters with diacritics."""

LANGUAGES = {"en": 0.5, "de": 0.25, "ru": 0.08, "ja": 0.09, "zh": 0.08}
"""Assumed shares, near those of Common Crawl's statistics of languages."""

CHARSET_STATISTICS = "Common Crawl's statistics of charsets, CC-MAIN-2024-42"
ALMANAC = "Web Almanac 2024"
ASSUMED = "assumed"


class Trait(NamedTuple):
    """How many pages, or images where its name says so, have something.

    Attributes:
        share: Their share.
        source: Where it is from.
    """

    share: float
    source: str


ROBOTS, NOINDEX, NO_LANG = "a robots meta", "a robots meta with noindex", "no lang attribute"
IN_ALL = {ROBOTS: Trait(0.46, ALMANAC), NOINDEX: Trait(0.04, ALMANAC), NO_LANG: Trait(0.13, ALMANAC)}
"""What plain pages have, too."""

LATIN_1, UNDECLARED, BASE = "charset iso-8859-1, half of them ASCII", "no charset", "a base"
NO_TYPE, UNSURE_TYPE, HEADER = "no Content-Type", "Content-Type application/octet-stream", "an X-Robots-Tag"
URL_ENTITIES, TEXT_ENTITIES = "images with &amp; in the URL", "images with an entity in the text"
CHARSETS = {"windows-1251": "ru", "gb2312": "zh", "shift_jis": "ja", "windows-1252": "de"}
"""Charset -> the language of its pages."""

MIXTURE = {
    LATIN_1: Trait(0.0266, CHARSET_STATISTICS),
    "charset windows-1251": Trait(0.0052, CHARSET_STATISTICS),
    "charset gb2312": Trait(0.0024, CHARSET_STATISTICS),
    "charset shift_jis": Trait(0.0019, CHARSET_STATISTICS),
    "charset windows-1252": Trait(0.0018, CHARSET_STATISTICS),
    UNDECLARED: Trait(0.02, f"{CHARSET_STATISTICS}: unknown"),
    NO_TYPE: Trait(0.005, ASSUMED),
    UNSURE_TYPE: Trait(0.005, ASSUMED),
    BASE: Trait(0.03, ASSUMED),
    HEADER: Trait(0.007, ALMANAC),
    URL_ENTITIES: Trait(0.1, ASSUMED),
    TEXT_ENTITIES: Trait(0.05, ASSUMED),
    **IN_ALL,
}

ENTITIES = {"&": "&amp;", '"': "&quot;", "'": "&#039;", "’": "&#8217;", "–": "&ndash;", "\xa0": "&nbsp;"}
"""Characters of texts and URLs -> how pages write them."""


class Link(NamedTuple):
    """A link to another page."""

    url: str
    text: str


class Image(NamedTuple):
    """An image; a text that is None is not there."""

    url: str
    alt: str | None
    title: str | None


@dataclass
class Page:
    """A page before it is written down.

    Attributes:
        number: Its place among the pages, from which all else follows.
        language: One of `LANGUAGES`.
        has_lang: Whether it declares that.
        charset: The encoding of its bytes.
        declared: Where that is declared: `header`, `meta`, or nowhere, which is an empty string.
        content_type: What the server calls it; None where it says nothing.
        base: Its base, or None.
        robots: The content of its meta of that name, or None.
        robots_header: The value of its X-Robots-Tag, or None.
        url: Its URL.
        html_bytes: How long its HTML should be.
        items: Its links and images.
    """

    number: int
    language: str
    has_lang: bool = True
    charset: str = "utf-8"
    declared: str = "header"
    content_type: str | None = "text/html"
    base: str | None = None
    robots: str | None = None
    robots_header: str | None = None
    url: str = ""
    html_bytes: int = 0
    items: list[Link | Image] = field(default_factory=list)

    def pairs(self, attributes: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Gives URL and text of each pair that must be found, for texts of these attributes."""
        for item in self.items:
            if isinstance(item, Image):
                url = urljoin(self.base or self.url, item.url)
                yield from ((url, text) for name in attributes if (text := getattr(item, name)))


Chosen = TypeVar("Chosen")


def plain_pages(number: int) -> list[Page]:
    """Makes pages of UTF-8 that say so, without `<base>` and entities."""
    chance = Random(number)
    return [_filled(page) for page in _bare_pages(number, chance)]


def mixed_pages(number: int) -> list[Page]:
    """Makes pages of the same sizes as `plain_pages`, with what `MIXTURE` says."""
    chance = Random(number)
    pages = _bare_pages(number, chance)
    # A page that has one of these has none of the others, so that each has its share.
    odd = iter(chance.sample(pages, number))
    for charset, language in CHARSETS.items():
        for page in _next(odd, number, MIXTURE[f"charset {charset}"]):
            page.charset, page.language, page.declared = charset, language, ("header", "meta")[page.number % 2]
    for place, page in enumerate(_next(odd, number, MIXTURE[LATIN_1])):
        page.charset, page.language = "iso-8859-1", ("en", "de")[place % 2]
    for page in _next(odd, number, MIXTURE[UNDECLARED]):
        page.declared = ""
    for page in _next(odd, number, MIXTURE[NO_TYPE]):
        page.content_type, page.declared = None, "meta"
    for page in _next(odd, number, MIXTURE[UNSURE_TYPE]):
        page.content_type, page.declared = "application/octet-stream", "meta"
    for page in _some(pages, MIXTURE[BASE], chance):
        page.base = f"https://{_host(chance)}/{_path(chance)}/"
    for page in _some(pages, MIXTURE[HEADER], chance):
        page.robots_header = chance.choice(("noindex, nofollow", "noai, noimageai"))
    pages = [_filled(page) for page in pages]
    _add_entities(pages, chance)
    return pages


def _bare_pages(number: int, chance: Random) -> list[Page]:
    languages = chance.choices(list(LANGUAGES), list(LANGUAGES.values()), k=number)
    pages = [Page(place, language) for place, language in enumerate(languages)]
    for page in pages:
        page.declared = "meta" if page.number % 4 == 0 else "header"
    with_robots = _some(pages, IN_ALL[ROBOTS], chance)
    for page in with_robots:
        page.robots = "index, follow, max-image-preview:large, max-snippet:-1, max-video-preview:-1"
    for page in _next(iter(with_robots), number, IN_ALL[NOINDEX]):
        page.robots = "noindex, nofollow"
    for page in _some(pages, IN_ALL[NO_LANG], chance):
        page.has_lang = False
    return pages


def _some(every: list[Chosen], trait: Trait, chance: Random) -> list[Chosen]:
    """Chooses as many as have a trait, at least one."""
    return chance.sample(every, _count(len(every), trait))


def _next(pages: Iterator[Page], number: int, trait: Trait) -> list[Page]:
    return [next(pages) for _ in range(_count(number, trait))]


def _count(number: int, trait: Trait) -> int:
    return max(1, round(number * trait.share))


def _filled(page: Page) -> Page:
    """Gives a page its URL, its size, its links and images."""
    chance = Random(page.number)
    size = chance.lognormvariate(-(SPREAD**2) / 2, SPREAD)
    host = _host(chance)
    page.url = f"https://www.{host}/{_path(chance)}{chance.choice(('', '/', '.html'))}"
    page.html_bytes = round(MEAN_HTML_BYTES * size)
    for _ in range(max(5, round(MEAN_LINKS * size))):
        is_image = chance.random() < IMAGES_AMONG_LINKS
        page.items.append(_image(page, host, chance) if is_image else _link(page, host, chance))
    return page


def _link(page: Page, host: str, chance: Random) -> Link:
    start = chance.choice((f"https://www.{host}/", "/", "/", f"https://{chance.choice(HOSTS)}/"))
    return Link(start + _path(chance), text_of(page.language, chance, 1, 5))


def _image(page: Page, host: str, chance: Random) -> Image:
    start = chance.choice((f"https://cdn.{host}/uploads/", f"https://cdn.{host}/uploads/", "/uploads/", "images/"))
    width, height = chance.randint(80, 2000), chance.randint(80, 2000)
    url = f"{start}{chance.randint(2010, 2024)}/{chance.randint(1, 12):02}/{_path(chance)}-{width}x{height}.jpg"
    alt = chance.choice((text_of(page.language, chance, 1, 8), text_of(page.language, chance, 1, 8), "", None))
    title = text_of(page.language, chance, 1, 4) if chance.random() < 0.08 else None
    return Image(url, alt, title)


HOSTS = ("www.facebook.com", "twitter.com", "www.instagram.com", "www.youtube.com", "www.linkedin.com")


def _host(chance: Random) -> str:
    return text_of("en", chance, 2, 2).replace(" ", "") + chance.choice((".com", ".org", ".net", ".de", ".co.uk"))


def _path(chance: Random) -> str:
    return "/".join(text_of("en", chance, 1, 4).replace(" ", "-") for _ in range(chance.randint(1, 3)))


def _add_entities(pages: list[Page], chance: Random) -> None:
    """Gives some images an `&` in the URL, and some another character in the text that pages write as an entity."""
    places = [
        (page, place) for page in pages for place, item in enumerate(page.items) if isinstance(item, Image) and item.alt
    ]
    for page, place in _some(places, MIXTURE[URL_ENTITIES], chance):
        url = f"{page.items[place].url}?w={chance.randint(80, 2000)}&fit=crop&q=80"
        page.items[place] = page.items[place]._replace(url=url)
    for page, place in _some(places, MIXTURE[TEXT_ENTITIES], chance):
        item, start = page.items[place], text_of(page.language, chance, 1, 3)
        if isinstance(item, Image):
            page.items[place] = item._replace(alt=f"{start}{chance.choice(list(ENTITIES))}{item.alt}")


@cache
def _vocabulary(language: str) -> tuple[list[str], list[float], str]:
    """Makes words, gives the sums of their weights, and what stands between words."""
    chance = Random(language)
    if language == "en":
        words = [word for word in gzip.decompress(WORDS.read_bytes()).decode().split() if word.isascii()]
        words = chance.sample([word for word in words if word.isalpha()], 20_000)
    else:
        shortest, longest = (1, 4) if language in {"ja", "zh"} else (3, 10)
        lengths = (chance.randint(shortest, longest) for _ in range(5000))
        words = ["".join(chance.choices(LETTERS[language], k=length)) for length in lengths]
    # By Zipf's law, but for the first words, of which a text would hold little else.
    weights = accumulate(1 / (rank + 10) for rank in range(len(words)))
    return words, list(weights), "" if language in {"ja", "zh"} else " "


def text_of(language: str, chance: Random, fewest: int, most: int) -> str:
    """Makes a text of some words."""
    words, weights, space = _vocabulary(language)
    return space.join(chance.choices(words, cum_weights=weights, k=chance.randint(fewest, most)))
