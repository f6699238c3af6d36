"""Reads the lemmas of wordnets in the tab form of the Open Multilingual Wordnet."""

from collections import Counter
from dataclasses import dataclass

from metaclip_spark.errors import InputError, joined
from metaclip_spark.metadata_builder.wiki_dumps import find_files
from metaclip_spark.metadata_builder.wordnet_files import lines_of
from udfs.sources import DEFAULT_OPTIONS, FetchOptions, open_archive
from udfs.sources.compression import decompress_whole

OPTION = "--wordnet-lemmas"
CODES = {
    "als": "sq",
    "arb": "ar",
    "bos": "bs",
    "bul": "bg",
    "cat": "ca",
    "ces": "cs",
    "cmn": "zh",
    "cym": "cy",
    "dan": "da",
    "deu": "de",
    "ell": "el",
    "eng": "en",
    "est": "et",
    "eus": "eu",
    "fas": "fa",
    "fin": "fi",
    "fra": "fr",
    "gle": "ga",
    "glg": "gl",
    "heb": "he",
    "hin": "hi",
    "hrv": "hr",
    "hun": "hu",
    "hye": "hy",
    "ind": "id",
    "isl": "is",
    "ita": "it",
    "iwn": "it",
    "jpn": "ja",
    "kan": "kn",
    "kat": "ka",
    "khm": "km",
    "kor": "ko",
    "lao": "lo",
    "lat": "la",
    "lav": "lv",
    "lit": "lt",
    "mya": "my",
    "nld": "nl",
    "nno": "nn",
    "nob": "no",
    "pol": "pl",
    "por": "pt",
    "qcn": "zh",
    "ron": "ro",
    "rus": "ru",
    "slk": "sk",
    "slv": "sl",
    "spa": "es",
    "srp": "sr",
    "swe": "sv",
    "tha": "th",
    "tur": "tr",
    "ukr": "uk",
    "vie": "vi",
    "yue": "zh_yue",
    "zsm": "ms",
}
"""Code of the Open Multilingual Wordnet -> code of the Wikipedia. `als` is Albanian there, and Alemannic here."""

_FIELDS = 3
_COMMENT = "#"
_LEMMA = "lemma"


@dataclass(frozen=True)
class WordnetLemmas:
    """What wordnets give a list.

    Attributes:
        lemmas: The distinct lemmas, sorted.
        synsets: Number of synsets that have one.
        tally: By file, its lines: lemmas, and those left out, by reason.
    """

    lemmas: tuple[str, ...]
    synsets: int
    tally: dict[str, dict[str, int]]


def read_wordnet_lemmas(
    items: tuple[str, ...], language: str, options: FetchOptions = DEFAULT_OPTIONS
) -> WordnetLemmas:
    """Reads all lemmas of a language: case kept, with spaces for underscores, without plus signs.

    Args:
        items: Files, folders or globs; plain or packed.
        language: Code of a Wikipedia.
        options: How remote stores are reached.

    Returns:
        The lemmas. Definitions, examples, roots and inflected forms are left out, and so are other languages' lemmas.

    Raises:
        InputError: If a file is missing or cannot be read, has a line of another form, or no lemma of the language.
    """
    lemmas: set[str] = set()
    synsets: set[str] = set()
    tally: dict[str, dict[str, int]] = {}
    for name, path in find_files(OPTION, items, options):
        counts: Counter[str] = Counter()
        others: set[str] = set()
        for number, line in enumerate(_lines(name, path, options), start=1):
            if not line.strip() or line.startswith(_COMMENT):
                continue
            counts["lines"] += 1
            fields = line.split("\t")
            if len(fields) < _FIELDS:
                raise InputError(
                    f"{OPTION} {name}, line {number}: {line[:60]!a} is not a synset, a type and a lemma, separated by "
                    "tabs: give a wordnet in the tab form of the Open Multilingual Wordnet, such as wn-data-jpn.tab"
                )
            code, _, kind = fields[1].rpartition(":") if fields[1].endswith(f":{_LEMMA}") else ("", "", fields[1])
            lemma = lemma_of(fields[2])
            if kind != _LEMMA:
                counts["line.skipped_type"] += 1
            elif code and wiki_of(code) != language:
                counts["line.skipped_language"] += 1
                others.add(wiki_of(code))
            elif not lemma:
                counts["line.skipped_no_lemma"] += 1
            else:
                counts["counted"] += 1
                lemmas.add(lemma)
                synsets.add(fields[0])
        if not counts["counted"]:
            has = f"it has {joined(sorted(others))}" if others else "it has none at all"
            raise InputError(f"{OPTION} {name} has no lemma of {language}, {has}: give the wordnet of --language")
        tally[name] = dict(counts)
    return WordnetLemmas(tuple(sorted(lemmas)), len(synsets), tally)


def wiki_of(code: str) -> str:
    """The code of a wordnet's language as that of its Wikipedia."""
    return CODES.get(code, code)


def lemma_of(field: str) -> str:
    """Turns a lemma as it stands in a file into an entry; it may be empty."""
    return field.replace("_", " ").replace("+", "").strip()


def _lines(name: str, path: str, options: FetchOptions) -> list[str]:
    try:
        with open_archive(path, options) as stream:
            return lines_of(decompress_whole(stream.read()).decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise InputError(f"{OPTION} {name} is not UTF-8 at byte {error.start}: convert it to UTF-8") from None
    except (ValueError, EOFError) as error:
        raise InputError(f"{OPTION} {name} cannot be read: {error}") from None
