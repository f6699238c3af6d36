"""Compiles functions with numba, once per machine: one process compiles a kernel, all others load what it keeps.

Who must have a kernel waits for it. Who can do without reads on in Python until it is there (`KernelSet`).
"""

import fcntl
import importlib
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, TypeVar, cast

import numba
from numba.core import compiler

from udfs.kernel_cache import delete_kept, find_kept, kernels_kept, lock_file, one_process_at_a_time, refuse_kept
from udfs.part_compiler import PartCompiler, resolving_calls_once

Function = TypeVar("Function", bound=Callable[..., Any])

# numba annotates a part of itself, so that the rest would count as wrong.
_numba: Any = numba
_compiler: Any = compiler.CompilerBase
_LAST_TRIED = (0, 68)
_LOCK_OF_SETS = "background"
"""Held by the process that compiles several kernels."""

_log = logging.getLogger(__name__)


def part_options(version: tuple[int, ...]) -> dict[str, object]:
    """Gives numba's options for a part; `PartCompiler` relies on what a later version may have changed."""
    if version > _LAST_TRIED:
        return {}
    return {"pipeline_class": PartCompiler, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def while_compiling(version: tuple[int, ...]) -> AbstractContextManager[None]:
    """Gives what numba's compiler is to run in, as far as it is of a version that was tried."""
    return nullcontext() if version > _LAST_TRIED else resolving_calls_once()


_VERSION: tuple[int, ...] = _numba.version_info.short
_PART = part_options(_VERSION)


def part_of_kernel(function: Function) -> Function:
    """Compiles a function, which makes no array, into the compiled functions that call it. Python must not call it."""
    return cast("Function", _numba.njit(_nrt=False, **_PART)(function))


class Kernel:
    """A function that is compiled for one signature when it is first asked for.

    Attributes:
        function: A function within what numba understands, which makes no array: references are not counted, which
            would take much of the time.
        name: Its module and the name by which it is asked for.
        loaded: The compiled function, which runs without Python's lock; None as long as nobody asked for it.
    """

    def __init__(self, function: Callable[..., Any], make_signature: Callable[[], Any]) -> None:
        """Takes the function, and what makes numba's signature for it, under the kernel's name."""
        self.function = function
        self.name = make_signature.__module__, make_signature.__name__
        self.loaded: Any | None = None
        self._make_signature = make_signature

    def __call__(self) -> Any:
        """Gives the compiled function: loads it, or else compiles it, which other processes wait for."""
        if not self.load():
            self.loaded = _compiled(self.function, self._make_signature())
        return self.loaded

    def load(self) -> bool:
        """Loads it if it has been compiled for this machine before, and tells whether it is there now; never raises."""
        if self.loaded is None:
            self.loaded = _load_kept(self.function, self._make_signature())
        return self.loaded is not None


def kernel(function: Callable[..., Any]) -> Callable[[Callable[[], Any]], Kernel]:
    """Makes a kernel of a function; what it decorates gives the signature, and its name and description."""
    return partial(Kernel, function)


# Division as numpy's: the check of each for a zero would keep loops from being done four numbers at a time.
_OPTIONS = {"nogil": True, "_nrt": False, "error_model": "numpy", "no_cfunc_wrapper": True}


class _NotKeptError(RuntimeError):
    """The files of a kernel do not hold what is looked for."""


class _NoCompiler(_compiler):  # type: ignore[misc]
    """What numba is given in place of a compiler when it is to load only."""

    def define_pipelines(self) -> list[Any]:
        """Is asked where nothing was loaded."""
        raise _NotKeptError


def _load_kept(function: Function, signature: Any) -> Function | None:
    """Loads a kernel that has been compiled before; None where that cannot be, whatever the reason.

    Nobody is waited for: numba replaces files as a whole, and the code last.
    """
    folder = find_kept(function)
    if folder is None:
        return None
    try:
        with kernels_kept():
            load: Any = _numba.njit(signature, cache=True, pipeline_class=_NoCompiler, **_OPTIONS)
            return cast("Function", load(function))
    except _NotKeptError:
        return None
    except Exception as error:  # the files are pickles, which raise anything where they were cut
        refuse_kept(function, folder)
        _log.warning("%s is compiled anew: what is kept of it in %s is damaged: %r", function.__name__, folder, error)
        return None


def _compiled(function: Function, signature: Any) -> Function:
    """Compiles a kernel and keeps its code, unless another process has done so meanwhile."""
    try:
        with one_process_at_a_time(f"{function.__module__}.{function.__qualname__}"):
            return _load_kept(function, signature) or _compile_and_keep(function, signature)
    except Exception:  # the code cannot be kept, or else compiling it fails again
        return cast("Function", _numba.njit(signature, **_OPTIONS)(function))


def _compile_and_keep(function: Function, signature: Any) -> Function:
    # numba reads an index that is left, damaged or not.
    delete_kept(function)
    with kernels_kept(), while_compiling(_VERSION):
        return cast("Function", _numba.njit(signature, cache=True, **_OPTIONS)(function))


class KernelSet:
    """Kernels that are used once they are there, and that a process of its own compiles meanwhile, one per machine."""

    def __init__(self, *kernels: Kernel, fewest_bytes: int) -> None:
        """Takes the kernels, and of how many bytes of input on it is worth compiling them."""
        self.kernels = kernels
        self._fewest_bytes = fewest_bytes
        self._bytes = 0
        self._process: subprocess.Popen[bytes] | None = None

    def compile(self) -> None:
        """Loads all, and compiles those that have not been for this machine."""
        for kernel in self.kernels:
            kernel()

    def load(self) -> bool:
        """Loads those that have been compiled for this machine, and tells whether all are there now."""
        if self._process is not None:
            # One that has ended is taken off the list of processes.
            self._process.poll()
        loaded = [kernel.load() for kernel in self.kernels]
        return all(loaded)

    def prepare(self, size: int) -> None:
        """Loads what is there before so many bytes of input are read; has the rest compiled if that is worth it."""
        self._bytes += size
        if not self.load() and self._bytes >= self._fewest_bytes and self._process is None:
            try:
                self._process = _compile_in_background(self.kernels)
            except OSError as error:
                _log.warning("without compiled code, everything is read in Python, several times as slowly: %s", error)
                self._fewest_bytes = sys.maxsize


def _compile_in_background(kernels: Sequence[Kernel]) -> "subprocess.Popen[bytes] | None":
    """Starts a process that compiles kernels, unless another one of this machine does so and files can be locked.

    It has the priority of its parent: each second that it ends sooner saves every worker of the machine more.

    Raises:
        OSError: The code can be kept nowhere, or no process can be started.
    """
    with lock_file(_LOCK_OF_SETS) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return None
        except OSError as error:
            _log.info("%s cannot be locked, so that each process compiles for itself: %s", lock.name, error)
        # The process has the lock as long as it lives.
        return _start_compiler(kernels, pass_fds=[lock.fileno()])


def compile_in_child(kernels: Sequence[Kernel]) -> None:
    """Has a process of its own compile kernels, and waits for it, so that this one does not keep a compiler's memory.

    Where processes of a machine do so at once, the others find the code of the first. Where code can be kept nowhere,
    nothing is done.
    """
    try:
        lock_file(_LOCK_OF_SETS).close()
    except OSError:
        return
    with one_process_at_a_time(_LOCK_OF_SETS):
        missing = [kernel for kernel in kernels if not kernel.load()]
        if missing:
            with _start_compiler(missing) as process:
                process.wait()


def _start_compiler(kernels: Sequence[Kernel], pass_fds: Sequence[int] = ()) -> "subprocess.Popen[bytes]":
    """Starts a process that compiles kernels, and lives as long as the pipe to it is open."""
    # The zip of --py-files is on this process's path only.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-m", __name__, *(":".join(kernel.name) for kernel in kernels)]
    return subprocess.Popen(  # noqa: S603 - our own module
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment, pass_fds=pass_fds
    )


def _end_with_parent() -> None:
    while os.read(0, 1):
        pass
    os._exit(0)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    for name in sys.argv[1:]:
        module, _, kernel_name = name.partition(":")
        getattr(importlib.import_module(module), kernel_name)()
