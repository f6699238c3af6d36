"""Files that are there whole or not at all."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


def put_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Writes a file beside its place and moves it there.

    Args:
        path: Its place; folders are made.
        write: Writes to the path that it is given.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    write(partial)
    partial.replace(path)


def put_text(path: Path, content: str) -> None:
    """Puts a text file."""
    put_whole(path, lambda partial: partial.write_text(content, encoding="utf-8"))


def put_lines(path: Path, lines: tuple[object, ...]) -> None:
    """Puts a text file with an item a line."""
    put_text(path, "".join(f"{line}\n" for line in lines))


def put_json(path: Path, content: Any) -> None:
    """Puts a JSON file."""
    put_text(path, json.dumps(content, indent=1, ensure_ascii=False))


def put_table(path: Path, table: pa.Table) -> None:
    """Puts a Parquet file."""
    put_whole(path, lambda partial: pq.write_table(table, partial))
