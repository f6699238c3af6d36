"""The compiled loops of the token automaton: one fills its tables from the entries, one scans texts.

Layout (all arrays flat, so that a file of them can be mapped):

- Token slots, two 64-bit numbers each: the token's key, then `link`: the entry that the token alone is, plus one, in
  the lower half, and the state that it leads to in the upper half (0: none).
- A key holds a token of up to seven bytes itself (its length plus one in the top byte), so that equal keys are equal
  tokens. A longer token's key is a hash with the top byte 255, and its bytes are compared at every hit.
- Edge slots, two numbers each: (state, place of the token's slot) as a key, then a link as above.
- The edge filter: a bit per hashed edge, small enough for the second-level cache, which answers most misses.

All of a task's kernels are in this file, since numba's cache on disk looks at no other file's changes.
"""

from functools import cache
from typing import Any

import numpy as np
from numba import njit, types

from udfs.machine_words import compiled, load_word, prefetch_word, trailing_zeros

EMPTY_TOKEN = np.uint64(1 << 56)
LONG_TOKEN = np.uint64(0xFF << 56)
PADDING = 16
"""Bytes that must follow the last byte of a scanned array, since words are read whole."""

CHUNK_TOKENS = 4096
_GROUP_BYTES = 1 << 16
_SMALL_SORT = 24
_U0, _U1, _U3, _U8, _U29, _U32, _U56, _U63, _U64 = (np.uint64(number) for number in (0, 1, 3, 8, 29, 32, 56, 63, 64))
_LOWER_HALF = np.uint64(0xFFFFFFFF)
_ALL_BITS = np.uint64(0xFFFFFFFFFFFFFFFF)
_SHORT, _SPACE, _MARK = 8, 32, -1
_UNSORTED = 1 << 16
"""Found ids of one long text that are kept before repeated ones are dropped."""


@njit
def _token_key(data: Any, start: int, length: int, multiplier: Any) -> Any:
    """Gives a token's key; reads up to eight bytes past its end."""
    if length < _SHORT:
        kept = ~(_ALL_BITS << np.uint64(8 * length))
        return (load_word(data, start) & kept) | (np.uint64(length + 1) << _U56)
    mixed = np.uint64(length) * multiplier
    position = start
    end = start + length
    while position + _SHORT <= end:
        mixed = (mixed ^ load_word(data, position)) * multiplier
        mixed ^= mixed >> _U32
        position += _SHORT
    if position < end:
        kept = ~(_ALL_BITS << np.uint64(8 * (end - position)))
        mixed = (mixed ^ (load_word(data, position) & kept)) * multiplier
        mixed ^= mixed >> _U32
    return mixed | LONG_TOKEN


@njit
def _same_bytes(long_words: Any, place: int, data: Any, start: int) -> bool:
    """Tells whether a long token stored at a place is the text's token; the latter's length is compared by caller."""
    length = np.int64(long_words[place])
    word = place + 1
    position = start
    end = start + length
    while position + _SHORT <= end:
        if long_words[word] != load_word(data, position):
            return False
        word += 1
        position += _SHORT
    if position < end:
        kept = ~(_ALL_BITS << np.uint64(8 * (end - position)))
        return long_words[word] == load_word(data, position) & kept
    return True


@njit
def _find_token(
    slots: Any, long_places: Any, long_words: Any, slot: int, key: Any, data: Any, start: int, length: int
) -> int:
    """Gives the slot of a token, or -1 minus the vacant slot where it would stand."""
    last = long_places.size - 1
    while True:
        found = slots[2 * slot]
        if found == key:
            if key < LONG_TOKEN:
                return slot
            place = np.int64(long_places[slot])
            if np.int64(long_words[place]) == length and _same_bytes(long_words, place, data, start):
                return slot
        elif found == _U0:
            return -1 - slot
        slot = (slot + 1) & last


@njit
def _find_edge(edges: Any, slot: int, key: Any) -> int:
    """Gives the slot of an edge, or -1 minus the vacant slot where it would stand."""
    last = edges.size // 2 - 1
    while True:
        found = edges[2 * slot]
        if found == key:
            return slot
        if found == _U0:
            return -1 - slot
        slot = (slot + 1) & last


