"""Which sample is trained on when: permutations of all samples, each a function of the seed and the epoch."""

from bisect import bisect_left, bisect_right
from collections import Counter
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from metaclip_spark.clip_benchmark.augmentation.random import Purpose, generator_for
from metaclip_spark.clip_benchmark.dependencies import require_packages
from metaclip_spark.clip_benchmark.reading.keep_probability import DRAWS_WITH, EpochSamples
from metaclip_spark.clip_benchmark.reading.random_access import ShardFolder
from metaclip_spark.clip_benchmark.reading.samples import LostSample
from metaclip_spark.clip_benchmark.settings.training_config import TrainingConfig
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

    def replacement(self, position: int, generator: np.random.Generator) -> int:  # noqa: ARG002 - see `OnlineOrder`
        """Draws the index of another sample for a position."""
        return int(generator.integers(self._samples))

    def not_kept_at(self, position: int) -> int:  # noqa: ARG002 - as above
        """The samples that the epoch which begins at a position passes over; 0 where none begins there."""
        return 0


class OnlineOrder(SampleOrder):
    """One permutation after another of the samples that each epoch keeps; epochs differ in length."""

    def __init__(self, samples: EpochSamples, seed: int) -> None:
        """The order of what the epochs keep, as a seed tells it."""
        self._samples_of = samples
        self._seed = seed
        self._starts = [0]
        self._recent: dict[int, NDArray[np.int64]] = {}

    def index_at(self, position: int) -> int:
        """See `SampleOrder`."""
        epoch = self._epoch_at(position)
        return int(self._order(epoch)[position - self._starts[epoch]])

    def replacement(self, position: int, generator: np.random.Generator) -> int:
        """See `SampleOrder`; of the same epoch."""
        order = self._order(self._epoch_at(position))
        return int(order[generator.integers(len(order))])

    def not_kept_at(self, position: int) -> int:
        """See `SampleOrder`."""
        epoch = self._epoch_at(position)
        # Epochs that keep nothing begin where the next one does.
        begun = range(bisect_left(self._starts, position), epoch + 1)
        return sum(len(self._samples_of) - len(self._order(each)) for each in begun)

    def _epoch_at(self, position: int) -> int:
        while self._starts[-1] <= position:
            self._starts.append(self._starts[-1] + len(self._order(len(self._starts) - 1)))
        return bisect_right(self._starts, position) - 1

    def _order(self, epoch: int) -> NDArray[np.int64]:
        if epoch not in self._recent:
            self._recent = {known: self._recent[known] for known in list(self._recent)[-1:]}
            kept = self._samples_of.kept(epoch)
            self._recent[epoch] = kept[generator_for(self._seed, Purpose.ORDER, epoch).permutation(len(kept))]
        return self._recent[epoch]


def order_of(config: TrainingConfig, folder: ShardFolder) -> SampleOrder:
    """The order of a folder's samples.

    Raises:
        ConfigError: If a sample lacks what online curation draws with.
    """
    if not config.online_curation:
        return SampleOrder(len(folder), config.seed)
    require_packages("--online-curation", *DRAWS_WITH)
    return OnlineOrder(EpochSamples(folder.keep_probabilities(), config.draw_seed), config.seed)


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
        index = order.replacement(position, replacements)
    raise InputError(
        f"{_REPLACEMENTS} samples of {samples.folder} in a row cannot be used ({dict(lost)}): make it again"
    )
