"""Random numbers as a function of what they are for: the seed, the position in the order of samples and the purpose."""

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
    EDIT_CHOICE = 100
    """Which of the prepared edits of a caption is taken; above all views."""
    SHARD_ORDER = 101
    BLOCK_ORDER = 102


def generator_for(seed: int, purpose: int, position: int) -> np.random.Generator:
    """A generator that depends on its arguments only (Philox, Salmon et al. 2011, a counter-based generator).

    Args:
        seed: The run's.
        purpose: What is drawn; a `Purpose`, or a number above all of them.
        position: Position in the order of all samples of the run, or the number of an epoch.
    """
    return np.random.Generator(np.random.Philox(key=[seed, purpose], counter=[0, position, 0, 0]))
