"""Writes the sample: six WARCs of invented pages, the WATs that belong to them, and each page's true charset.

The result depends on nothing but this script and its two neighbours: the same bytes come out each time (where zlib is
the same; with another zlib the decompressed bytes are the same, but for the offsets that the WATs tell).

Usage: python tests/data/make_sample.py [FOLDER]
"""

import gzip
import json
import sys
import uuid
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from sample_pages import Image, Page, build_page, with_declaration
from sample_sentences import CAPTIONS, Words
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

SEED = "metaclip-spark sample 1"
ARCHIVES = 6
PAGES_PER_ARCHIVE = 56
DATE = "2024-05-06T07:08:09Z"
LANGUAGES = (
    ("en",) * 58 + ("de",) * 8 + ("fr",) * 7 + ("es",) * 6 + ("ru",) * 6 + ("bg",) * 4 + ("zh",) * 5 + ("ja",) * 6
)
LEGACY = {
    "en": ("cp1252", "iso-8859-1"),
    "de": ("cp1252", "ISO-8859-1"),
    "fr": ("cp1252", "latin1"),
    "es": ("cp1252", "windows-1252"),
    "ru": ("cp1251", "windows-1251"),
    "bg": ("cp1251", "Windows-1251"),
    "zh": ("gbk", "gb2312"),
    "ja": ("cp932", "Shift_JIS"),
}
"""Language to Python's codec and the label under which pages declare it."""


@dataclass(frozen=True)
class Body:
    """A page's bytes and how they are declared.

    Attributes:
        data: The document, encoded.
        charset: The codec that decodes it.
        declared: Where the charset is declared: `bom`, `header`, `meta` or `nowhere`.
        content_type: The HTTP header's value, or None for no such header.
    """

    data: bytes
    charset: str
    declared: str
    content_type: str | None


def encode_page(words: Words, page: Page) -> Body:
    """Chooses a charset and a way to declare it, and encodes the page."""
    kind = words.number(0, 19)
    if kind == 0:
        data = b"\xff\xfe" + with_declaration(page.html, None, 0).encode("utf-16-le")
        return Body(data, "utf-16-le", "bom", "text/html")
    if kind == 1:
        data = with_declaration(page.html, None, 0).encode("utf-16-le")
        return Body(data, "utf-16-le", "header", "text/html; charset=UTF-16LE")
    if kind <= 3:
        data = b"\xef\xbb\xbf" + with_declaration(page.html, None, 0).encode()
        return Body(data, "utf-8", "bom", words.pick(("text/html", "text/html; charset=ISO-8859-1")))
    legacy = words.chance(0.35 if LEGACY[page.language][0] == "cp1252" else 0.8)
    return _declare(
        words, page, *(LEGACY[page.language] if legacy else ("utf-8", words.pick(("utf-8", "UTF-8", "utf8"))))
    )


def _declare(words: Words, page: Page, codec: str, label: str) -> Body:
    style, way = words.number(0, 2), words.number(0, 9)
    if way <= 2:
        plain = with_declaration(page.html, None, style).encode(codec)
        header = words.pick(("text/html; charset={}", 'text/html;charset="{}"', "TEXT/HTML; Charset={}; x=y"))
        return Body(plain, codec, "header", header.format(label))
    if way == 3:
        wrong = with_declaration(page.html, "utf-8" if codec != "utf-8" else "iso-8859-1", style).encode(codec)
        return Body(wrong, codec, "header", f"text/html; charset={label}")
    if way <= 6:
        data = with_declaration(page.html, label, style).encode(codec)
        return Body(
            data, codec, "meta", words.pick(("text/html", "text/html; charset=none", "application/xhtml+xml", None))
        )
    return Body(with_declaration(page.html, None, style).encode(codec), codec, "nowhere", "text/html")


def transfer(words: Words, data: bytes) -> tuple[bytes, list[tuple[str, str]]]:
    """Returns the bytes as sent, with the headers that say (or wrongly say) how they were sent."""
    kind = words.number(0, 19)
    headers: list[tuple[str, str]] = []
    if kind == 0:
        return data, [("Content-Encoding", "gzip"), ("Content-Length", str(len(data)))]
    if kind == 1:
        return data, [("X-Crawl-Content-Encoding", "gzip"), ("X-Crawl-Transfer-Encoding", "chunked")]
    if kind == 2:
        data, headers = zlib.compress(data, 9), [("Content-Encoding", "deflate")]
    elif kind <= 6:
        data, headers = gzip.compress(data, 9, mtime=0), [("Content-Encoding", "gzip")]
    if words.chance(0.25):
        return _chunked(data), [*headers, ("Transfer-Encoding", "chunked")]
    return data, [*headers, ("Content-Length", str(len(data)))]


