"""The names of pairs, compiled: MD5 (RFC 1321) of eight messages at once, one in each lane of a vector.

`hashlib` takes several times as long for messages as short as these, mostly for an object each.
"""

from math import floor, sin
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir

from udfs.compilation import kernel, part_of_kernel
from udfs.numba_intrinsics import WORD_BYTES, array_address, instruction, load_word, types

Bytes = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint32]

DIGITS = 32
"""Hexadecimal digits of a digest."""

_LANES = 8
_BLOCK_BYTES, _WORDS, _STATE_WORDS = 64, 16, 4
_LENGTH_AT = _BLOCK_BYTES - 8
_TAIL_BYTES = 2 * _BLOCK_BYTES
_WORDS_LENGTH = _LANES * _WORDS
_STATE_LENGTH = _LANES * _STATE_WORDS
_TAILS_LENGTH = _LANES * _TAIL_BYTES
_PLACES = 3
_PLACES_LENGTH = _LANES * _PLACES
_BEGIN, _WHOLE, _BLOCKS = range(_PLACES)

_ROUNDS = 4
_SHIFTS = ((7, 12, 17, 22), (5, 9, 14, 20), (4, 11, 16, 23), (6, 10, 15, 21))
_WORD_STEPS = ((1, 0), (5, 1), (3, 5), (7, 0))
"""By round: factor and first number of the words in the order in which a round takes them."""

_SINES = [floor(abs(sin(step + 1)) * (1 << 32)) for step in range(_ROUNDS * _WORDS)]
_LOW_BITS = np.uint64(0xFFFFFFFF)
_START = np.array([0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476], np.uint32)
_HEXADECIMAL = np.frombuffer(b"0123456789abcdef", np.uint8)
_LANE_VECTOR = ir.VectorType(ir.IntType(32), _LANES)


def _constant(value: int) -> Any:
    return ir.Constant(_LANE_VECTOR, [value] * _LANES)


def _mixed(builder: Any, turn: int, b: Any, c: Any, d: Any) -> Any:
    """Emits the function of a round."""
    if turn == 0:
        return builder.xor(d, builder.and_(b, builder.xor(c, d)))
    if turn == 1:
        return builder.xor(c, builder.and_(d, builder.xor(b, c)))
    if turn == 2:
        return builder.xor(b, builder.xor(c, d))
    return builder.xor(c, builder.or_(b, builder.not_(d)))


@instruction
def _add_block(_typing_context: Any, state: Any, words: Any) -> Any:
    """Adds a block of each message to its digest.

    The arguments are uint32[_STATE_LENGTH], the words A of all messages, then B, C and D; and uint32[_WORDS_LENGTH],
    the first words of all blocks, then the second ones, and so on.
    """

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def place(array: int, row: int) -> Any:
            byte = ir.Constant(ir.IntType(64), row * _LANES * 4)
            address = array_address(context, builder, signature.args[array], arguments[array], byte)
            return builder.inttoptr(address, _LANE_VECTOR.as_pointer())

        def load(array: int, row: int) -> Any:
            loaded = builder.load(place(array, row))
            loaded.align = 4
            return loaded

        before = [load(0, row) for row in range(_STATE_WORDS)]
        a, b, c, d = before
        for step, sine in enumerate(_SINES):
            turn, number = divmod(step, _WORDS)
            factor, first = _WORD_STEPS[turn]
            shift = _SHIFTS[turn][number % _STATE_WORDS]
            total = builder.add(builder.add(a, _constant(sine)), load(1, (factor * number + first) % _WORDS))
            total = builder.add(total, _mixed(builder, turn, b, c, d))
            turned = builder.or_(builder.shl(total, _constant(shift)), builder.lshr(total, _constant(32 - shift)))
            a, b, c, d = d, builder.add(b, turned), b, c
        for row, (old, new) in enumerate(zip(before, (a, b, c, d), strict=True)):
            builder.store(builder.add(old, new), place(0, row)).align = 4
        return context.get_dummy_value()

    return types.void(state, words), code


