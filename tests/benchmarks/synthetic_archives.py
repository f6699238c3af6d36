"""Archives of the pages of `synthetic_pages`, as Common Crawl writes them: three records for each page.

A WARC file has request, response and metadata, a WAT file the JSON of each; every record is a gzip member.
"""

import gzip
import hashlib
import json
from base64 import b32encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from random import Random
from uuid import UUID

from tests.benchmarks.synthetic_pages import ENTITIES, Image, Link, Page, text_of

Record = tuple[dict[str, str], bytes]
"""The header and the block of a record."""

Json = Mapping[str, "Json"] | Sequence["Json"] | str | bool

NAME = "CC-MAIN-20241003094020-20241003124020-00001.warc.gz"
DATE = "2024-10-03T09:40:20Z"
USER_AGENT = "CCBot/2.0 (https://commoncrawl.org/faq/)"
RESPONSE, REQUEST, FIELDS = (
    "application/http; msgtype=response",
    "application/http; msgtype=request",
    "application/warc-fields",
)
LINKS_IN_LIST = 8
LINKS_TO_A_PARAGRAPH = 4
SCRIPT_BYTES = 9000
_TO_ENTITIES = str.maketrans(ENTITIES)


def write_archive(path: Path, records: Iterable[Record]) -> None:
    """Writes an archive, each record a gzip member."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as out:
        for headers, block in records:
            lines = [f"{name}: {value}" for name, value in {**headers, "Content-Length": len(block)}.items()]
            out.write(gzip.compress("\r\n".join(["WARC/1.0", *lines, "", ""]).encode() + block + b"\r\n\r\n", mtime=0))


def warc_records(pages: Iterable[Page]) -> Iterator[Record]:
    """Writes pages as a WARC file keeps them."""
    yield _header("warcinfo", FIELDS, Random(NAME)) | {"WARC-Filename": NAME}, b"software: Apache Nutch 1.20\r\n"
    for page in pages:
        chance = Random(page.url)
        for kind, content_type, block in _blocks(page):
            headers = _header(kind, content_type, chance) | {"WARC-IP-Address": "203.0.113.7"}
            headers |= {"WARC-Target-URI": page.url, "WARC-Block-Digest": _digest(block)}
            if kind == "response" and page.content_type is not None:
                headers["WARC-Identified-Payload-Type"] = "text/html"
            yield headers, block


def wat_records(pages: Iterable[Page]) -> Iterator[Record]:
    """Writes pages as a WAT file describes them."""
    yield _header("warcinfo", FIELDS, Random(NAME)) | {"WARC-Filename": NAME}, b"software: ia-web-commons 1.1.9\r\n"
    for page in pages:
        chance, offset = Random(page.url), 0
        for kind, content_type, payload in _payloads(page):
            described = _header(kind, content_type, chance) | {"WARC-Target-URI": page.url}
            container = {"Filename": NAME, "Compressed": True, "Offset": str(offset), "Gzip-Metadata": _gzip(chance)}
            payload |= {"Actual-Content-Type": content_type, "Trailing-Slop-Length": "4", "Block-Digest": _digest(b"")}
            envelope = {"Format": "WARC/1.0", "WARC-Header-Length": "434", "WARC-Header-Metadata": described}
            document = {"Container": container, "Envelope": {"Payload-Metadata": payload, **envelope}}
            block = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
            yield _header("metadata", "application/json", chance) | {"WARC-Target-URI": page.url}, block
            offset += chance.randint(400, 40_000)


def _header(kind: str, content_type: str, chance: Random) -> dict[str, str]:
    uuid = UUID(int=chance.getrandbits(128), version=4)
    return {"WARC-Type": kind, "WARC-Date": DATE, "WARC-Record-ID": f"<urn:uuid:{uuid}>", "Content-Type": content_type}


def _digest(content: bytes) -> str:
    return f"sha1:{b32encode(hashlib.sha1(content, usedforsecurity=False).digest()).decode()}"


def _blocks(page: Page) -> Iterator[tuple[str, str, bytes]]:
    """Gives kind, type and block of a page's records."""
    _, _, host, path = page.url.split("/", 3)
    request = f"GET /{path} HTTP/1.1\r\nUser-Agent: {USER_AGENT}\r\nAccept-Encoding: br,gzip\r\nHost: {host}\r\n\r\n"
    yield "request", REQUEST, request.encode()
    headers = "".join(f"{name}: {value}\r\n" for name, value in _response_headers(page).items())
    body = html_of(page).encode(page.charset, "xmlcharrefreplace")
    yield "response", RESPONSE, f"HTTP/1.1 200 OK\r\n{headers}\r\n".encode() + body
    fields = f"fetchTimeMs: 214\r\ncharset-detected: {page.charset}\r\nlanguages-cld2: {_languages(page)}\r\n"
    yield "metadata", FIELDS, fields.encode()


