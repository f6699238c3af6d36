"""The compiled loops of the token automaton: some fill its tables from the entries, one scans texts.

Layout (all arrays flat, so that a file of them can be mapped):

- Token slots. Tokens of up to seven bytes have two 64-bit numbers each: a key that holds the token itself (its length
  plus one in the top byte), and its link. After them, longer tokens have three: two keys, that hold a token of up to
  fifteen bytes; of a longer one a hash and the place of its bytes (top byte 255), which are compared at every hit; and
  the link. So a match is never a matter of chance.
- A link has the entry that ends here, plus one, in its lower half, and the state that goes on from here in its upper
  half (0: none).
- Edge slots, two numbers each: (state, address of the next token's slot, whether it is glued) as a key, then a link.
- The edge filter: a bit per hashed edge, small enough for the second-level cache, which answers most misses.

A token is glued where no space but only `BORDER_BYTE` is between it and the one before: entries and texts that were cut
into units (`udfs.matching.unit_kernel`) have that byte, others do not. An entry's first token may be glued in the text.

What takes time is waiting for memory, so texts are cut in blocks: all slots of a block are asked for before the first
is looked at. From each token the trie is walked as far as it goes: tokens times the deepest entry at worst.

Nothing here counts references (`_nrt=False`), so no kernel makes an array.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from udfs.compilation import kernel, part_of_kernel
from udfs.matching.spacing import SEPARATOR_MARKS
from udfs.numba_intrinsics import bits_of, load_word, prefetch_word, trailing_zeros, types

BORDER_BYTE = 0xFF
"""Is between two units of one chunk; no text has it, since UTF-8 does not."""

separator_bits = bits_of(f"\t\n\r {SEPARATOR_MARKS}".encode() + bytes([BORDER_BYTE]))
"""Finds what `spacing` turns into a space or sets apart, spaces, and borders between units."""

PADDING = 80
"""Bytes that must follow the last byte of a scanned array, since words and blocks are read whole."""

BLOCK_TEXTS = 64
_BLOCK_TOKENS = 256
_FEWEST_TOKENS = 4096
_SMALL_SORT = 24
_UNSORTED = 1 << 16
"""Found ids of one long text that are kept before repeated ones are dropped."""

_U0, _U1, _U6, _U8, _U32, _U63 = (np.uint64(number) for number in (0, 1, 6, 8, 32, 63))
_LOWER_HALF = np.uint64(0xFFFFFFFF)
_ALL_BITS = np.uint64(0xFFFFFFFFFFFFFFFF)
_HUGE = np.uint64(0xFF << 56)
_GLUED = np.uint64(1 << 31)
"""Is part of the key of an edge by a token that is glued; addresses are smaller."""

_PLACE_BITS = np.uint64((1 << 56) - 1)
_SECOND_FACTOR = np.uint64(0xD6E8FEB86659FD93)
_WORD, _TWO_WORDS, _BLOCK = 8, 16, 64
_SPACE = 32
_NO_WORD = -1

_FIRST_KEPT = np.array([(1 << 8 * min(length, 8)) - 1 for length in range(_TWO_WORDS)], np.uint64)
_SECOND_KEPT = np.array([(1 << 8 * max(length - 8, 0)) - 1 for length in range(_TWO_WORDS)], np.uint64)
_FIRST_LENGTH = np.array([(length + 1) << 56 if length < _WORD else 0 for length in range(_TWO_WORDS)], np.uint64)
_SECOND_LENGTH = np.array([(length + 1) << 56 if length >= _WORD else 0 for length in range(_TWO_WORDS)], np.uint64)

Words = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]


class Tables(NamedTuple):
    """The tables as the kernels take them; the sizes of short, long and edge slots are powers of two."""

    multiplier: np.uint64
    short_slots: int
    short_shift: np.uint64
    long_shift: np.uint64
    edge_shift: np.uint64
    slots: Words
    long_words: Words
    edges: Words
    edge_filter: Words


class Scratch(NamedTuple):
    """What scanning writes on the way: tokens of one block of texts, and the edges worth a look."""

    firsts: Words
    seconds: Words
    addresses: Places
    starts: Places
    lengths: Places
    glues: Words
    entries: Places
    pending_tokens: Places
    pending_states: Words
    token_ends: Places
    pending_ends: Places


def make_tables(multiplier: int, short_slots: int, arrays: tuple[Words, Words, Words, Words]) -> Tables:
    """Puts tables in the form that the kernels take.

    Args:
        multiplier: What tokens and edges are hashed with.
        short_slots: How many slots the short tokens have.
        arrays: slots, long_words, edges and edge_filter.

    Returns:
        The tables, with the shifts that turn a hash into a slot.
    """
    slots, _, edges, _ = arrays
    sizes = (short_slots, (slots.size - 2 * short_slots) // 3, edges.size // 2)
    short_shift, long_shift, edge_shift = (np.uint64(65 - size.bit_length()) for size in sizes)
    return Tables(np.uint64(multiplier), short_slots, short_shift, long_shift, edge_shift, *arrays)


def make_scratch(deepest: int) -> Scratch:
    """Makes room for a block of tokens, of which a long text's pieces overlap by the deepest entry.

    Args:
        deepest: The number of tokens of the longest entry.

    Returns:
        Uninitialised arrays.
    """
    room = max(_FEWEST_TOKENS, 4 * deepest) + 2
    firsts, seconds, glues, states = (np.empty(room, np.uint64) for _ in range(4))
    addresses, starts, lengths, entries, pending = (np.empty(room, np.int64) for _ in range(5))
    token_ends, pending_ends = (np.zeros(BLOCK_TEXTS + 1, np.int64) for _ in range(2))
    tokens = (firsts, seconds, addresses, starts, lengths, glues, entries)
    return Scratch(*tokens, pending, states, token_ends, pending_ends)


@part_of_kernel
def _huge_key(data: Any, start: int, length: int, multiplier: Any) -> Any:
    """Hashes a token of 16 bytes or more; reads up to eight bytes past its end."""
    mixed = np.uint64(length) * multiplier
    end = start + length
    for position in range(start, end, _WORD):
        mixed = (mixed ^ _word_within(data, position, end)) * multiplier
        mixed ^= mixed >> _U32
    return mixed


@part_of_kernel
def _word_within(data: Any, position: int, end: int) -> Any:
    """Reads a word, with zeros for what lies past the end."""
    word = load_word(data, position)
    if position + _WORD > end:
        word &= ~(_ALL_BITS << np.uint64(8 * (end - position)))
    return word


@part_of_kernel
def _token_keys(data: Any, start: int, length: int, multiplier: Any) -> tuple[Any, Any]:
    """Gives a token's two keys; the second is 0 for up to seven bytes, `_HUGE` for 16 or more."""
    if length >= _TWO_WORDS:
        return _huge_key(data, start, length, multiplier), _HUGE
    first = (load_word(data, start) & _FIRST_KEPT[length]) | _FIRST_LENGTH[length]
    second = (load_word(data, start + _WORD) & _SECOND_KEPT[length]) | _SECOND_LENGTH[length]
    return first, second


