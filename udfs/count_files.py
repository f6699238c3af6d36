"""Reads ready count files in text form: tab-separated words and a count, one line each."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import pyarrow as pa

from udfs.dump_stream import ReadableBytes, read_chunks, unpacked_lines
from udfs.ngrams import count_batches
from udfs.page_views import read_title

_WORDS = {"unigram": 1, "bigram": 2, "title": 1}
_LARGEST_COUNT = 2**63 - 1
_SHOWN_CHARACTERS = 60


def read_count_files(
    batches: Iterable[pa.RecordBatch], *, opener: Callable[[str], ReadableBytes], most_held: int = 500_000
) -> Iterator[pa.RecordBatch]:
    """Reads count files.

    Args:
        batches: Rows of `COUNT_FILES`.
        opener: Opens a path for reading.
        most_held: Distinct keys that a worker holds before it hands them on.

    Yields:
        `WORD_COUNTS` of the file's kind, and a `reject` row for the first line of a file that cannot be used: what is
        wrong, and the file with the number of the line. Such a file must be refused: counts have no bad lines.
    """
    for batch in batches:
        for row in batch.to_pylist():
            yield from _read_file(row["file"], row["path"], row["kind"], opener, most_held)


def _read_file(
    file: str, path: str, kind: str, opener: Callable[[str], ReadableBytes], most_held: int
) -> Iterator[pa.RecordBatch]:
    tally: Counter[str] = Counter()
    counts: Counter[tuple[str, ...]] = Counter()
    stream = opener(path)
    try:
        for number, line in enumerate(unpacked_lines(read_chunks(stream), tally), start=1):
            try:
                words, count = read_count_line(line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line, kind)
            except ValueError as error:
                yield from count_batches("reject", Counter({(str(error), f"{file}, line {number}"): 1}))
                return
            tally["lines"] += 1
            if words:
                counts[words] += count
            else:
                tally["line.skipped"] += 1
            if len(counts) > most_held:
                yield from _batches(kind, counts)
                counts.clear()
    finally:
        stream.close()
    yield from _batches(kind, counts)
    faults = [fault for fault in ("dump.truncated", "dump.corrupt_stream", "dump.bytes_after_end") if tally[fault]]
    for fault in faults:
        yield from count_batches("reject", Counter({(fault, file): 1}))
    yield from count_batches("tally", Counter({(reason, file): count for reason, count in tally.items()}))


def _batches(kind: str, counts: Counter[tuple[str, ...]]) -> Iterator[pa.RecordBatch]:
    if kind == "bigram":
        return count_batches(kind, Counter({(words[0], words[1]): count for words, count in counts.items()}))
    return count_batches(kind, Counter({words[0]: count for words, count in counts.items()}))


def read_count_line(line: bytes, kind: str) -> tuple[tuple[str, ...], int]:
    """Reads one line.

    Args:
        line: The line without its LF.
        kind: One of `COUNTED`.

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
    if len(words) != _WORDS[kind] or not all(words):
        wanted = " and ".join(["a word"] * _WORDS[kind]) if kind != "title" else "a title"
        raise ValueError(f"{_shown(line)} is not {wanted} and a count, separated by tabs")
    if not count.isdigit() or int(count) > _LARGEST_COUNT:
        raise ValueError(f"the count {_shown(count)} is no whole number of at least 0")
    if kind == "title":
        reason, title = read_title(words[0])
        if reason in {"line.percent_encoding", "line.encoding"}:
            raise ValueError(f"the title {_shown(words[0])} is not UTF-8")
        return () if reason else (title,), int(count)
    try:
        return tuple(word.decode("utf-8") for word in words), int(count)
    except UnicodeDecodeError:
        raise ValueError(f"{_shown(line)} is not UTF-8") from None


def _shown(value: bytes) -> str:
    return ascii(value.decode("utf-8", "replace")[:_SHOWN_CHARACTERS])
