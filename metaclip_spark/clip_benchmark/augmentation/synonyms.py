"""Sources of synonyms for edited captions."""

from collections import defaultdict
from pathlib import Path
from typing import Protocol

from metaclip_spark.errors import ConfigError, InputError
from metaclip_spark.metadata_builder.wordnet import DATA_FILES

_WORD_COUNT_FIELD = 3


class Synonyms(Protocol):
    """Anything that knows words of the same meaning."""

    def of(self, word: str) -> tuple[str, ...]:
        """Gives the synonyms of a word.

        Args:
            word: In lower case.

        Returns:
            Other words, in an order that is always the same; none where it knows none.
        """


class NoSynonyms:
    """Knows no synonyms, so that no word is replaced."""

    def of(self, word: str) -> tuple[str, ...]:  # noqa: ARG002
        """Gives no synonyms."""
        return ()


class WordNetSynonyms:
    """The single words that share a synset with a word."""

    def __init__(self, folder: str) -> None:
        """Reads WordNet's data files, a second or two.

        Args:
            folder: Holds them at any depth, such as Debian's /usr/share/wordnet.

        Raises:
            ConfigError: If there are no such files.
            InputError: If a line of them is no synset.
        """
        found: dict[str, set[str]] = defaultdict(set)
        for file in _data_files(Path(folder)):
            for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
                words = set() if line.startswith("  ") else _single_words(line, file)
                for word in words:
                    found[word] |= words
        self._synonyms = {word: tuple(sorted(words - {word})) for word, words in found.items()}

    def of(self, word: str) -> tuple[str, ...]:
        """Gives the synonyms of a word, in the order of the alphabet."""
        return self._synonyms.get(word, ())


def _data_files(folder: Path) -> list[Path]:
    found = [sorted(folder.rglob(name))[:1] for name in DATA_FILES]
    if not all(found):
        raise ConfigError(
            f"--synonyms {folder} does not hold {', '.join(DATA_FILES)}: install Debian's wordnet-base and give "
            "/usr/share/wordnet, or leave the option out"
        )
    return [files[0] for files in found]


def _single_words(line: str, file: Path) -> set[str]:
    """Reads the words of a synset: byte offset, file number, kind, count (hexadecimal), then word and number by turns.

    Raises:
        InputError: If the line is no synset.
    """
    fields = line.split(" ")
    try:
        count = int(fields[_WORD_COUNT_FIELD], 16)
    except (IndexError, ValueError):
        raise InputError(
            f"{file} has a line that is no synset: {line[:60]!r}; fetch WordNet's data files again"
        ) from None
    first = _WORD_COUNT_FIELD + 1
    words = (field.partition("(")[0].lower() for field in fields[first : first + 2 * count : 2])
    return {word for word in words if word.isalpha()}
