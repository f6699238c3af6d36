"""The captions of all samples as token ids, made once; edits of them are made when they are first asked for."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from metaclip_spark.clip_benchmark.augmentation.random import Purpose, generator_for
from metaclip_spark.clip_benchmark.augmentation.synonyms import Synonyms
from metaclip_spark.clip_benchmark.augmentation.text import Protected, edit_caption
from metaclip_spark.clip_benchmark.augmentation.tokenizer import Vocabulary

PREPARED_EDITS = 8
"""Edits of each caption, from which each step draws one."""

_AT_ONCE = 4096


class CaptionTable:
    """Token ids of N captions, and of their edits."""

    def __init__(
        self, captions: Sequence[str], vocabulary: Vocabulary, seed: int, synonyms: Synonyms, protected: Protected
    ) -> None:
        """Encodes the captions."""
        self._captions = captions
        self._vocabulary = vocabulary
        self._seed = seed
        self._synonyms = synonyms
        self._protected = protected
        parts = [vocabulary.ids(captions[first : first + _AT_ONCE]) for first in range(0, len(captions), _AT_ONCE)]
        self._ids: NDArray[np.int32] = np.concatenate([part.numpy() for part in parts]).astype(np.int32)
        # Memory that is never written to is not taken: most runs ask for no edits, or for some of them.
        self._edited = np.zeros((len(captions), PREPARED_EDITS, self._ids.shape[1]), np.int32)
        self._made = np.zeros((len(captions), PREPARED_EDITS), np.bool_)

    def ids(self, samples: NDArray[np.int64]) -> NDArray[np.int64]:
        """Gives the captions of (B,) samples: (B, T)."""
        return self._ids[samples].astype(np.int64)

    def edited(self, samples: NDArray[np.int64], choices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Gives of each of (B,) samples the edit that (B,) numbers below `PREPARED_EDITS` choose: (B, T)."""
        for sample, choice in zip(samples.tolist(), choices.tolist(), strict=True):
            if not self._made[sample, choice]:
                generator = generator_for(self._seed, Purpose.EDIT, sample * PREPARED_EDITS + choice)
                text = edit_caption(self._captions[sample], generator, self._synonyms, self._protected)
                self._edited[sample, choice] = self._vocabulary.ids([text])[0].numpy()
                self._made[sample, choice] = True
        return self._edited[samples, choices].astype(np.int64)
