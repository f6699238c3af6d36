"""Numbers per metadata entry in a file that all workers of a machine map, in place of a copy in each of them."""

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt


@lru_cache(maxsize=4)
def map_numbers(path: str, kind: str) -> npt.NDArray[Any]:
    """Maps a file of numbers into memory; calling again costs nothing.

    Args:
        path: The file, which never changes.
        kind: The numbers' type as numpy spells it, such as <f8.

    Returns:
        The numbers, read-only, shape (entries,).
    """
    return np.memmap(path, np.dtype(kind), mode="r").view(np.ndarray)