@njit
def _edge_key(state: Any, slot: int) -> Any:
    return (state << _U32) | np.uint64(slot + 1)


@njit
def _place_long_token(long_words: Any, place: int, data: Any, start: int, length: int) -> int:
    """Stores a long token's length and its bytes, padded with zeros to whole words; gives the next free place."""
    long_words[place] = np.uint64(length)
    place += 1
    position = start
    end = start + length
    while position < end:
        word = load_word(data, position)
        if position + _SHORT > end:
            word &= ~(_ALL_BITS << np.uint64(8 * (end - position)))
        long_words[place] = word
        place += 1
        position += _SHORT
    return place


def _insert_tokens(
    data: Any, offsets: Any, multiplier: Any, slots: Any, long_places: Any, long_words: Any
) -> tuple[int, int]:
    """Fills the token slots with every token of every entry; gives the distinct tokens and the words used."""
    shift = _U64 - np.uint64(trailing_zeros(np.uint64(long_places.size)))
    distinct = 0
    free_place = 0
    for entry in range(offsets.size - 1):
        start = offsets[entry]
        for position in range(start, offsets[entry + 1] + 1):
            if position < offsets[entry + 1] and data[position] != _SPACE:
                continue
            length = position - start
            key = _token_key(data, start, length, multiplier)
            wanted = np.int64((key * multiplier) >> shift)
            slot = _find_token(slots, long_places, long_words, wanted, key, data, start, length)
            if slot < 0:
                slot = -1 - slot
                slots[2 * slot] = key
                distinct += 1
                if key >= LONG_TOKEN:
                    long_places[slot] = free_place
                    free_place = _place_long_token(long_words, free_place, data, start, length)
            start = position + 1
    return distinct, free_place


