"""Runs the loops over tokens, digests and block lists as Python, over arrays that check every place.

The arrays are those that the callers make, and the results are compared with those of plain Python.
"""

from collections.abc import Callable
from hashlib import md5, sha256
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa

from tests.support.checked_arrays import Checked, checked
from udfs.exclusion import key_kernel
from udfs.exclusion.digest_table import make_table, short_digest
from udfs.matching import token_automaton, token_kernel, unit_kernel
from udfs.matching.spacing import SEPARATOR_MARKS
from udfs.numba_intrinsics import GOLDEN_RATIO
from udfs.pairs import md5_kernel

LOWER = 0xFFFFFFFF


def add_md5_block(state: Checked, words: Checked) -> None:
    """Does what the instruction of `md5_kernel` does, for all lanes at once."""
    assert (state.size, words.size) == (md5_kernel._STATE_LENGTH, md5_kernel._WORDS_LENGTH)
    before, rows = state.values.reshape(4, -1), words.values.reshape(16, -1)
    a, b, c, d = before.copy()
    for step, sine in enumerate(md5_kernel._SINES):
        turn, number = divmod(step, 16)
        factor, first = md5_kernel._WORD_STEPS[turn]
        mixed = (d ^ (b & (c ^ d)), c ^ (d & (b ^ c)), b ^ c ^ d, c ^ (b | ~d))[turn]
        total = a + np.uint32(sine) + rows[(factor * number + first) % 16] + mixed
        shift = md5_kernel._SHIFTS[turn][number % 4]
        a, b, c, d = d, b + (total << np.uint32(shift) | total >> np.uint32(32 - shift)), b, c
    before += np.array([a, b, c, d])


def add_sha256_block(state: Checked, data: Checked, at: int) -> None:
    """Does what the instruction of `key_kernel` does."""
    assert 0 <= at <= data.size - 64 and state.size >= 8, f"64 bytes at {at} of {data.size}"

    def turned(word: int, *shifts: int) -> int:
        total = 0
        for shift in shifts:
            total ^= word >> shift | word << 32 - shift & LOWER
        return total

    words = np.frombuffer(bytes(data.values[at : at + 64]), ">u4").tolist()
    for step in range(16, 64):
        early, late = words[step - 15], words[step - 2]
        mixed = (turned(early, 7, 18) ^ early >> 3) + (turned(late, 17, 19) ^ late >> 10)
        words.append(words[step - 16] + words[step - 7] + mixed & LOWER)
    before = state.values[:8].tolist()
    a, b, c, d, e, f, g, h = before
    for constant, word in zip(key_kernel._CONSTANTS, words, strict=True):
        first = h + constant + word + (g ^ (e & (f ^ g))) + turned(e, 6, 11, 25)
        second = (a & b | c & (a | b)) + turned(a, 2, 13, 22)
        a, b, c, d, e, f, g, h = first + second & LOWER, a, b, c, d + first & LOWER, e, f, g
    state.values[:8] = [old + new & LOWER for old, new in zip(before, (a, b, c, d, e, f, g, h), strict=True)]


def as_python(function: Callable[..., Any]) -> Callable[[], Callable[..., Any]]:
    """Makes what stands for a kernel: asked for, it gives the function over arrays that check."""
    return lambda: lambda *arguments: function(*map(checked, arguments))


for module, kernels in (
    (token_automaton, {"insert_tokens": token_kernel._insert_tokens, "insert_entries": token_kernel._insert_entries}),
    (token_automaton, {"fill_filter": token_kernel._fill_filter, "scan_texts": token_kernel._scan_texts}),
    (unit_kernel, {"units_kernel": unit_kernel._cut_units}),
    (md5_kernel, {"md5_kernel": md5_kernel._digest_messages}),
    (key_kernel, {"find_listed_kernel": key_kernel._find_listed, "look_up_kernel": key_kernel._look_up}),
    (key_kernel, {"digest_keys_kernel": key_kernel._digest_keys}),
):
    for name, function in kernels.items():
        setattr(module, name, as_python(function))
md5_kernel._add_block, key_kernel._add_block = add_md5_block, add_sha256_block
# Buffers that are too small for many texts and domains.
token_kernel._FEWEST_TOKENS, token_kernel._UNSORTED, token_kernel._SMALL_SORT = 8, 4, 3
token_automaton._FEWEST_VALUES, token_automaton._EXPECTED_MATCHES_PER_TEXT = 3, 0
key_kernel._MEMO_BITS = 3
for name in ("_FIRST_KEPT", "_SECOND_KEPT", "_FIRST_LENGTH", "_SECOND_LENGTH"):
    setattr(token_kernel, name, Checked(getattr(token_kernel, name)))

