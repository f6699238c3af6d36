"""Instructions that numba has no name for: loads of eight bytes at any address, prefetches, and counts of zero bits.

Also the compilation itself, whose cache on disk is best effort: a home folder that cannot be written, as containers
and `--py-files` archives have, costs a compilation per process and nothing else.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

Function = TypeVar("Function", bound=Callable[..., Any])

WORD_BYTES = 8
_WORD = ir.IntType(64)
_BYTE_POINTER = ir.IntType(8).as_pointer()
_NUMBER = ir.IntType(32)


def compiled(function: Function, signature: Any) -> Function:
    """Compiles a function for one signature, with the compiled code kept on disk where that is possible.

    Args:
        function: A function within what numba understands.
        signature: Its types, so that nothing is compiled later, within a task.

    Returns:
        The compiled function, which runs without Python's lock.
    """
    try:
        return njit(signature, cache=True, nogil=True)(function)
    except (OSError, RuntimeError):
        return njit(signature, nogil=True)(function)


def _address(context: Any, builder: Any, array_type: Any, array: Any, byte: Any) -> Any:
    """Emits the address of a byte of an array."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.add(builder.ptrtoint(data, byte.type), byte)


@intrinsic  # type: ignore[untyped-decorator]
def load_word(typing_context: Any, array: Any, byte: Any) -> Any:
    """Reads eight bytes of a byte array from any position, as a little-endian number; nothing checks the bounds."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = _address(context, builder, signature.args[0], *arguments)
        loaded = builder.load(builder.inttoptr(address, _WORD.as_pointer()))
        loaded.align = 1
        return loaded

    return types.uint64(array, types.int64), code


@intrinsic  # type: ignore[untyped-decorator]
def prefetch_word(typing_context: Any, array: Any, index: Any) -> Any:
    """Asks for the cache line of `array[index]`, an array of 64-bit numbers, ahead of its use."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array_value, index_value = arguments
        byte = builder.mul(index_value, ir.Constant(index_value.type, WORD_BYTES))
        address = _address(context, builder, signature.args[0], array_value, byte)
        shape = ir.FunctionType(ir.VoidType(), [_BYTE_POINTER, _NUMBER, _NUMBER, _NUMBER])
        prefetch = cgutils.get_or_insert_function(builder.module, shape, "llvm.prefetch.p0")
        for_read, keep_in_all_caches, data_cache = _NUMBER(0), _NUMBER(3), _NUMBER(1)
        builder.call(prefetch, [builder.inttoptr(address, _BYTE_POINTER), for_read, keep_in_all_caches, data_cache])
        return context.get_dummy_value()

    return types.void(array, types.int64), code


@intrinsic  # type: ignore[untyped-decorator]
def trailing_zeros(typing_context: Any, word: Any) -> Any:
    """Counts the zero bits below the lowest set bit of a 64-bit number; 64 where none is set."""

    def code(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), code
