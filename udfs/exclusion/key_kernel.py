"""The compiled loops over keys: which URLs are keys already, SHA-256 (FIPS 180-4) and the look-up of digests.

`hashlib` takes several times as long for keys as short as these, mostly for an object each.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir

from udfs.compilation import kernel, part_of_kernel
from udfs.exclusion.url_key import LONGEST_HOST
from udfs.numba_intrinsics import array_address, instruction, types

Bytes = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint32]
Digests = npt.NDArray[np.uint64]
Marks = npt.NDArray[np.bool_]

WHOLE, PREFIXES, DOMAINS = range(3)
"""What of a key is looked up: all of it, each part up to a slash, its host and the domains above that."""

_BLOCK_BYTES, _STATE_WORDS, _BLOCK_WORDS = 64, 8, 16
_LENGTH_AT = _BLOCK_BYTES - 8
_TAIL_BYTES = 2 * _BLOCK_BYTES
_ROUNDS = 64
_LARGEST_PORT, _HTTP_PORT, _HTTPS_PORT = 65_535, 80, 443

_MEMO_BITS = 14
"""Of at most 2^this domains it is remembered whether they are listed: hosts and what is above them come again."""

_NUMBER_BITS = 64
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


def _first_primes(number: int) -> list[int]:
    primes: list[int] = []
    candidate = 2
    while len(primes) < number:
        if all(candidate % prime for prime in primes):
            primes.append(candidate)
        candidate += 1
    return primes


def _root_fraction(prime: int, degree: int) -> int:
    """Gives the first 32 bits of the fraction of a prime's square or cube root."""
    low, high = 0, prime << 32
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if middle**degree <= prime << 32 * degree else (low, middle)
    return low & 0xFFFFFFFF


_START = np.array([_root_fraction(prime, 2) for prime in _first_primes(_STATE_WORDS)], np.uint32)
_CONSTANTS = [_root_fraction(prime, 3) for prime in _first_primes(_ROUNDS)]

_OTHER, _PLAIN, _DOT, _PERCENT, _MARK, _SLASH, _COLON = range(7)
"""What ends a host stands last."""


def _classes(plain: bytes, special: dict[bytes, int]) -> Bytes:
    classes = np.full(256, _OTHER, np.uint8)
    classes[np.frombuffer(plain, np.uint8)] = _PLAIN
    for byte, kind in special.items():
        classes[byte[0]] = kind
    return classes


