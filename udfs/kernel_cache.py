"""Where compiled kernels are kept on disk, for which processors they are made, and who may compile one.

They are kept by the contents of the sources and by all else that their code depends on: Python, numba, and the
processor. The code is made for a family of processors rather than for the one at hand, so that it can be carried to
other machines (`make pack`); a machine that lacks some of the family's instructions has code of its own.
"""

import fcntl
import hashlib
import os
import platform
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import IO, Any, NamedTuple, Self

import llvmlite
import llvmlite.binding
import numba

# numba annotates a part of itself, so that the rest would count as wrong.
_numba: Any = numba
_llvm: Any = llvmlite.binding

_LONGEST_COMPILATION_SECONDS = 300.0
_SECONDS_BETWEEN_LOOKS = 0.1
_cache_lock = threading.Lock()
_NAME = "metaclip-spark"


class _Family(NamedTuple):
    """Processors that run the same code: LLVM's name of them, and what a machine must have, by LLVM's names."""

    name: str
    features: str


_FAMILIES = {
    "x86_64": _Family("x86-64-v3", "avx2 bmi bmi2 cx16 f16c fma lzcnt movbe popcnt sahf sse4.2 xsave"),
    "aarch64": _Family("generic", "neon"),
}
"""The families by architecture. Code for all instructions of a newer processor was measured to be no faster."""


def family_of(architecture: str, features: dict[str, bool]) -> str | None:
    """Gives LLVM's name of the family that a processor belongs to; None where it is in none."""
    family = _FAMILIES.get(architecture)
    return family.name if family and all(features.get(feature) for feature in family.features.split()) else None


def _compile_for_family() -> None:
    """Has numba compile for the family of this machine's processor, unless the environment names a processor."""
    name = family_of(platform.machine(), _llvm.get_host_cpu_features())
    if name is not None and "NUMBA_CPU_NAME" not in os.environ and "NUMBA_CPU_FEATURES" not in os.environ:
        # numba reads the environment again before it compiles.
        os.environ["NUMBA_CPU_NAME"], os.environ["NUMBA_CPU_FEATURES"] = name, ""
        _numba.config.reload_config()


_compile_for_family()


class KernelCache:
    """Tells numba where it keeps a compiled kernel: in a folder named after all that the code depends on.

    numba's own folders are named after the path of the sources, which for `--py-files` is another one in every run, and
    it looks for changes in a kernel's own file only. See "NUMBA_CACHE_LOCATOR_CLASSES" in numba's manual.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        """Takes a kernel."""
        self._function = function
        self._path = find_kept(function) or _own_folder() / _place_of(function)

    @classmethod
    def from_function(cls, function: Callable[..., Any], _file: str) -> Self | None:
        """Gives the cache of a kernel, or None where no folder can be written."""
        try:
            found = cls(function)
            found.ensure_cache_path()
        except OSError:
            return None
        return found

    def ensure_cache_path(self) -> None:
        """Makes the folder, and fails where the kernel is not there and the folder cannot be written."""
        if find_kept(self._function) is None:
            self._path.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=self._path).close()

    def get_cache_path(self) -> str:
        """Gives the folder."""
        return str(self._path)

    def get_source_stamp(self) -> str:
        """Gives what changes with any source."""
        return _digest()

    def get_disambiguator(self) -> str:
        """Tells kernels of one name apart."""
        return str(self._function.__code__.co_firstlineno)


_refused: set[tuple[Path, str]] = set()
"""Folders whose files of a kernel are damaged and cannot be deleted, and the kernel's name."""


def find_kept(function: Callable[..., Any]) -> Path | None:
    """Finds the folder with the code of a kernel that has been compiled for this machine; None where it has not."""
    places = [shipped_folder()]
    with suppress(OSError):
        places.append(_own_folder())
    folders = (place / _place_of(function) for place in places)
    return next((folder for folder in folders if _is_kept(function, folder)), None)


def _is_kept(function: Callable[..., Any], folder: Path) -> bool:
    # The code is written behind numba's index of it.
    return (folder, function.__qualname__) not in _refused and any(_files_of(function, folder, "nbc"))


def _files_of(function: Callable[..., Any], folder: Path, kind: str = "nb[ci]") -> Iterator[Path]:
    return folder.glob(f"*.{function.__qualname__}-*.{kind}")


