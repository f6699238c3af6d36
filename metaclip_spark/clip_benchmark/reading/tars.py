"""Reads a tar from its first to its last sample, as webdataset does; what it lacks is counted."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from metaclip_spark.clip_benchmark.reading.listing import Shard, opened
from metaclip_spark.clip_benchmark.reading.samples import (
    BROKEN_TAR,
    CUT_TAR,
    DUPLICATE_MEMBER,
    IMAGE_MEMBERS,
    MISSING_MEMBER,
    TEXT_MEMBER,
)
from metaclip_spark.errors import InputError

_BLOCK = 512
_END = bytes(_BLOCK)
"""What a whole tar ends with."""

Members = dict[str, bytes]
"""Extension -> content; and webdataset's own __key__ and __url__, which are texts."""


def read_tar(shard: Shard, lost: Counter[str]) -> Iterator[Members]:
    """Reads the samples of a tar in their order.

    Args:
        shard: The tar.
        lost: Counts, once the tar has ended: samples that a truncated or unreadable tar lacks (one where nobody knows
            how many), and members that stand there twice.

    Yields:
        The members of each sample, of which some may be missing.

    Raises:
        InputError: If the store cannot be read.
    """
    try:
        with opened(shard.path) as file:
            yield from _samples(shard, _Source(file), lost)
    except (OSError, ValueError) as error:
        raise InputError(f"{shard.shown} cannot be read ({error}): check it, and go on with the same command") from None


def has_end(path: Path) -> bool:
    """Tells whether a file ends as a whole tar does."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _BLOCK))
        return file.read() == _END


def image_and_caption(members: Members) -> tuple[bytes, bytes] | None:
    """Gives a sample's encoded image and caption; None where a member is missing."""
    image = next((content for name, content in members.items() if name in IMAGE_MEMBERS), None)
    text = members.get(TEXT_MEMBER)
    return None if image is None or text is None else (image, text)


class _Source:
    """An open file that remembers what went wrong in it, and how it ended."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._tail = b""
        self.fault: str | None = None

    @property
    def is_whole(self) -> bool:
        """Whether the last block that was read is one of a tar's end."""
        return self._tail == _END

    def read(self, size: int) -> bytes:
        try:
            content = self._file.read(size)
        except (OSError, ValueError) as error:
            # Before webdataset adds to its arguments.
            self.fault = str(error)
            raise
        self._tail = (self._tail + content)[-_BLOCK:]
        return content


def _samples(shard: Shard, source: _Source, lost: Counter[str]) -> Iterator[Members]:
    from webdataset.tariterators import group_by_keys, tar_file_expander  # noqa: PLC0415 - random access needs none

    faults: list[Exception] = []

    def note(error: Exception) -> bool:
        if isinstance(error, ValueError) and source.fault is None:
            # What group_by_keys says of a name that is there already; the first one stays.
            lost[DUPLICATE_MEMBER] += 1
            return True
        faults.append(error)
        return False

    number = 0
    last: Members | None = None
    for members in group_by_keys(
        tar_file_expander([{"url": shard.path, "stream": source}], handler=note), handler=note
    ):
        if last is not None:
            yield last
        number, last = number + 1, members
    if source.fault is not None:
        raise OSError(source.fault)
    is_cut = bool(faults) or not source.is_whole
    if last is not None:
        if is_cut and image_and_caption(last) is None:
            number -= 1
        else:
            yield last
    known = shard.samples is not None
    missing = max(0, (shard.samples or 0) - number) if known else int(is_cut)
    if missing:
        lost[_reason(number, is_cut=is_cut)] += missing


def _reason(number: int, *, is_cut: bool) -> str:
    if not is_cut:
        return MISSING_MEMBER
    return CUT_TAR if number else BROKEN_TAR