TOKENS = ["a", "b", "é", "seven77", "eight888", "fifteen15151515", "sixteen161616161", "x" * 17, "y" * 40, "東京"]
MARKS = list(SEPARATOR_MARKS[:3])


def tokens_of(text: str) -> list[str]:
    found = [""]
    for character in text:
        if character == " ":
            found.append("")
        elif character in SEPARATOR_MARKS:
            found += [character, ""]
        else:
            found[-1] += character
    return found


def check_tokens(random: Random) -> int:
    """Builds an automaton and matches texts with it; gives the number of matches."""
    chosen = [random.choices(TOKENS + MARKS, k=random.choice([1, 1, 2, 3, 6])) for _ in range(random.randint(1, 30))]
    entries = list(dict.fromkeys(" ".join(tokens) for tokens in chosen))
    borders, multiplier = random.choice(["spaces", "script"]), random.choice([0, GOLDEN_RATIO, GOLDEN_RATIO])
    tables = token_automaton.build_token_tables(entries, "", word_borders=borders, multiplier=multiplier)
    pieces = [*TOKENS, *MARKS, *entries, ""]
    texts = [" ".join(random.choices(pieces, k=random.choice([0, 1, 5, 40]))) for _ in range(random.randrange(6))]
    texts += ["".join(random.choices([*pieces, " "], k=9))]
    found = token_automaton.TokenAutomaton(tables).match(pa.array(texts, pa.string())).to_pylist()
    if borders == "spaces":
        spaced = [[tokens_of(text), set(tokens_of(text))] for text in texts]
        for (tokens, _), ids in zip(spaced, found, strict=True):
            text = "\n".join(["", *tokens, ""])
            expected = [number for number, entry in enumerate(entries) if f"\n{entry.replace(' ', chr(10))}\n" in text]
            assert ids == expected, (texts, entries)
    return sum(map(len, found))


def check_names(random: Random) -> None:
    """Digests messages whose last one ends where the array ends."""
    messages = [
        random.randbytes(random.choice([0, 1, 55, 56, 63, 64, 65, 119, 128, 200])) for _ in range(random.randrange(20))
    ]
    bounds = np.cumsum([0, *map(len, messages)], dtype=np.int64)
    digits = bytes(md5_kernel.hexadecimal_digests(b"".join(messages), bounds)).decode()
    assert digits == "".join(md5(message, usedforsecurity=False).hexdigest() for message in messages)


LABELS = ["a", "org", "co", "example", "x" * 60]


def any_key(random: Random) -> str:
    parts = [".".join(random.choices(LABELS, k=random.randint(1, 4))), *random.choices(LABELS, k=random.randrange(4))]
    return "/".join(parts) + random.choice(["", "/"])


def check_lists(random: Random) -> int:
    """Looks up keys, their beginnings and domains, and gives the number of those that are listed."""
    what = random.choice([key_kernel.WHOLE, key_kernel.PREFIXES, key_kernel.DOMAINS])
    keys = [any_key(random) for _ in range(random.randrange(9))]
    if what == key_kernel.DOMAINS:
        keys = [key.partition("/")[0] for key in keys]
    listed = {random.choice([key, key[: key.rfind("/") + 1], key.rpartition(".")[2], any_key(random)]) for key in keys}
    table = make_table(b"".join(map(short_digest, listed)))
    ends = np.cumsum([len(key) for key in keys], dtype=np.int64)
    begins = np.where([random.random() < 0.9 for _ in keys], ends - [len(key) for key in keys], -1).astype(np.int64)
    data = np.frombuffer("".join(keys).encode(), np.uint8)
    spans = begins, ends
    found = key_kernel.find_listed(data, spans, what, table.starts, table.digests, table.shift).tolist()
    for key, begin, is_found in zip(keys, begins.tolist(), found, strict=True):
        parts = [key]
        if what == key_kernel.PREFIXES:
            parts = [key[: place + 1] for place in range(len(key)) if key[place] == "/"]
        elif what == key_kernel.DOMAINS:
            parts = [key[place:] for place in range(len(key)) if place == 0 or key[place - 1] == "."]
        assert is_found == (begin >= 0 and not listed.isdisjoint(parts)), (key, listed)
    digests = key_kernel.digest_keys(data, *spans).astype(">u8").tobytes()
    expected = [
        sha256(key.encode()).digest()[:16] if begin >= 0 else bytes(16) for key, begin in zip(keys, begins, strict=True)
    ]
    assert digests == b"".join(expected)
    return sum(found)


generator = Random(0)
assert sum(check_tokens(generator) for _ in range(100)) > 500
for _ in range(40):
    check_names(generator)
assert sum(check_lists(generator) for _ in range(200)) > 200
print("checked")
