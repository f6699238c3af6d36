"""Records into rows: each is read by the rules in Python, and what it gives is added to its archive's rows."""

from udfs.archives import ArchiveRecord, Damage
from udfs.pages.image_table import Loss, PageImages
from udfs.pages.isolation import PageReader, ParserProcessError
from udfs.pages.wat import NO_ENVELOPE, describes_capture
from udfs.pairs.archive_batch import ArchiveRows


class RecordAdder:
    """Adds the records and the damage of one archive to its rows.

    Attributes:
        rows: The rows.
        in_wat: Whether the archive has been seen to be a WAT archive.
    """

    def __init__(self, rows: ArchiveRows, read_page: PageReader) -> None:
        """Takes the rows and what reads a record's page."""
        self.rows = rows
        self.in_wat = False
        self._read_page = read_page

    def add(self, item: ArchiveRecord | Damage, why: str) -> None:
        """Adds a record, or a part of the archive that holds none.

        Args:
            item: What the reference reader has read.
            why: Why the compiled loop has not, see `schemas.REFERENCE_REASONS`.
        """
        if isinstance(item, Damage):
            end = "end" if item.end is None else item.end
            self.rows.damage(item.reason, f"skipped bytes {item.start}-{end}", item.start)
            return
        self.in_wat = self.in_wat or describes_capture(item)
        self.rows.reference_records[why] += 1
        self.rows.add_record(item.offset, self._page_of(item))
        if item.is_truncated:
            self.rows.status = "damaged"

    def _page_of(self, record: ArchiveRecord) -> PageImages | Loss:
        """Reads a record's page; a parser's surprise costs the record, not the archive.

        Raises:
            ParserProcessError: The parser's process does not start, or does not answer.
        """
        try:
            page = self._read_page(record)
        except ParserProcessError:
            raise
        except Exception as error:  # what no parser foresees
            return Loss("record.parser_error", repr(error))
        if isinstance(page, Loss) and page.reason == NO_ENVELOPE and not self.in_wat:
            return Loss("record.skipped_metadata")
        return page
