"""Texts as token ids: CLIP's byte-pair encoding with one more token, the mask."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import torch
from open_clip import SimpleTokenizer
from torch import Tensor

MASK = "<mask>"
_REMEMBERED_TEXTS = 2**16


@dataclass(frozen=True)
class SpecialTokens:
    """Ids with a meaning of their own; every smaller id is an ordinary piece of a word.

    Attributes:
        start: First token of each text; the ids below it are ordinary.
        end: Last token of each text; its position gives the text's embedding.
        mask: Stands in place of a masked word; the largest id.
    """

    start: int
    end: int
    mask: int

    @property
    def vocabulary_size(self) -> int:
        """Number of ids."""
        return self.mask + 1


class Vocabulary:
    """Open CLIP's tokenizer; padding has the id 0, which is also the word "!"."""

    def __init__(self, context_length: int) -> None:
        """`context_length` counts the start and the end token."""
        self._context_length = context_length
        self.special = SpecialTokens(*_tokenizer().all_special_ids)

    def ids(self, texts: Sequence[str]) -> Tensor:
        """Encodes B texts as (B, T) int64; what is too long loses its last words, never the end token."""
        rows = [_encoded(text, self._context_length) for text in texts]
        return torch.stack(rows) if rows else torch.zeros(0, self._context_length, dtype=torch.long)


@cache
def _tokenizer() -> SimpleTokenizer:
    """Reads the encoding that comes with open_clip, once in a process: each model and each run's batches need it."""
    return SimpleTokenizer(additional_special_tokens=[MASK])


# Most of the work is cleaning a text, and a small set's captions come again in each pass.
@lru_cache(_REMEMBERED_TEXTS)
def _encoded(text: str, context_length: int) -> Tensor:
    ids: Tensor = _tokenizer()(text, context_length)[0]
    return ids


def valid_tokens(ids: Tensor, end: int) -> Tensor:
    """True for the tokens of a text, (B, T), up to its first end token; the padding's id is a word's, too."""
    is_end = (ids == end).int()
    return (is_end.cumsum(dim=1) - is_end) == 0