def _insert_entries(
    data: Any, offsets: Any, multiplier: Any, slots: Any, long_places: Any, long_words: Any, edges: Any
) -> tuple[int, int, int]:
    """Links the tokens of every entry; gives the distinct edges, the deepest entry, a repeated entry's id or -1."""
    token_shift = _U64 - np.uint64(trailing_zeros(np.uint64(long_places.size)))
    edge_shift = _U64 - np.uint64(trailing_zeros(np.uint64(edges.size // 2)))
    distinct = 0
    deepest = 0
    states = _U0
    for entry in range(offsets.size - 1):
        start = offsets[entry]
        depth = 0
        table = slots
        link = 0
        for position in range(start, offsets[entry + 1] + 1):
            if position < offsets[entry + 1] and data[position] != _SPACE:
                continue
            length = position - start
            key = _token_key(data, start, length, multiplier)
            wanted = np.int64((key * multiplier) >> token_shift)
            slot = _find_token(slots, long_places, long_words, wanted, key, data, start, length)
            if depth == 0:
                link = 2 * slot + 1
            else:
                if table[link] >> _U32 == _U0:
                    states += _U1
                    table[link] |= states << _U32
                edge = _edge_key(table[link] >> _U32, slot)
                wanted = np.int64((edge * multiplier) >> edge_shift)
                slot = _find_edge(edges, wanted, edge)
                if slot < 0:
                    slot = -1 - slot
                    edges[2 * slot] = edge
                    distinct += 1
                table = edges
                link = 2 * slot + 1
            depth += 1
            start = position + 1
        if table[link] & _LOWER_HALF != _U0:
            return distinct, deepest, entry
        table[link] |= np.uint64(entry + 1)
        deepest = max(deepest, depth)
    return distinct, deepest, -1


@njit
def _filter_bit(hashed: Any, edge_filter: Any) -> Any:
    """Gives the place of an edge's bit in the filter, from the middle bits of its hash (the top ones name its slot)."""
    return (hashed >> _U8) & np.uint64(64 * edge_filter.size - 1)


def _fill_filter(edges: Any, multiplier: Any, edge_filter: Any) -> None:
    """Sets the bit of every edge."""
    for slot in range(edges.size // 2):
        key = edges[2 * slot]
        if key != _U0:
            bit = _filter_bit(key * multiplier, edge_filter)
            edge_filter[np.int64(bit >> np.uint64(6))] |= _U1 << (bit & _U63)


@njit
def _copy_and_flag(data: Any, start: int, size: int, copied: Any, separators: Any) -> None:
    """Copies texts to where whole words can be read, and flags their separators; LLVM makes vector code of it."""
    for place in range(size):
        byte = data[start + place]
        copied[place] = byte
        white = (byte == 32) | (byte == 9) | (byte == 10) | (byte == 13)
        mark = (byte == 33) | (byte == 44) | (byte == 46) | (byte == 58) | (byte == 59) | (byte == 63) | (byte == 96)
        separators[place] = np.uint8(white | mark)
    separators[size : size + PADDING] = 1


@njit
def _cut_tokens(
    copied: Any,
    separators: Any,
    position: int,
    end: int,
    multiplier: Any,
    shift: Any,
    slots: Any,
    tokens: Any,
    room: int,
) -> tuple[int, int]:
    """Cuts a text into tokens from a position on; gives their number, and where the text goes on, or -1."""
    keys, wanted, starts, lengths = tokens
    number = 0
    while number < room:
        start = position
        flags = load_word(separators, position)
        while flags == _U0:
            position += _SHORT
            flags = load_word(separators, position)
        position = min(position + (trailing_zeros(flags) >> 3), end)
        length = position - start
        key = _token_key(copied, start, length, multiplier)
        slot = np.int64((key * multiplier) >> shift)
        prefetch_word(slots, 2 * slot)
        keys[number] = key
        wanted[number] = slot
        starts[number] = start
        lengths[number] = length
        number += 1
        if position == end:
            return number, -1
        if copied[position] > _SPACE:
            key = np.uint64(copied[position]) | np.uint64(2 << 56)
            keys[number] = key
            wanted[number] = np.int64((key * multiplier) >> shift)
            starts[number] = _MARK
            number += 1
        position += 1
    return number, position


@njit
def _sort_distinct(values: Any, first: int, end: int) -> int:
    """Sorts a stretch of values and drops repeated ones; gives the new end."""
    number = end - first
    if number <= _SMALL_SORT:
        for place in range(first + 1, end):
            value = values[place]
            hole = place
            while hole > first and values[hole - 1] > value:
                values[hole] = values[hole - 1]
                hole -= 1
            values[hole] = value
    else:
        _heap_sort(values, first, number)
    kept = first
    for place in range(first, end):
        if kept == first or values[place] != values[kept - 1]:
            values[kept] = values[place]
            kept += 1
    return kept


@njit
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


@njit
def _match_tokens(
    copied: Any,
    number: int,
    multiplier: Any,
    tables: Any,
    tokens: Any,
    found: Any,
    pending: Any,
    values: Any,
    used: int,
) -> int:
    """Writes the entries that start within a run of tokens; gives the new end of the values, -1 where room lacks."""
    slots, long_places, long_words, edges, edge_filter = tables
    keys, wanted, starts, lengths = tokens
    if used + number > values.size:
        return -1
    edge_shift = _U64 - np.uint64(trailing_zeros(np.uint64(edges.size // 2)))
    waiting = 0
    state = _U0
    for token in range(number):
        slot = wanted[token]
        key = keys[token]
        if slots[2 * slot] != key or key >= LONG_TOKEN:
            slot = _find_token(slots, long_places, long_words, slot, key, copied, starts[token], lengths[token])
        found[token] = slot
        if slot < 0:
            state = _U0
            continue
        if state != _U0:
            hashed = _edge_key(state, slot) * multiplier
            bit = _filter_bit(hashed, edge_filter)
            if (edge_filter[np.int64(bit >> np.uint64(6))] >> (bit & _U63)) & _U1 != _U0:
                edge_slot = np.int64(hashed >> edge_shift)
                prefetch_word(edges, 2 * edge_slot)
                pending[0][waiting] = token
                pending[1][waiting] = np.int64(state)
                waiting += 1
        link = slots[2 * slot + 1]
        entry = np.int64(link & _LOWER_HALF)
        values[used] = entry - 1
        used += entry != 0
        state = link >> _U32
    for place in range(waiting):
        token = pending[0][place]
        state = np.uint64(pending[1][place])
        while state != _U0 and token < number and found[token] >= 0:
            edge = _edge_key(state, found[token])
            slot = _find_edge(edges, np.int64((edge * multiplier) >> edge_shift), edge)
            if slot < 0:
                break
            link = edges[2 * slot + 1]
            entry = np.int64(link & _LOWER_HALF)
            if entry != 0:
                if used == values.size:
                    return -1
                values[used] = entry - 1
                used += 1
            state = link >> _U32
            token += 1
    return used


def _scan_texts(
    data: Any,
    offsets: Any,
    text: int,
    multiplier: Any,
    slots: Any,
    long_places: Any,
    long_words: Any,
    edges: Any,
    edge_filter: Any,
    deepest: int,
    list_offsets: Any,
    values: Any,
) -> int:
    """Matches texts from one on, and gives the first text for which the values had no room (or the end)."""
    number_of_texts = offsets.size - 1
    longest = _GROUP_BYTES
    for place in range(text, number_of_texts):
        longest = max(longest, offsets[place + 1] - offsets[place])
    copied = np.empty(longest + PADDING, np.uint8)
    separators = np.empty(longest + PADDING, np.uint8)
    room = max(CHUNK_TOKENS, 4 * deepest)
    tokens = (
        np.empty(room + 2, np.uint64),
        np.empty(room + 2, np.int64),
        np.empty(room + 2, np.int64),
        np.empty(room + 2, np.int64),
    )
    found = np.empty(room + 2, np.int64)
    pending = (np.empty(room + 2, np.int64), np.empty(room + 2, np.int64))
    tables = (slots, long_places, long_words, edges, edge_filter)
    shift = _U64 - np.uint64(trailing_zeros(np.uint64(slots.size // 2)))
    used = np.int64(list_offsets[text])
    while text < number_of_texts:
        group_start = offsets[text]
        group_end = text + 1
        while group_end < number_of_texts and offsets[group_end + 1] - group_start <= _GROUP_BYTES:
            group_end += 1
        _copy_and_flag(data, group_start, offsets[group_end] - group_start, copied, separators)
        while text < group_end:
            first = used
            sorted_end = used
            position = offsets[text] - group_start
            end = offsets[text + 1] - group_start
            while position >= 0:
                number, position = _cut_tokens(
                    copied, separators, position, end, multiplier, shift, slots, tokens, room
                )
                used = _match_tokens(copied, number, multiplier, tables, tokens, found, pending, values, used)
                if used < 0:
                    return text
                if position >= 0:
                    token = number - deepest
                    token -= tokens[2][token] < 0
                    position = tokens[2][token]
                    if used - sorted_end > _UNSORTED:
                        used = _sort_distinct(values, first, used)
                        sorted_end = used
            used = _sort_distinct(values, first, used)
            text += 1
            list_offsets[text] = used
    return text


_BYTES = types.Array(types.uint8, 1, "C", readonly=True)
_READ_WORDS = types.Array(types.uint64, 1, "C", readonly=True)
_READ_PLACES = types.Array(types.uint32, 1, "C", readonly=True)
_OFFSETS = types.Array(types.int64, 1, "C", readonly=True)
_WORDS = types.uint64[::1]
_PLACES = types.uint32[::1]
_IDS = types.int32[::1]


@cache
def insert_tokens() -> Any:
    """Compiles the loop that fills the token slots, at first use."""
    result = types.UniTuple(types.int64, 2)
    return compiled(_insert_tokens, result(_BYTES, _OFFSETS, types.uint64, _WORDS, _PLACES, _WORDS))


@cache
def insert_entries() -> Any:
    """Compiles the loop that links the tokens of each entry, at first use."""
    result = types.UniTuple(types.int64, 3)
    return compiled(_insert_entries, result(_BYTES, _OFFSETS, types.uint64, _WORDS, _PLACES, _WORDS, _WORDS))


@cache
def fill_filter() -> Any:
    """Compiles the loop that fills the edge filter, at first use."""
    return compiled(_fill_filter, types.void(_WORDS, types.uint64, _WORDS))


@cache
def scan_texts() -> Any:
    """Compiles the loop that matches texts, at first use."""
    tables = (_READ_WORDS, _READ_PLACES, _READ_WORDS, _READ_WORDS, _READ_WORDS)
    outputs = (_IDS, _IDS)
    inputs = (_BYTES, _OFFSETS, types.int64, types.uint64)
    return compiled(_scan_texts, types.int64(*inputs, *tables, types.int64, *outputs))
