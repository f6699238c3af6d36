"""What pages declare, as they may: mostly in the usual forms, now and then with anything that the rules look at."""

from random import Random

LANGUAGES = ["en", "de", "en-US", "zh-Hant", "zh-yue", "pt_BR", "yue", "nb", "EN", "eng"]
ODD_LANGUAGES = [
    "",
    " en ",
    "iw",
    "in",
    "nob",
    "ger",
    "und",
    "x-klingon",
    "english",
    "jp",
    "e",
    "zh-yuex",
    "en,de",
    "\0en",
]
ODD_LANGUAGES += ["en\xa0", "É", "en\t-", "zh_YUE-HK", "-en", "de&amp;", "&#100;e", "K"]
NAMES = ["robots", "robots", "tdm-reservation", "viewport", "description", "googlebot"]
AGENTS = ("a", "googlebot", "kbot")
"""Some of whom the declarations name, as `--preference-agent` gives them."""
ODD_NAMES = [
    "\u212abot",
    " GoogleBot ",
    "googlebot/2",
    "ROBOTS",
    " robots\n",
    "robots\x0b",
    "robot",
    "robo&#116;s",
    "",
    "TDM-Reservation",
    "\0robots",
    "a&b",
]
CONTENTS = [
    "noai, noimageai",
    "noindex,nofollow",
    "NONE",
    "noimageindex",
    "index, follow",
    "all",
    "1",
    "0",
    "max-snippet:-1, noai",
]
ODD_CONTENTS = [
    "GOOGLEBOT :noai, somebot: noimageai",
    "\u212abot: noai",
    "somebot: noai, noindex",
    "a: noai, *: noindex",
    "noai ;",
    "no ai",
    "noai\r\n,\tnoindex\x0b",
    ":noai",
    ",,",
    " 1 ",
    "1, 1",
]
ODD_CONTENTS += [
    "unavailable_after: 1 Jan 2030 10:00:00 GMT, noai",
    "a b: noai",
    "no&#97;i",
    "noai\xa0",
    "noai\0",
    "",
    "a\\b, noai",
    '"noai"',
]
HEADERS = [
    "X-Robots-Tag: noai",
    "x-robots-tag: noindex, noimageai",
    "X-Robots-Tag: googlebot: noindex",
    "TDM-Reservation: 1",
]
HEADERS += [
    "Content-Usage: train-ai=n",
    "content-usage: search=y, train-ai=n;x=1",
    "tdm-reservation: 0",
    "X-Robots-Tag:none",
]
ODD_HEADERS = [
    "X-Robots-Tag : noai",
    "X-Robots-Tag:",
    "X-Robots-Tag",
    "X-Robots-Tag: noai\r x",
    "X-Robots-Tag: a,\r\n noai",
    "Content-Usage: TRAIN-AI=N",
]
ODD_HEADERS += [
    "X-Robots-Tagged: noai",
    "\tX-Robots-Tag: noai",
    "Content-Usage: train-ai = n",
    "X-Robots-Tag: \xa0noai",
    "X-Robots-Tag:\x0bnoai",
    "X:1",
]


def pick(random: Random, usual: list[str], odd: list[str], share: float = 0.08) -> str:
    return random.choice(odd if random.random() < share else usual)


def any_language(random: Random) -> str:
    return pick(random, LANGUAGES, ODD_LANGUAGES)


def any_meta(random: Random) -> tuple[str, str]:
    """A meta's name and its content."""
    return pick(random, NAMES, ODD_NAMES), pick(random, CONTENTS, ODD_CONTENTS)


def any_header(random: Random) -> str:
    return pick(random, HEADERS, ODD_HEADERS)


HEAD_PIECES = [
    "<html>",
    "<head>",
    "</head>",
    "<body>",
    "</body>",
    "</html>",
    "<noscript>",
    "</noscript>",
    "<title>a</title>",
]
HEAD_PIECES += [
    "<style>a</style>",
    "<script>x</script>",
    "<link>",
    "<bgsound>",
    "<base>",
    "text",
    " \n\f\r\t",
    "<!-- c -->",
]
HEAD_PIECES += [
    "&nbsp;",
    "&#32;",
    "<br>",
    "</br>",
    "</p>",
    "<p>",
    "\0",
    "\x0b",
    "<noframes><p></noframes>",
    "</title>",
    "</>",
]
HEAD_PIECES += [
    "<textarea></textarea>",
    "<!doctype html>",
    "<?xml x?>",
    "</head x=1>",
    "<basefont/>",
    "<3",
    "<iframe></iframe>",
]


def any_head(random: Random) -> str:
    """The begin of a page, which may be anything that ends a head, too."""
    pieces = [random.choice(HEAD_PIECES) for _ in range(random.randrange(4))]
    for _ in range(random.randrange(1, 4)):
        name, content = (value.replace('"', "'") for value in any_meta(random))
        attributes = [f'name="{name}"', f'content="{content}"', random.choice(["name=x", "CONTENT=noai", "a", ""])]
        random.shuffle(attributes)
        pieces.append(f"<{random.choice(['meta', 'META'])} {' '.join(attributes)}>")
    for _ in range(random.randrange(2)):
        tag, name = random.choice(["html", "HTML", "html xmlns=x"]), random.choice(["lang", "Lang", "langs"])
        pieces.append(f"<{tag} {name}='{any_language(random)}'>")
    random.shuffle(pieces)
    return "".join(pieces)
