"""Pairs that were extracted before, from Parquet or JSONL files: one file is read as one archive is.

The archive is the file, record_offset the row or line number from 0, image_index 0, source "alt", and there is no page.
What the page declared is read from columns of the same names as here, where a file has them.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from udfs.archives import ArchiveReadError, Damage
from udfs.arrow import numpy_numbers, string_bytes
from udfs.compilation import KernelSet
from udfs.pages.declared.language import page_language
from udfs.pages.image_table import (
    FIRST_TEXT,
    IS_PLAIN,
    SRC,
    TAG_COLUMNS,
    Declared,
    ImageValues,
    Loss,
    PageImages,
    decoded_images,
)
from udfs.pairs.archive_batch import ArchiveRows, OpenArchive
from udfs.pairs.columns import DeclaredByRecord
from udfs.pairs.kernel import NOT_READ, pair_kernel
from udfs.pairs.md5_kernel import md5_kernel
from udfs.schemas import OPTIONAL_COLUMNS, PAIRS
from udfs.sources import fetch
from udfs.sources.compression import Fault, decompressed, read_chunks
from udfs.sources.credentials import has_ending
from udfs.sources.lines import cut_lines

MAX_LINE_BYTES = 16 << 20
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_WORTH_COMPILING_BYTES = 8 << 20
"""Less than this is read in Python in less time than it takes to compile the kernels."""

_KERNELS = KernelSet(pair_kernel, md5_kernel, fewest_bytes=_WORTH_COMPILING_BYTES)
"""What rows of strings are read by once it is there."""

_ROWS_WORTH_A_LOOK = 256
"""A look for kernels that are still being compiled takes as long as some rows in Python."""

_ROWS_PER_BATCH = 8192
_CHARACTERS_PER_RUN = 1 << 22
_ESCAPE = re.compile(
    rb"\\u[Dd][89ABab][0-9A-Fa-f]{2}\\u[Dd][C-Fc-f][0-9A-Fa-f]{2}|(\\u[Dd][89A-Fa-f][0-9A-Fa-f]{2})|\\.", re.DOTALL
)
"""An escape of JSON: a pair of surrogates, a lone surrogate (group 1), or any other."""


class Row(NamedTuple):
    """One row of a file: its number, and its URL and text or why it has none, and what its page declared."""

    number: int
    url: object = None
    text: object = None
    lost: Loss | None = None
    declared: Declared = Declared()

    @property
    def plain_characters(self) -> int | None:
        """The length of URL and text where they are strings or null, else None."""
        url, text = self.url, self.text
        if self.lost is not None or not (isinstance(url, str | None) and isinstance(text, str | None)):
            return None
        return len(url or "") + len(text or "")


class Rows(NamedTuple):
    """Rows of a file that follow one another and hold nothing but strings and nulls."""

    first: int
    images: PageImages
    declared: DeclaredByRecord


Item = Row | Rows | Damage


class _Columns(NamedTuple):
    """Columns of a file, or keys of its JSON objects."""

    url: str
    text: str
    language: str
    language_of: Callable[[str | None], str | None]
    preferences: str = "page_preferences"

    @property
    def optional(self) -> dict[str, str]:
        """Those that a file may lack -> their names in `PAIRS`, in the order of `schemas.OPTIONAL_COLUMNS`."""
        return dict(zip((self.language, self.preferences), OPTIONAL_COLUMNS, strict=True))


def read_pool_batches(
    batches: Iterator[pa.RecordBatch],
    *,
    url_column: str,
    text_column: str,
    language_column: str | None = None,
    open_archive: OpenArchive = fetch.open_archive,
) -> Iterator[pa.RecordBatch]:
    """Reads files with pairs into pairs, rejects and one closing row each.

    Args:
        batches: Rows of `schemas.ARCHIVE_PATHS`.
        url_column: The column, or JSON key, of the image's URL.
        text_column: The column, or JSON key, of the alternative text; it is cleaned as an archive's texts are.
        language_column: The column, or JSON key, whose label takes the place of the page's language, as it is; None for
            the column `page_language`, where a file has it, whose language tags are read as those of pages.
        open_archive: Opens a path; an error of it fails that file only.

    Yields:
        Batches of `schemas.EXTRACTED`, as `udfs.pairs.extract.extract_batches`.
    """
    of_pages = _Columns(url_column, text_column, "page_language", page_language)
    columns = of_pages._replace(language=language_column, language_of=_label) if language_column else of_pages
    for batch in batches:
        for row in batch.to_pylist():
            rows, path = ArchiveRows(row["archive"]), row["path"]
            read_rows = _parquet_rows if has_ending(path, (".parquet",)) else _json_rows
            with rows.failures_counted(), rows.opened(path, open_archive) as stream:
                _KERNELS.prepare(stream.size)
                for item in _in_runs(read_rows(stream, columns)):
                    _add_row(rows, item)
                    yield from rows.full_batches()
            yield from rows.closing_batches()


def _in_runs(items: Iterable[Item]) -> Iterator[Item]:
    """Joins rows of strings and nulls that follow one another, so that a compiled loop reads them together."""
    run: list[Row] = []
    characters = 0
    for item in items:
        size = item.plain_characters if isinstance(item, Row) else None
        if not isinstance(item, Row) or size is None:
            if run:
                yield _joined(run)
            yield item
            run, characters = [], 0
            continue
        is_full = len(run) == _ROWS_PER_BATCH or characters > _CHARACTERS_PER_RUN
        if run and (is_full or item.number != run[-1].number + 1):
            yield _joined(run)
            run, characters = [], 0
        run.append(item)
        characters += size
    if run:
        yield _joined(run)


def _joined(run: Sequence[Row]) -> Rows:
    urls, texts = (pa.array(values, pa.string()) for values in zip(*((row.url, row.text) for row in run), strict=True))
    images = _images_of(urls, texts)
    assert images is not None, "decoded JSON holds valid strings"
    return Rows(run[0].number, images, _declared_of(run))


def _declared_of(run: Sequence[Row]) -> DeclaredByRecord:
    languages, preferences = zip(*(row.declared for row in run), strict=True)
    bits = np.array([NOT_READ if each is None else each for each in preferences])
    return DeclaredByRecord(pa.array(languages, pa.string()), bits)


def _add_row(rows: ArchiveRows, row: Item) -> None:
    if isinstance(row, Damage):
        rows.damage(row.reason, f"nothing can be read after byte {row.start}", row.start)
    elif isinstance(row, Rows):
        if len(row.images.rows) >= _ROWS_WORTH_A_LOOK:
            _KERNELS.load()
        rows.add_records(row.first, row.images, row.declared)
    elif row.lost is not None:
        rows.add_record(row.number, row.lost)
    else:
        rows.add_records(row.number, decoded_images("", "", [_image_of(row)], Declared()), _declared_of([row]))


def _image_of(row: Row) -> ImageValues | Loss:
    if row.url is not None and not isinstance(row.url, str):
        return Loss("image.not_a_string", str(row.url))
    return ImageValues(row.url, [] if row.text is None else [("alt", row.text)])


def _parquet_rows(stream: fetch.ArchiveStream, columns: _Columns) -> Iterator[Row | Rows]:
    number = 0
    try:
        with pq.ParquetFile(pa.PythonFile(stream, mode="r")) as file:
            wanted = dict.fromkeys((columns.url, columns.text, *columns.optional))
            names = [name for name in wanted if name in file.schema_arrow.names]
            for batch in file.iter_batches(_ROWS_PER_BATCH, columns=names):
                urls, texts = batch.column(columns.url), batch.column(columns.text)
                optional = [_optional_column(batch, *each) for each in columns.optional.items()]
                images, declared = _images_of(urls, texts), _declared_by_record(columns, *optional)
                if images is not None and declared is not None:
                    yield Rows(number, images, declared)
                    number += len(batch)
                else:
                    for values in zip(*(column.to_pylist() for column in (urls, texts, *optional)), strict=True):
                        yield _row(number, f"row {number + 1}", columns, *values)
                        number += 1
    except (OSError, ValueError) as error:
        raise ArchiveReadError(f"row {number}: {error}") from None


def _images_of(urls: pa.Array, texts: pa.Array) -> PageImages | None:
    """Lays columns of strings out as the tags of images; None for other types, and for strings that are no UTF-8."""
    rows = np.full((len(urls), TAG_COLUMNS), -1, np.int64)
    rows[:, IS_PLAIN] = 1
    content = b""
    for column, place in ((urls, SRC), (texts, FIRST_TEXT)):
        strings = _as_strings(column)
        if strings is None:
            return None
        data, offsets = string_bytes(strings)
        is_there = ~np.asarray(column.is_null())
        rows[is_there, place] = offsets[:-1][is_there] + len(content)
        rows[is_there, place + 1] = offsets[1:][is_there] + len(content)
        content += data
    return PageImages("", "", content, rows)


def _optional_column(batch: pa.RecordBatch, column: str, name: str) -> pa.Array:
    """Gives a column; one that is not there, or has no type since all is null, as nulls of its type in `PAIRS`."""
    found = batch.column(column) if column in batch.schema.names else None
    is_null = found is None or pa.types.is_null(found.type)
    return pa.nulls(len(batch), PAIRS.field(name).type) if is_null else found


def _declared_by_record(columns: _Columns, languages: pa.Array, preferences: pa.Array) -> DeclaredByRecord | None:
    """Reads the columns of `schemas.OPTIONAL_COLUMNS`; None for other types, and where a row must be refused."""
    strings = _as_strings(languages)
    if strings is None or preferences.type != PAIRS.field("page_preferences").type:
        return None
    bits = numpy_numbers(preferences.fill_null(NOT_READ)).astype(np.int64)
    if ((bits < 0) & ~np.asarray(preferences.is_null())).any():
        return None
    tags = pc.dictionary_encode(strings, null_encoding="encode")
    read = pa.array(map(columns.language_of, tags.dictionary.to_pylist()), pa.string())
    return DeclaredByRecord(read.take(tags.indices), bits)


def _label(column_value: str | None) -> str | None:
    """Reads the label of a text's language."""
    return (column_value or "").strip() or None


