"""Files of HDFS and of whatever else fsspec has a package for."""

import getpass
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any

from udfs.sources.credentials import without_credentials
from udfs.sources.resume import ArchiveChangedError
from udfs.sources.stream import ByteStream

_HDFS = {"hdfs", "viewfs"}
_WEB_HDFS = {"webhdfs", "swebhdfs"}
_NEEDS_HDFS = (
    "hdfs:// needs the package hdfs-native here and on every worker (pip install hdfs-native, or make pack), or "
    "libhdfs and Hadoop's CLASSPATH"
)
_TAGS = ("etag", "ETag", "generation", "mtime", "modification_time", "modificationTime", "md5Hash")
"""What stores call the mark of a version, the surest first; never the time of an access, which reading changes."""

_ONE_NAMENODE: dict[str, str] = {"dfs.client.failover.max.attempts": "3"}
"""One that refuses connections is given up after seconds, where hdfs-native itself asks for many minutes.

Where a name stands for several NameNodes, Hadoop's own settings say how long another one may take over.
"""

_AUTHORITY = re.compile(r"^[a-zA-Z][a-zA-Z0-9+.-]*://[^/]*")
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
        if scheme in _HDFS and fsspec.get_filesystem_class(scheme).__module__.startswith("hdfs_native"):
            return _native_hdfs(scheme, _authority(path), os.getpid()), _below_authority(path)
        filesystem, below = fsspec.core.url_to_fs(path, **_identity(scheme, path))
    except ImportError:
        module = known[scheme]["class"].partition(".")[0] if scheme in known else scheme
        raise ValueError(
            f"cannot open {shown!r}: no package for {scheme}:// is installed; install {module} on every worker"
        ) from None
    except ValueError as error:
        if scheme in _HDFS:
            raise ValueError(f"cannot open {shown!r}: {error}") from None
        raise ValueError(
            f"cannot open {shown!r}: {scheme}:// is unknown; give a local path, s3://, https://, or a scheme of fsspec"
        ) from None
    except OSError as error:
        if scheme in _HDFS and "Unable to load lib" in str(error):
            # The library's own words list each place where it looked.
            raise ValueError(f"cannot open {shown!r}: {_NEEDS_HDFS}") from None
        raise
    except RuntimeError as error:
        if "fs.defaultFS" not in str(error):
            raise OSError(str(error)) from None
        raise ValueError(
            f"{shown} names no server, and no core-site.xml says which is meant: write {scheme}://HOST:PORT/..., or "
            "set HADOOP_CONF_DIR"
        ) from None
    return filesystem, below


def _identity(scheme: str, path: str) -> dict[str, str]:
    """Gives the user for a server that asks no more than a name, as Hadoop's own clients tell it.

    A user in the URL, and whatever fsspec's own settings say of who asks, are left alone.
    """
    from fsspec.config import conf

    if scheme not in _WEB_HDFS or "@" in path.partition("://")[2].partition("/")[0]:
        return {}
    if {"user", "token", "kerberos"} & conf.get(scheme, {}).keys():
        return {}
    # In a container the user may have no name.
    with suppress(KeyError, OSError):
        return {"user": os.environ.get("HADOOP_USER_NAME") or getpass.getuser()}
    return {}


def _authority(path: str) -> str:
    """The host of a URL, and its port; a name service keeps its capitals.

    Raises:
        ValueError: A user stands before it, whom hdfs-native would pass over.
    """
    authority = path.partition("://")[2].partition("/")[0]
    if "@" in authority:
        raise ValueError("a user belongs into the environment variable HADOOP_USER_NAME, not into the URL")
    return authority


def _below_authority(path: str) -> str:
    """What a URL of HDFS, or a path there, names: every character is one of the name, as Hadoop has it."""
    return _AUTHORITY.sub("", path) or "/"


@lru_cache(maxsize=64)
def _native_hdfs(scheme: str, authority: str, _process: int) -> Any:
    """Connects to a NameNode, once in each process.

    fsspec's own cache is emptied in a child between fork and exec, where the end of a client waits for threads that
    only the parent has: Spark's JVM, which is started so, would never come up.
    """
    import fsspec

    # hdfs-native's class takes "?", "#" and ";" in a name for the end of it.
    verbatim = {"_strip_protocol": classmethod(lambda _, path: _below_authority(path))}
    kind = type("HdfsFileSystem", (fsspec.get_filesystem_class(scheme),), verbatim)
    return kind(authority, skip_instance_cache=True, **(_ONE_NAMENODE if ":" in authority else {}))


def files_below(filesystem: Any, folder: str, depth: int | None = None) -> list[str]:
    """Lists the files below a folder, but for what is hidden; what may not be listed is an error.

    Args:
        filesystem: One of fsspec's.
        folder: A path in it.
        depth: How many levels of names a file may lie below it; None for any.

    Returns:
        Paths; none where there is no such folder.

    Raises:
        OSError: A folder cannot be listed.
    """
    from fsspec import AbstractFileSystem

    if type(filesystem).find is not AbstractFileSystem.find:
        # A store without folders lists its keys, and says what it cannot.
        return list(filesystem.find(folder))
    try:
        found = filesystem.ls(folder, detail=True)
    except FileNotFoundError:
        return []
    files: list[str] = []
    for each in found:
        name = each["name"]
        if name.rstrip("/").rpartition("/")[2][:1] in {".", "_"}:
            continue
        if each["type"] != "directory":
            files.append(name)
        elif depth is None or depth > 1:
            files += files_below(filesystem, name, None if depth is None else depth - 1)
    return files


def stat_file(path: str) -> tuple[int, str]:
    """Looks up a file's size, and a tag that another version of it would not have.

    Raises:
        OSError: There is no such file, or it cannot be looked up.
        ValueError: As `filesystem_of`.
    """
    with named(path):
        filesystem, below = filesystem_of(path)
        return _size_and_tag(filesystem, below)


def open_file(path: str) -> tuple[StoreFile, int, str]:
    """Opens a file, and looks up its size and tag.

    Raises:
        OSError: There is no such file, or it cannot be opened.
        ValueError: As `filesystem_of`.
    """
    with named(path):
        filesystem, below = filesystem_of(path)
        size, tag = _size_and_tag(filesystem, below)
        return StoreFile(filesystem.open(below, "rb"), size), size, tag


def _size_and_tag(filesystem: Any, below: str) -> tuple[int, str]:
    """As `stat_file`, in a file system that is known.

    Raises:
        FileNotFoundError: It is a folder.
    """
    info = filesystem.info(below)
    if info.get("type") == "directory":
        raise FileNotFoundError("a folder, not a file")
    tag = next((str(info[name]) for name in _TAGS if info.get(name)), "")
    return int(info["size"]), tag or str(filesystem.ukey(below))


def plain_kind(error: OSError | ValueError) -> type[Exception]:
    """Gives the kind of a store's error that callers tell apart, which a text alone makes."""
    kinds = (FileNotFoundError, NotADirectoryError, PermissionError, ArchiveChangedError, OSError, ValueError)
    return next(kind for kind in kinds if isinstance(error, kind))


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
        raise plain_kind(error)(f"{shown}: {str(error) or repr(error)}") from None
    except RuntimeError as error:
        answer = _JAVA_ERROR.search(str(error))
        if answer is None:
            raise
        kind = PermissionError if answer["name"] == "AccessControlException" else OSError
        said = answer["said"].replace('\\"', '"')
        raise kind(f"{shown}: {said}") from None
