"""Instructions that numba has no name for: loads of eight bytes at any address, prefetches, and counts of zero bits.

Also the compilation itself, whose cache on disk is best effort: where neither the package's folder nor the home folder
can be written, as in some containers, every process compiles what it uses.
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
import numba.extending
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba.core import cgutils

Function = TypeVar("Function", bound=Callable[..., Any])

# numba annotates a part of itself, so that the rest would count as wrong.
types: Any = numba.types
_numba: Any = numba
_codegen: Any = cgutils
_intrinsic: Any = numba.extending.intrinsic

WORD_BYTES = 8
BLOCK_BYTES = 64
ONES = np.uint64(0x0101010101010101)
"""A one in each byte of a word."""

ALL_BITS = np.uint64(0xFFFFFFFFFFFFFFFF)
"""A bit for each byte of a block."""

GOLDEN_RATIO = 0x9E3779B97F4A7C15
"""2^64 divided by the golden ratio, odd: the factor of Knuth's multiplicative hashing."""

_LONGEST_COMPILATION_SECONDS = 300.0
_SECONDS_BETWEEN_LOOKS = 0.1
_cache_lock = threading.Lock()
_HIGH_BITS = np.uint64(0x80) * ONES
_WORD = ir.IntType(64)
_BYTE_POINTER = ir.IntType(8).as_pointer()
_NUMBER = ir.IntType(32)


def part_of_kernel(function: Function) -> Function:
    """Compiles a function, which makes no array, into the compiled functions that call it."""
    return cast("Function", _numba.njit(_nrt=False)(function))


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
    options = {"nogil": True, "_nrt": False, "error_model": "numpy"}
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


def instruction(emit: Callable[..., Any]) -> Any:
    """Makes an instruction of a function (types of the arguments) -> (signature, code emitter)."""
    return _intrinsic(emit)


def array_address(context: Any, builder: Any, array_type: Any, array: Any, byte: Any) -> Any:
    """Emits the address of a byte of an array."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.add(builder.ptrtoint(data, byte.type), byte)


@instruction
def load_word(_typing_context: Any, array: Any, _byte: Any) -> Any:
    """Reads eight bytes of a byte array from any position, as a little-endian number; nothing checks the bounds."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = array_address(context, builder, signature.args[0], *arguments)
        loaded = builder.load(builder.inttoptr(address, _WORD.as_pointer()))
        loaded.align = 1
        return loaded

    return types.uint64(array, types.int64), code


