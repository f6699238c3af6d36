"""Arrow arrays over numpy arrays, made from buffers.

`pyarrow.array` imports pandas at its first call, where pandas is installed: memory of each worker, and time at start.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def arrow_numbers(numbers: npt.NDArray[np.number[Any]]) -> pa.Array:
    """Gives numbers as an Arrow array, without a copy.

    Args:
        numbers: Shape (rows,), whole or floating numbers, contiguous; not changed afterwards.

    Returns:
        Shape (rows,), of the numbers' type, without nulls.
    """
    return pa.Array.from_buffers(pa.from_numpy_dtype(numbers.dtype), numbers.size, [None, pa.py_buffer(numbers)])
