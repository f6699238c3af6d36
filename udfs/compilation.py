"""Compiles functions with numba, once per machine: the code is kept on disk, and one process compiles it for all.

The cache is best effort: where neither the package's folder nor the home folder can be written, as in some containers,
every process compiles what it uses.
"""

import fcntl
import hashlib
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import IO, Any, Self, TypeVar, cast

import numba

from udfs.part_compiler import PartCompiler

Function = TypeVar("Function", bound=Callable[..., Any])

# numba annotates a part of itself, so that the rest would count as wrong.
_numba: Any = numba

_LONGEST_COMPILATION_SECONDS = 300.0
_SECONDS_BETWEEN_LOOKS = 0.1
_cache_lock = threading.Lock()
_PART = {"pipeline_class": PartCompiler, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def part_of_kernel(function: Function) -> Function:
    """Compiles a function, which makes no array, into the compiled functions that call it. Python must not call it."""
    return cast("Function", _numba.njit(_nrt=False, **_PART)(function))


def compiled(function: Function, signature: Any) -> Function:
    """Compiles a function for one signature, with the compiled code kept on disk where that is possible.

    Args:
        function: A function within what numba understands, which makes no array: references are not counted
            (`_nrt=False`), which would take much of the time.
        signature: Its types, so that nothing is compiled later, within a task.

    Returns:
        The compiled function, which runs without Python's lock.
    """
    # Division as numpy's: the check of each for a zero would keep loops from being done four numbers at a time.
    options = {"nogil": True, "_nrt": False, "error_model": "numpy", "no_cfunc_wrapper": True}
    try:
        with _kernels_kept(), _one_process_at_a_time(function):
            kernel = _numba.njit(signature, cache=True, **options)(function)
    except (OSError, RuntimeError):
        kernel = _numba.njit(signature, **options)(function)
    return cast("Function", kernel)


def is_kept(function: Callable[..., Any]) -> bool:
    """Tells whether a kernel of a function has been compiled on this machine already, so that it is loaded at once."""
    try:
        return any(Path(KernelCache(function).get_cache_path()).glob(f"*{function.__name__}-*.nbi"))
    except (OSError, RuntimeError):
        return False


class KernelCache:
    """Tells numba where it keeps a compiled kernel: in a folder named after all sources of the package.

    numba's own folders are named after the path of the sources, which for `--py-files` is another one in every run, and
    it looks for changes in a kernel's own file only. See "NUMBA_CACHE_LOCATOR_CLASSES" in numba's manual.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        """Takes a kernel."""
        self._function = function

    @classmethod
    def from_function(cls, function: Callable[..., Any], _file: str) -> Self | None:
        """Gives the cache of a kernel, or None where no folder can be written."""
        found = cls(function)
        try:
            found.ensure_cache_path()
        except OSError:
            return None
        return found

    def ensure_cache_path(self) -> None:
        """Makes the folder, and fails where it cannot be written."""
        Path(self.get_cache_path()).mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=self.get_cache_path()).close()

    def get_cache_path(self) -> str:
        """Gives the folder."""
        return str(_cache_folder() / f"kernels-{self.get_source_stamp()}" / self._function.__module__)

    def get_source_stamp(self) -> str:
        """Gives what changes with any source."""
        return _digest_of_sources()

    def get_disambiguator(self) -> str:
        """Tells kernels of one name apart."""
        return str(self._function.__code__.co_firstlineno)


def _cache_folder() -> Path:
    """Gives the folder that numba was told, the package's own, or the user's where that one cannot be written."""
    package = Path(__file__).parent
    if _numba.config.CACHE_DIR:
        return Path(_numba.config.CACHE_DIR)
    if os.access(package, os.W_OK):
        return package / "__pycache__"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "metaclip-spark"


@cache
def _digest_of_sources() -> str:
    return hashlib.sha256(b"".join(_sources(files(__package__)))).hexdigest()[:16]


def _sources(folder: Traversable) -> Iterator[bytes]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _sources(entry)
        elif entry.name.endswith(".py"):
            yield entry.read_bytes()


@contextmanager
def _kernels_kept() -> Iterator[None]:
    """Has numba ask `KernelCache` where compiled code is kept, and nobody else's functions with it."""
    with _cache_lock:
        given = _numba.config.CACHE_LOCATOR_CLASSES
        _numba.config.CACHE_LOCATOR_CLASSES = f"{__name__}.{KernelCache.__name__}"
        try:
            yield
        finally:
            _numba.config.CACHE_LOCATOR_CLASSES = given


def _wait_for(lock: IO[bytes]) -> None:
    """Locks a file.

    Raises:
        BlockingIOError: Another process has held it for longer than any kernel takes.
    """
    end = time.monotonic() + _LONGEST_COMPILATION_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        else:
            return


@contextmanager
def _one_process_at_a_time(function: Callable[..., Any]) -> Iterator[None]:
    """Lets the first process of a machine compile a kernel, while the others wait to load what it keeps.

    A process that ends gives the lock back, however it ends. Where no file can be locked, each compiles for itself.
    """
    with ExitStack() as stack:
        try:
            cache_path = KernelCache(function).get_cache_path()
            Path(cache_path).mkdir(parents=True, exist_ok=True)
            lock = stack.enter_context(Path(cache_path, f"{function.__name__}.lock").open("wb"))
            _wait_for(lock)
            # A child that was forked meanwhile would hold it as long as it lives.
            stack.callback(fcntl.flock, lock, fcntl.LOCK_UN)
        except OSError:
            pass
        yield
