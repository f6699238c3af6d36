"""Reads ready count files: words and a count, in one line of tab-separated text or one row of Parquet each."""

import io
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from udfs.sources.compression import read_chunks
from udfs.wikipedia.dumps import Opener, opened_rows, unpacked_lines
from udfs.wikipedia.ngrams import count_batches, tally_batches
from udfs.wikipedia.page_views import read_title

COLUMNS_OF_COUNTS = {
    "unigram": ("word", "count"),
    "bigram": ("word", "next_word", "count"),
    "title": ("title", "views"),
}
"""The columns of a ready count file in Parquet, by what it counts."""

_FAULTS = ("dump.truncated", "dump.corrupt_stream", "dump.window_too_large", "dump.bytes_after_end", "line.too_large")
_LARGEST_COUNT = 2**63 - 1
_MOST_DIGITS = len(str(_LARGEST_COUNT))
_SHOWN_CHARACTERS = 60
_ROWS_PER_BATCH = 8192

CountedWords = tuple[tuple[str, ...], int]


def read_count_files(
    batches: Iterable[pa.RecordBatch], *, opener: Opener, most_held: int = 500_000
) -> Iterator[pa.RecordBatch]:
    """Reads count files.

    Args:
        batches: Rows of `COUNT_FILES`; files named *.parquet are Parquet, all others text.
        opener: Opens a path for reading.
        most_held: Distinct keys that a worker holds before it hands them on.

    Yields:
        `WORD_COUNTS` of the file's kind, and a `reject` row for the first line or row of a file that cannot be used:
        what is wrong, and the file with its number. Such a file must be refused: counts have no bad lines.
    """
    for row, stream in opened_rows(batches, opener):
        yield from _read_file(row["file"], row["kind"], stream, most_held)


def _read_file(file: str, kind: str, stream: io.RawIOBase, most_held: int) -> Iterator[pa.RecordBatch]:
    tally: Counter[str] = Counter()
    counts: Counter[tuple[str, ...]] = Counter()
    unit = ""
    try:
        if file.endswith(".parquet"):
            unit, read = "row", _parquet_rows(stream, kind)
        else:
            unit, read = "line", _text_lines(stream, kind, tally)
        for words, count in read:
            tally["lines"] += 1
            if words and counts[words] > _LARGEST_COUNT - count:
                # The sum does not fit the column: whoever adds up the parts says so.
                yield from _batches(kind, counts)
                counts.clear()
            if words:
                counts[words] += count
            else:
                tally["line.skipped"] += 1
            if len(counts) > most_held:
                yield from _batches(kind, counts)
                counts.clear()
    except ValueError as error:
        place = f"{file}, {unit} {tally['lines'] + 1}" if unit else file
        yield from count_batches("reject", Counter({(str(error), place): 1}))
        return
    yield from _batches(kind, counts)
    yield from count_batches("reject", Counter({(fault, file): 1 for fault in _FAULTS if tally[fault]}))
    yield from tally_batches(tally, file)


def _batches(kind: str, counts: Counter[tuple[str, ...]]) -> Iterator[pa.RecordBatch]:
    if kind == "bigram":
        return count_batches(kind, Counter({(words[0], words[1]): count for words, count in counts.items()}))
    return count_batches(kind, Counter({words[0]: count for words, count in counts.items()}))


def _text_lines(stream: io.RawIOBase, kind: str, tally: Counter[str]) -> Iterator[CountedWords]:
    for number, line in enumerate(unpacked_lines(read_chunks(stream), tally)):
        yield read_count_line(line if number else line.removeprefix(b"\xef\xbb\xbf"), kind)


def _parquet_rows(stream: io.RawIOBase, kind: str) -> Iterator[CountedWords]:
    """Checks a file's columns and yields its rows; no Parquet, or other columns, are a ValueError."""
    file = pq.ParquetFile(pa.PythonFile(stream, mode="r"))
    types = {field.name: field.type for field in file.schema_arrow}
    # Sums of page views that an earlier build stored have the columns of unigrams.
    columns = COLUMNS_OF_COUNTS["unigram" if kind == "title" and "word" in types else kind]
    wrong = [name for name in columns[:-1] if not (name in types and _is_text(types[name]))]
    wrong += [] if columns[-1] in types and pa.types.is_integer(types[columns[-1]]) else [columns[-1]]
    if wrong:
        raise ValueError(f"it lacks the columns {', '.join(wrong)}: it must hold {', '.join(columns)}")
    batches = file.iter_batches(_ROWS_PER_BATCH, columns=list(columns))
    rows = (zip(*(batch.column(name).to_pylist() for name in columns), strict=True) for batch in batches)
    return (read_count_row(row, kind) for part in rows for row in part)


def _is_text(kind: pa.DataType) -> bool:
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(value) or pa.types.is_large_string(value))


def read_count_row(row: tuple[Any, ...], kind: str) -> CountedWords:
    """Reads the words and the count of one row of Parquet, as `read_count_line` does."""
    *words, count = row
    if not all(words) or count is None or not 0 <= count <= _LARGEST_COUNT:
        raise ValueError(f"{row!r:.80}: no word may be empty or null, and counts must be at least 0")
    return (_title(words[0].encode()) if kind == "title" else tuple(words)), count


def read_count_line(line: bytes, kind: str) -> CountedWords:
    """Reads one line, without its LF, of a file of a kind of `COLUMNS_OF_COUNTS`.

    Returns:
        The words (for titles with spaces for underscores) and the count; no words for a blank line and for a title
        with a colon.

    Raises:
        ValueError: If the line has other fields, a word is empty or not UTF-8, or the count is no whole number from 0
            on; the message quotes it.
    """
    if not line.strip():
        return (), 0
    *words, count = line.removesuffix(b"\r").split(b"\t")
    wanted = COLUMNS_OF_COUNTS[kind][:-1]
    if len(words) != len(wanted) or not all(words):
        named = " and ".join(f"a {name.replace('_', ' ')}" for name in wanted)
        raise ValueError(f"{_shown(line)} is not {named} and a count, separated by tabs")
    if not count.isdigit() or len(count) > _MOST_DIGITS or int(count) > _LARGEST_COUNT:
        raise ValueError(f"the count {_shown(count)} is not a whole number of at least 0")
    if kind == "title":
        return _title(words[0]), int(count)
    try:
        return tuple(word.decode("utf-8") for word in words), int(count)
    except UnicodeDecodeError:
        raise ValueError(f"{_shown(line)} is not UTF-8") from None


def _title(field: bytes) -> tuple[str, ...]:
    reason, title = read_title(field)
    if reason in {"line.percent_encoding", "line.encoding"}:
        raise ValueError(f"the title {_shown(field)} is not UTF-8")
    return () if reason else (title,)


def _shown(value: bytes) -> str:
    return ascii(value.decode("utf-8", "replace")[:_SHOWN_CHARACTERS])
