"""The lower floor of extraction: libdeflate inflates every gzip member and nothing looks at it.

It is called member by member from Python, by the address at which the project calls it.
"""

import ctypes
import pathlib

from loop import compete

from udfs.archives.one_shot import Decompressor, new_decompressors
from udfs.sources.codecs import GZIP

LARGEST_MEMBER_BYTES = 64 << 20
PLAIN = ctypes.create_string_buffer(LARGEST_MEMBER_BYTES)
SIZE, ADDRESS = ctypes.c_size_t, ctypes.c_void_p
Inflate = ctypes.CFUNCTYPE(ctypes.c_int, ADDRESS, ADDRESS, SIZE, ADDRESS, SIZE, ADDRESS, ADDRESS)


def decompressor() -> Decompressor:
    """Makes what inflates.

    Raises:
        RuntimeError: The package `deflate` has no libdeflate that can be called.
    """
    found = new_decompressors().get(GZIP)
    if found is None:
        raise RuntimeError("there is no libdeflate to measure")
    return found


DECOMPRESSOR = decompressor()
INFLATE = Inflate(DECOMPRESSOR.inflater.function)


def inflate(path: str) -> None:
    """Inflates an archive.

    Raises:
        ValueError: A member is damaged, or too large.
    """
    packed = pathlib.Path(path).read_bytes()
    begin, end = ctypes.cast(ctypes.c_char_p(packed), ADDRESS).value or 0, len(packed)
    used, written = SIZE(), SIZE()
    target, sizes = ctypes.addressof(PLAIN), (ctypes.addressof(used), ctypes.addressof(written))
    at = 0
    while at < end:
        if INFLATE(DECOMPRESSOR.inflater.decompressor, begin + at, end - at, target, LARGEST_MEMBER_BYTES, *sizes):
            raise ValueError(f"{path} cannot be inflated at byte {at}")
        at += used.value


compete(inflate)
