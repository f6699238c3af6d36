"""Small archives made in memory, and what extraction makes of them."""

import base64
import gzip
import json
import random
import struct
from collections import Counter
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import zstandard

from udfs.pages.image_table import Loss, PageImages
from udfs.pairs import ExtractOptions
from udfs.pairs.extract import extract_batches
from udfs.pairs.rules import Pairs, pair_images
from udfs.schemas import ARCHIVE_PATHS, EXTRACTED, SOURCES
from udfs.sources import ArchiveStat, ArchiveStream

HTML = b'<html><body><img src="/%d.jpg" alt="a dog %d"></body></html>'


def http_response(body: bytes, *headers: str, status: str = "200 OK", content_type: str | None = "text/html") -> bytes:
    lines = [f"HTTP/1.1 {status}", *([f"Content-Type: {content_type}"] if content_type is not None else []), *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def warc_record(
    block: bytes,
    uri: str | bytes | None = "http://example.org/page",
    kind: str = "response",
    content_type: str = "application/http; msgtype=response",
    extra: bytes = b"",
    length: int | None = None,
) -> bytes:
    head = [b"WARC/1.0", b"WARC-Type: " + kind.encode(), b"Content-Type: " + content_type.encode()]
    if uri is not None:
        head.append(b"WARC-Target-URI: " + (uri.encode() if isinstance(uri, str) else uri))
    head.append(b"Content-Length: %d" % (len(block) if length is None else length))
    if extra:
        head.append(extra)
    return b"\r\n".join(head) + b"\r\n\r\n" + block + b"\r\n\r\n"


def page_record(number: int, padding: int = 0) -> bytes:
    """A page with one image, so that what is kept can be told by its number; padding is hard to compress."""
    noise = base64.b64encode(random.Random(number).randbytes(padding))
    body = HTML % (number, number) + b"<!--" + noise + b"-->"
    return warc_record(http_response(body), uri=f"http://example.org/{number}")


def wat_record(document: object, uri: str = "http://example.org/page") -> bytes:
    payload = document if isinstance(document, bytes) else json.dumps(document).encode()
    return warc_record(payload, uri, "metadata", "application/json")


def wat_document(
    links: object = (), uri: str = "http://example.org/page", base: object = None, status: object = "200"
) -> dict[str, Any]:
    head = {} if base is None else {"Base": base}
    html = {"Head": head, "Links": list(links) if isinstance(links, tuple) else links}
    response = {"Response-Message": {"Status": status}, "HTML-Metadata": html}
    header = {"WARC-Type": "response", "WARC-Target-URI": uri}
    return {
        "Envelope": {"WARC-Header-Metadata": header, "Payload-Metadata": {"HTTP-Response-Metadata": response}},
    }


def image_link(url: object, alt: object = None, **more: object) -> dict[str, Any]:
    return {"path": "IMG@/src", "url": url, **({} if alt is None else {"alt": alt}), **more}


def members(records: list[bytes]) -> list[bytes]:
    return [gzip.compress(record, mtime=0) for record in records]


def skippable_frame(content: bytes, magic: int = 0x184D2A50) -> bytes:
    """A frame of zstd that stands for nothing."""
    return struct.pack("<II", magic, len(content)) + content


def zstd_dictionary(records: list[bytes]) -> zstandard.ZstdCompressionDict:
    """A dictionary without which records that are compressed with it cannot be read."""
    dictionary = zstandard.train_dictionary(4096, records)
    assert dictionary.dict_id()
    return dictionary


def dictionary_frame(dictionary: zstandard.ZstdCompressionDict, *, is_packed: bool = False) -> bytes:
    """What begins a `.warc.zst` whose frames are compressed with a dictionary."""
    content = dictionary.as_bytes()
    return skippable_frame(zstandard.compress(content) if is_packed else content, 0x184D2A5D)


class MemoryStream(ArchiveStream):
    """An archive in memory."""

    def __init__(self, data: bytes) -> None:
        super().__init__("memory", BytesIO(data), ArchiveStat(len(data), "tag"))


@dataclass
class Outcome:
    """What extraction gave for one archive."""

    archive: dict[str, Any]
    pairs: list[dict[str, Any]]
    rejects: list[dict[str, Any]]
    rejected: Counter[str] = field(default_factory=Counter)
    reference_records: dict[str, int] = field(default_factory=dict, compare=False)

    @property
    def status(self) -> str:
        return str(self.archive["status"])

    @property
    def texts(self) -> list[str]:
        return [pair["alt_text"] for pair in self.pairs]

    @property
    def urls(self) -> list[str]:
        return [pair["image_url"] for pair in self.pairs]

    def reasons(self, stage: str) -> list[tuple[str, str]]:
        return [(reject["reason"], reject["example"]) for reject in self.rejects if reject["stage"] == stage]

    def check_sums(self) -> None:
        row, by_stage = self.archive, Counter()
        for reason, count in self.rejected.items():
            by_stage[reason.partition(".")[0]] += count
        assert row["records"] == row["pages"] + by_stage["record"]
        assert row["images"] == row["images_kept"] + by_stage["image"]
        assert row["texts"] == row["pairs"] + by_stage["text"]
        assert row["pairs"] == len(self.pairs)
        bad_records = sum(
            n for reason, n in self.rejected.items() if reason[:7] == "record." and reason[:15] != "record.skipped_"
        )
        assert bad_records == len(self.reasons("record"))
        assert all(len(reject["example"]) <= 200 for reject in self.rejects)


@dataclass
class ReadPage(Pairs):
    """What the images of a page give, and where the page is."""

    page_url: str = ""
    base_url: str = ""


def read_images(page: PageImages | Loss) -> ReadPage:
    """Reads all images of a page one by one, by the rules that the compiled loop keeps."""
    assert isinstance(page, PageImages), page
    return ReadPage(**vars(pair_images(page, range(len(page.rows)))), page_url=page.page_url, base_url=page.base_url)


def _place(pair: dict[str, Any]) -> tuple[int, int, int]:
    """Where a pair stands in its archive: the order of rows is no part of a result."""
    return pair["record_offset"], pair["image_index"], SOURCES.index(pair["source"])


def extract_path(path: Path | str, options: ExtractOptions | None = None) -> Outcome:
    return extract_outcomes([str(path)], options or ExtractOptions())[0]


def extract_bytes(data: bytes, options: ExtractOptions | None = None) -> Outcome:
    return extract_outcomes(["memory"], options or ExtractOptions(), open_archive=lambda _: MemoryStream(data))[0]


def extract_outcomes(paths: list[str], options: ExtractOptions, **more: Any) -> list[Outcome]:
    rows = [{"archive": Path(path).name, "path": path} for path in paths]
    batch = pa.RecordBatch.from_pylist(rows, schema=ARCHIVE_PATHS)
    outcomes: list[Outcome] = []
    pairs: list[dict[str, Any]] = []
    rejects: list[dict[str, Any]] = []
    for result in extract_batches(iter([batch]), options=options, **more):
        assert result.schema.equals(EXTRACTED)
        for row in result.to_pylist():
            if row["kind"] == "archive":
                pairs.sort(key=_place)
                by_reference = dict(row.pop("reference_records"))
                outcomes.append(Outcome(row, pairs, rejects, Counter(dict(row["rejected"])), by_reference))
                outcomes[-1].check_sums()
                pairs, rejects = [], []
            else:
                {"pair": pairs, "reject": rejects}[row["kind"]].append(row)
    assert [outcome.archive["archive"] for outcome in outcomes] == [row["archive"] for row in rows]
    assert not pairs and not rejects
    return outcomes
