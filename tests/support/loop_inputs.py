"""Archives for the compiled loop, whole and damaged, and what extraction makes of them with the loop and without it."""

import gzip
import json
import struct
import sys
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

from tests.support.archive_files import (
    MemoryStream,
    Outcome,
    extract_outcomes,
    http_response,
    image_link,
    warc_record,
    wat_document,
    wat_record,
)
from tests.support.declarations import AGENTS, any_head, any_header, any_language, any_meta
from tests.support.paths import CHECKOUT
from udfs.compilation import Kernel
from udfs.pairs import ExtractOptions, extract, loop
from udfs.pairs.loop import CompiledLoop

SAMPLE = CHECKOUT / "tests" / "data" / "sample"
KINDS = ["request", "warcinfo", "metadata", "revisit", "conversion", "response", "resource", "continuation", "other"]
TEXTS = [
    "a dog",
    "",
    " ",
    "a\ndog",
    "éü",
    "東京",
    "\ud83d\ude00",
    "\xa0a\xa0",
    "a\\b",
    'a"b',
    "</b>",
    "a\0b",
    "x" * 90,
    '"b' * 80,
]
URLS = ["/a.jpg", "a.jpg", "../b.png", "http://h.org/c?d=e", "//i.org/f", "", "data:,x", "#g", "a b", "é.png", "x:y"]
BASES = [
    "http://example.org/page",
    "https://example.org:8080/a/b.c/d?e/f#g",
    "http://example.org",
    "http://example.org/a//b",
    "http://example.org/.a/b",
    "http://example.org/a;b/c",
    "http://[h/a",
    "http://h℀.org/a",
    "ftp://example.org/a",
    "<http://example.org/page/>",
    "dns:example.org",
    "DNS:example.org",
    "",
    " http://example.org/a ",
    "a",
]
SPELLINGS = [(",", ":"), (", ", ": "), (" ,\n", "\t: ")]


def both(data: bytes, options: ExtractOptions | None = None) -> tuple[Outcome, Outcome, int]:
    """Extracts an archive with the loop, which never gives up, and without it; counts the records that it read."""
    with patch.object(CompiledLoop, "_add_counted", _counting), patch.object(loop, "_MISSES_TO_GIVE_UP", 1 << 60):
        _counting.records = 0  # type: ignore[attr-defined]
        outcome = _extracted(data, options)
        records = int(_counting.records)  # type: ignore[attr-defined]
    with patch.object(extract, "new_loop", lambda _: None):
        return outcome, _extracted(data, options), records


@contextmanager
def without_kernels() -> Iterator[None]:
    """Extraction as on a machine that has compiled nothing yet."""
    with ExitStack() as stack:
        for kernel in loop.KERNELS.kernels:
            stack.enter_context(patch.object(kernel, "loaded", None))
        stack.enter_context(patch.object(Kernel, "load", lambda _: False))
        yield


_add_counted = CompiledLoop._add_counted


def _counting(reader: CompiledLoop, adder: Any) -> None:
    before = adder.rows.numbers["records"]
    _add_counted(reader, adder)
    _counting.records += adder.rows.numbers["records"] - before  # type: ignore[attr-defined]


def _extracted(data: bytes, options: ExtractOptions | None) -> Outcome:
    return extract_outcomes(["a"], options or ExtractOptions(), open_archive=lambda _: MemoryStream(data))[0]


def check(data: bytes, options: ExtractOptions | None = None) -> int:
    """Compares both ways, and the one without compiled code; returns the number of records that the loop read."""
    outcome, expected, records = both(data, options)
    with without_kernels():
        assert _extracted(data, options) == expected
    assert outcome.archive == expected.archive
    assert outcome.rejects == expected.rejects
    assert outcome.pairs == expected.pairs
    return records


def any_link(random: Random) -> object:
    if random.random() < 0.01:
        return random.choice(
            [None, 5, [], {"path": "IMG@/src", "url": None}, {"path": "IMG@/src", "alt": 7}, {"a": {}}, {"a": HUGE}]
        )
    named = {key: random.choice(TEXTS) for key in ("alt", "title", "text") if random.random() < 0.4}
    if random.random() < 0.5:
        return {"path": random.choice(["A@/href", "IMG@/src", "FORM@/action"]), "url": random.choice(URLS), **named}
    return image_link(random.choice(URLS), **named)


