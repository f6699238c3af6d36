"""Digests of many messages at once, against hashlib's."""

from hashlib import md5
from itertools import accumulate
from random import Random

import numpy as np
import pytest

from udfs.pairs import columns
from udfs.pairs.md5_kernel import hexadecimal_digests


def check(messages: list[bytes]) -> None:
    data, bounds = b"".join(messages), np.array([0, *accumulate(map(len, messages))])
    expected = "".join(md5(message, usedforsecurity=False).hexdigest() for message in messages)
    assert hexadecimal_digests(data, bounds).tobytes().decode() == expected


@pytest.mark.parametrize("begin", range(0, 200, 40))
def test_every_length_alone(begin: int) -> None:
    for length in range(begin, begin + 40):
        check([bytes(range(length))])


@pytest.mark.parametrize("most_bytes", [1, 60, 130, 1000])
def test_any_number_of_messages_of_any_lengths(most_bytes: int) -> None:
    random = Random(most_bytes)
    for number in [*range(20), 100, 1000]:
        check([random.randbytes(random.randrange(most_bytes)) for _ in range(number)])


def test_one_long_message_among_short_ones() -> None:
    check([b"a", bytes(100_000), b"b" * 63, b"", b"c" * 64])


def test_names_of_pairs_are_the_same_where_nothing_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    data, bounds = b"u\0tu\0a dog", np.array([0, 3, 10])
    compiled = columns._pair_ids(data, bounds)
    monkeypatch.setattr(columns.md5_kernel, "loaded", None)
    assert columns._pair_ids(data, bounds).equals(compiled)
    assert compiled.to_pylist() == [md5(part, usedforsecurity=False).hexdigest() for part in (b"u\0t", b"u\0a dog")]
