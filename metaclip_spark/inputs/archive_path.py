"""What extraction reads: an archive's name in results, and where it is."""

from typing import NamedTuple


class ArchivePath(NamedTuple):
    """One archive, or one file of a given pool.

    Attributes:
        archive: The name that results carry, independent of where the file is.
        path: The file: a path or a URL.
    """

    archive: str
    path: str
