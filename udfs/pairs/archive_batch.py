"""The rows and numbers of one archive while it is read: what extraction hands to Spark, whatever the archive's form.

In every archive's row records, images and texts add up (`schemas.ARCHIVES`).
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pyarrow as pa

from udfs.archives.source import ArchiveReadError, NotAnArchiveError
from udfs.arrow import replace_lone_surrogates
from udfs.pairs.columns import PairColumns
from udfs.pairs.rules import PagePairs, PageTags
from udfs.pairs.text import pair_id
from udfs.schemas import EXTRACTED
from udfs.sources import fetch

BATCH_ROWS = 8192
"""Rows after which a batch is handed on, so that memory does not grow with the archive."""

_BATCH_CHARACTERS = 1 << 24
_EXAMPLES_PER_REASON = 5
_EXAMPLE_CHARACTERS = 200
_NUMBERS = ("records", "pages", "images", "images_kept", "texts", "pairs")
_PAIR_COLUMNS = ("pair_id", "image_url", "alt_text", "source", "page_url", "record_offset", "image_index")
_REJECT_COLUMNS = ("stage", "reason", "example", "record_offset")

OpenArchive = Callable[[str], fetch.ArchiveStream]
Item = TypeVar("Item")


@dataclass
class ArchiveRows:
    """The rows and numbers of one archive.

    Attributes:
        archive: Its name in the results.
        status: ok, damaged (complete records are kept) or failed (it could not be read).
        numbers: Sums by column of `schemas.ARCHIVES`.
        rejected: Sums by reason.
    """

    archive: str
    status: str = "ok"
    numbers: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    _columns: PairColumns = field(default_factory=lambda: PairColumns(BATCH_ROWS))
    _full: list[pa.RecordBatch] = field(default_factory=list)
    _pairs: list[tuple[Any, ...]] = field(default_factory=list)
    _rejects: list[tuple[Any, ...]] = field(default_factory=list)
    _characters: int = 0

    def read(
        self,
        path: str,
        open_archive: OpenArchive,
        items: Callable[[fetch.ArchiveStream], Iterator[Item]],
        add: Callable[["ArchiveRows", Item], None],
    ) -> Iterator[pa.RecordBatch]:
        """Reads an archive to its end, or to where that is impossible.

        Args:
            path: Where it lies.
            open_archive: Opens it; an error of it, or of its stream, fails the archive.
            items: Cuts its stream into items.
            add: Adds one item to these rows.

        Yields:
            Batches of `schemas.EXTRACTED`: pairs and rejects as they are found, at the end one row of kind archive.
        """
        try:
            stream = open_archive(path)
        except Exception as error:  # whatever an opener raises, only its archive fails
            self.fail("archive.not_opened", f"{type(error).__name__}: {error}")
            yield from self._close(size=0, etag="", bytes_read=0)
            return
        with stream:
            try:
                for item in items(stream):
                    add(self, item)
                    if self._full:
                        yield from self._take_full()
                    if self._is_full():
                        yield from self._take()
                self._check_all_read(stream)
            except NotAnArchiveError as error:
                self.fail(error.reason, error.example)
            except ArchiveReadError as error:
                self.fail("archive.read_error", str(error))
            except Exception as error:  # what no reader foresees fails this archive, by name, and no other
                self.fail("archive.reader_error", repr(error))
            yield from self._close(size=stream.size, etag=stream.etag, bytes_read=stream.bytes_read)

    def _is_full(self) -> bool:
        return len(self._pairs) + len(self._rejects) >= BATCH_ROWS or self._characters >= _BATCH_CHARACTERS

    def _check_all_read(self, stream: fetch.ArchiveStream) -> None:
        """Counts an archive that passes for good though nobody asked for its last bytes: a loss in silence else."""
        if self.status == "ok" and stream.bytes_read < stream.size:
            self.status = "damaged"
            self.reject("archive", "archive.not_read_to_end", f"{stream.bytes_read} of {stream.size} bytes", None)

    def fail(self, reason: str, example: str) -> None:
        """Marks the archive as one that could not be read.

        Args:
            reason: An `archive.*` reason.
            example: What was seen.
        """
        self.status = "failed"
        self.reject("archive", reason, example, None)

    def lose_record(self, offset: int, reason: str, example: str) -> None:
        """Counts a record that gives no page.

        Args:
            offset: Where it begins.
            reason: `record.skipped_*` for what is normally no page, else another `record.*`, which makes a reject.
            example: What was seen.
        """
        if reason.startswith("record.skipped_"):
            self.rejected[reason] += 1
        else:
            self.reject("record", reason, example, offset)

    def add_page(self, offset: int, page: PagePairs) -> None:
        """Adds what one page gave.

        Args:
            offset: Where its record begins.
            page: Its pairs and losses; without a URL the column is null.
        """
        if page.tags is not None:
            for index in self._read_tags(offset, page):
                page.read_tag(index)
        numbers = self.numbers
        numbers["pages"] += 1
        numbers["images"] += page.images
        numbers["images_kept"] += page.images_kept
        numbers["texts"] += page.texts
        numbers["pairs"] += len(page.pairs)
        page_url = page.page_url or None
        for loss in page.losses:
            self.reject(loss.reason.partition(".")[0], loss.reason, loss.example, offset)
        for index, image_url, source, text in page.pairs:
            self._pairs.append((pair_id(image_url, text), image_url, text, source, page_url, offset, index))
            self._characters += len(text) + len(image_url) + len(page.page_url)

    def add_records(self, first: int, images: PageTags) -> None:
        """Adds records that hold one image each and have no page, such as the rows of a table.

        Args:
            first: The offset of the first one; those of the others count up from it.
            images: Their images.
        """
        left = list(self._read_tags(first, PagePairs("", "", images), are_records=True))
        self.numbers["records"] += len(images.rows)
        self.numbers["pages"] += len(images.rows) - len(left)
        for index in left:
            page = PagePairs("", "")
            page.add_image(*images.values(index))
            self.add_page(first + index, page)

    def _read_tags(self, offset: int, page: PagePairs, *, are_records: bool = False) -> Iterator[int]:
        """Has the compiled loop read a page's images; yields those that it leaves to be read one by one."""
        assert page.tags is not None
        start, images = 0, len(page.tags.rows)
        while start < images:
            start, refused = self._columns.add(page, offset, start, are_records=are_records)
            yield from refused
            if start < images:
                self._full.append(self._batch("pair", self._columns.take()))

    def reject(self, stage: str, reason: str, example: str, offset: int | None) -> None:
        """Counts a loss and makes a row of it: always for archives and records, else the first few of a reason.

        Args:
            stage: archive, record, image or text.
            reason: What it is counted under.
            example: What was seen; cut to 200 characters.
            offset: Where its record begins, if it is of one.
        """
        self.rejected[reason] += 1
        if stage in {"image", "text"} and self.rejected[reason] >= _EXAMPLES_PER_REASON:
            self._columns.need_no_more_examples(reason)
            if self.rejected[reason] > _EXAMPLES_PER_REASON:
                return
        self._rejects.append((stage, reason, replace_lone_surrogates(example[:_EXAMPLE_CHARACTERS]), offset))

    def _take_full(self) -> Iterator[pa.RecordBatch]:
        full, self._full = self._full, []
        yield from full

    def _take(self) -> Iterator[pa.RecordBatch]:
        """Hands on what has been gathered, in batches of at most `BATCH_ROWS`."""
        yield from self._take_full()
        pairs, rejects = self._pairs, self._rejects
        self._pairs, self._rejects, self._characters = [], [], 0
        if len(self._columns):
            yield self._batch("pair", self._columns.take())
        for kind, names, rows in (("pair", _PAIR_COLUMNS, pairs), ("reject", _REJECT_COLUMNS, rejects)):
            for start in range(0, len(rows), BATCH_ROWS):
                yield self._batch(kind, _columns_of(names, rows[start : start + BATCH_ROWS]))

    def _close(self, size: int, etag: str, bytes_read: int) -> Iterator[pa.RecordBatch]:
        yield from self._take()
        self._columns.take_numbers(self.numbers, self.rejected)
        numbers = {name: self.numbers[name] for name in _NUMBERS}
        facts = {"status": self.status, "size": size, "etag": etag, "bytes_read": bytes_read, **numbers}
        row = {**facts, "rejected": sorted(self.rejected.items())}
        yield self._batch("archive", _columns_of(tuple(row), [tuple(row.values())]))

    def _batch(self, kind: str, columns: dict[str, pa.Array]) -> pa.RecordBatch:
        """Builds a batch of one kind of row; the columns of the other kinds are null."""
        length = len(next(iter(columns.values())))
        columns |= {name: pa.repeat(value, length) for name, value in (("kind", kind), ("archive", self.archive))}
        arrays = [columns[field.name] if field.name in columns else pa.nulls(length, field.type) for field in EXTRACTED]
        return pa.RecordBatch.from_arrays(arrays, schema=EXTRACTED)


def _columns_of(names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> dict[str, pa.Array]:
    columns = zip(names, zip(*rows, strict=True), strict=True)
    return {name: pa.array(column, EXTRACTED.field(name).type) for name, column in columns}
