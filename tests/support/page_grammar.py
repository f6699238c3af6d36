"""Images as they may be: mostly plain, now and then with anything that the rules for URLs and texts look at."""

from random import Random

import numpy as np

from udfs.pages.image_table import HREF, IS_PLAIN, SRC, TAG_COLUMNS, PageImages
from udfs.schemas import SOURCES

Image = tuple[str | None, dict[str, str]]
"""An image's `src` and its texts by source."""

BASES = [
    "http://h.org/a/b/c.html",
    "https://h.org/a/b/?x=/y",
    "http://h.org:80/",
    "https://h.org/a/b#/c/d",
    "http://h.org/a.b/c/d",
]
ODD_BASES = ["http://h.org", "https://h.org/a//b/", "http://h.org?x/y", "", "http://h.org/a;p/b?x=/y/z", "file:///a/b"]
ODD_BASES += [
    "http://[bad",
    "http://[bad/x",
    "http://h℀.org/a",
    "a/b",
    "http://h.org/../x/./y",
    "HTTP://H/a/b",
    "//h/a/b",
]
ODD_BASES += [
    "http:///x/y",
    "http:/a/b",
    "mailto:a/b",
    "http://h.org/é/b",
    "http://h.org/a/é",
    "http://h.org/a b/c",
    "http://h/a:b/c",
]
PREFIXES = ["", "", "", "/", "../", "../../../", "./", "./../", "//i.org/", "https://i.org/", "http://i.org/x/"]
ODD_PREFIXES = [
    "HTTP://i.org/",
    "http://i:80/",
    "//",
    "http://",
    "http:/",
    "data:",
    "/./",
    "javascript:",
    "#",
    "http://.i/",
    " ",
]
NAMES = ["a", "b.jpg", "c-d_e.png", "%20x", "東京.png", "é", "~u", "a.b.c", "(x)", "x@y", "k=v", "!*'$"]
ODD_NAMES = [
    ".",
    "..",
    ".h",
    "...",
    ";p",
    ":",
    "#f",
    " ",
    "\t",
    "\\",
    "[",
    "]",
    "\xa0",
    "\u3000",
    "\x85",
    "\n",
    "",
    "\r",
    "^",
    "\x1f",
]
QUERIES = ["", "", "", "?x=1&y=/z:;a?b", "?é"]
ODD_QUERIES = ["?", "?q[", "?a\t", "?#", "? ", "?\xa0"]
WORDS = ["a", "dog", "é", "ん", "東京", "😀", "᚛", "\u2010", "c" * 30, "x\u2003y", " ", " ", "\n", "\r", "\t"]
ODD_WORDS = ["\x1c", "\x0b", "\x1f", "\x00", "\xa0", "\x85", "\u1680", "\u2003", "\u2028", "\u202f", "\u205f", "\u3000"]
ODD_WORDS += ["\u200b", "\u180e", "\ufeff", "\u3001"]


def pick(random: Random, usual: list[str], odd: list[str], share: float = 0.04) -> str:
    return random.choice(odd if random.random() < share else usual)


def make_url(random: Random) -> str | None:
    if random.random() < 0.03:
        return random.choice([None, "", "data:image/gif;base64,AA"])
    names = [pick(random, NAMES, ODD_NAMES) for _ in range(random.randint(1, 3))]
    path = pick(random, ["/"], ["//"]).join(names)
    return pick(random, PREFIXES, ODD_PREFIXES) + path + pick(random, QUERIES, ODD_QUERIES)


def make_text(random: Random) -> str:
    return "".join(pick(random, WORDS, ODD_WORDS) for _ in range(random.choice([0, 1, 2, 3, 5])))


def make_image(random: Random) -> Image:
    return make_url(random), {source: make_text(random) for source in SOURCES if random.random() < 0.6}


def make_base(random: Random) -> str:
    return pick(random, BASES, ODD_BASES, 0.2)


def page_of(images: list[Image], base: str, *, are_plain: bool = True) -> PageImages:
    """Lays the values of images down as the scanners find them."""
    content = b"<"
    rows = np.full((len(images), TAG_COLUMNS), -1, np.int64)
    for row, (src, named) in zip(rows, images, strict=True):
        row[IS_PLAIN] = are_plain
        for at, value in zip(range(SRC, HREF, 2), (src, *(named.get(source) for source in SOURCES)), strict=True):
            if value is not None:
                row[at], row[at + 1] = len(content), len(content) + len(value.encode())
                content += value.encode() + b'"'
    return PageImages("http://page.org/", base, content, rows)
