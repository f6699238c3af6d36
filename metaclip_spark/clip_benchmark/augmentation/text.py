"""Text views: edited captions (EDA, arXiv 1901.11196) and masked words (BERT, arXiv 1810.04805).

DeCLIP (arXiv 2110.05208) contrasts images with an edited caption beside the caption, and asks for masked words.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from metaclip_spark.clip_benchmark.augmentation.synonyms import Synonyms
from metaclip_spark.clip_benchmark.augmentation.tokenizer import SpecialTokens

Protected = Callable[[str], bool]
"""Tells of a word, in lower case without marks around it, whether an edit must leave it where and as it is."""

_STOP_WORDS = (
    "a an the this that these those some any each every of in on at by to for from with without and or but as is are "
    "was were be been being am it its his her their our my your he she they we you i there here not no so than then "
    "has have had do does did can could will would may might must shall should about into over under up down out off "
    "very just only also which who whom whose what when where how why"
)
STOP_WORDS = frozenset(_STOP_WORDS.split())
"""Words that EDA does not replace."""

IGNORE_INDEX = -100
"""Label of a position whose word is not asked for, as torch's cross-entropy has it."""

_DELETION_CHANCE = 0.1
_MASKED_SHARE = 0.15
_MASK_SHARE, _RANDOM_SHARE = 0.8, 0.1
_MARKS = ".,;:!?\"'()[]"


def edit_caption(caption: str, generator: np.random.Generator, synonyms: Synonyms, protected: Protected) -> str:
    """Replaces a word by a synonym, swaps two words, or deletes some: by chance one of the three, as EDA does.

    A swap crosses no protected word, so that an attribute stays with its noun. At least one word stays, and a caption
    of fewer than two words stays as it is.
    """
    words = caption.split()
    if len(words) < 2:  # noqa: PLR2004
        return caption
    free = [not protected(bare(word)) for word in words]
    edit = generator.integers(3)
    if edit == 0:
        return " ".join(_one_replaced(words, free, generator, synonyms))
    if edit == 1:
        return " ".join(_two_swapped(words, free, generator))
    return " ".join(_some_deleted(words, free, generator))


def bare(word: str) -> str:
    """A word in lower case without the marks around it; empty where it is marks only."""
    return word.strip(_MARKS).lower()


def protects_nothing(_word: str) -> bool:
    """Lets EDA edit every word, as the paper does."""
    return False


def protects_content(word: str) -> bool:
    """Keeps every word but stop words, where nothing tells which words say the class."""
    return word not in STOP_WORDS


def mask_words(
    ids: NDArray[np.int64], special: SpecialTokens, generator: np.random.Generator, *, ordinary_replacements: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Masks 15% of the words: four of five become the mask, one of ten another word, one of ten stays.

    Args:
        ids: (T,) token ids from start to end token, then padding; or (B, T), those of several texts.
        special: The special tokens' ids.
        generator: Draws the numbers.
        ordinary_replacements: Whether a random word is never a special token.

    Returns:
        The masked ids, and the labels, both in the form of `ids`: the id that stood at a masked position,
        `IGNORE_INDEX` elsewhere. Start, end, mask and padding are never masked.
    """
    end = np.argmax(ids == special.end, axis=-1)[..., None]
    chosen = generator.random(ids.shape) < _MASKED_SHARE
    fate = generator.random(ids.shape)
    replacements = generator.integers(
        special.start if ordinary_replacements else special.vocabulary_size, size=ids.shape
    )
    chosen &= (np.arange(ids.shape[-1]) < end) & (ids < special.start)
    masked = np.where(chosen & (fate < _MASK_SHARE), special.mask, ids)
    random_word = chosen & (fate >= _MASK_SHARE) & (fate < _MASK_SHARE + _RANDOM_SHARE)
    return np.where(random_word, replacements, masked), np.where(chosen, ids, IGNORE_INDEX)


def _one_replaced(words: list[str], free: list[bool], generator: np.random.Generator, synonyms: Synonyms) -> list[str]:
    indices = [
        index
        for index, word in enumerate(words)
        if free[index] and bare(word) not in STOP_WORDS and synonyms.of(bare(word))
    ]
    if not indices:
        return words
    index = indices[generator.integers(len(indices))]
    known = synonyms.of(bare(words[index]))
    return [*words[:index], known[generator.integers(len(known))], *words[index + 1 :]]


def _two_swapped(words: list[str], free: list[bool], generator: np.random.Generator) -> list[str]:
    runs = _runs(free)
    if not runs:
        return words
    run = runs[generator.integers(len(runs))]
    first, second = generator.choice(run, 2, replace=False)
    swapped = list(words)
    swapped[first], swapped[second] = words[second], words[first]
    return swapped


def _runs(free: list[bool]) -> list[list[int]]:
    """Finds the indices of neighbouring free words, two at least."""
    runs: list[list[int]] = [[]]
    for index, is_free in enumerate(free):
        if is_free:
            runs[-1].append(index)
        else:
            runs.append([])
    return [run for run in runs if len(run) > 1]


def _some_deleted(words: list[str], free: list[bool], generator: np.random.Generator) -> list[str]:
    stays = [not is_free or generator.random() >= _DELETION_CHANCE for is_free in free]
    if not any(stays):
        return [words[generator.integers(len(words))]]
    return [word for word, stay in zip(words, stays, strict=True) if stay]
