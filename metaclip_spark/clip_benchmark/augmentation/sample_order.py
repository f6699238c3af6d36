"""Which sample is trained on when: permutations of all samples, each a function of the seed and the epoch."""

from collections import Counter
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from metaclip_spark.clip_benchmark.augmentation.random import Purpose, generator_for
from metaclip_spark.clip_benchmark.reading.samples import LostSample
from metaclip_spark.errors import InputError

_REPLACEMENTS = 100

Read = TypeVar("Read")
Read_co = TypeVar("Read_co", covariant=True)


class Samples(Protocol[Read_co]):
    """Samples by their index."""

    @property
    def folder(self) -> Path:
        """Where they come from."""

    def __len__(self) -> int:
        """The number of samples."""

    def read(self, index: int) -> Read_co | LostSample:
        """Reads a sample, or tells why it is lost."""


class SampleOrder:
    """One permutation of all samples after another, each a function of the seed and its epoch."""

    def __init__(self, samples: int, seed: int) -> None:
        """The order of so many samples, as a seed tells it."""
        self._samples = samples
        self._seed = seed
        self._permutations: dict[int, NDArray[np.int64]] = {}

    def index_at(self, position: int) -> int:
        """The index of the sample at a position of the order; position p belongs to epoch p // samples."""
        epoch, within = divmod(position, self._samples)
        if epoch not in self._permutations:
            # A batch reaches into two epochs, unless there are fewer samples than it takes.
            self._permutations = {known: self._permutations[known] for known in list(self._permutations)[-1:]}
            self._permutations[epoch] = generator_for(self._seed, Purpose.ORDER, epoch).permutation(self._samples)
        return int(self._permutations[epoch][within])


def draw_sample(samples: Samples[Read], order: SampleOrder, seed: int, position: int, lost: Counter[str]) -> Read:
    """Reads the sample at a position; where it is lost, which is counted, another that seed and position tell."""
    index = order.index_at(position)
    replacements = None
    for _ in range(_REPLACEMENTS):
        sample = samples.read(index)
        if not isinstance(sample, LostSample):
            return sample
        lost[sample.reason] += 1
        replacements = replacements or generator_for(seed, Purpose.REPLACEMENT, position)
        index = int(replacements.integers(len(samples)))
    raise InputError(
        f"{_REPLACEMENTS} samples of {samples.folder} in a row cannot be used ({dict(lost)}): make it again"
    )