@part_of_kernel
def _home(first: Any, second: Any, tables: Any) -> Any:
    """Gives the address of the slot where a token is looked for first."""
    mixed = first ^ (second * _SECOND_FACTOR)
    hashed = (mixed ^ (mixed >> _U32)) * tables.multiplier
    short = 2 * np.int64(hashed >> tables.short_shift)
    long = 2 * tables.short_slots + 3 * np.int64(hashed >> tables.long_shift)
    return short if second == _U0 else long


@part_of_kernel
def _same_bytes(long_words: Any, place: int, data: Any, start: int, length: int) -> bool:
    """Compares a stored token with one of a text."""
    if np.int64(long_words[place]) != length:
        return False
    end = start + length
    for position in range(start, end, _WORD):
        place += 1
        if long_words[place] != _word_within(data, position, end):
            return False
    return True


@part_of_kernel
def _find_short(tables: Any, address: int, first: Any) -> int:
    """Gives the address of a short token's slot, from its home on, or -1 minus the vacant one where it would stand."""
    slots = tables.slots
    while slots[address] != first:
        if slots[address] == _U0:
            return -1 - address
        address += 2
        if address == 2 * tables.short_slots:
            address = 0
    return address


@part_of_kernel
def _find_token(tables: Any, address: int, first: Any, second: Any, data: Any, start: int, length: int) -> int:
    """Gives the address of a token's slot, from its home on, or -1 minus the vacant one where it would stand."""
    if second == _U0:
        return _find_short(tables, address, first)
    slots = tables.slots
    while True:
        found = slots[address + 1]
        if found == _U0:
            return -1 - address
        if slots[address] == first:
            if found == second:
                return address
            place: Any = np.int64(found & _PLACE_BITS)
            if second == _HUGE and found > _HUGE and _same_bytes(tables.long_words, place, data, start, length):
                return address
        address += 3
        if address == slots.size:
            address = 2 * tables.short_slots