def _payloads(page: Page) -> Iterator[tuple[str, str, dict[str, Json]]]:
    """Gives kind, type and payload of what describes a page's records."""
    _, _, host, path = page.url.split("/", 3)
    headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "br,gzip", "Host": host, "Connection": "Keep-Alive"}
    line = {"Method": "GET", "Path": f"/{path}", "Version": "HTTP/1.1"}
    request: Json = {"Request-Message": line, "Headers": headers, "Entity-Length": "0", "Headers-Length": "230"}
    yield "request", REQUEST, {"HTTP-Request-Metadata": request}
    metas = [*_metas(page), *([{"name": "HTML@/lang", "content": page.language}] if page.has_lang else [])]
    head: Json = {"Title": _title(page), "Metas": metas, "Link": _head_links(page), "Scripts": _scripts_of(page)}
    response: dict[str, Json] = {
        "Response-Message": {"Status": "200", "Version": "HTTP/1.1", "Reason": "OK"},
        "Headers": _response_headers(page),
        "Headers-Length": "702",
        "Entity-Length": str(page.html_bytes),
        "HTML-Metadata": {"Head": head, "Links": [_described(item) for item in page.items]},
    }
    yield "response", RESPONSE, {"HTTP-Response-Metadata": response}
    records = [
        {"Name": "fetchTimeMs", "Value": "214"},
        {"Name": "charset-detected", "Value": "UTF-8"},
        {"Name": "languages-cld2", "Value": _languages(page)},
    ]
    yield "metadata", FIELDS, {"WARC-Metadata-Metadata": {"Metadata-Records": records}}


def _described(item: Link | Image) -> dict[str, Json]:
    if isinstance(item, Link):
        return {"path": "A@/href", "url": item.url, "text": item.text}
    texts = {name: text for name, text in (("alt", item.alt), ("title", item.title)) if text is not None}
    return {"path": "IMG@/src", "url": item.url, **texts}


def _gzip(chance: Random) -> dict[str, Json]:
    sizes = {"Deflate-Length": str(chance.randint(400, 40_000)), "Inflated-Length": str(chance.randint(600, 160_000))}
    return {**sizes, "Header-Length": "10", "Footer-Length": "8", "Inflated-CRC": str(chance.getrandbits(31))}


def _languages(page: Page) -> str:
    return json.dumps({"reliable": True, "text-bytes": 4711, "languages": [{"code": page.language, "score": 0.98}]})