AGAIN, HUGE = "(again)", "(huge)"
"""What `any_json` makes a repeated name of, and a number of more digits than `int` reads."""

ODD_METAS = [None, 5, "robots", {}, {"name": "robots"}, {"content": "noai"}, {"name": ["robots"], "content": "noai"}]
ODD_METAS += [
    {"name": "robots", "content": None},
    {"name": None, "content": "noai"},
    {"http-equiv": 1, "content": "en"},
    [],
    {"name": "robots", "content": HUGE},
    {"name": "robots", "content": "noai", f"content{AGAIN}": "noindex"},
    {"name": "robots", f"name{AGAIN}": "tdm-reservation", "content": "1"},
]


def any_metas(random: Random) -> object:
    """The metas of a page, as a WAT has them."""
    if random.random() < 0.03:
        return random.choice([None, {}, "robots", [[]]])
    metas: list[Any] = [
        dict(zip(("name", "content"), any_meta(random), strict=True)) for _ in range(random.randrange(3))
    ]
    if random.random() < 0.6:
        metas.append({"name": random.choice(["HTML@/lang"] * 9 + ["HTML@/LANG"]), "content": any_language(random)})
    if random.random() < 0.3:
        pragma = random.choice(["Content-Language", "content-language", "Content-Type", "content-language "])
        metas.append({"http-equiv": pragma, "content": any_language(random), "name": "x"})
    if random.random() < 0.1:
        metas.append(random.choice(ODD_METAS))
    random.shuffle(metas)
    return metas


def any_headers(random: Random) -> object:
    """The headers of a response, as a WAT has them."""
    if random.random() < 0.03:
        return random.choice([None, [], "X-Robots-Tag: noai", ["X-Robots-Tag", "noai"]])
    headers: dict[str, Any] = {"Server": "x", "Set-Cookie": ["a=b", "c"]}
    for _ in range(random.randrange(2)):
        name, _, value = any_header(random).partition(":")
        headers[name] = random.choice([value.strip()] * 19 + [[value, "noai", 5], None, 1])
        if random.random() < 0.3:
            headers[f"{name}{AGAIN}"] = any_header(random).partition(":")[2].strip()
    if random.random() < 0.02:
        headers["Content-Length"] = HUGE
    return headers


ODD_LINKS = ["IMG@/src", 5, True, None, {}, {"path": "IMG@/src"}]


def any_document(random: Random) -> dict[str, Any]:
    links: object = tuple(any_link(random) for _ in range(random.randrange(8)))
    if random.random() < 0.05:
        links = random.choice(ODD_LINKS)
    base = random.choice(BASES) if random.random() < 0.1 else f"http://example.org/{random.randrange(99)}/"
    head = random.choice(BASE_TAGS) if random.random() < 0.1 else None
    document = wat_document(
        links, base, base=head, status=random.choice(["200"] * 40 + ["404", "206", 200, "2é", None, "20"])
    )
    envelope = document["Envelope"]
    if random.random() < 0.2:
        envelope["WARC-Header-Metadata"]["WARC-Type"] = random.choice(KINDS)
    if random.random() < 0.2:
        envelope["Format"], envelope["Numbers"] = (
            "WARC",
            [1, -0.5e3, True, False, None, {}, [[]], {"a": [1, {"b": "c"}]}],
        )
    if random.random() < 0.05:
        envelope["Deep"] = json.loads("[" * (depth := random.choice([9, 64, 65, 90])) + "]" * depth)
    response = envelope["Payload-Metadata"]["HTTP-Response-Metadata"]
    if random.random() < 0.4:
        response["HTML-Metadata"]["Head"]["Metas"] = any_metas(random)
    if random.random() < 0.4:
        response["Headers"] = any_headers(random)
    if random.random() < 0.1:
        envelope["WARC-Header-Metadata"]["WARC-Target-URI"] = random.choice(BASES)
    if random.random() < 0.05:
        payload = envelope["Payload-Metadata"]
        payload["HTML-Metadata"] = {"Links": [image_link("/payload.jpg", "a dog")]}
    if random.random() < 0.05:
        del envelope["Payload-Metadata"][random.choice(list(envelope["Payload-Metadata"]))]
    return document


