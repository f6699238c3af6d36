"""The rows and numbers of one archive while it is read: what extraction hands to Spark, whatever the archive's form.

In every archive's row records, images and texts add up (`schemas.ARCHIVES`).
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pyarrow as pa

from udfs.archives import ArchiveReadError, DictionaryError, NotAnArchiveError
from udfs.arrow import replace_lone_surrogates
from udfs.pages.image_table import Loss, PageImages
from udfs.pairs.columns import DeclaredByRecord, PairColumns
from udfs.pairs.rules import Pairs, pair_images
from udfs.schemas import EXTRACTED
from udfs.sources import fetch

BATCH_ROWS = 8192
"""Rows after which a batch is handed on, so that memory does not grow with the archive."""

_EXAMPLES_PER_REASON = 5
_EXAMPLE_CHARACTERS = 200
_NUMBERS = ("records", "pages", "images", "images_kept", "texts", "pairs")
_REJECT_COLUMNS = ("stage", "reason", "example", "record_offset")

OpenArchive = Callable[[str], fetch.ArchiveStream]


class _Facts(NamedTuple):
    """What the stream says of its archive."""

    size: int = 0
    etag: str = ""
    bytes_read: int = 0


class _NotOpenedError(Exception):
    """What an opener raised."""


@dataclass
class ArchiveRows:
    """The rows and numbers of one archive.

    Attributes:
        archive: Its name in the results.
        status: ok, damaged (complete records are kept) or failed (it could not be read, or holds damage and no record).
        numbers: Sums by column of `schemas.ARCHIVES`.
        rejected: Sums by reason.
        reference_records: Records that the reference reader has read, by reason.
    """

    archive: str
    status: str = "ok"
    numbers: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    reference_records: Counter[str] = field(default_factory=Counter)
    _facts: _Facts = field(default_factory=_Facts)
    _columns: PairColumns = field(default_factory=lambda: PairColumns(BATCH_ROWS))
    _rejects: list[tuple[Any, ...]] = field(default_factory=list)
    _full: list[pa.RecordBatch] = field(default_factory=list)

    @contextmanager
    def failures_counted(self) -> Iterator[None]:
        """Whatever ends the reading of this archive becomes a reject by name, and ends no other archive."""
        try:
            yield
        except NotAnArchiveError as error:
            self._fail(error.reason, error.example)
        except DictionaryError as error:
            self._fail("archive.zstd_dictionary", str(error))
        except ArchiveReadError as error:
            self._fail("archive.read_error", str(error))
        except _NotOpenedError as error:
            self._fail("archive.not_opened", f"{type(error.__cause__).__name__}: {error.__cause__}")
        except Exception as error:  # what no reader foresees
            self._fail("archive.reader_error", repr(error))

    @contextmanager
    def opened(self, path: str, open_archive: OpenArchive) -> Iterator[fetch.ArchiveStream]:
        """Opens the archive; one that is not read to its last byte is damaged, for else the loss would be silent.

        Raises:
            _NotOpenedError: The opener raised something.
        """
        try:
            stream = open_archive(path)
        except Exception as error:  # whatever an opener raises
            raise _NotOpenedError from error
        with stream:
            try:
                yield stream
            except Exception:
                self._note(stream)
                raise
            self._note(stream)
            if self.status == "ok" and stream.bytes_read < stream.size:
                self.damage("archive.not_read_to_end", f"{stream.bytes_read} of {stream.size} bytes", None)

    def _note(self, stream: fetch.ArchiveStream) -> None:
        # Not where a reader stops early: the tag of a local file is that of its whole content.
        self._facts = _Facts(stream.size, stream.etag, stream.bytes_read)

    def damage(self, reason: str, example: str, offset: int | None) -> None:
        """Counts a part of the archive that cannot be read."""
        self.status = "damaged"
        self._reject("archive", Loss(reason, example), offset)

    def _fail(self, reason: str, example: str) -> None:
        self.status = "failed"
        self._reject("archive", Loss(reason, example), None)

    def add_record(self, offset: int, page: PageImages | Loss) -> None:
        """Adds the images of a record's page, or counts a record that gives none."""
        self.numbers["records"] += 1
        if not isinstance(page, Loss):
            self.numbers["pages"] += 1
            self._add_images(offset, page)
        elif page.reason.startswith("record.skipped_"):
            self.rejected[page.reason] += 1
        else:
            self._reject("record", page, offset)

    def add_records(self, first: int, images: PageImages, declared: DeclaredByRecord) -> None:
        """Adds records of one image each, such as the rows of a table, whose offsets count up from the first."""
        self.numbers["records"] += len(images.rows)
        self.numbers["pages"] += len(images.rows)
        self._add_images(first, images, declared)

    def add_left_images(self, offset: int, page: PageImages) -> None:
        """Adds the decoded images of a page whose other images, and which itself, have been counted."""
        self._add_pairs(offset, page, pair_images(page, page.decoded))

    def add_counted(self, records: int, pages: int, rejected: dict[str, int]) -> None:
        """Adds what was counted elsewhere."""
        self.numbers["records"] += records
        self.numbers["pages"] += pages
        self.rejected.update({reason: count for reason, count in rejected.items() if count})

    @property
    def columns(self) -> PairColumns:
        """The pairs that are not handed on yet."""
        return self._columns

    def _add_images(self, offset: int, page: PageImages, records: DeclaredByRecord | None = None) -> None:
        start, images = 0, len(page.rows)
        while start < images:
            start, refused = self._columns.add_page(page, offset, start, records)
            if records is None and refused:
                self._add_pairs(offset, page, pair_images(page, refused))
            for index in refused if records is not None else ():
                self._add_pairs(offset, page, pair_images(page, [index]), index, records)
            if start < images:
                self.flush_pairs()

    def _add_pairs(
        self, offset: int, page: PageImages, found: Pairs, record: int = 0, records: DeclaredByRecord | None = None
    ) -> None:
        """Adds what images gave; `record` is the place among the records where each image is one of its own."""
        numbers = self.numbers
        numbers["images"] += found.images
        numbers["images_kept"] += found.images_kept
        numbers["texts"] += found.texts
        numbers["pairs"] += len(found.pairs)
        for loss in found.losses:
            self._reject(loss.reason.partition(".")[0], loss, offset + record)
        for pair in found.pairs:
            while not self._columns.add_pair(pair, page, offset, records):
                self.flush_pairs()

    def _reject(self, stage: str, loss: Loss, offset: int | None) -> None:
        """Counts a loss and makes a row of it: always for archives and records, else the first few of a reason."""
        self.rejected[loss.reason] += 1
        if stage in {"image", "text"} and self.rejected[loss.reason] >= _EXAMPLES_PER_REASON:
            self._columns.stop_sampling(loss.reason)
            if self.rejected[loss.reason] > _EXAMPLES_PER_REASON:
                return
        example = replace_lone_surrogates(loss.example[:_EXAMPLE_CHARACTERS])
        self._rejects.append((stage, loss.reason, example, offset))
        if len(self._rejects) == BATCH_ROWS:
            self._flush_rejects()

    def full_batches(self) -> Iterator[pa.RecordBatch]:
        """Hands on the batches of `schemas.EXTRACTED` that are full."""
        full, self._full = self._full, []
        yield from full

    def closing_batches(self) -> Iterator[pa.RecordBatch]:
        """Hands on what is left, and at the end one row of kind archive."""
        self.flush_pairs()
        self._flush_rejects()
        yield from self.full_batches()
        self._columns.flush_numbers(self.numbers, self.rejected)
        if self.status == "damaged" and not self.numbers["records"]:
            self.status = "failed"
        numbers = {name: self.numbers[name] for name in _NUMBERS}
        reasons = {name: sorted(getattr(self, name).items()) for name in ("rejected", "reference_records")}
        row = {"status": self.status, **self._facts._asdict(), **numbers, **reasons}
        yield self._batch("archive", _columns_of(tuple(row), [tuple(row.values())]))

    def flush_pairs(self) -> None:
        """Makes a batch of the pairs, to be handed on."""
        if len(self._columns):
            self._full.append(self._batch("pair", self._columns.flush()))

    def _flush_rejects(self) -> None:
        if self._rejects:
            self._full.append(self._batch("reject", _columns_of(_REJECT_COLUMNS, self._rejects)))
            self._rejects = []

    def _batch(self, kind: str, columns: dict[str, pa.Array]) -> pa.RecordBatch:
        """Builds a batch of one kind of row; the columns of the other kinds are null."""
        length = len(next(iter(columns.values())))
        columns |= {name: pa.repeat(value, length) for name, value in (("kind", kind), ("archive", self.archive))}
        arrays = [columns[field.name] if field.name in columns else pa.nulls(length, field.type) for field in EXTRACTED]
        return pa.RecordBatch.from_arrays(arrays, schema=EXTRACTED)


def _columns_of(names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> dict[str, pa.Array]:
    columns = zip(names, zip(*rows, strict=True), strict=True)
    return {name: pa.array(column, EXTRACTED.field(name).type) for name, column in columns}
