"""Files of HDFS and of whatever else fsspec has a package for."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from udfs.sources.credentials import without_credentials
from udfs.sources.stream import ByteStream

HDFS = {"hdfs", "viewfs"}
NEEDS_HDFS = (
    "hdfs:// needs the package hdfs-native here and on every worker (pip install 'metaclip-spark[hdfs]'), or libhdfs "
    "and Hadoop's CLASSPATH"
)
_TAGS = ("etag", "ETag", "generation", "mtime", "modification_time", "modificationTime", "md5Hash")
"""What stores call the mark of a version, the surest first; never the time of an access, which reading changes."""

_NATIVE_HDFS: dict[str, str] = {"dfs.client.failover.max.attempts": "3"}
"""A NameNode that refuses connections is given up after seconds, where hdfs-native itself asks for many minutes."""

_JAVA_ERROR = re.compile(r'RPCError\("[\w.$]*?(?P<name>\w+)", "(?P<said>.*?)(?:\\n|"\))')
"""How hdfs-native passes on what a NameNode answers: an exception's class, then its words and the stack."""


class StoreFile(ByteStream):
    """An open file of a store, whatever its library makes of -1 and of `seek`."""

    def __init__(self, raw: Any, size: int) -> None:
        """Wraps a binary file of a known size."""
        self._raw = raw
        self._size = size

    def read(self, size: int = -1, /) -> bytes:
        """Reads up to `size` bytes, or all that is left for -1, which not every library knows."""
        return bytes(self._raw.read(size if size >= 0 else max(0, self._size - self.tell())))

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """See `io.IOBase`; not every library tells the new place."""
        self._raw.seek(offset, whence)
        return self.tell()

    def tell(self) -> int:
        """See `io.IOBase`."""
        return int(self._raw.tell())

    def close(self) -> None:
        """See `io.IOBase`."""
        self._raw.close()
        super().close()


def filesystem_of(path: str) -> tuple[Any, str]:
    """Finds the file system that fsspec has for a URL, and the path in it.

    Raises:
        OSError: The store cannot be reached.
        ValueError: Nothing that is installed opens the URL's scheme, or the URL names no server and no setting does.
    """
    import fsspec
    from fsspec.registry import known_implementations as known

    scheme, shown = path.partition("://")[0].lower(), without_credentials(path)
    try:
        if fsspec.get_filesystem_class(scheme).__module__.startswith("hdfs_native"):
            authority = path.partition("://")[2].partition("/")[0]
            return _native_hdfs(f"{scheme}://{authority}", os.getpid()), fsspec.core.strip_protocol(path)
        filesystem, below = fsspec.core.url_to_fs(path)
    except ImportError:
        module = known[scheme]["class"].partition(".")[0] if scheme in known else scheme
        raise ValueError(
            f"cannot open {shown!r}: no package for {scheme}:// is installed; install {module} on every worker"
        ) from None
    except ValueError:
        raise ValueError(
            f"cannot open {shown!r}: {scheme}:// is unknown; give a local path, s3://, https://, or a scheme of fsspec"
        ) from None
    except OSError as error:
        if scheme in HDFS and "Unable to load lib" in str(error):
            # The library's own words list each place where it looked.
            raise ValueError(f"cannot open {shown!r}: {NEEDS_HDFS}") from None
        raise
    except RuntimeError as error:
        if "fs.defaultFS" not in str(error):
            raise OSError(str(error)) from None
        raise ValueError(
            f"{shown} names no server, and no core-site.xml says which is meant: write {scheme}://HOST:PORT/..., or "
            "set HADOOP_CONF_DIR"
        ) from None
    return filesystem, below


@lru_cache(maxsize=64)
def _native_hdfs(root: str, _process: int) -> Any:
    """Connects to a NameNode, once in each process.

    fsspec's own cache is emptied in a child between fork and exec, where the end of a client waits for threads that
    only the parent has: Spark's JVM, which is started so, would never come up.
    """
    import fsspec

    return fsspec.core.url_to_fs(f"{root}/", skip_instance_cache=True, **_NATIVE_HDFS)[0]


def stat_file(path: str) -> tuple[int, str]:
    """Looks up a file's size, and a tag that another version of it would not have.

    Raises:
        OSError: There is no such file, or it cannot be looked up.
        ValueError: As `filesystem_of`.
    """
    with named(path):
        filesystem, below = filesystem_of(path)
        return size_and_tag(filesystem, below)


def open_file(path: str) -> tuple[StoreFile, int, str]:
    """Opens a file, and looks up its size and tag.

    Raises:
        OSError: There is no such file, or it cannot be opened.
        ValueError: As `filesystem_of`.
    """
    with named(path):
        filesystem, below = filesystem_of(path)
        size, tag = size_and_tag(filesystem, below)
        return StoreFile(filesystem.open(below, "rb"), size), size, tag


def size_and_tag(filesystem: Any, below: str) -> tuple[int, str]:
    """As `stat_file`, in a file system that is known."""
    info = filesystem.info(below)
    tag = next((str(info[name]) for name in _TAGS if info.get(name)), "")
    return int(info["size"]), tag or str(filesystem.ukey(below))


@contextmanager
def named(path: str) -> Iterator[None]:
    """Lets errors of a store name the URL that was asked for, in one line.

    Raises:
        OSError: In place of one that does not, and of what a NameNode refuses.
        RuntimeError: What a library calls so, and nothing is known of.
    """
    shown = without_credentials(path)
    try:
        yield
    except OSError as error:
        if shown in str(error):
            raise
        kinds = (FileNotFoundError, PermissionError, OSError)
        kind = next(kind for kind in kinds if isinstance(error, kind))
        raise kind(f"{shown}: {str(error) or repr(error)}") from None
    except RuntimeError as error:
        answer = _JAVA_ERROR.search(str(error))
        if answer is None:
            raise
        kind = PermissionError if answer["name"] == "AccessControlException" else OSError
        said = answer["said"].replace('\\"', '"')
        raise kind(f"{shown}: {said}") from None
