import pytest

from udfs.sources.lines import cut_lines


def lines(parts, largest=100):
    return [line for found in cut_lines(parts, largest) for line in found]


@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_lines_are_the_same_in_parts_of_any_size(size):
    text = b"one\n\ntwo\r\n" + b"x" * 99 + b"\n\n\nlast"
    parts = [text[start : start + size] for start in range(0, len(text), size)]
    assert lines(parts) == text.split(b"\n")
    assert lines([text + b"\n"]) == text.split(b"\n")
    assert lines([]) == []


def test_of_a_line_that_is_too_long_one_byte_more_than_the_limit_is_kept():
    assert lines([b"a\n", *[b"x" * 30] * 9, b"\nb"]) == [b"a", b"x" * 101, b"b"]