def any_json(random: Random) -> bytes:
    """Makes the JSON of a capture, valid as it is."""
    is_ascii, separators = random.random() < 0.15, random.choice(SPELLINGS)
    text = json.dumps(any_document(random), ensure_ascii=is_ascii, separators=separators)
    text = text.replace(AGAIN, "").replace(f'"{HUGE}"', "1" * 5000)
    content = text.encode("utf-8", "surrogatepass")
    return content.replace(b"/", b"\\/") if random.random() < 0.05 else content


FRAGMENTS = [b'"', b"\\", b",", b":", b"{", b"}", b"[", b"]", b" ", b"\n", b"\0", b"\x1f", b"\xff", b"\xc3", b"e", b"0"]
FRAGMENTS += [
    b"\\u0000",
    b"\\ud800",
    b"\\u00e9",
    b"null",
    b"1.5",
    b'"url":"x",',
    b'"path":"IMG@/src",',
    b'"Base":"/x",',
]
FRAGMENTS += [b'"Envelope":{},', b'"Links":[],', b'"Status":"200",', b'"alt":"x"', b'"Metas":[],', b'"Headers":{},']
FRAGMENTS += [
    b'"name":"robots",',
    b'"content":"noai",',
    b'"X-Robots-Tag":"noai",',
    b'{"name":"HTML@/lang","content":"de"},',
]


def mutated(random: Random, content: bytes) -> bytes:
    """Changes some bytes: within texts, where JSON mostly stays valid, or anywhere."""
    for _ in range(random.choice([0] * 9 + [1, 1, 1, 2])):
        at = random.randrange(len(content) + 1)
        kind = random.randrange(8)
        if kind == 0:
            content = content[:at] + random.choice(FRAGMENTS) + content[at:]
        elif kind == 1:
            content = content[:at] + content[at + random.randrange(1, 4) :]
        elif kind == 2:
            content = content[:at] + bytes([random.randrange(256)]) + content[at + 1 :]
        else:
            letters = [place for place, byte in enumerate(content) if 97 <= byte <= 122]
            place = random.choice(letters) if letters else at
            content = content[:place] + bytes([random.randrange(97, 123)]) + content[place + 1 :]
    return content


HEADERS = [b"WARC-Date: 2020", b"content-type: application/json", b"WARC-Type: response", b" folded", b"X", b"a:b"]
HEADERS += [
    b"X : y",
    b"Content-Type : text/html",
    b"X: a\rb",
    b"X: \xff",
    b"WARC/1.0 x",
    b"x: WARC/1.0",
    b"",
    b"X:\r\n y",
]


