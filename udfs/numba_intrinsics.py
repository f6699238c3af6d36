"""Instructions that numba has no name for: loads of eight bytes at any address, prefetches, and counts of zero bits."""

from collections.abc import Callable
from typing import Any

import numba
import numba.extending
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba.core import cgutils

from udfs.compilation import part_of_kernel

# numba annotates a part of itself, so that the rest would count as wrong.
types: Any = numba.types
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

_HIGH_BITS = np.uint64(0x80) * ONES
_WORD = ir.IntType(64)
_BYTE_POINTER = ir.IntType(8).as_pointer()
_NUMBER = ir.IntType(32)


def instruction(emit: Callable[..., Any]) -> Any:
    """Makes an instruction of a function (types of the arguments) -> (signature, code emitter)."""
    return _intrinsic(emit)


def array_address(context: Any, builder: Any, array_type: Any, array: Any, byte: Any) -> Any:
    """Emits the address of a byte of an array."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.add(builder.ptrtoint(data, byte.type), byte)


@instruction
def writable(_typing_context: Any, array: Any) -> Any:
    """Gives an array as one that may be written, though nobody does: parts of kernels are compiled for these alone."""

    def code(_context: Any, _builder: Any, _signature: Any, arguments: Any) -> Any:
        return arguments[0]

    return array.copy(readonly=False)(array), code


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