@instruction
def prefetch_word(_typing_context: Any, array: Any, _index: Any) -> Any:
    """Asks for the cache line of `array[index]`, an array of 64-bit numbers, ahead of its use."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array_value, index_value = arguments
        byte = builder.mul(index_value, ir.Constant(index_value.type, WORD_BYTES))
        address = array_address(context, builder, signature.args[0], array_value, byte)
        shape = ir.FunctionType(ir.VoidType(), [_BYTE_POINTER, _NUMBER, _NUMBER, _NUMBER])
        prefetch = _codegen.get_or_insert_function(builder.module, shape, "llvm.prefetch.p0")
        for_read, keep_in_all_caches, data_cache = _NUMBER(0), _NUMBER(3), _NUMBER(1)
        builder.call(prefetch, [builder.inttoptr(address, _BYTE_POINTER), for_read, keep_in_all_caches, data_cache])
        return context.get_dummy_value()

    return types.void(array, types.int64), code


@instruction
def trailing_zeros(_typing_context: Any, _word: Any) -> Any:
    """Counts the zero bits below the lowest set bit of a 64-bit number; 64 where none is set."""

    def code(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), code


def bits_of(wanted: bytes, below: int = 0) -> Any:
    """Makes an instruction that finds bytes: (byte array, position) -> a bit for each of the 64 bytes from there on.

    Nothing checks the bounds. Bytes smaller than `below` are found, too.
    """

    def find(_typing_context: Any, array: Any, _byte: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            address = array_address(context, builder, signature.args[0], *arguments)
            block = ir.VectorType(ir.IntType(8), BLOCK_BYTES)
            loaded = builder.load(builder.inttoptr(address, block.as_pointer()))
            loaded.align = 1
            bits = builder.icmp_unsigned("<", loaded, ir.Constant(block, [below] * BLOCK_BYTES))
            for byte in wanted:
                equal = builder.icmp_unsigned("==", loaded, ir.Constant(block, [byte] * BLOCK_BYTES))
                bits = builder.or_(bits, equal)
            return builder.bitcast(bits, _WORD)

        return types.uint64(array, types.int64), code

    return instruction(find)


ascii_bits = bits_of(b"", below=128)
"""Finds the bytes of ASCII."""


@instruction
def inflate_gzip(
    _typing_context: Any,
    _function: Any,
    _decompressor: Any,
    packed: Any,
    _begin: Any,
    _end: Any,
    plain: Any,
    _at: Any,
    _room: Any,
    sizes: Any,
) -> Any:
    """Calls `libdeflate_gzip_decompress_ex` by its address, for one gzip member.

    The arguments are the function's address, the decompressor's address, an array of bytes with the begin of the member
    and the end of what is known of it, an array with the place that is written to and the bytes that may be written,
    and int64[2], which receives the bytes read and written. The result is libdeflate's. Nothing checks the bounds.
    """

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        function, decompressor, source, begin, end, target, at, room, counts = arguments
        source_type, target_type, counts_type = signature.args[2], signature.args[5], signature.args[8]
        shape = ir.FunctionType(_NUMBER, [_WORD, _WORD, _WORD, _WORD, _WORD, _WORD, _WORD])
        read_address = array_address(context, builder, counts_type, counts, ir.Constant(_WORD, 0))
        written_address = array_address(context, builder, counts_type, counts, ir.Constant(_WORD, WORD_BYTES))
        result = builder.call(
            builder.inttoptr(function, shape.as_pointer()),
            [
                decompressor,
                array_address(context, builder, source_type, source, begin),
                builder.sub(end, begin),
                array_address(context, builder, target_type, target, at),
                room,
                read_address,
                written_address,
            ],
        )
        return builder.sext(result, _WORD)

    number = types.int64
    return number(number, number, packed, number, number, plain, number, number, sizes), code


@instruction
def zstd_frame_size(_typing_context: Any, _function: Any, packed: Any, _begin: Any, _end: Any) -> Any:
    """Calls `ZSTD_findFrameCompressedSize` by its address, for the frame at `begin`; nothing checks the bounds.

    The result is the frame's size, or an error's number below 0.
    """

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        function, source, begin, end = arguments
        shape = ir.FunctionType(_WORD, [_WORD, _WORD])
        address = array_address(context, builder, signature.args[1], source, begin)
        return builder.call(builder.inttoptr(function, shape.as_pointer()), [address, builder.sub(end, begin)])

    number = types.int64
    return number(number, packed, number, number), code


@instruction
def inflate_zstd(
    _typing_context: Any,
    _function: Any,
    _decompressor: Any,
    packed: Any,
    _begin: Any,
    _end: Any,
    plain: Any,
    _at: Any,
    _room: Any,
) -> Any:
    """Calls `ZSTD_decompressDCtx` by its address, for one frame.

    The arguments are those of `inflate_gzip`, but the end is the frame's; the result is the number of bytes written, or
    an error's number below 0.
    """

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        function, decompressor, source, begin, end, target, at, room = arguments
        shape = ir.FunctionType(_WORD, [_WORD] * 5)
        read = array_address(context, builder, signature.args[2], source, begin)
        write = array_address(context, builder, signature.args[5], target, at)
        sizes = [decompressor, write, room, read, builder.sub(end, begin)]
        return builder.call(builder.inttoptr(function, shape.as_pointer()), sizes)

    number = types.int64
    return number(number, number, packed, number, number, plain, number, number), code


@part_of_kernel
def equal_bytes(word: Any, wanted: Any) -> Any:
    """Finds a byte among the eight of a word; `wanted` is the byte times `ONES`.

    Returns:
        A word whose lowest set bit is the high bit of the first byte that is equal; those above it may be wrong. Zero
        where none is.
    """
    difference = word ^ wanted
    return (difference - ONES) & ~difference & _HIGH_BITS


def constant(word: bytes) -> npt.NDArray[np.uint8]:
    """Gives a word as compiled functions take it in one form, whatever its length, so that they are compiled once."""
    return np.frombuffer(word, np.uint8)


@part_of_kernel
def starts_with(content: Any, begin: int, end: int, word: Any) -> bool:
    """Tells whether a part of a byte array begins with a word."""
    if end - begin < len(word):
        return False
    for place in range(len(word)):
        if content[begin + place] != word[place]:
            return False
    return True


@part_of_kernel
def is_utf8(content: Any, begin: int, end: int) -> bool:
    """Checks bytes as Python's decoder does: no overlong forms, no surrogates, nothing above U+10FFFF."""
    at = begin
    while at < end:
        if at + BLOCK_BYTES <= end and ascii_bits(content, at) == ALL_BITS:
            at += BLOCK_BYTES
            continue
        if at + WORD_BYTES <= end and load_word(content, at) & _HIGH_BITS == 0:
            at += WORD_BYTES
            continue
        lead = int(content[at])
        at += 1
        if lead < 0x80:
            continue
        length = 1 if 0xC2 <= lead <= 0xDF else 2 if 0xE0 <= lead <= 0xEF else 3 if 0xF0 <= lead <= 0xF4 else 0
        if length == 0 or at + length > end:
            return False
        least = 0xA0 if lead == 0xE0 else 0x90 if lead == 0xF0 else 0x80
        most = 0x9F if lead == 0xED else 0x8F if lead == 0xF4 else 0xBF
        if content[at] < least or content[at] > most:
            return False
        for place in range(at + 1, at + length):
            if content[place] < 0x80 or content[place] > 0xBF:
                return False
        at += length
    return True
