"""What a worker finds about itself: its Python, packages, kernels, memory, scratch space, and what it can open."""

import os
import platform
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import metadata
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from udfs.arrow import arrow_numbers
from udfs.schemas import PAIRS
from udfs.sources import FetchOptions, open_archive
from udfs.sources.credentials import without_credentials

PACKAGES = (
    "numpy",
    "pyarrow",
    "numba",
    "deflate",
    "fastwarc",
    "selectolax",
    "msgspec",
    "boto3",
    "pyahocorasick",
    "zstandard",
    "tenacity",
)
_BYTES_READ = 1 << 16

MEASURED = pa.schema(
    [
        ("archive", pa.string()),
        ("status", pa.string()),
        ("size", pa.int64()),
        ("pairs", pa.int64()),
        ("written_bytes", pa.int64()),
    ]
)
"""One row per archive that was extracted on trial: `written_bytes` is what its pairs would take as Parquet."""


class WorkerFindings(msgspec.Struct, kw_only=True):
    """What a worker found.

    Attributes:
        packages: Name -> version or "missing".
        kernels: Where they came from, see `udfs.kernels.warm`; empty where they were not asked for.
        kernel_seconds: What that took.
        resident_bytes: Before and with the automaton.
    """

    host: str
    python: str = ""
    packages: dict[str, str] = {}
    kernels: str = ""
    kernel_seconds: float = 0.0
    resident_bytes: tuple[int, int] = (0, 0)
    free_scratch_bytes: int
    problems: list[str] = []


def probe_worker(
    load_engine: Callable[[], Any],
    paths: Sequence[str],
    options: FetchOptions,
    load_kernels: Callable[[], str] = str,
) -> WorkerFindings:
    """Looks at the worker that this runs in.

    Args:
        load_engine: Loads the matching automaton as matching does.
        paths: Archives of which the first bytes are read.
        options: How remote stores are reached.
        load_kernels: Loads or compiles what workers use, and says where it came from.

    Returns:
        What it found; each problem is one line.
    """
    problems: list[str] = []
    begun = time.monotonic()
    kernels = load_kernels()
    kernel_seconds = time.monotonic() - begun
    before = _resident_bytes()
    try:
        load_engine()
    except Exception as error:  # whatever it is, it is what the user must see
        problems.append(f"the automaton cannot be loaded: {error!r}")
    for path in paths:
        try:
            with open_archive(path, options) as stream:
                stream.read(_BYTES_READ)
        except Exception as error:
            problems.append(f"{without_credentials(path)} cannot be read: {error}")
    scratch = os.environ.get("SPARK_LOCAL_DIRS", tempfile.gettempdir()).split(",")[0]
    return WorkerFindings(
        host=platform.node(),
        python=platform.python_version(),
        packages=installed_packages(),
        kernels=kernels,
        kernel_seconds=kernel_seconds,
        resident_bytes=(before, _resident_bytes()),
        free_scratch_bytes=shutil.disk_usage(scratch).free,
        problems=problems,
    )


def measure_batches(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Packs extracted pairs as a run would, and keeps nothing of them but how many bytes they take.

    Args:
        batches: Columns of `schemas.EXTRACTED`; an archive's closing row follows its pairs.

    Yields:
        Rows of `MEASURED`.
    """
    file, writer = pa.MockOutputStream(), None
    for batch in batches:
        pairs = batch.filter(pc.equal(batch["kind"], "pair")).select(PAIRS.names)
        if pairs.num_rows:
            writer = writer or pq.ParquetWriter(file, pairs.schema, compression="zstd")
            writer.write_batch(pairs)
        closing = batch.filter(pc.equal(batch["kind"], "archive"))
        if closing.num_rows:
            if writer:
                writer.close()
            weights = np.zeros(closing.num_rows, np.int64)
            weights[0] = file.size()
            file, writer = pa.MockOutputStream(), None
            columns = [closing[name] for name in MEASURED.names[:-1]]
            yield pa.RecordBatch.from_arrays([*columns, arrow_numbers(weights)], schema=MEASURED)


def installed_packages() -> dict[str, str]:
    """Returns the version, or "missing", of each package that the workers need."""
    return {name: _version(name) for name in PACKAGES}


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "missing"


def _resident_bytes() -> int:
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - a file of the kernel
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
