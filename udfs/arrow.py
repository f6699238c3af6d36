"""Arrow arrays over numpy arrays, and the other way round, by their buffers.

`pyarrow.array`, `pyarrow.scalar` and `to_numpy` import pandas at their first call, where it is installed: that is
memory and time of each worker.
"""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def arrow_numbers(numbers: npt.NDArray[np.number[Any]], valid: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    """Returns contiguous numbers, never changed afterwards, as an Arrow array without a copy; null where invalid."""
    validity = None if valid is None else pa.py_buffer(np.packbits(valid, bitorder="little"))
    return pa.Array.from_buffers(pa.from_numpy_dtype(numbers.dtype), numbers.size, [validity, pa.py_buffer(numbers)])


def numpy_numbers(numbers: pa.Array) -> npt.NDArray[Any]:
    """Returns Arrow numbers as a read-only numpy array, without a copy.

    Raises:
        ValueError: If a number is null.
    """
    if numbers.null_count:
        raise ValueError(f"{numbers.null_count} of {len(numbers)} numbers are null")
    width = np.dtype(numbers.type.to_pandas_dtype())
    if len(numbers) == 0:
        return np.empty(0, width)
    return np.frombuffer(numbers.buffers()[1], width, len(numbers), numbers.offset * width.itemsize)


def arrow_contents(arrays: Sequence[npt.NDArray[np.number[Any]]]) -> pa.Array:
    """Returns the bytes of n arrays of one type, fewer than 2^31 bytes in all, as n Arrow binary values."""
    ends = np.cumsum([0, *(array.nbytes for array in arrays)]).astype(np.int32)
    data = np.concatenate(arrays) if arrays else np.empty(0, np.uint8)
    return pa.Array.from_buffers(pa.binary(), len(arrays), [None, pa.py_buffer(ends), pa.py_buffer(data)])


def string_bytes(strings: pa.Array) -> tuple[memoryview, npt.NDArray[np.int64]]:
    """Returns the UTF-8 bytes of n strings, any slice of any string type, and n + 1 offsets into them from 0 on.

    A null has no bytes; the bytes are not copied.
    """
    width = np.int64 if pa.types.is_large_string(strings.type) else np.int32
    _, offset_buffer, data_buffer = strings.buffers()
    if len(strings) == 0 or data_buffer is None:
        return memoryview(b""), np.zeros(len(strings) + 1, np.int64)
    offsets = np.frombuffer(offset_buffer, width)[strings.offset : strings.offset + len(strings) + 1].astype(np.int64)
    return memoryview(data_buffer)[offsets[0] : offsets[-1]], offsets - offsets[0]


def replace_lone_surrogates(text: str) -> str:
    """Puts U+FFFD in place of each lone surrogate, which UTF-8 and Arrow cannot hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return _LONE_SURROGATE.sub("\ufffd", text)
    return text
