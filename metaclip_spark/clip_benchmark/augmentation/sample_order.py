"""Which sample is trained on when: permutations of all samples, each a function of the seed and the epoch."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from metaclip_spark.clip_benchmark.augmentation.random import Purpose, generator_for
from metaclip_spark.clip_benchmark.data.samples import Sample, ShardFolder
from metaclip_spark.errors import InputError

_REPLACEMENTS = 100


class SampleOrder:
    """One permutation of all samples after another, each a function of the seed and its epoch."""

    def __init__(self, samples: int, seed: int) -> None:
        """Takes what the order depends on.

        Args:
            samples: Number of samples.
            seed: The run's seed.
        """
        self._samples = samples
        self._seed = seed
        self._permutations: dict[int, NDArray[np.int64]] = {}

    def number_at(self, place: int) -> int:
        """Gives the sample at a place of the order.

        Args:
            place: From 0; place p belongs to epoch p // samples.

        Returns:
            Its number.
        """
        epoch, within = divmod(place, self._samples)
        if epoch not in self._permutations:
            # A batch reaches into two epochs, unless there are fewer samples than it takes.
            self._permutations = {known: self._permutations[known] for known in list(self._permutations)[-1:]}
            self._permutations[epoch] = generator_for(self._seed, Purpose.ORDER, epoch).permutation(self._samples)
        return int(self._permutations[epoch][within])


def draw_sample(folder: ShardFolder, order: SampleOrder, seed: int, place: int, lost: Counter[str]) -> Sample:
    """Reads the sample at a place of the order, or where it is lost, one that the seed and the place tell.

    Args:
        folder: The samples.
        order: Their order.
        seed: The run's seed.
        place: Place in the order.
        lost: Counts the lost samples by reason, each time they are met.

    Returns:
        A sample.

    Raises:
        InputError: If a hundred samples in a row are lost.
    """
    number = order.number_at(place)
    replacements = None
    for _ in range(_REPLACEMENTS):
        sample = folder.read(number)
        if isinstance(sample, Sample):
            return sample
        lost[sample.reason] += 1
        replacements = replacements or generator_for(seed, Purpose.REPLACEMENT, place)
        number = int(replacements.integers(len(folder)))
    raise InputError(
        f"{_REPLACEMENTS} samples of {folder.folder} in a row cannot be used ({dict(lost)}): make it again"
    )