HEADS = [b"Server: x", b"X-Crawl-Content-Encoding: gzip", b"Content-Encoding: gzip", b"Transfer-Encoding: chunked"]
HEADS += [b"content-type: text/html", b"Content-Type : text/html", b"Content-Type:", b" folded", b"<html>", b"X\nY: z"]
HEADS += [
    b"Content-Type: text/html; charset=iso-8859-1",
    b"Content-Encoding: identity",
    b"X: <b",
    b"a\rb: c",
    b"\xef\xbb\xbf<b>",
]
CONTENT_TYPES = (
    ["text/html"] * 8 + ["text/html; charset=utf-8"] * 8 + ["text/html;charset=ISO-8859-1", "TEXT/HTML ; x=y"]
)
CONTENT_TYPES += [
    "text/html; charset=utf-8/",
    "text/html; charset='utf-8'",
    "text/html;charset=utf-8>",
    "text/html, text/plain",
]
CONTENT_TYPES += [
    "image/png",
    "text/plain",
    "application/xhtml+xml",
    "text/html; charset=",
    "text/html charset=utf-8",
    "",
]
CONTENT_TYPES += [
    "text/html; charset=utf-16",
    "text/html; charset=iso-2022-jp",
    "text/html; charset=x",
    "application/octet-stream",
    "*/*",
    "text/html;charset=windows-1251",
    "image/png; charset=windows-1252",
    "text/",
    "text/html/x",
    "a/b c",
    "text/html; charset=utf-8; charset=koi8-r",
    "text/html; charset=us-ascii; charset=latin1",
]
STARTS = [
    "<!DOCTYPE html><html>",
    "<html>",
    "\n\n<html>",
    "<?xml version='1.0' encoding='utf-8'?><html>",
    "<p>",
    "text<p>",
    "",
]
STARTS += [
    "<?xml version='1.0' encoding=\x01'iso-2022-jp'?>",
    "<?xml encoding='windows-1252'?>",
    "\ufeff<html>",
    "BZh9",
    "<\0p>",
    "HTTP/2 200 OK\r\n\r\n<html>",
    "HTTP/1.1 404 Not Found\r\ncontent-type: text/html\r\n\r\n<html>",
    "<?xml version='1.0'?>\n<!DOCTYPE html PUBLIC '-//W3C//DTD'><html>",
    "<?xml " + 600 * "a" + "?><html>",
    "\x0b<html>",
    "<!DOCTYPE" + 600 * " " + "html><html>",
    "<!-- a --><html>",
    "<html",
]
METAS = [
    "",
    "",
    "",
    "<meta charset=utf-8>",
    "<meta charset='UTF-8'/>",
    "<META HTTP-EQUIV=content-type CONTENT='text/html; charset=utf-8'>",
]
METAS += [
    "<meta charset=iso-8859-1>",
    "<meta charset=\x0b=utf-8>",
    "<meta charset\x0b=iso-2022-jp>",
    "<!-- <meta charset=gbk> -->",
]
METAS += [
    "<meta charset=utf-8/>",
    "<meta charset=' shift_jis '>",
    "<meta charset=utf-16>",
    "a charset of",
    "<meta charset=replacement>",
]
PIECES = [
    "<base href=/b/>",
    "<table>",
    "<td>",
    "<svg>",
    "</svg>",
    "<template>",
    "<!--",
    "-->",
    "<script>",
    "</script>",
    "\x1b$B",
    "~{",
]
METAS += [
    "<meta charset=windows-1251>",
    "<title>charset=utf-8</title><meta charset='windows-1252'>",
    "<script>'<meta charset=utf-8>'</script><meta charset=koi8-r>",
    "<!-- <meta charset=utf-8> --><meta name=a content='charset=utf-8'><meta charset=ISO-8859-2>",
    "<meta content='text/html; charset=iso-8859-15' http-equiv=Content-Type><meta charset=utf-8>",
    "<meta charset charset=utf-8>",
    "<noscript><meta charset=iso-8859-9></noscript>",
    " " * 1100 + "<meta charset=windows-1251>",
]
REFERENCES = (
    "&amp; &AMP &lt; &nbsp; &#39; &#x27; &#X1F600; &#0; &#128; &#xD800; &#1114112; &#39 &# &#x; &#x &copy &copy=1"
)
REFERENCES += (
    " &copyx &copy; &notit; &a=1&b=2 & && &; &eacute; &Eacute &hellip; &rarr; &fjlig; &NotEqualTilde; &#13; &#10;"
)
REFERENCES += (
    " &lang; &thetasym; &#xFFFE; &#x10FFFF; &#00000039; &#9; &#x7F; &apos; &quot &ltx &sup2 &frac12; &lt=a &amp"
)
ODD = [*REFERENCES.split(), "\r\n", "\r", "é", "\x85", "ż", "ш", "€"]
BASE_TAGS = [
    "/c/d/",
    "http://b.org/",
    "https://b.org:80/e/f?g",
    "//b.org/h/",
    "i/",
    "../j",
    "",
    " ",
    "/k/../l/",
    "http://m",
]
BASE_TAGS += [
    "http://n.org/o#p",
    "/q&amp;r/s",
    "mailto:a",
    "http://[",
    "/é/",
    "http://t.org/u&amp;v",
    "/w//x/",
    "/y;z/",
    "/a/..",
    "/a/b/..",
    "/a/b/.",
    "/.",
    "/..",
    "/a/...",
    "/a/.b",
    "http://b.org/a/..",
    "//b.org/a/..",
]
CHARSETS = ["latin-1", "gbk", "cp1251", "cp1252", "iso-8859-2", "koi8-r", "iso-8859-15", "iso-8859-9"]