@part_of_kernel
def _edge_key(state: Any, address: int, glue: Any) -> Any:
    """Names the edge from a state by a token, whose glue is `_GLUED` or 0."""
    return (state << _U32) | np.uint64(address + 1) | glue


@part_of_kernel
def _edge_hash(key: Any, tables: Any) -> Any:
    """Mixes both halves of an edge's key."""
    return (key ^ (key >> _U32) * _SECOND_FACTOR) * tables.multiplier


@part_of_kernel
def _find_edge(tables: Any, key: Any) -> Any:
    """Gives the slot of an edge, or -1 minus the vacant slot where it would stand."""
    edges = tables.edges
    slot = np.int64(_edge_hash(key, tables) >> tables.edge_shift)
    while edges[2 * slot] != key:
        if edges[2 * slot] == _U0:
            return -1 - slot
        slot = (slot + 1) & (edges.size // 2 - 1)
    return slot


@part_of_kernel
def _filter_bit(hashed: Any, tables: Any) -> Any:
    """Gives the place of an edge's bit in the filter, from the middle bits of its hash (the top ones name its slot)."""
    return (hashed >> _U8) & np.uint64(64 * tables.edge_filter.size - 1)


@part_of_kernel
def _token_end(data: Any, position: int, end: int) -> int:
    """Gives the end of an entry's token that starts at a position: the next space or border, or the entry's end."""
    while position < end and data[position] != _SPACE and data[position] != BORDER_BYTE:
        position += 1
    return position


@part_of_kernel
def _slot_of(data: Any, start: int, length: int, tables: Any) -> tuple[int, Any, Any]:
    """Looks up an entry's token; gives what `_find_token` gives, and the token's keys."""
    first, second = _token_keys(data, start, length, tables.multiplier)
    home = _home(first, second, tables)
    return _find_token(tables, home, first, second, data, start, length), first, second


def _insert_tokens(data: Any, offsets: Any, tables: Any) -> tuple[int, int, int]:
    """Fills the token slots with every token of every entry; gives the distinct short and long ones, and words used."""
    short = 0
    long = 0
    free_place = 1
    for entry in range(offsets.size - 1):
        start = offsets[entry]
        while start <= offsets[entry + 1]:
            end = _token_end(data, start, offsets[entry + 1])
            length = end - start
            address, first, second = _slot_of(data, start, length, tables)
            if address < 0:
                address = -1 - address
                tables.slots[address] = first
                short += second == _U0
                long += second != _U0
                if second == _HUGE:
                    second |= np.uint64(free_place)
                    tables.long_words[free_place] = np.uint64(length)
                    free_place += 1
                    for piece in range(start, end, _WORD):
                        tables.long_words[free_place] = _word_within(data, piece, end)
                        free_place += 1
                if second != _U0:
                    tables.slots[address + 1] = second
            start = end + 1
    return short, long, free_place


@part_of_kernel
def _edge_from(tables: Any, table: Any, link: int, address: int, glue: Any, counts: Any) -> Any:
    """Gives the slot of the edge from a link by a token; makes the state and the edge where they are new."""
    if table[link] >> _U32 == _U0:
        counts[1] += 1
        table[link] |= np.uint64(counts[1]) << _U32
    edge = _edge_key(table[link] >> _U32, address, glue)
    slot = _find_edge(tables, edge)
    if slot < 0:
        slot = -1 - slot
        tables.edges[2 * slot] = edge
        counts[0] += 1
    return slot


def _insert_entries(data: Any, offsets: Any, tables: Any, counts: Any) -> int:
    """Links every entry's tokens; counts edges, states and the deepest entry; gives a repeated entry's id or -1."""
    for entry in range(offsets.size - 1):
        start = offsets[entry]
        depth = 0
        table = tables.slots
        link = 0
        while start <= offsets[entry + 1]:
            end = _token_end(data, start, offsets[entry + 1])
            address, _, second = _slot_of(data, start, end - start, tables)
            if depth == 0:
                link = address + 1 if second == _U0 else address + 2
            else:
                glue = _GLUED if data[start - 1] == BORDER_BYTE else _U0
                link = 2 * _edge_from(tables, table, link, address, glue, counts) + 1
                table = tables.edges
            depth += 1
            start = end + 1
        if table[link] & _LOWER_HALF != _U0:
            return entry
        table[link] |= np.uint64(entry + 1)
        counts[2] = max(counts[2], depth)
    return -1


def _fill_filter(tables: Any) -> None:
    """Sets the bit of every edge."""
    for slot in range(tables.edges.size // 2):
        key = tables.edges[2 * slot]
        if key != _U0:
            bit = _filter_bit(_edge_hash(key, tables), tables)
            tables.edge_filter[np.int64(bit >> _U6)] |= _U1 << (bit & _U63)


@part_of_kernel
def _sort_distinct(values: Any, first: int, end: int) -> int:
    """Sorts a stretch of values and drops repeated ones; gives the new end."""
    if end - first <= _SMALL_SORT:
        for place in range(first + 1, end):
            value = values[place]
            hole = place
            while hole > first and values[hole - 1] > value:
                values[hole] = values[hole - 1]
                hole -= 1
            values[hole] = value
    else:
        _heap_sort(values, first, end - first)
    kept = first
    for place in range(first, end):
        if kept == first or values[place] != values[kept - 1]:
            values[kept] = values[place]
            kept += 1
    return kept


@part_of_kernel
def _heap_sort(values: Any, first: int, number: int) -> None:
    """Sorts a long stretch of values in place."""
    for step in range(number + number // 2 - 1, -1, -1):
        if step >= number:
            root = step - number
            heap = number
        else:
            heap = step
            values[first], values[first + step] = values[first + step], values[first]
            root = 0
        value = values[first + root]
        while 2 * root + 1 < heap:
            child = 2 * root + 1
            if child + 1 < heap and values[first + child + 1] > values[first + child]:
                child += 1
            if values[first + child] <= value:
                break
            values[first + root] = values[first + child]
            root = child
        values[first + root] = value


@part_of_kernel
def _cut_text(data: Any, position: int, end: int, tables: Any, scratch: Any, number: int) -> tuple[int, int]:
    """Cuts a text into tokens, added to the block; gives their number, and where the text goes on or -1."""
    start = position
    glue = _U0
    while True:
        bits = separator_bits(data, position)
        left = end - position
        if left < _BLOCK:
            bits = (bits & ~(_ALL_BITS << np.uint64(left))) | (_U1 << np.uint64(left))
        while bits != _U0:
            separator = position + trailing_zeros(bits)
            bits &= bits - _U1
            first, second = _token_keys(data, start, separator - start, tables.multiplier)
            address = _home(first, second, tables)
            prefetch_word(tables.slots, address)
            scratch.firsts[number] = first
            scratch.seconds[number] = second
            scratch.addresses[number] = address
            scratch.starts[number] = start
            scratch.lengths[number] = separator - start
            scratch.glues[number] = glue
            number += 1
            glue = _U0
            if data[separator] == BORDER_BYTE:
                glue = _GLUED
            elif data[separator] > _SPACE and separator < end:
                first = np.uint64(data[separator]) | _FIRST_LENGTH[1]
                scratch.firsts[number] = first
                scratch.seconds[number] = _U0
                scratch.addresses[number] = _home(first, _U0, tables)
                scratch.starts[number] = _NO_WORD
                scratch.glues[number] = _U0
                number += 1
            start = separator + 1
            if number >= scratch.firsts.size - 2 and separator < end:
                return number, start
        if left < _BLOCK:
            return number, -1
        position += _BLOCK


@part_of_kernel
def _list_edge(tables: Any, scratch: Any, token: int, state: Any, waiting: int) -> int:
    """Lists an edge that the filter does not rule out, and asks for its slot; gives the new length of the list."""
    hashed = _edge_hash(_edge_key(state, scratch.addresses[token], scratch.glues[token]), tables)
    bit = _filter_bit(hashed, tables)
    if (tables.edge_filter[np.int64(bit >> _U6)] >> (bit & _U63)) & _U1 != _U0:
        prefetch_word(tables.edges, 2 * np.int64(hashed >> tables.edge_shift))
        scratch.pending_tokens[waiting] = token
        scratch.pending_states[waiting] = state
        waiting += 1
    return waiting


@part_of_kernel
def _look_up(data: Any, place: int, tables: Any, scratch: Any) -> None:
    """Looks up the tokens of a text of the block, and lists where entries of two tokens or more may go on."""
    slots = tables.slots
    waiting = scratch.pending_ends[place]
    state = _U0
    for token in range(scratch.token_ends[place], scratch.token_ends[place + 1]):
        address = scratch.addresses[token]
        first = scratch.firsts[token]
        second = scratch.seconds[token]
        differs = slots[address] ^ first
        if second != _U0:
            differs |= slots[address + 1] ^ second
        if differs != _U0:
            start = scratch.starts[token]
            address = _find_token(tables, address, first, second, data, start, scratch.lengths[token])
            scratch.addresses[token] = address
            if address < 0:
                scratch.entries[token] = 0
                state = _U0
                continue
        if state != _U0:
            waiting = _list_edge(tables, scratch, token, state, waiting)
        link = slots[address + 1 if second == _U0 else address + 2]
        scratch.entries[token] = np.int64(link & _LOWER_HALF)
        state = link >> _U32
    scratch.pending_ends[place + 1] = waiting


@part_of_kernel
def _walk(pending: int, end: int, tables: Any, scratch: Any, values: Any, used: int) -> int:
    """Writes the entries of two tokens or more from one start; gives the new end, -1 where room lacks."""
    token = scratch.pending_tokens[pending]
    state = scratch.pending_states[pending]
    while state != _U0 and token < end and scratch.addresses[token] >= 0:
        slot = _find_edge(tables, _edge_key(state, scratch.addresses[token], scratch.glues[token]))
        if slot < 0:
            break
        link = tables.edges[2 * slot + 1]
        entry = np.int64(link & _LOWER_HALF)
        if entry != 0:
            if used == values.size:
                return -1
            values[used] = entry - 1
            used += 1
        state = link >> _U32
        token += 1
    return used


@part_of_kernel
def _write_entries(place: int, tables: Any, scratch: Any, values: Any, used: int) -> int:
    """Writes the entries of a text of the block, unsorted; gives the new end, -1 where room lacks."""
    end = scratch.token_ends[place + 1]
    if used + end - scratch.token_ends[place] > values.size:
        return -1
    for token in range(scratch.token_ends[place], end):
        values[used] = scratch.entries[token] - 1
        used += scratch.entries[token] != 0
    for pending in range(scratch.pending_ends[place], scratch.pending_ends[place + 1]):
        used = _walk(pending, end, tables, scratch, values, used)
        if used < 0:
            return -1
    return used


@part_of_kernel
def _scan_long_text(data: Any, span: Any, tables: Any, deepest: int, scratch: Any, values: Any, used: int) -> int:
    """Matches a text that exceeds the room for tokens, piece by piece; gives the new end, -1 where room lacks.

    Pieces overlap by the deepest entry, so that none is cut; ids found twice are dropped.
    """
    position, end = span
    first = used
    sorted_end = used
    while position >= 0:
        number, position = _cut_text(data, position, end, tables, scratch, 0)
        scratch.token_ends[1] = number
        _look_up(data, 0, tables, scratch)
        used = _write_entries(0, tables, scratch, values, used)
        if used < 0:
            return -1
        if position >= 0:
            token = number - deepest
            # Of two neighbouring tokens at most one is a mark, and a mark's place is not kept.
            token -= scratch.starts[token] == _NO_WORD
            position = scratch.starts[token]
        if position < 0 or used - sorted_end > _UNSORTED:
            used = _sort_distinct(values, first, used)
            sorted_end = used
    return used


@part_of_kernel
def _cut_block(data: Any, offsets: Any, text: int, tables: Any, scratch: Any) -> Any:
    """Cuts as many whole texts as make a block; gives their number, 0 where the first exceeds the room for tokens."""
    room = scratch.firsts.size - 2
    most = min(BLOCK_TEXTS, offsets.size - 1 - text)
    number = 0
    for place in range(most):
        start = offsets[text + place]
        end = offsets[text + place + 1]
        if number >= _BLOCK_TOKENS or number + 2 * (end - start) >= room:
            return place
        number, _ = _cut_text(data, start, end, tables, scratch, number)
        scratch.token_ends[place + 1] = number
    return most


def _scan_texts(data: Any, offsets: Any, text: int, tables: Any, deepest: int, scratch: Any, output: Any) -> int:
    """Matches texts from one on, and gives the first text for which the values had no room (or the end)."""
    list_offsets, values = output
    used: Any = np.int64(list_offsets[text])
    while text < offsets.size - 1:
        texts = _cut_block(data, offsets, text, tables, scratch)
        if texts == 0:
            span = (offsets[text], offsets[text + 1])
            used = _scan_long_text(data, span, tables, deepest, scratch, values, used)
            if used < 0:
                return text
            text += 1
            list_offsets[text] = used
        for place in range(texts):
            _look_up(data, place, tables, scratch)
        for place in range(texts):
            first = used
            used = _write_entries(place, tables, scratch, values, used)
            if used < 0:
                return text
            used = _sort_distinct(values, first, used)
            text += 1
            list_offsets[text] = used
    return text


_BYTES = types.Array(types.uint8, 1, "C", readonly=True)
_OFFSETS = types.Array(types.int64, 1, "C", readonly=True)


def _tables_type(*, readonly: bool) -> Any:
    """Gives numba's type of `Tables`."""
    words = types.Array(types.uint64, 1, "C", readonly=readonly)
    return types.NamedTuple([types.uint64, types.int64, *[types.uint64] * 3, *[words] * 4], Tables)


@kernel(_insert_tokens)
def insert_tokens() -> Any:
    """Gives numba's signature of the compiled loop that fills the token slots."""
    return types.UniTuple(types.int64, 3)(_BYTES, _OFFSETS, _tables_type(readonly=False))


@kernel(_insert_entries)
def insert_entries() -> Any:
    """Gives numba's signature of the compiled loop that links the tokens of each entry."""
    return types.int64(_BYTES, _OFFSETS, _tables_type(readonly=False), types.int64[::1])


@kernel(_fill_filter)
def fill_filter() -> Any:
    """Gives numba's signature of the compiled loop that fills the edge filter."""
    return types.void(_tables_type(readonly=False))


@kernel(_scan_texts)
def scan_texts() -> Any:
    """Gives numba's signature of the compiled loop that matches texts."""
    words, places = types.uint64[::1], types.int64[::1]
    scratch = types.NamedTuple([words, words, *[places] * 3, words, *[places] * 2, words, *[places] * 2], Scratch)
    output = types.UniTuple(types.int32[::1], 2)
    tables = _tables_type(readonly=True)
    return types.int64(_BYTES, _OFFSETS, types.int64, tables, types.int64, scratch, output)
