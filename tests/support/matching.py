"""Strategies and the naive matcher that both engines are held against."""

from collections.abc import Sequence

from hypothesis import strategies as st

from udfs.matching.spacing import matches_entry, spacing

PIECES = ["a", "b", "A", " ", " ", "  ", ",", ".", "!", "`", "\t", "\n", "\r", "\0", "é", "東", "(", "\u00a0"]
LONG_PIECES = ["sevenxx", "eightxxx", "fifteenxxxxxxxx", "sixteenxxxxxxxxx", "x" * 64, "x" * 65]


def texts(*, longest: int = 12) -> st.SearchStrategy[str]:
    """Texts over a small alphabet, in which entries occur often."""
    return st.lists(st.sampled_from(PIECES + LONG_PIECES), max_size=longest).map("".join)


def entry_lists() -> st.SearchStrategy[list[str]]:
    """Metadata lists: distinct, none empty; spaces, marks and tabs anywhere."""
    entry = st.lists(st.sampled_from(PIECES + LONG_PIECES), min_size=1, max_size=4).map("".join)
    return st.lists(entry, min_size=1, max_size=25, unique=True)


def naive_ids(alt_texts: Sequence[str | None], entries: Sequence[str]) -> list[list[int]]:
    """Scans each text for each entry."""
    return [
        []
        if text is None
        else [entry_id for entry_id, entry in enumerate(entries) if matches_entry(spacing(text), entry)]
        for text in alt_texts
    ]
