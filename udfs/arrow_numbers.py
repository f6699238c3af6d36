"""Arrow arrays over numpy arrays, made from buffers.

`pyarrow.array` imports pandas at its first call, where pandas is installed: some 30 MB of each worker, and its time.
"""

from typing import Any

import numpy.typing as npt
import pyarrow as pa


def arrow_numbers(numbers: npt.NDArray[Any]) -> pa.Array:
    """Gives numbers as an Arrow array, without a copy.

    Args:
        numbers: Shape (rows,), contiguous; not changed afterwards.

    Returns:
        Shape (rows,), of the numbers' type, without nulls.
    """
    return pa.Array.from_buffers(pa.from_numpy_dtype(numbers.dtype), numbers.size, [None, pa.py_buffer(numbers)])