def refuse_kept(function: Callable[..., Any], folder: Path) -> None:
    """Deletes damaged files of a kernel; what came with Python, or cannot be deleted, this process finds no longer."""
    if not folder.is_relative_to(shipped_folder()):
        delete_kept(function)
    if _is_kept(function, folder):
        _refused.add((folder, function.__qualname__))


def delete_kept(function: Callable[..., Any]) -> None:
    """Deletes what is left of a kernel in the folder that is written to, as far as that can be."""
    with suppress(OSError):
        for file in _files_of(function, _own_folder() / _place_of(function)):
            file.unlink(missing_ok=True)


def shipped_folder() -> Path:
    """Gives the folder of the kernels that came with this Python, as in the archive of `make pack`."""
    return Path(sys.prefix, "share", _NAME)


def _place_of(function: Callable[..., Any]) -> Path:
    return Path(f"kernels-{_digest()}", function.__module__)


def _own_folder() -> Path:
    """Gives the first folder that can be written: of numba, the package, the user, or the machine's scratch space.

    Raises:
        OSError: There is none.
    """
    if _numba.config.CACHE_DIR:
        return Path(_numba.config.CACHE_DIR)
    return _first_writable_folder()


@cache
def _first_writable_folder() -> Path:
    for find in (_folder_of_package, _folder_of_user, _scratch_folder):
        try:
            folder = find()
            tempfile.TemporaryFile(dir=folder).close()
        except (OSError, RuntimeError):
            continue
        return folder
    raise OSError("there is no folder to keep compiled kernels in: name one that can be written in NUMBA_CACHE_DIR")


def _folder_of_package() -> Path:
    folder = Path(__file__).parent / "__pycache__"
    folder.mkdir(exist_ok=True)
    return folder


def _folder_of_user() -> Path:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / _NAME
    folder.mkdir(parents=True, exist_ok=True, mode=stat.S_IRWXU)
    return folder


def _scratch_folder() -> Path:
    """Gives a folder that only its user may write to: its files are code.

    Raises:
        OSError: It is somebody else's.
    """
    folder = Path(tempfile.gettempdir(), f"{_NAME}-{os.getuid()}")
    folder.mkdir(mode=stat.S_IRWXU, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise OSError(f"{folder} is somebody else's")
    return folder


@cache
def _digest() -> str:
    """Digests all that the code depends on: the sources, Python, numba, and the processor."""
    config = _numba.config
    features = _llvm.get_host_cpu_features().flatten() if config.CPU_FEATURES is None else config.CPU_FEATURES
    target = platform.machine(), sys.platform, config.CPU_NAME or _llvm.get_host_cpu_name(), features
    versions = sys.implementation.cache_tag, _numba.__version__, llvmlite.__version__
    sources = b"".join(_sources(files(__package__)))
    return hashlib.sha256(repr((target, versions)).encode() + sources).hexdigest()[:16]


def _sources(folder: Traversable) -> Iterator[bytes]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _sources(entry)
        elif entry.name.endswith(".py"):
            yield entry.read_bytes()


@contextmanager
def kernels_kept() -> Iterator[None]:
    """Has numba ask `KernelCache` where compiled code is kept, and nobody else's functions with it."""
    with _cache_lock:
        given = _numba.config.CACHE_LOCATOR_CLASSES
        _numba.config.CACHE_LOCATOR_CLASSES = f"{__name__}.{KernelCache.__name__}"
        try:
            yield
        finally:
            _numba.config.CACHE_LOCATOR_CLASSES = given


def lock_file(name: str) -> IO[bytes]:
    """Opens a file to be locked, one for all processes of this machine that share compiled kernels.

    Raises:
        OSError: There is no folder for it.
    """
    folder = _own_folder() / f"kernels-{_digest()}"
    folder.mkdir(parents=True, exist_ok=True)
    return Path(folder, f"{name}.lock").open("wb")


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
def one_process_at_a_time(name: str) -> Iterator[None]:
    """Lets the first process of a machine compile what has this name, while the others wait to load what it keeps.

    A process that ends gives the lock back, however it ends. Where no file can be locked, each compiles for itself.
    """
    with ExitStack() as stack:
        try:
            lock = stack.enter_context(lock_file(name))
            _wait_for(lock)
            # A child that was forked meanwhile would hold it as long as it lives.
            stack.callback(fcntl.flock, lock, fcntl.LOCK_UN)
        except OSError:
            pass
        yield
