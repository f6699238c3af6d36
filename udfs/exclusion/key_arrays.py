"""Keys of whole columns, as parts of one array of bytes."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from udfs.arrow import string_bytes
from udfs.exclusion.key_kernel import Bytes, Numbers, plain_keys
from udfs.exclusion.url_key import LONGEST_HOST, url_key


class Keys(NamedTuple):
    """The keys of n values.

    Attributes:
        data: uint8[m], bytes that the keys are parts of.
        begins: int64[n], where each key begins, -1 where the value is null.
        ends: int64[n], where each key ends.
        host_ends: int64[n], where the host at its beginning ends: where it begins, if it has none, or too long a one.
    """

    data: Bytes
    begins: Numbers
    ends: Numbers
    host_ends: Numbers


def url_keys(urls: pa.Array) -> Keys:
    """Gives the keys of n URLs, without a Python object for each that is its own key but for scheme and fragment."""
    data, offsets = string_bytes(urls)
    content = np.frombuffer(data, np.uint8)
    begins, ends, host_ends = plain_keys(content, offsets)
    if urls.null_count:
        begins[_null_marks(urls)] = -1
        ends[begins < 0] = 0
    others = np.flatnonzero(ends < 0)
    if not others.size:
        return Keys(content, begins, ends, host_ends)
    keys = [url_key(bytes(data[offsets[row] : offsets[row + 1]]).decode("utf-8", "replace")) for row in others.tolist()]
    encoded = [key.text.encode() for key in keys]
    added_ends = content.size + np.cumsum([len(key) for key in encoded], dtype=np.int64)
    begins[others] = added_ends - [len(key) for key in encoded]
    ends[others] = added_ends
    # A key's host is ASCII.
    host_lengths = np.array([key.host_length for key in keys], np.int64)
    host_ends[others] = begins[others] + np.where(host_lengths <= LONGEST_HOST, host_lengths, 0)
    return Keys(np.concatenate([content, np.frombuffer(b"".join(encoded), np.uint8)]), begins, ends, host_ends)


def text_keys(texts: pa.Array) -> Keys:
    """Takes n texts as their own keys, without hosts."""
    data, offsets = string_bytes(texts)
    begins = offsets[:-1].copy()
    if texts.null_count:
        begins[_null_marks(texts)] = -1
    return Keys(np.frombuffer(data, np.uint8), begins, offsets[1:], begins)


def _null_marks(values: pa.Array) -> npt.NDArray[np.bool_]:
    """Tells of n values, of which at least one is null, which are."""
    bits = np.unpackbits(np.frombuffer(values.buffers()[0], np.uint8), bitorder="little")
    marks: npt.NDArray[np.bool_] = bits[values.offset : values.offset + len(values)] == 0
    return marks
