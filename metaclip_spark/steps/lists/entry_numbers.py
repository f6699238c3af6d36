"""Numbers per metadata entry on the executors: a broadcast variable or, of long lists, a file that workers map."""

import atexit
import hashlib
import shutil
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyspark import SparkFiles
from pyspark.sql import SparkSession

from udfs.balancing.mapped_numbers import map_numbers
from udfs.balancing.sorted_matches import LONG_LIST


@dataclass(frozen=True)
class EntryNumbers:
    """Numbers that workers can read; as a context manager it gives `read`, and ends with `release`.

    Attributes:
        read: Gives them in a worker. A function that closes over it must not close over this object, whose class would
            make workers import the driver's modules.
        release: Frees what workers hold, where they hold a copy each.
    """

    read: Callable[[], NDArray[Any]]
    release: Callable[[], None]

    def __enter__(self) -> Callable[[], NDArray[Any]]:
        """Gives what reads them."""
        return self.read

    def __exit__(self, *_: object) -> None:
        """Frees them, also where the job has failed."""
        self.release()


def send_entry_numbers(spark: SparkSession, numbers: NDArray[Any]) -> EntryNumbers:
    """Sends numbers per entry to the executors.

    Args:
        spark: The session.
        numbers: Shape (entries,). From `LONG_LIST` entries on they are a file of `SparkContext.addFile`, once for the
            same numbers: a broadcast variable would be unpickled, as a copy, in each Python worker.

    Returns:
        What reads them in a worker.
    """
    if numbers.size < LONG_LIST:
        broadcast = spark.sparkContext.broadcast(numbers)
        return EntryNumbers(lambda: broadcast.value, broadcast.unpersist)
    path = _write(numbers)
    spark.sparkContext.addFile(str(path))
    return EntryNumbers(_reader(path.name, numbers.dtype.str), lambda: None)


def _reader(file_name: str, kind: str) -> Callable[[], NDArray[Any]]:
    def read() -> NDArray[Any]:
        return map_numbers(SparkFiles.get(file_name), kind)

    return read


_folders: list[Path] = []


def _write(numbers: NDArray[Any]) -> Path:
    """Writes numbers to a folder that lives as long as this process, under a name that tells their content."""
    if not _folders:
        _folders.append(Path(tempfile.mkdtemp(prefix="metaclip-spark-")))
        # Executors fetch the file from the driver for as long as the session lives.
        atexit.register(shutil.rmtree, _folders[0], ignore_errors=True)
    content = np.ascontiguousarray(numbers)
    path = _folders[0] / f"entries-{hashlib.sha256(content.data).hexdigest()[:32]}.numbers"
    if not path.exists():
        # The disk may be full: what has the name must be whole.
        partial = path.with_name(f"{path.name}.{threading.get_ident()}")
        partial.write_bytes(content.data)
        partial.replace(path)
    return path
