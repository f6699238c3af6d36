"""Libraries that decompress a whole member at once, in half of a stream's time: their functions, by their addresses.

The packages `deflate` and `zstandard` hold libdeflate's and libzstd's functions under their own names, which they do
not promise: where they are not there, archives are read without them.
"""

import ctypes
import importlib
import logging
import weakref
from functools import cache
from typing import Any, NamedTuple

from udfs.archives.warc_kernel import Inflater
from udfs.sources.codecs import GZIP, ZSTD, Codec

_log = logging.getLogger(__name__)


class _Functions(NamedTuple):
    """Names: a module in a package's library, and functions of it.

    Attributes:
        module: The module.
        decompress: Decompresses a member.
        allocate: Makes a decompressor.
        free: Takes it away.
        find_size: Finds the size of a member; empty where decompressing tells it.
    """

    module: str
    decompress: str
    allocate: str
    free: str
    find_size: str


_LIBDEFLATE = _Functions(
    "deflate._deflate",
    "libdeflate_gzip_decompress_ex",
    "libdeflate_alloc_decompressor",
    "libdeflate_free_decompressor",
    "",
)
_LIBZSTD = _Functions(
    "zstandard._cffi", "ZSTD_decompressDCtx", "ZSTD_createDCtx", "ZSTD_freeDCtx", "ZSTD_findFrameCompressedSize"
)
_FUNCTIONS = {GZIP: _LIBDEFLATE, ZSTD: _LIBZSTD}


class Decompressor:
    """A decompressor of a library's, which one thread may use at a time.

    Attributes:
        inflater: What a compiled loop needs of it. It may be used as long as this object is there.
    """

    def __init__(self, library: Any, functions: _Functions) -> None:
        """Takes the library, and the names of its functions.

        Raises:
            MemoryError: There is no memory for it.
        """
        address = getattr(library, functions.allocate)()
        if not address:
            raise MemoryError(f"{functions.module} has no memory for a decompressor")
        weakref.finalize(self, getattr(library, functions.free), ctypes.c_void_p(address))
        find_size = _address(library, functions.find_size) if functions.find_size else 0
        self.inflater = Inflater(_address(library, functions.decompress), int(address), find_size)


def _address(library: Any, name: str) -> int:
    return int(ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0)


def new_decompressors() -> dict[Codec, Decompressor]:
    """Makes a decompressor for each form of compression whose library is there."""
    loaded = ((codec, functions, _library(functions)) for codec, functions in _FUNCTIONS.items())
    return {codec: Decompressor(library, functions) for codec, functions, library in loaded if library is not None}


@cache
def _library(functions: _Functions) -> Any | None:
    """Loads a library, and says once where that cannot be done."""
    try:
        library = ctypes.CDLL(str(importlib.import_module(functions.module).__file__))
        getattr(library, functions.allocate).restype = ctypes.c_void_p
        getattr(library, functions.allocate).argtypes = []
        getattr(library, functions.free).argtypes = [ctypes.c_void_p]
        for name in filter(None, (functions.decompress, functions.find_size)):
            getattr(library, name)
    except (ImportError, OSError, AttributeError) as error:
        _log.warning("archives are read without %s, which takes up to four times as long: %s", functions.module, error)
        return None
    return library