def _chunked(data: bytes, size: int = 1500) -> bytes:
    parts = [data[start : start + size] for start in range(0, len(data), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def html_metadata(page: Page) -> dict[str, object]:
    """Returns what a WAT says of a page's HTML. Attributes that are missing or empty have no key, as in real ones."""
    head: dict[str, object] = {"Metas": [{"name": "generator", "content": "made by hand"}], "Title": page.title}
    if page.base is not None:
        head["Base"] = page.base
    links: list[dict[str, str]] = []
    for image in page.images:
        if image.src is not None:
            texts = {"alt": image.alt, "title": image.title}
            links.append({"path": "IMG@/src", "url": image.src} | {key: text for key, text in texts.items() if text})
        if image.long_description:
            links.append({"path": "IMG@/longdesc", "url": image.long_description})
    links.extend({"path": "A@/href", "url": href, "text": text} for href, text in page.anchors)
    return {"Head": head, "Links": links}


class ArchivePair:
    """One WARC and its WAT, written side by side."""

    def __init__(self, name: str, *, brackets: bool) -> None:
        self.name = name
        self._brackets = brackets
        self._warc, self._wat = BytesIO(), BytesIO()
        self._records = 0
        self._warc_writer, self._wat_writer = (WARCWriter(stream, gzip=True) for stream in (self._warc, self._wat))
        fields = b"software: make_sample.py\r\nformat: WARC File Format 1.0\r\n"
        self.add("warcinfo", None, fields, content_type="application/warc-fields", extra={"WARC-Filename": name})

    def _identifier(self, kind: str) -> str:
        self._records += 1
        return f"<urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'{self.name}/{kind}/{self._records}')}>"

    def add(
        self,
        kind: str,
        url: str | None,
        block: bytes,
        *,
        content_type: str,
        http: StatusAndHeaders | None = None,
        extra: dict[str, str] | None = None,
        html: dict[str, object] | None = None,
    ) -> None:
        """Writes one record to the WARC and the metadata record on it to the WAT."""
        start = self._warc.tell()
        headers = {"WARC-Record-ID": self._identifier(kind), "WARC-Date": DATE, **(extra or {})}
        target = f"<{url}>" if self._brackets and url else url
        record = self._warc_writer.create_warc_record(
            target, kind, BytesIO(block), warc_content_type=content_type, warc_headers_dict=headers, http_headers=http
        )
        self._warc_writer.write_record(record)
        member = self._warc.getvalue()[start:]
        envelope = _envelope(gzip.decompress(member), content_type, http, html)
        container = {"Filename": self.name, "Compressed": True, "Offset": str(start), **_gzip_metadata(member)}
        self._add_metadata(
            {"Container": container, "Envelope": envelope}, target or self.name, headers["WARC-Record-ID"]
        )

    def _add_metadata(self, metadata: dict[str, object], target: str, refers_to: str) -> None:
        text = json.dumps(metadata, ensure_ascii=False, separators=(",", ":"))
        # A lone surrogate has no UTF-8: it is written as the JSON escape that real WATs have.
        line = text.encode("utf-8", "backslashreplace")
        headers = {"WARC-Record-ID": self._identifier("metadata"), "WARC-Date": DATE, "WARC-Refers-To": refers_to}
        if self._wat.tell() == 0:
            self._write_wat_information()
        record = self._wat_writer.create_warc_record(
            target, "metadata", BytesIO(line), warc_content_type="application/json", warc_headers_dict=headers
        )
        self._wat_writer.write_record(record)

    def _write_wat_information(self) -> None:
        fields = b"Software-Info: make_sample.py\r\nformat: WARC File Format 1.0\r\n"
        headers = {"WARC-Record-ID": self._identifier("wat"), "WARC-Date": DATE, "WARC-Filename": wat_name(self.name)}
        record = self._wat_writer.create_warc_record(
            None, "warcinfo", BytesIO(fields), warc_content_type="application/warc-fields", warc_headers_dict=headers
        )
        self._wat_writer.write_record(record)

    def save(self, folder: Path) -> None:
        """Writes both files."""
        (folder / self.name).write_bytes(self._warc.getvalue())
        (folder / wat_name(self.name)).write_bytes(self._wat.getvalue())


def wat_name(warc_name: str) -> str:
    """Returns the name of a WARC's WAT, as Common Crawl forms it."""
    return warc_name.removesuffix(".gz") + ".wat.gz"


def _gzip_metadata(member: bytes) -> dict[str, object]:
    inflated = gzip.decompress(member)
    checksum = zlib.crc32(inflated)
    return {
        "Gzip-Metadata": {
            "Deflate-Length": str(len(member)),
            "Header-Length": "10",
            "Footer-Length": "8",
            "Inflated-CRC": str(checksum - (1 << 32) if checksum >> 31 else checksum),
            "Inflated-Length": str(len(inflated)),
        }
    }


def _envelope(
    record: bytes, content_type: str, http: StatusAndHeaders | None, html: dict[str, object] | None
) -> dict[str, object]:
    head, _, block = record.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:])
    payload: dict[str, object] = {
        "Actual-Content-Type": content_type,
        "Actual-Content-Length": headers["Content-Length"],
    }
    if http is not None:
        payload |= _http_metadata(http, block[:-4], html)
    return {
        "Payload-Metadata": payload,
        "Format": lines[0],
        "WARC-Header-Length": str(len(head) + 4),
        "WARC-Header-Metadata": headers,
    }