_HOST_CLASSES = _classes(b"abcdefghijklmnopqrstuvwxyz0123456789-_", {b".": _DOT, b"/": _SLASH, b":": _COLON})
_PATH_CLASSES = _classes(
    bytes(code for code in range(33, 127) if code != ord("#")), {b".": _DOT, b"%": _PERCENT, b"?": _MARK, b"/": _SLASH}
)
_HEXADECIMAL = np.full(256, -1, np.int64)
_HEXADECIMAL[np.frombuffer(b"0123456789ABCDEF", np.uint8)] = range(16)
_HTTP, _HTTPS = np.frombuffer(b"http://", np.uint8), np.frombuffer(b"https://", np.uint8)
_UNRESERVED = np.zeros(256, np.bool_)
_UNRESERVED[np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~", np.uint8)] = True


@instruction
def _add_block(_typing_context: Any, state: Any, data: Any, _at: Any) -> Any:
    """Adds the 64 bytes of `data` from `at` on to the digest in `state`, uint32[_STATE_WORDS]."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word = ir.IntType(32)

        def place(array: int, byte: Any) -> Any:
            address = array_address(context, builder, signature.args[array], arguments[array], byte)
            return builder.inttoptr(address, word.as_pointer())

        def load(array: int, byte: Any) -> Any:
            loaded = builder.load(place(array, byte))
            loaded.align = 1
            return loaded

        def turned(value: Any, *shifts: int) -> Any:
            total = None
            for shift in shifts:
                high = builder.shl(value, ir.Constant(word, 32 - shift))
                one = builder.or_(builder.lshr(value, ir.Constant(word, shift)), high)
                total = one if total is None else builder.xor(total, one)
            return total

        def added(*values: Any) -> Any:
            total = values[0]
            for value in values[1:]:
                total = builder.add(total, value)
            return total

        position = ir.IntType(64)
        words = [
            builder.bswap(load(1, builder.add(arguments[2], ir.Constant(position, 4 * row))))
            for row in range(_BLOCK_WORDS)
        ]
        for step in range(_BLOCK_WORDS, _ROUNDS):
            early, late = words[step - 15], words[step - 2]
            words.append(
                added(
                    words[step - 16],
                    builder.xor(turned(early, 7, 18), builder.lshr(early, ir.Constant(word, 3))),
                    words[step - 7],
                    builder.xor(turned(late, 17, 19), builder.lshr(late, ir.Constant(word, 10))),
                )
            )
        before = [load(0, ir.Constant(position, 4 * row)) for row in range(_STATE_WORDS)]
        a, b, c, d, e, f, g, h = before
        for constant, value in zip(_CONSTANTS, words, strict=True):
            choice = builder.xor(g, builder.and_(e, builder.xor(f, g)))
            first = added(h, ir.Constant(word, constant), value, choice, turned(e, 6, 11, 25))
            majority = builder.or_(builder.and_(a, b), builder.and_(c, builder.or_(a, b)))
            second = builder.add(turned(a, 2, 13, 22), majority)
            a, b, c, d, e, f, g, h = builder.add(first, second), a, b, c, builder.add(d, first), e, f, g
        for row, (old, new) in enumerate(zip(before, (a, b, c, d, e, f, g, h), strict=True)):
            builder.store(builder.add(old, new), place(0, ir.Constant(position, 4 * row))).align = 4
        return context.get_dummy_value()

    return types.void(state, data, types.int64), code


@part_of_kernel
def _finish(data: Bytes, begin: int, done: int, end: int, state: Words, tail: Bytes) -> None:
    """Adds what stands behind the whole blocks of the message from `begin` to `end`, with padding and length."""
    rest = end - done
    blocks = 1 if rest < _LENGTH_AT else 2
    for place in range(rest):
        tail[place] = data[done + place]
    tail[rest] = 0x80
    for place in range(rest + 1, blocks * _BLOCK_BYTES):
        tail[place] = 0
    bits = 8 * (end - begin)
    for place in range(8):
        tail[blocks * _BLOCK_BYTES - 1 - place] = bits >> 8 * place & 255
    _add_block(state, tail, 0)
    if blocks > 1:
        _add_block(state, tail, _BLOCK_BYTES)


@part_of_kernel
def _long_word(state: Words, at: int) -> np.uint64:
    return np.uint64(state[at]) << np.uint64(32) | np.uint64(state[at + 1])


@part_of_kernel
def _has(starts: Words, digests: Digests, shift: int, high: np.uint64, low: np.uint64) -> bool:
    """Tells whether a digest is one of those that are sorted."""
    part = np.int64(high >> np.uint64(shift))
    for place in range(np.int64(starts[part]), np.int64(starts[part + 1])):
        if digests[2 * place] == high and digests[2 * place + 1] == low:
            return True
    return False


@part_of_kernel
def _is_listed(state: Words, starts: Words, digests: Digests, shift: int) -> bool:
    return _has(starts, digests, shift, _long_word(state, 0), _long_word(state, 2))


@part_of_kernel
def _start(state: Words) -> None:
    for row in range(_STATE_WORDS):
        state[row] = _START[row]


@part_of_kernel
def _digest(data: Bytes, begin: int, end: int, state: Words, tail: Bytes) -> None:
    _start(state)
    done = begin
    while done + _BLOCK_BYTES <= end:
        _add_block(state, data, done)
        done += _BLOCK_BYTES
    _finish(data, begin, done, end, state, tail)


@part_of_kernel
def _has_listed_prefix(
    data: Bytes, begin: int, end: int, starts: Words, digests: Digests, shift: int, work: Words, tail: Bytes
) -> bool:
    """Looks up each part of a key that ends with a slash; what they have in common is digested once."""
    state, copy = work[:_STATE_WORDS], work[_STATE_WORDS:]
    _start(state)
    done = begin
    for place in range(begin, end):
        if data[place] == ord("/"):
            while done + _BLOCK_BYTES <= place + 1:
                _add_block(state, data, done)
                done += _BLOCK_BYTES
            for row in range(_STATE_WORDS):
                copy[row] = state[row]
            _finish(data, begin, done, place + 1, copy, tail)
            if _is_listed(copy, starts, digests, shift):
                return True
    return False


@part_of_kernel
def _is_same(data: Bytes, begin: int, end: int, other_begin: int, other_end: int) -> bool:
    if end - begin != other_end - other_begin:
        return False
    for place in range(end - begin):
        if data[begin + place] != data[other_begin + place]:
            return False
    return True


@part_of_kernel
def _has_listed_domain(
    data: Bytes,
    begin: int,
    end: int,
    starts: Words,
    digests: Digests,
    shift: int,
    state: Words,
    tail: Bytes,
    memo: Numbers,
) -> bool:
    """Looks up a host and the domains above it, from the last label on; each of them is digested once, if possible."""
    code = np.uint64(0)
    for place in range(end - 1, begin - 1, -1):
        code = (code ^ np.uint64(data[place])) * _MULTIPLIER
        if place == begin or data[place - 1] == ord("."):
            slot = np.int64(code >> np.uint64(_NUMBER_BITS - _MEMO_BITS))
            if not _is_same(data, place, end, memo[slot, 0], memo[slot, 1]):
                _digest(data, place, end, state, tail)
                memo[slot, 0], memo[slot, 1] = place, end
                memo[slot, 2] = _is_listed(state, starts, digests, shift)
            if memo[slot, 2]:
                return True
    return False


def _find_listed(
    data: Bytes,
    begins: Numbers,
    ends: Numbers,
    what: int,
    starts: Words,
    digests: Digests,
    shift: int,
    work: Words,
    tail: Bytes,
    memo: Numbers,
    found: Marks,
) -> None:
    state = work[:_STATE_WORDS]
    for row in range(begins.size):
        begin, end = begins[row], ends[row]
        if begin < 0:
            continue
        if what == PREFIXES:
            found[row] = _has_listed_prefix(data, begin, end, starts, digests, shift, work, tail)
        else:
            found[row] = _has_listed_domain(data, begin, end, starts, digests, shift, state, tail, memo)


@kernel(_find_listed)
def find_listed_kernel() -> Any:
    """Gives numba's signature of the compiled loop.

    Returns:
        That of a function of

        - data, uint8[m],
        - begins and ends, int64[n], of the keys in it, or of their hosts; a key that begins below 0 is left out,
        - what of them is looked up, `PREFIXES` or `DOMAINS`,
        - starts, uint32, and digests, uint64[2 k], of `DigestTable`, and how far the first word of a digest is shifted
          to the right to become its place in starts,
        - room, uint32[2 * _STATE_WORDS] and uint8[_TAIL_BYTES],
        - memo, int64[2^_MEMO_BITS, 3], where domains begin and end and whether they are listed; ends are -1 at first,
        - found, bool[n], to be set where a digest is there.
    """
    content = types.Array(types.uint8, 1, "C", readonly=True)
    table = types.Array(types.uint32, 1, "C", readonly=True), types.Array(types.uint64, 1, "C", readonly=True)
    places = types.int64[::1], types.int64[::1]
    room = types.uint32[::1], types.uint8[::1]
    memo = types.int64[:, ::1]
    return types.void(content, *places, types.int64, *table, types.int64, *room, memo, types.boolean[::1])


def _digest_keys(data: Bytes, begins: Numbers, ends: Numbers, state: Words, tail: Bytes, digests: Digests) -> None:
    for row in range(begins.size):
        if begins[row] >= 0:
            _digest(data, begins[row], ends[row], state, tail)
            digests[2 * row], digests[2 * row + 1] = _long_word(state, 0), _long_word(state, 2)


def _look_up(keys: Digests, starts: Words, digests: Digests, shift: int, found: Marks) -> None:
    for row in range(found.size):
        found[row] = _has(starts, digests, shift, keys[2 * row], keys[2 * row + 1])


@kernel(_look_up)
def look_up_kernel() -> Any:
    """Gives numba's signature of the compiled loop.

    Returns:
        That of a function of the digests of n keys, uint64[2 n], the table as `find_listed_kernel` takes it, and found,
        bool[n], to be set.
    """
    table = types.Array(types.uint32, 1, "C", readonly=True), types.Array(types.uint64, 1, "C", readonly=True)
    return types.void(types.uint64[::1], *table, types.int64, types.boolean[::1])


@kernel(_digest_keys)
def digest_keys_kernel() -> Any:
    """Gives numba's signature of the compiled loop.

    Returns:
        That of a function of data, uint8[m], begins and ends, int64[n], of the keys in it, room,
        uint32[_STATE_WORDS] and uint8[_TAIL_BYTES], and digests, uint64[2 n], of which those of keys that begin below
        0 are left as they are.
    """
    content = types.Array(types.uint8, 1, "C", readonly=True)
    room = types.uint32[::1], types.uint8[::1]
    return types.void(content, types.int64[::1], types.int64[::1], *room, types.uint64[::1])


@part_of_kernel
def _host_end(data: Bytes, begin: int, end: int) -> int:
    """Finds the slash or colon behind a host; -1 where there is none, or the host is not as keys have it."""
    for place in range(begin, end):
        kind = _HOST_CLASSES[data[place]]
        if kind >= _SLASH:
            return place if place > begin and data[place - 1] != ord(".") and place - begin <= LONGEST_HOST else -1
        if kind == _OTHER:
            return -1
    return -1


@part_of_kernel
def _path_begin(data: Bytes, host_end: int, end: int) -> int:
    """Finds the slash behind a host and its port; -1 where there is none, or keys do not have the port so."""
    if data[host_end] == ord("/"):
        return host_end
    port, place = 0, host_end + 1
    if place >= end or data[place] == ord("0"):
        return -1
    while place < end and ord("0") <= data[place] <= ord("9") and port <= _LARGEST_PORT:
        port = 10 * port + data[place] - ord("0")
        place += 1
    is_kept = 0 < port <= _LARGEST_PORT and port != _HTTP_PORT and port != _HTTPS_PORT
    return place if is_kept and place < end and data[place] == ord("/") else -1


@part_of_kernel
def _is_plain_path(data: Bytes, begin: int, end: int) -> bool:
    """Tells whether path and query are as keys have them; not of all of which it is true."""
    place = begin
    while place < end:
        kind = _PATH_CLASSES[data[place]]
        if kind == _OTHER:
            return False
        if kind == _DOT and data[place - 1] == ord("/"):
            return False
        if kind == _MARK and place + 1 == end:
            return False
        if kind == _PERCENT:
            if place + 2 >= end:
                return False
            high, low = _HEXADECIMAL[data[place + 1]], _HEXADECIMAL[data[place + 2]]
            if high < 0 or low < 0 or _UNRESERVED[16 * high + low]:
                return False
            place += 2
        place += 1
    return True


@part_of_kernel
def _stands_at(wanted: Bytes, data: Bytes, at: int) -> bool:
    for place in range(wanted.size):
        if data[at + place] != wanted[place]:
            return False
    return True


@part_of_kernel
def _behind_scheme(data: Bytes, begin: int, end: int) -> int:
    """Gives where the host of a URL begins; -1 where it does not plainly begin with http:// or https://."""
    if begin + _HTTPS.size > end:
        return -1
    if _stands_at(_HTTPS, data, begin):
        return begin + _HTTPS.size
    return begin + _HTTP.size if _stands_at(_HTTP, data, begin) else -1


def _find_plain_keys(data: Bytes, offsets: Numbers, begins: Numbers, ends: Numbers, host_ends: Numbers) -> None:
    for row in range(begins.size):
        end = offsets[row + 1]
        begin = _behind_scheme(data, offsets[row], end)
        host_end = _host_end(data, begin, end) if begin >= 0 else -1
        path = _path_begin(data, host_end, end) if host_end >= 0 else -1
        if path >= 0 and _is_plain_path(data, path, end):
            begins[row], ends[row], host_ends[row] = begin, end, host_end
        else:
            begins[row], ends[row], host_ends[row] = 0, -1, 0


@kernel(_find_plain_keys)
def plain_keys_kernel() -> Any:
    """Gives numba's signature of the compiled loop.

    Returns:
        That of a function of data, uint8[m], offsets of n URLs in it, int64[n + 1], and begins, ends and host_ends,
        int64[n], of their keys; the end is -1 where a URL is not plainly its own key.
    """
    content = types.Array(types.uint8, 1, "C", readonly=True)
    return types.void(content, types.int64[::1], types.int64[::1], types.int64[::1], types.int64[::1])


def plain_keys(data: Bytes, offsets: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """Finds the keys of n URLs that are plainly their own keys but for the scheme.

    Args:
        data: uint8[m], read-only, the URLs.
        offsets: int64[n + 1], where each of them begins, and the last one ends.

    Returns:
        Where each key begins, ends, and its host ends, int64[n] each; the end is -1 for all other URLs.
    """
    begins, ends, host_ends = (np.empty(offsets.size - 1, np.int64) for _ in range(3))
    plain_keys_kernel()(data, offsets, begins, ends, host_ends)
    return begins, ends, host_ends


def find_listed(
    data: Bytes, spans: tuple[Numbers, Numbers], what: int, starts: Words, digests: Digests, shift: int
) -> Marks:
    """Looks up keys in a table of digests.

    Args:
        data: uint8[m], what the keys are parts of.
        spans: int64[n] each, where they begin and end; of one that begins below 0 nothing is found.
        what: `WHOLE`, `PREFIXES` or `DOMAINS`.
        starts: uint32[2^k + 1], where the digests begin whose first k bits are a number.
        digests: uint64[2 * number of digests], sorted, the first 16 bytes of each.
        shift: 64 - k.

    Returns:
        bool[n], what was found.
    """
    found = np.zeros(spans[0].size, np.bool_)
    if what == WHOLE:
        # In a loop of its own the processor waits for several digests of a large table at once.
        look_up_kernel()(digest_keys(data, *spans), starts, digests, shift, found)
        found[spans[0] < 0] = False
        return found
    work, tail = np.empty(2 * _STATE_WORDS, np.uint32), np.empty(_TAIL_BYTES, np.uint8)
    memo = np.full((1 << _MEMO_BITS if what == DOMAINS else 0, 3), -1, np.int64)
    find_listed_kernel()(data, *spans, what, starts, digests, shift, work, tail, memo, found)
    return found


def digest_keys(data: Bytes, begins: Numbers, ends: Numbers) -> Digests:
    """Digests n keys.

    Args:
        data: uint8[m], what the keys are parts of.
        begins: int64[n], where they begin, below 0 where there is none.
        ends: int64[n], where they end.

    Returns:
        uint64[2 n], the first 16 bytes of each digest as `DigestTable` has them; zeros where there is no key.
    """
    digests = np.zeros(2 * begins.size, np.uint64)
    state, tail = np.empty(_STATE_WORDS, np.uint32), np.empty(_TAIL_BYTES, np.uint8)
    digest_keys_kernel()(data, begins, ends, state, tail, digests)
    return digests
