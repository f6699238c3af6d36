"""Arrow arrays over numpy arrays, and the other way round, by their buffers.

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


def string_bytes(strings: pa.Array) -> tuple[memoryview, npt.NDArray[np.int64]]:
    """Gives the UTF-8 bytes of strings, whatever slice of whatever string type they are, without a copy of the bytes.

    Args:
        strings: n strings; a null has no bytes.

    Returns:
        The bytes of all, and n + 1 offsets into them, from 0 on.
    """
    width = np.int64 if pa.types.is_large_string(strings.type) else np.int32
    _, offset_buffer, data_buffer = strings.buffers()
    if len(strings) == 0 or data_buffer is None:
        return memoryview(b""), np.zeros(len(strings) + 1, np.int64)
    offsets = np.frombuffer(offset_buffer, width)[strings.offset : strings.offset + len(strings) + 1].astype(np.int64)
    return memoryview(data_buffer)[offsets[0] : offsets[-1]], offsets - offsets[0]
