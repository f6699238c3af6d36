"""libdeflate, which inflates a gzip member in half of zlib's time: its functions, by their addresses.

The package `deflate` is made for whole buffers in Python. Its library has libdeflate's functions under their own names,
which it does not promise: where they are not there, archives are read without them.
"""

import ctypes
import importlib
import logging
import weakref
from functools import cache
from typing import Any

from udfs.archives.warc_kernel import Inflater

_INFLATE = "libdeflate_gzip_decompress_ex"
_ALLOCATE, _FREE = "libdeflate_alloc_decompressor", "libdeflate_free_decompressor"
_log = logging.getLogger(__name__)


class Decompressor:
    """A decompressor of libdeflate's, which one thread may use at a time.

    Attributes:
        inflater: What a compiled loop needs of it. It may be used as long as this object is there.
    """

    def __init__(self, library: Any) -> None:
        """Takes the library.

        Raises:
            MemoryError: There is no memory for it.
        """
        address = getattr(library, _ALLOCATE)()
        if not address:
            raise MemoryError("libdeflate has no memory for a decompressor")
        weakref.finalize(self, getattr(library, _FREE), ctypes.c_void_p(address))
        function = ctypes.cast(getattr(library, _INFLATE), ctypes.c_void_p).value
        self.inflater = Inflater(int(function or 0), int(address))


def new_decompressor() -> Decompressor | None:
    """Makes a decompressor; None where there is no library of that kind."""
    library = _library()
    return None if library is None else Decompressor(library)


@cache
def _library() -> Any | None:
    """Loads the library, and says once where that cannot be done."""
    try:
        library = ctypes.CDLL(str(importlib.import_module("deflate._deflate").__file__))
        for name, result, arguments in (
            (_INFLATE, ctypes.c_int, None),
            (_ALLOCATE, ctypes.c_void_p, []),
            (_FREE, None, [ctypes.c_void_p]),
        ):
            function = getattr(library, name)
            function.restype = result
            if arguments is not None:
                function.argtypes = arguments
    except (ImportError, OSError, AttributeError) as error:
        _log.warning("archives are read without libdeflate, which takes up to four times as long: %s", error)
        return None
    return library
