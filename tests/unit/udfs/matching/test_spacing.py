"""Spacing, and the reference matcher over spaced texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from udfs.matching.spacing import SEPARATOR_MARKS, matches_entry, spacing


def test_spacing_sets_marks_apart_and_keeps_double_spaces():
    assert spacing("A dog.") == " A dog .  "
    assert spacing("a\tb\nc\rd") == " a b c d "
    assert spacing("a,,b") == " a ,  , b "
    assert spacing("") == "  "


@given(st.text(st.sampled_from("ab ,.;:?!`\t\n\r()-é")))
def test_spacing_adds_and_replaces_nothing_else(text):
    white_to_space = text.translate(str.maketrans("\t\n\r", "   "))
    assert spacing(text).replace(" ", "") == white_to_space.replace(" ", "")
    assert len(spacing(text)) == len(text) + 2 + 2 * sum(text.count(mark) for mark in SEPARATOR_MARKS)


@pytest.mark.parametrize(
    ("text", "entry", "expected"),
    [
        ("A Dog", "dog", False),
        ("new york", "new", True),
        ("new york", "new york", True),
        ("new  york", "new york", False),
        ("(dog)", "dog", False),
        ("dog's", "dog", False),
        ("3.5", "3", True),
        ("3.5", "3.5", False),
        ("U.S.", "U.S.", False),
        ("St.Louis", "St . Louis", True),
        ("hey!", "!", True),
        ("AT&T C++", "AT&T", True),
        ("a\u00a0dog", "dog", False),
    ],
)
def test_entries_are_found_between_single_spaces(text, entry, expected):
    assert matches_entry(spacing(text), entry) is expected
