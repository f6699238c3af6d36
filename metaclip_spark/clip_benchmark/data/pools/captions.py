"""Captions of the shapes pool: clean ones, corrupted ones as in crawls, and a filter in the manner of YFCC15M-V2.

Every word is our own. No caption says a colour, a size, a place or a side, since the views change these.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable

import numpy as np

GROUNDS = ("plain", "striped", "dotted", "checked")

TEMPLATES = (
    "a picture of the {}",
    "a drawing of one {}",
    "the {} drawn by hand",
    "this is the {}",
    "some {} on paper",
    "an image that shows the {}",
)
"""Prompts of the test split, and the first part of the clean captions. None has an article that depends on the word."""

_FURTHER_TEMPLATES = (
    "somebody drew this {}",
    "here you see one {}",
    "the {} of our collection",
    "my old sketch of the {}",
    "look at the {} in here",
    "one more {} from the book",
)
_GROUND_PHRASES = {
    "plain": ("on a plain ground", "with an empty background"),
    "striped": ("on a striped ground", "with a lined background"),
    "dotted": ("on a dotted ground", "with a spotted background"),
    "checked": ("on a checked ground", "with a chequered background"),
}

GROUND_WORDS = tuple(dict.fromkeys(phrase.split()[2] for phrases in _GROUND_PHRASES.values() for phrase in phrases))
"""plain, empty, striped, lined, ..."""

NOISE = ("camera_name", "date", "html", "other_language", "nothing")
"""Corruptions of which nothing of the caption stays."""

SHUFFLED = "shuffled"
CORRUPTIONS = (*NOISE, SHUFFLED)
_FOREIGN = (
    "ein Bild aus unserem Urlaub am Meer",
    "das Foto ist von meiner Schwester",
    "une image de notre voyage en train",
    "la photo que nous avons prise hier",
    "una imagen de las vacaciones con mi familia",
    "la foto que hicimos ayer por la tarde",
    "una foto della nostra casa in campagna",
    "ett foto av en vacker dag hos oss",
)
_NOTHINGS = ("-", "...", "untitled", "image", "photo", "click to enlarge", "1 of 12", "_")


def clean_caption(word: str, ground: str, generator: np.random.Generator, ground_share: float = 0.5) -> str:
    """A true caption of at most eleven words: with the class word, and in a share of the captions the ground."""
    templates = TEMPLATES + _FURTHER_TEMPLATES
    text = templates[generator.integers(len(templates))].format(word)
    phrases = _GROUND_PHRASES[ground]
    phrase = phrases[generator.integers(len(phrases))]
    return f"{text} {phrase}" if generator.random() < ground_share else text


def corrupt_caption(caption: str, kind: str, generator: np.random.Generator) -> str:
    """What a crawl has in place of a caption; `kind` is one of `CORRUPTIONS`.

    No word of the caption stays, save for "shuffled", which has them all in another order.
    """
    number = int(generator.integers(1, 10_000))

    def shuffled() -> str:
        words = caption.split()
        return " ".join(words[index] for index in generator.permutation(len(words)))

    writers: dict[str, Callable[[], str]] = {
        "camera_name": lambda: ("IMG_{:04d}.JPG", "DSC{:05d}", "P{:07d}", "DSCN{:04d}.jpg")[number % 4].format(number),
        "date": lambda: (
            f"{2004 + number % 18}-{1 + number % 12:02d}-{1 + number % 28:02d} {number % 24:02d}:{number % 60:02d}"
        ),
        "html": lambda: f'<a href="http://pages.invalid/{number}"><b>&nbsp;{number}</b></a>',
        "other_language": lambda: _FOREIGN[number % len(_FOREIGN)],
        "nothing": lambda: _NOTHINGS[number % len(_NOTHINGS)],
        SHUFFLED: shuffled,
    }
    return writers[kind]()


MOST_REPEATS = 100
_FEWEST_WORDS, _MOST_WORDS = 3, 77
_LEAST_LETTERS = 0.6
_CAMERA_NAME = re.compile(r"\b(?:IMG_\d+|DSC[NF]?_?\d+|P\d{7})\b")
_DIGITS_OR_DATE = re.compile(r"[\d\s:./_-]+")
_MARKUP = re.compile(r"<[^>]+>|https?://|www\.|&\w+;")
_ENGLISH_WORDS = (
    "an the this that these some one of on in at by with from for to and or is are was were it here there our my your "
    "you we he she they his her its look see show shows more"
)
_ENGLISH = frozenset(_ENGLISH_WORDS.split())


def filter_reason(text: str) -> str | None:
    """Why a V2-like filter leaves a caption out, or None; the rules of YFCC15M-V2 itself are not published."""
    words = text.split()
    letters = sum(character.isalpha() for character in text) / max(
        1, sum(not character.isspace() for character in text)
    )
    rules = {
        "camera_name": bool(_CAMERA_NAME.search(text)),
        "date": bool(_DIGITS_OR_DATE.fullmatch(text)),
        "markup": bool(_MARKUP.search(text)),
        "words": not _FEWEST_WORDS <= len(words) <= _MOST_WORDS,
        "letters": letters < _LEAST_LETTERS,
        "language": not any(word.lower() in _ENGLISH for word in words),
    }
    return next((reason for reason, holds in rules.items() if holds), None)


def filter_captions(texts: Iterable[str], most_repeats: int = MOST_REPEATS) -> tuple[list[bool], dict[str, int]]:
    """Filters captions as YFCC15M-V2 does: whether each stays, and reason -> captions left out."""
    kept: list[bool] = []
    reasons: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    for text in texts:
        reason = filter_reason(text)
        seen[text] += reason is None
        if reason is None and seen[text] > most_repeats:
            reason = "repeated"
        kept.append(reason is None)
        if reason is not None:
            reasons[reason] += 1
    return kept, dict(sorted(reasons.items()))
