"""Pages and archives read in this process, without Spark."""

from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike

from metaclip_spark.config.fields import path_text
from metaclip_spark.errors import ConfigError, InputError, wrong_type
from udfs.archives import ArchiveReadError, ArchiveRecord, Damage, DictionaryError, NotAnArchiveError, reader
from udfs.pages.charset import page_to_utf8
from udfs.pages.html import read_html
from udfs.pages.image_table import Loss, PageImages
from udfs.pages.page_url import clean_page_url
from udfs.pages.parse import parse_page
from udfs.pages.wat import NO_ENVELOPE
from udfs.pairs import ExtractOptions
from udfs.pairs.rules import pair_id, pair_images
from udfs.sources import ArchiveStream, environment_options, open_archive
from udfs.sources.credentials import without_credentials

_LIMITS = ExtractOptions()


@dataclass(frozen=True)
class Pair:
    """One image of a page with one of its texts.

    Attributes:
        pair_id: md5 of URL and text, 32 hex digits; the same pair has the same id wherever it was found.
        image_url: Absolute URL of the image.
        alt_text: The cleaned text, never empty.
        source: The attribute that held the text: "alt", "title" or "data-image-title".
        page_url: URL of the page.
        image_index: Position of the image among all images of the page, from 0.
        page_language: Code of the language that the page declares; None where it declares none.
        page_preferences: A bit for each of noai, noimageai, noindex, noimageindex, tdm-reservation and train-ai=n that
            the page declares, the first the lowest; a page without its HTTP header can only say so in its head.

    Example:
        >>> from metaclip_spark import pairs_from_html
        >>> pair, = pairs_from_html(b'<img src="/dog.jpg" alt=" a dog ">', "https://example.org/")
        >>> pair.image_url, pair.alt_text, pair.source
        ('https://example.org/dog.jpg', 'a dog', 'alt')
    """

    pair_id: str
    image_url: str
    alt_text: str
    source: str
    page_url: str
    image_index: int
    page_language: str | None = None
    page_preferences: int | None = None


def pairs_from_html(html: bytes | bytearray | memoryview, url: str, *, content_type: str = "") -> list[Pair]:
    """Extracts the image-text pairs of one HTML page, as the extract step does.

    Images are seen as by a browser with scripting off. Each non-empty `alt`, `title` and `data-image-title` of an image
    with a usable URL is a pair; duplicates stay.

    Args:
        html: The page's bytes in whatever encoding; it is found as a browser finds it.
        url: The page's own URL, which relative URLs of images are resolved against.
        content_type: The HTTP header Content-Type, if known; it may name the encoding.

    Returns:
        The pairs, in the page's order.

    Raises:
        ConfigError: If `url` is empty, or an argument has another type: `html` is text instead of bytes.

    Example:
        >>> from metaclip_spark import pairs_from_html
        >>> html = b'<base href="/img/"><img src="dog.jpg" alt="a dog" title="Rex"><img src="no-text.jpg">'
        >>> for pair in pairs_from_html(html, "https://example.org/page"):
        ...     print(pair.image_url, pair.source, pair.alt_text)
        https://example.org/img/dog.jpg alt a dog
        https://example.org/img/dog.jpg title Rex
    """
    if not isinstance(html, bytes | bytearray | memoryview):
        raise ConfigError(wrong_type("html", html, "the page's bytes, such as text.encode()"))
    if not isinstance(url, str):
        raise ConfigError(wrong_type("url", url, "the page's own URL, as a text"))
    if not isinstance(content_type, str):
        raise ConfigError(wrong_type("content_type", content_type, "the header's value, as a text"))
    page_url = clean_page_url(url)
    if not page_url:
        raise ConfigError("url is empty: pass the page's own URL, such as 'https://example.org/page'")
    in_utf8, _ = page_to_utf8(bytes(html), content_type)
    return _pairs_of(read_html(in_utf8, page_url))


def read_archive(path: str | PathLike[str]) -> Iterator[ArchiveRecord | Damage]:
    """Reads the records of one WARC, WAT or ARC archive, before and after damage.

    Args:
        path: A file or a URL (s3://, https:// ...), plain or compressed with gzip or zstd.

    Returns:
        An iterator over the complete records and the damaged parts, in the archive's order; empty for an empty archive.
        The archive stays open until the iterator ends. At most 64 MiB of a record's block are read.

    Raises:
        InputError: If there is no such archive, it cannot be read, or it is not an archive. What is found out only
            while reading is raised by the iterator.

    Example:
        >>> from metaclip_spark import ArchiveRecord, Damage, read_archive
        >>> items = list(read_archive("tests/data/sample/sample-00000.warc.gz"))
        >>> records = [item for item in items if isinstance(item, ArchiveRecord)]
        >>> len(records), sum(isinstance(item, Damage) for item in items)
        (133, 0)
        >>> records[2].offset, records[2].record_type, records[2].target_uri
        (615, 'response', 'http://en3.example.org/a/b/page-0.html')
    """
    location = path_text(path)
    shown = without_credentials(location)
    try:
        stream = open_archive(location, environment_options())
    except FileNotFoundError:
        raise InputError(f"{shown}: no such file") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{shown} cannot be read: {error}") from error
    return _records(stream, shown)


def pairs_from_record(record: ArchiveRecord | Damage) -> list[Pair]:
    """Extracts the image-text pairs of one record of an archive, as the extract step does.

    Args:
        record: A record that `read_archive` gave: a page with its HTTP header, or the metadata of a page (WAT).

    Returns:
        The pairs, in the page's order; none for a record that holds no page, and for a damaged part.

    Raises:
        ConfigError: If `record` is no record of an archive.
        InputError: If the record should hold a page and cannot be read; the message begins with the reason that the
            table `rejects` of a run has for it, such as record.page_too_large.

    Example:
        >>> from metaclip_spark import pairs_from_record, read_archive
        >>> records = read_archive("tests/data/sample/sample-00000.warc.gz")
        >>> sum(len(pairs_from_record(record)) for record in records)
        1456
    """
    if isinstance(record, Damage):
        return []
    if not isinstance(record, ArchiveRecord):
        raise ConfigError(wrong_type("record", record, "an ArchiveRecord, such as read_archive gives"))
    page = parse_page(record, _LIMITS.max_page_bytes)
    if not isinstance(page, Loss):
        return _pairs_of(page)
    if page.reason.startswith("record.skipped_") or page.reason == NO_ENVELOPE:
        return []
    raise InputError(f"{page.reason}: {page.example!r}")


def _records(stream: ArchiveStream, shown: str) -> Iterator[ArchiveRecord | Damage]:
    with stream:
        try:
            yield from reader.read_archive(stream, size=stream.size, max_block_bytes=_LIMITS.max_record_bytes)
        except NotAnArchiveError as error:
            raise InputError(f"{shown} is not an archive: it begins with {error.example!r}") from None
        except (ArchiveReadError, DictionaryError) as error:
            raise InputError(f"{shown} cannot be read: {error}") from None


def _pairs_of(page: PageImages) -> list[Pair]:
    return [
        Pair(pair_id(image_url, alt_text), image_url, alt_text, source, page.page_url, image_index, *page.declared)
        for image_index, image_url, source, alt_text in pair_images(page, range(len(page.rows))).pairs
    ]