def _http_metadata(http: StatusAndHeaders, block: bytes, html: dict[str, object] | None) -> dict[str, object]:
    head, _, entity = block.partition(b"\r\n\r\n")
    lengths = {"Headers-Length": str(len(head) + 4), "Entity-Length": str(len(entity))}
    if http.protocol == "GET":
        path, _, version = http.statusline.partition(" ")
        message = {"Method": "GET", "Path": path, "Version": version}
        return {"HTTP-Request-Metadata": {"Request-Message": message, "Headers": dict(http.headers), **lengths}}
    status, _, reason = http.statusline.partition(" ")
    response: dict[str, object] = {
        "Response-Message": {"Status": status, "Version": "HTTP/1.1", "Reason": reason},
        "Headers": dict(http.headers),
    }
    if html is not None:
        response["HTML-Metadata"] = html
    return {"HTTP-Response-Metadata": response | lengths}


class Crawl:
    """The invented crawl: its sites with their shared images, and the pages fetched so far."""

    def __init__(self) -> None:
        self.words = Words(SEED)
        self.charsets: dict[str, dict[str, str]] = {}
        self._fetched: list[tuple[Page, Body]] = []
        self._shared = {
            (language, site): self._site_images(language, site) for language in CAPTIONS for site in range(4)
        }

    def _site_images(self, language: str, site: int) -> list[Image]:
        host = f"https://{language}{site}.example.org"
        caption = CAPTIONS[language]
        images = [
            Image(f"{host}/logo.png", alt=caption(self.words)),
            Image("/banner.jpg", caption(self.words), "banner"),
        ]
        return images[: self.words.number(0, 2)]

    def next_page(self) -> tuple[Page, Body]:
        """Returns a new page, or now and then one that was fetched before."""
        if self._fetched and self.words.chance(0.03):
            return self.words.pick(self._fetched)
        language, site = self.words.pick(LANGUAGES), self.words.number(0, 3)
        scheme = self.words.pick(("https", "https", "http"))
        path = f"{self.words.pick(('', 'a/', 'a/b/'))}page-{len(self._fetched)}.html"
        url = f"{scheme}://{language}{site}.example.org/{path}"
        page = build_page(self.words, url, language, shared=self._shared[language, site])
        body = encode_page(self.words, page)
        self._fetched.append((page, body))
        self.charsets[url] = {"charset": body.charset, "declared": body.declared, "language": language}
        return page, body


def add_request(archive: ArchivePair, url: str) -> None:
    """Writes the request record that goes before a response."""
    host, _, path = url.split("://", 1)[1].partition("/")
    headers = [("Host", host), ("User-Agent", "sample")]
    http = StatusAndHeaders(f"GET /{path} HTTP/1.1", headers, is_http_request=True)
    archive.add("request", url, b"", content_type="application/http; msgtype=request", http=http)