@part_of_kernel
def _write_tail(data: Bytes, begin: int, end: int, tails: Bytes, at: int) -> int:
    """Writes what stands behind a message's whole blocks, with padding and length; returns the number of blocks."""
    rest = (end - begin) % _BLOCK_BYTES
    blocks = 1 if rest < _LENGTH_AT else 2
    for place in range(rest):
        tails[at + place] = data[end - rest + place]
    tails[at + rest] = 0x80
    for place in range(rest + 1, blocks * _BLOCK_BYTES):
        tails[at + place] = 0
    bits = 8 * (end - begin)
    for place in range(8):
        tails[at + (blocks - 1) * _BLOCK_BYTES + _LENGTH_AT + place] = bits >> 8 * place & 255
    return blocks


@part_of_kernel
def _read_block(source: Bytes, at: int, words: Words, lane: int) -> None:
    for pair in range(_WORDS // 2):
        both = load_word(source, at + WORD_BYTES * pair)
        words[2 * pair * _LANES + lane] = np.uint32(both & _LOW_BITS)
        words[(2 * pair + 1) * _LANES + lane] = np.uint32(both >> np.uint64(32))


@part_of_kernel
def _write_digits(state: Words, lane: int, digits: Bytes, at: int) -> None:
    for row in range(_STATE_WORDS):
        word = np.int64(state[row * _LANES + lane])
        for _ in range(4):
            digits[at], digits[at + 1] = _HEXADECIMAL[word >> 4 & 15], _HEXADECIMAL[word & 15]
            word >>= 8
            at += 2


def _digest_messages(
    data: Bytes, bounds: Numbers, digits: Bytes, state: Words, words: Words, tails: Bytes, places: Numbers
) -> None:
    """Writes the digest of each message; the arguments stand at `md5_kernel`."""
    messages = bounds.size - 1
    for first in range(0, messages, _LANES):
        lanes, most = min(_LANES, messages - first), 0
        for lane in range(lanes):
            begin, end = bounds[first + lane], bounds[first + lane + 1]
            whole = (end - begin) // _BLOCK_BYTES
            blocks = whole + _write_tail(data, begin, end, tails, lane * _TAIL_BYTES)
            row = lane * _PLACES
            places[row + _BEGIN], places[row + _WHOLE], places[row + _BLOCKS] = begin, whole, blocks
            most = max(most, blocks)
        for place in range(_STATE_LENGTH):
            state[place] = _START[place // _LANES]
        for block in range(most):
            for lane in range(lanes):
                row = lane * _PLACES
                begin, whole, blocks = places[row + _BEGIN], places[row + _WHOLE], places[row + _BLOCKS]
                if block < whole:
                    _read_block(data, begin + block * _BLOCK_BYTES, words, lane)
                elif block < blocks:
                    _read_block(tails, lane * _TAIL_BYTES + (block - whole) * _BLOCK_BYTES, words, lane)
            _add_block(state, words)
            for lane in range(lanes):
                if block + 1 == places[lane * _PLACES + _BLOCKS]:
                    _write_digits(state, lane, digits, (first + lane) * DIGITS)


@kernel(_digest_messages)
def md5_kernel() -> Any:
    """Gives numba's signature of the compiled loop.

    Returns:
        That of a function of

        - data, uint8[m], the messages,
        - bounds, int64[n + 1], where each of them begins, and the last one ends,
        - digits, uint8[n * DIGITS], filled with the digests in hexadecimal,
        - state, uint32[_STATE_LENGTH], words, uint32[_WORDS_LENGTH], tails, uint8[_TAILS_LENGTH], and places,
          int64[_PLACES_LENGTH], to work in.
    """
    content = types.Array(types.uint8, 1, "C", readonly=True)
    work = types.uint32[::1], types.uint32[::1], types.uint8[::1], types.int64[::1]
    return types.void(content, types.int64[::1], types.uint8[::1], *work)


def hexadecimal_digests(data: bytes, bounds: Numbers) -> Bytes:
    """Digests messages that lie one behind the other.

    Args:
        data: The messages.
        bounds: int64[n + 1], where each of them begins, and the last one ends.

    Returns:
        uint8[n * DIGITS], their digests in hexadecimal.
    """
    digits = np.empty((len(bounds) - 1) * DIGITS, np.uint8)
    state, words = np.empty(_STATE_LENGTH, np.uint32), np.zeros(_WORDS_LENGTH, np.uint32)
    tails, places = np.empty(_TAILS_LENGTH, np.uint8), np.empty(_PLACES_LENGTH, np.int64)
    md5_kernel()(np.frombuffer(data, np.uint8), bounds, digits, state, words, tails, places)
    return digits
