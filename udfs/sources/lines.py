"""Cuts decoded bytes into lines."""

from collections import Counter
from collections.abc import Iterable, Iterator

LARGEST_LINE_BYTES = 16 * 1024 * 1024
"""Size above which a line is not held in memory."""


def cut_lines(
    parts: Iterable[bytes], largest_bytes: int = LARGEST_LINE_BYTES, losses: Counter[str] | None = None
) -> Iterator[list[bytes]]:
    """Cuts decoded bytes into lines, of which none above a size is held.

    Args:
        parts: The bytes, in order; an empty value stands where bytes are missing.
        largest_bytes: The size. Only the beginning of a longer line is kept, one byte more than this at least.
        losses: If given, `line.too_large` is counted in it in place of that beginning, and `line.unfinished` where
            bytes are missing in a line.

    Yields:
        Lines that follow one another, without their LF; also a last one that has none.
    """
    held, size = bytearray(), 0
    for part in parts:
        if not part:
            if size and losses is not None:
                losses["line.unfinished"] += 1
            held, size = bytearray(), 0
            continue
        lines = part.split(b"\n")
        size += len(lines[0])
        held += lines[0][: largest_bytes + 1 - len(held)]
        if len(lines) > 1:
            lines[:1] = _whole_line(held, size, largest_bytes, losses)
            size = len(lines[-1])
            held = bytearray(lines.pop()[: largest_bytes + 1])
            yield lines
    if size:
        yield _whole_line(held, size, largest_bytes, losses)


def _whole_line(held: bytearray, size: int, largest_bytes: int, losses: Counter[str] | None) -> list[bytes]:
    if size <= largest_bytes or losses is None:
        return [bytes(held)]
    losses["line.too_large"] += 1
    return []
