"""Sources of synonyms for edited captions."""

import hashlib
from collections import defaultdict
from pathlib import Path
from typing import Protocol

from metaclip_spark.errors import ConfigError, InputError
from metaclip_spark.metadata_builder.wordnet_files import DATA_FILES

_WORD_COUNT_FIELD = 3


class Synonyms(Protocol):
    """Anything that knows words of the same meaning."""

    def of(self, word: str) -> tuple[str, ...]:
        """Other words with the meaning of a word in lower case, in an order that is always the same."""


class NoSynonyms:
    """Knows no synonyms, so that no word is replaced."""

    def of(self, word: str) -> tuple[str, ...]:  # noqa: ARG002
        """No synonyms."""
        return ()


class WordNetSynonyms:
    """The single words that share a synset with a word."""

    def __init__(self, folder: str) -> None:
        """Reads WordNet's data files, at any depth of a folder such as Debian's /usr/share/wordnet."""
        found: dict[str, set[str]] = defaultdict(set)
        for file in _data_files(Path(folder)):
            for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
                words = set() if line.startswith("  ") else _single_words(line, file)
                for word in words:
                    found[word] |= words
        self._synonyms = {word: tuple(sorted(words - {word})) for word, words in found.items()}

    def of(self, word: str) -> tuple[str, ...]:
        """The synonyms of a word, in the order of the alphabet."""
        return self._synonyms.get(word, ())


def wordnet_digest(folder: str) -> str:
    """A sha256 over the files that `WordNetSynonyms` reads, in hex."""
    whole = hashlib.sha256()
    for path in _data_files(Path(folder)):
        whole.update(hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()


def _data_files(folder: Path) -> list[Path]:
    found = [sorted(folder.rglob(name))[:1] for name in DATA_FILES]
    if not all(found):
        raise ConfigError(
            f"--synonyms {folder} does not hold {', '.join(DATA_FILES)}: install Debian's wordnet-base and give "
            "/usr/share/wordnet, or leave the option out"
        )
    return [files[0] for files in found]


def _single_words(line: str, file: Path) -> set[str]:
    """Reads the words of a synset: offset, file, kind, count (hexadecimal), then word and number by turns."""
    fields = line.split(" ")
    try:
        count = int(fields[_WORD_COUNT_FIELD], 16)
    except (IndexError, ValueError):
        raise InputError(
            f"{file} has a line that is not a synset: {line[:60]!r}; fetch WordNet's data files again"
        ) from None
    first = _WORD_COUNT_FIELD + 1
    words = (field.partition("(")[0].lower() for field in fields[first : first + 2 * count : 2])
    return {word for word in words if word.isalpha()}
