"""Writes the test split of a pool: shards, and beside them the class names, the prompts, the head and the tail."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from metaclip_spark.clip_benchmark.data.shards import ShardSample, write_shards
from metaclip_spark.stores.storage import Storage

HELD_OUT_FILE = "held_out_classes.txt"
"""Indices of the classes that the pool lacks; the file is there where there are any."""


def head_and_tail(frequencies: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Names the most frequent and the rarest third of the classes, by index, ascending; ties go by index.

    A class that the pool lacks is in neither.
    """
    there = [index for index, pairs in enumerate(frequencies) if pairs]
    order = sorted(there, key=lambda index: (-frequencies[index], index))
    third = max(1, len(order) // 3)
    return tuple(sorted(order[:third])), tuple(sorted(order[-third:]))


def write_test_split(
    folder: Path,
    classes: Sequence[str],
    templates: Sequence[str],
    frequencies: Sequence[int],
    samples: Iterator[ShardSample],
) -> None:
    """Writes a test split.

    `frequencies` are the pairs of each class in the pool, which tell head from tail; a class without any is held out.
    """
    head, tail = head_and_tail(frequencies)
    storage = Storage(str(folder))
    storage.put_text("classnames.txt", as_lines(classes))
    storage.put_text("templates.txt", as_lines(templates))
    storage.put_text("head_classes.txt", as_lines(head))
    storage.put_text("tail_classes.txt", as_lines(tail))
    held_out = [index for index, pairs in enumerate(frequencies) if not pairs]
    if held_out:
        storage.put_text(HELD_OUT_FILE, as_lines(held_out))
    write_shards(folder, samples, lost={})


def as_lines(items: Sequence[object]) -> str:
    """An item a line."""
    return "".join(f"{item}\n" for item in items)