def _response_headers(page: Page) -> dict[str, str]:
    charset = f"; charset={page.charset.upper()}" if page.declared == "header" else ""
    headers = {"Date": "Thu, 03 Oct 2024 09:40:20 GMT", "Server": "nginx"}
    if page.content_type is not None:
        headers["Content-Type"] = page.content_type + charset
    headers |= {"X-Crawler-Content-Length": str(page.html_bytes // 5), "Content-Length": str(page.html_bytes)}
    headers |= {"X-Crawler-Content-Encoding": "gzip", "Vary": "Accept-Encoding", "Connection": "keep-alive"}
    headers |= {"Strict-Transport-Security": "max-age=31536000", "Cache-Control": "max-age=0, private"}
    headers |= {"Link": f'<https://{page.url.split("/")[2]}/wp-json/>; rel="https://api.w.org/"'}
    if page.robots_header is not None:
        headers["X-Robots-Tag"] = page.robots_header
    return headers


def _title(page: Page) -> str:
    return text_of(page.language, Random(page.url), 3, 9)


def _metas(page: Page) -> list[dict[str, str]]:
    title, description = _title(page), text_of(page.language, Random(page.url), 15, 30)
    declared = {"http-equiv": "Content-Type", "content": f"text/html; charset={page.charset}"}
    robots = {"name": "robots", "content": page.robots or ""}
    return [
        *([declared] if page.declared == "meta" else []),
        {"name": "viewport", "content": "width=device-width, initial-scale=1"},
        *([robots] if page.robots else []),
        {"name": "description", "content": description},
        {"property": "og:title", "content": title},
        {"property": "og:description", "content": description},
        {"property": "og:url", "content": page.url},
        {"property": "og:type", "content": "article"},
        {"name": "twitter:card", "content": "summary_large_image"},
        {"name": "generator", "content": "WordPress 6.6.2"},
    ]


def _head_links(page: Page) -> list[dict[str, str]]:
    start, chance = "/".join(page.url.split("/")[:3]), Random(page.url)
    themes = [f"{start}/assets/{text_of('en', chance, 1, 1)}.css?ver={chance.randint(1, 99)}" for _ in range(8)]
    links = [{"path": "LINK@/href", "url": url, "rel": "stylesheet", "type": "text/css"} for url in themes]
    return [{"path": "LINK@/href", "url": page.url, "rel": "canonical"}, *links]


def _scripts_of(page: Page) -> list[dict[str, str]]:
    start, chance = "/".join(page.url.split("/")[:3]), Random(page.url)
    urls = [f"{start}/assets/{text_of('en', chance, 1, 1)}.min.js?ver={chance.randint(1, 99)}" for _ in range(10)]
    return [{"path": "SCRIPT@/src", "url": url, "type": "text/javascript"} for url in urls]


def html_of(page: Page) -> str:
    """Writes a page as HTML, with scripts up to its length."""
    chance = Random(page.url)
    parts = []
    for place, item in enumerate(page.items):
        if place % LINKS_IN_LIST == 0:
            parts.append('\n</ul></div></div>\n<div class="row section"><div class="col-md-4"><ul class="list">')
        parts.append(_markup(item, place))
        if place % LINKS_TO_A_PARAGRAPH == 0:
            text, name = text_of(page.language, chance, 20, 60), text_of(page.language, chance, 1, 3)
            parts.append(f'\n<li><p class="excerpt"><span class="author">{name}</span> {text}</p></li>')
    head = _head(page)
    missing = page.html_bytes - len(head) - sum(map(len, parts))
    while missing > 0:
        script = chance.choice(_script_texts())[:missing]
        parts.insert(chance.randint(0, len(parts)), f"\n<script>{script}</script>")
        missing -= len(script)
    return f'{head}<body class="post"><div><div><ul>{"".join(parts)}\n</ul></div></div></body>\n</html>\n'


def _head(page: Page) -> str:
    tags = [f'<base href="{page.base}">'] if page.base else []
    tags += [f"<title>{_title(page)}</title>", *(_tag("meta", meta) for meta in _metas(page))]
    tags += [_tag("link", {"rel": link["rel"], "href": link["url"]}) for link in _head_links(page)]
    tags += [_tag("script", {"src": script["url"]}) + "</script>" for script in _scripts_of(page)]
    lang = f' lang="{page.language}"' if page.has_lang else ""
    return "\n".join(["<!DOCTYPE html>", f"<html{lang}>", "<head>", *tags, "</head>", ""])


def _tag(name: str, attributes: dict[str, str]) -> str:
    written = "".join(f' {key}="{value.translate(_TO_ENTITIES)}"' for key, value in attributes.items())
    return f"<{name}{written}>"


def _markup(item: Link | Image, place: int) -> str:
    if isinstance(item, Link):
        start = f'\n<li id="menu-item-{place}" class="menu-item menu-item-type-post_type">'
        return f"{start}{_tag('a', {'href': item.url, 'class': 'menu-link'})}{item.text}</a></li>"
    attributes = {"class": "attachment-medium size-medium", "src": item.url}
    attributes |= {name: text for name, text in (("alt", item.alt), ("title", item.title)) if text is not None}
    attributes |= {"width": "300", "height": "200", "loading": "lazy", "srcset": f"{item.url} 300w"}
    return f'\n<li><div class="card"><figure>{_tag("img", attributes)}</figure></div></li>'


@cache
def _script_texts() -> list[str]:
    """Makes scripts as they are when they have been shortened, which hold `<` now and then."""
    chance = Random("scripts")
    forms = (
        "for(var {0}=0;{0}<{1}.length;{0}++)if({1}[{0}]!=={2}&&{2}<{3})return {1}[{0}];",
        "function {0}({1},{2}){{return {1}.{2}?{1}.{2}({3}):null}}",
        "var {0}={{id:{3},name:'{1}',url:'https://{2}.example/{1}/{3}',enabled:!0}};",
        '{0}.push({{"event":"{1}","value":{3},"label":"{2}"}});',
        "document.getElementById('{0}').innerHTML='<div class=\"{1}\">'+{2}+'</div>';",
    )
    scripts = []
    for _ in range(24):
        statements, size = [], 0
        while size < SCRIPT_BYTES:
            names = text_of("en", chance, 3, 3).split()
            statements.append(chance.choice(forms).format(*names, chance.randint(1, 9999)))
            size += len(statements[-1])
        scripts.append("".join(statements))
    return scripts
