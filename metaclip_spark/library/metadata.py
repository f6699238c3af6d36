"""The metadata list as users handle it."""

from collections.abc import Iterable, Iterator
from os import PathLike, fspath
from typing import Self

from metaclip_spark import entries as metadata_files
from metaclip_spark.errors import MetadataError


class Metadata(metadata_files.Metadata):
    """A metadata list: the paper's 500,000 query strings, or your own.

    An entry's id is its position in the list, so ids mean nothing without the exact list; `digest` identifies it.

    Attributes:
        entries: The entries, in the order of their ids: distinct, none empty.
        digest: sha256 of the entries as a compact JSON list in UTF-8, in hex; the same in every form of file.

    Example:
        >>> from metaclip_spark import Metadata
        >>> metadata = Metadata.from_entries(["dog", "New York"])
        >>> len(metadata), list(metadata)
        (2, ['dog', 'New York'])
        >>> metadata
        Metadata(2 entries, digest='3863388a5ca6...')
        >>> len(Metadata.load("tests/data/wordnet_lemmas.txt.gz"))
        86654
    """

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """Reads a metadata list from a file.

        Args:
            path: A file on this machine or in a store (s3://, https:// ...): a JSON list of strings, a JSON object (its
                keys, in their order), plain text (one entry per line), or Parquet (a column `entry_text`, ordered by
                `entry_id` where that column exists); plain or compressed with gzip or zstd.

        Returns:
            The list.

        Raises:
            MetadataError: If the file is missing or has another form, the list is empty, or entries are not strings,
                empty, white space only, repeated, or not valid Unicode; the message names their ids.
        """
        loaded = metadata_files.load_metadata(fspath(path))
        return cls(loaded.entries, loaded.digest)

    @classmethod
    def from_entries(cls, entries: Iterable[str]) -> Self:
        """Makes a metadata list of strings in memory.

        Args:
            entries: The entries, in the order of their ids.

        Returns:
            The list.

        Raises:
            MetadataError: If there are no entries, or some are not strings, empty, white space only, repeated, or not
                valid Unicode; the message names their ids.
        """
        if isinstance(entries, str):
            raise MetadataError(
                f"entries is the single string {entries[:40]!r}: pass a list of strings, or a path to Metadata.load"
            )
        checked = metadata_files.check_entries(list(entries), "in memory")
        return cls(checked.entries, checked.digest)

    def __len__(self) -> int:
        """The number of entries."""
        return len(self.entries)

    def __iter__(self) -> Iterator[str]:
        """Iterates over the entries, in the order of their ids."""
        return iter(self.entries)

    def __repr__(self) -> str:
        """Shows size and digest, not the entries: there may be 500,000."""
        return f"Metadata({len(self):,} entries, digest='{self.digest[:12]}...')"