def any_value(random: Random, values: list[str]) -> str:
    """Gives one of some values, now and then with what HTML reads in another way."""
    value = random.choice(values)
    while random.random() < 0.3:
        value += random.choice(ODD) + random.choice(["", "a", ";", " ", "1"])
    return value


def any_html(random: Random) -> bytes:
    tags = []
    if random.random() < 0.1:
        tags.append("<base href='" + random.choice(BASE_TAGS) + "'>")
    for _ in range(random.randrange(6)):
        values = {"src": any_value(random, URLS), "alt": any_value(random, TEXTS), "title": any_value(random, TEXTS)}
        names = [name for name in values if random.random() < 0.7]
        quoted = [name + '="' + values[name].replace('"', random.choice(["&quot;", "'"])) + '"' for name in names]
        tags.append("<img " + " ".join(quoted) + ">")
        if random.random() < 0.05:
            tags.append(random.choice(PIECES))
    page = (
        random.choice(STARTS[:5] if random.random() < 0.9 else STARTS)
        + random.choice(METAS if random.random() < 0.2 else METAS[:6])
        + (any_head(random) if random.random() < 0.3 else "")
        + "<p>".join(tags)
    )
    return page.encode(random.choice(["utf-8"] * 4 * len(CHARSETS) + CHARSETS), "replace")


def any_page(random: Random) -> bytes:
    """Makes a record that holds a page."""
    status = random.choice(["200 OK"] * 30 + ["404 Not Found", "200", "100 Continue", "2000", "301 a\r\nb", "abc"])
    more = [random.choice(HEADS).decode("latin-1")] if random.random() < 0.1 else []
    more += [any_header(random) for _ in range(random.randrange(2))]
    types = CONTENT_TYPES if random.random() < 0.15 else CONTENT_TYPES[:16]
    content_type = None if random.random() < 0.03 else random.choice(types)
    block = http_response(any_html(random), *more, status=status, content_type=content_type)
    payload = random.choice(
        [b""] * 6
        + [b"text/html"] * 3
        + [b"application/xhtml+xml", b"image/png", b"text/html; a=b", b"text/html; charset=koi8-r", b"*/*"]
    )
    extra = b"WARC-Identified-Payload-Type: " + payload if payload else b""
    uri = random.choice(BASES) if random.random() < 0.1 else "http://example.org/a/"
    return warc_record(mutated(random, block), uri, random.choice(["response"] * 39 + ["resource"]), extra=extra)


def any_record(random: Random) -> bytes:
    kind = random.random()
    if kind < 0.4:
        record = any_page(random)
    elif kind < 0.9:
        record = wat_record(mutated(random, any_json(random)))
    elif kind < 0.97:
        record = warc_record(b"x" * random.randrange(9), None, random.choice(KINDS), "application/http")
    else:
        extra = random.choice(HEADERS)
        record = warc_record(any_json(random), "http://example.org/", "metadata", "application/json", extra=extra)
    if random.random() < 0.01:
        at = random.randrange(min(len(record), 200))
        record = record[:at] + random.choice(FRAGMENTS + HEADERS) + record[at:]
    return record


def archive_of(records: list[bytes]) -> list[bytes]:
    return [gzip.compress(record, 1, mtime=0) for record in records]


def any_archive(random: Random, records: int) -> bytes:
    return b"".join(archive_of([any_record(random) for _ in range(records)]))