def _row(
    number: int, place: str, columns: _Columns, url: object, text: object, tag: object, preferences: object
) -> Row:
    """Makes a row of values of any type."""
    if not (tag is None or isinstance(tag, str)):
        return Row(number, lost=Loss("record.bad_page_language", f"{place}: {tag!r} is no string"))
    if preferences is None:
        return Row(number, url, text, declared=Declared(columns.language_of(tag)))
    if not isinstance(preferences, int) or isinstance(preferences, bool) or not 0 <= preferences < 1 << 31:
        return Row(number, lost=Loss("record.bad_page_preferences", f"{place}: {preferences!r} is no sum of bits"))
    return Row(number, url, text, declared=Declared(columns.language_of(tag), preferences))


def _as_strings(column: pa.Array) -> pa.Array | None:
    """Gives a column without a dictionary; None for what is no valid strings."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return None
    strings = column.cast(kind)
    try:
        strings.validate(full=True)
    except pa.ArrowInvalid:
        return None
    return strings


def _json_rows(stream: fetch.ArchiveStream, columns: _Columns) -> Iterator[Row | Damage]:
    damages: list[Damage] = []
    first = 0
    for lines in cut_lines(_content(stream, damages), MAX_LINE_BYTES):
        # A run of empty lines must cost no time each.
        for number, line in enumerate(lines, first) if any(lines) else ():
            content = line.removeprefix(BYTE_ORDER_MARK) if number == 0 else line
            if content.strip():
                yield _json_row(number, content, columns)
        first += len(lines)
    yield from damages


def _content(stream: fetch.ArchiveStream, damages: list[Damage]) -> Iterator[bytes]:
    """Yields a file's content without its compression; damage, which ends it, is appended to `damages`."""
    for part in decompressed(read_chunks(stream)):
        if isinstance(part, Fault):
            is_cut = part.reason == "truncated"
            damages.append(Damage("archive.truncated" if is_cut else "archive.corrupt", stream.bytes_read, None))
            return
        yield part