def add_response(
    archive: ArchivePair,
    url: str,
    data: bytes,
    status: str,
    headers: Sequence[tuple[str, str]],
    *,
    extra: dict[str, str] | None = None,
    html: dict[str, object] | None = None,
) -> None:
    """Writes one HTTP response."""
    http = StatusAndHeaders(status, [*headers, ("Server", "sample")], protocol="HTTP/1.1")
    response = "application/http; msgtype=response"
    archive.add("response", url, data, content_type=response, http=http, extra=extra, html=html)


def add_page(archive: ArchivePair, words: Words, page: Page, body: Body, *, identify: bool) -> None:
    """Writes a page's request and response, and sometimes a metadata record on it."""
    add_request(archive, page.url)
    data, headers = transfer(words, body.data)
    content_type, extra = body.content_type, {}
    if identify:
        extra["WARC-Identified-Payload-Type"] = "text/html"
        if body.declared in {"meta", "nowhere"} and words.chance(0.1):
            content_type = "application/octet-stream"
    if words.chance(0.02):
        extra["WARC-Truncated"] = "length"
    if content_type is not None:
        headers.insert(0, ("Content-Type", content_type))
    add_response(archive, page.url, data, "200 OK", headers, extra=extra, html=html_metadata(page))
    if words.chance(0.2):
        archive.add("metadata", page.url, b"fetchTimeMs: 12\r\n", content_type="application/warc-fields")


def add_non_page(archive: ArchivePair, words: Words, number: int) -> None:
    """Writes a record that is no page: an error or a redirect with HTML, a PDF, a picture, a revisit, a lookup."""
    url = f"https://en0.example.org/other/{number}"
    image = Image("/trap.jpg", alt="an image of a page that was not found")
    trap = f"<!DOCTYPE html><title>No page</title><img src={image.src} alt='{image.alt}'>".encode()
    html = html_metadata(Page(url, "en", images=[image], title="No page"))
    as_html, address = ("Content-Type", "text/html"), ("Location", "https://en0.example.org/page-0.html")
    kind = words.number(0, 8)
    if kind <= 1:
        add_response(archive, url, trap, "404 Not Found", [as_html], html=html)
    elif kind == 2:
        add_response(
            archive, url, trap, words.pick(("301 Moved Permanently", "302 Found")), [as_html, address], html=html
        )
    elif kind == 3:
        add_response(archive, url, trap, "503 Service Unavailable", [as_html], html=html)
    elif kind == 4:
        add_response(
            archive,
            url,
            b"%PDF-1.4\n<img src=/a.jpg alt=pdf>\n%%EOF\n",
            "200 OK",
            [("Content-Type", "application/pdf")],
        )
    elif kind == 5:
        add_response(archive, url, b"\xff\xd8\xff\xe0\x00\x10JFIF", "200 OK", [("Content-Type", "image/jpeg")])
    elif kind == 6:
        add_response(
            archive, url, b'{"html": "<img src=/a.jpg alt=json>"}', "200 OK", [("Content-Type", "application/json")]
        )
    elif kind == 7:
        http = StatusAndHeaders("200 OK", [as_html], protocol="HTTP/1.1")
        profile = {"WARC-Profile": "http://netpreserve.org/warc/1.0/revisit/identical-payload-digest"}
        archive.add("revisit", url, b"", content_type="application/http; msgtype=response", http=http, extra=profile)
    else:
        archive.add(
            "response",
            "dns:en0.example.org",
            b"20240506070809\nen0.example.org. 300 IN A 192.0.2.1\n",
            content_type="text/dns",
        )


def write_sample(folder: Path) -> None:
    """Writes all archives and PAGES.json into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    crawl = Crawl()
    for number in range(ARCHIVES):
        archive = ArchivePair(f"sample-{number:05d}.warc.gz", brackets=number == 3)
        for place in range(PAGES_PER_ARCHIVE):
            page, body = crawl.next_page()
            add_page(archive, crawl.words, page, body, identify=number % 2 == 0)
            if crawl.words.chance(0.25):
                add_non_page(archive, crawl.words, number * PAGES_PER_ARCHIVE + place)
        archive.save(folder)
    text = json.dumps(crawl.charsets, indent=1, sort_keys=True)
    (folder / "PAGES.json").write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    write_sample(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("sample"))