def damaged(random: Random, members: list[bytes]) -> bytes:
    """Damages one to three members of an archive."""
    members = list(members)
    for at in random.sample(range(len(members)), random.randint(1, 3)):
        member = members[at]
        place = random.randrange(len(member))
        members[at] = random.choice(
            [
                member[:place],
                member[place:],
                member[:place] + bytes([member[place] ^ 1 << random.randrange(8)]) + member[place + 1 :],
                member[:place] + bytes(random.randrange(1, 30)) + member[place:],
                member[:place] + random.randbytes(random.randrange(1, 30)) + member[place:],
                member[:-8] + random.randbytes(8),
                member + bytes(random.randrange(1, 600)),
                member + b" \r\n" * random.randrange(1, 9),
                member + random.randbytes(random.randrange(1, 99)),
                member + member,
                b"",
                gzip.compress(gzip.decompress(member) * 2, 1, mtime=0),
                gzip.compress(gzip.decompress(member)[: random.randrange(1, 400)], 1, mtime=0),
                gzip.compress(gzip.decompress(member)[random.randrange(1, 400) :], 1, mtime=0),
                gzip.compress(b"", mtime=0) + member,
                *_cut_in_two(gzip.decompress(member), random),
                gzip.decompress(member),
                with_header(gzip.decompress(member), random),
            ]
        )
    return b"".join(members)


def _cut_in_two(record: bytes, random: Random) -> list[bytes]:
    at = random.randrange(1, len(record))
    return [gzip.compress(record[:at], 1, mtime=0) + gzip.compress(record[at:], 1, mtime=0)]


EXTRA, NAME, COMMENT, CHECKED, RESERVED = 4, 8, 16, 2, 32


def with_header(record: bytes, random: Random, flags: int | None = None) -> bytes:
    """Compresses a record into a member with optional fields."""
    flags = random.choice([EXTRA, NAME, COMMENT, EXTRA | NAME | COMMENT, CHECKED, RESERVED]) if flags is None else flags
    header = b"\x1f\x8b\x08" + bytes([flags]) + bytes(6)
    if flags & EXTRA:
        header += struct.pack("<H", 8) + b"sl\4\0" + b"\1\2\3\4"
    header += (b"a name\0" if flags & NAME else b"") + (b"a comment\0" if flags & COMMENT else b"")
    if flags & CHECKED:
        header += struct.pack("<H", zlib.crc32(header) & 0xFFFF ^ random.choice([0, 1]))
    deflated = zlib.compressobj(1, zlib.DEFLATED, -15)
    content = deflated.compress(record) + deflated.flush()
    return header + content + struct.pack("<II", zlib.crc32(record), len(record) & 0xFFFFFFFF)


def real_members(path: Path) -> list[bytes]:
    """Cuts an archive into its members."""
    data, members = path.read_bytes(), []
    while data:
        member = zlib.decompressobj(31)
        member.decompress(data)
        members.append(data[: len(data) - len(member.unused_data)])
        data = member.unused_data
    return members


def check_records(random: Random, archives: int, records: int = 25) -> tuple[int, int]:
    """Compares both ways on mutated records; returns their number, and of those that the loop read."""
    hearing = ExtractOptions(preference_agents=AGENTS)
    read = sum(check(any_archive(random, records), hearing if number % 2 else None) for number in range(archives))
    return archives * records, read


def check_damaged(random: Random, archives: int, members: list[bytes]) -> int:
    """Compares both ways on damaged archives; returns the number of records that the loop read."""
    return sum(check(damaged(random, members)) for _ in range(archives))


def main() -> None:
    """The long form: arguments are the archives of mutated records, and the damaged ones."""
    archives, damages = map(int, sys.argv[1:])
    random = Random(0)
    records, read = check_records(random, archives)
    print(f"{records:,} mutated records have the same result both ways, {read:,} of them read by the loop")
    assert 2 * read >= records
    members = archive_of(
        [wat_record(any_json(random)) if random.random() < 0.5 else any_page(random) for _ in range(60)]
    )
    read = check_damaged(random, damages, members)
    print(f"{damages:,} damaged archives have the same result both ways, {read:,} of their records read by the loop")


if __name__ == "__main__":
    main()