def _json_row(number: int, line: bytes, columns: _Columns) -> Row:
    if len(line) > MAX_LINE_BYTES:
        return Row(number, lost=Loss("record.line_too_long", f"line {number + 1} exceeds {MAX_LINE_BYTES} bytes"))
    try:
        value = _decoded(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Row(number, lost=Loss("record.invalid_json", f"line {number + 1}: {error}"))
    if not isinstance(value, dict):
        return Row(number, lost=Loss("record.not_an_object", f"line {number + 1}: {line[:100]!r}"))
    if columns.url not in value:
        return Row(number, lost=Loss("record.no_url_key", f"line {number + 1}: {sorted(value)}"))
    if columns.text not in value:
        return Row(number, lost=Loss("record.no_text_key", f"line {number + 1}: {sorted(value)}"))
    return _row(
        number,
        f"line {number + 1}",
        columns,
        value[columns.url],
        value[columns.text],
        *map(value.get, columns.optional),
    )


def _decoded(line: bytes) -> Any:
    """Decodes JSON; what stands in an escape for half a character, which UTF-8 has no bytes for, becomes U+FFFD.

    Raises:
        DecodeError: It is no JSON.
    """
    try:
        return msgspec.json.decode(line)
    except msgspec.DecodeError:
        mended = _ESCAPE.sub(lambda found: b"\\ufffd" if found[1] else found[0], line)
        if mended == line:
            raise
        return msgspec.json.decode(mended)
