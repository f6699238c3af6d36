"""The names and lines of a wordnet's files, apart from what reads them from any store."""

DATA_FILES = ("data.noun", "data.verb", "data.adj", "data.adv")
"""One file for each part of speech, as Princeton and Debian name them."""


def lines_of(text: str) -> list[str]:
    """Splits a file at its line feeds only: a lemma or gloss may hold U+0085, U+2028 and the like."""
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    return lines if lines[-1] else lines[:-1]
