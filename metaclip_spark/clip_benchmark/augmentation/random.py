"""Random numbers as a function of what they are for: the seed, the place in the order of samples and the purpose."""

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What numbers are drawn for; each purpose has its own, so that one more draw changes no other."""

    ORDER = 0
    REPLACEMENT = 1
    EDIT = 2
    MASK = 3
    IMAGE_VIEW = 4
    """The first view's; the second has the next number, and so on."""


def generator_for(seed: int, purpose: int, place: int) -> np.random.Generator:
    """Makes a generator that depends on its arguments only (Philox, Salmon et al. 2011, a counter-based generator).

    Args:
        seed: The run's seed.
        purpose: What is drawn; a `Purpose`, or a number above all of them.
        place: Place in the order of all samples of the run, or the number of an epoch.

    Returns:
        The generator.
    """
    return np.random.Generator(np.random.Philox(key=[seed, purpose], counter=[0, place, 0, 0]))
