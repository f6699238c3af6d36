"""What a worker finds about itself: its Python, packages, memory, scratch space, and what it can open."""

import os
import platform
import resource
import shutil
import tempfile
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Any

import msgspec

from udfs.sources import FetchOptions, open_archive
from udfs.sources.credentials import without_credentials

PACKAGES = (
    "numpy",
    "pyarrow",
    "numba",
    "fastwarc",
    "selectolax",
    "msgspec",
    "boto3",
    "pyahocorasick",
    "zstandard",
    "tenacity",
)
_BYTES_READ = 1 << 16


class WorkerFindings(msgspec.Struct, kw_only=True):
    """What a worker found: `packages` name -> version or "missing", `resident_bytes` before and with the automaton."""

    host: str
    python: str = ""
    packages: dict[str, str] = {}
    resident_bytes: tuple[int, int] = (0, 0)
    free_scratch_bytes: int
    problems: list[str] = []


def probe_worker(load_engine: Callable[[], Any], paths: Sequence[str], options: FetchOptions) -> WorkerFindings:
    """Looks at the worker that this runs in.

    Args:
        load_engine: Loads the matching automaton as matching does.
        paths: Archives of which the first bytes are read.
        options: How remote stores are reached.

    Returns:
        What it found; each problem is one line.
    """
    problems: list[str] = []
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
        resident_bytes=(before, _resident_bytes()),
        free_scratch_bytes=shutil.disk_usage(scratch).free,
        problems=problems,
    )


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
