"""The rows in which compiled loops hand on the image tags that they find.

After a change here, delete the kernels' `__pycache__`: numba's cache on disk notices changes of a kernel's own file
only.
"""

from udfs.schemas import SOURCES

ATTRIBUTES = ("src", *SOURCES, "href")
TAG_BEGIN, TAG_END, IS_PLAIN, SRC = range(4)
FIRST_TEXT, HREF = SRC + 2, SRC + 2 + 2 * len(SOURCES)
TAG_COLUMNS = HREF + 2
"""A row per tag: its begin, its end, whether its values are what the bytes say (valid UTF-8, nothing encoded), and from
`SRC` on begin and end of the value of each of `ATTRIBUTES`, -1 where the tag does not have it."""

UNMODELLED = -1
"""What a loop returns for a page that it cannot read, and that must be parsed as a whole."""
