"""The objects of a run on a file system that Hadoop reaches, through the driver's JVM: hdfs, abfs, gs and others."""

import errno
import posixpath
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from py4j.protocol import Py4JError, Py4JJavaError  # type: ignore[import-untyped, unused-ignore]
from pyspark import SparkContext
from pyspark.errors import PySparkException

from metaclip_spark.errors import ConfigError
from metaclip_spark.stores import google_connector
from metaclip_spark.stores.object_store import start_of_tail
from udfs.sources import scheme_of
from udfs.sources.credentials import hide_credentials, urls_without_credentials, without_credentials

_WHOLE_AT_CLOSE = {"gs"}
"""Schemes of stores that show a file only when it is closed, and where a rename is a copy."""


_CREATES_ONCE = {"abfs", "abfss", "file", "gs", "hdfs", "ofs", "viewfs"}
"""Schemes whose file system renames, or creates, without overwriting, whoever else tries at the same time."""

_NO_FILE_SYSTEM = ("No FileSystem for scheme", "ClassNotFoundException")
"""What Hadoop says where a scheme, or the class that a setting names for it, is unknown."""


class _BeyondTheEndError(OSError):
    """A file is shorter than it was said to be."""


_ERRORS: dict[str, type[OSError]] = {
    "FileNotFoundException": FileNotFoundError,
    "NoSuchFileException": FileNotFoundError,
    "AccessControlException": PermissionError,
    "AccessDeniedException": PermissionError,
    "FileAlreadyExistsException": FileExistsError,
    "EOFException": _BeyondTheEndError,
    "ConnectException": ConnectionError,
    "ConnectTimeoutException": ConnectionError,
    "NoRouteToHostException": ConnectionError,
    "SocketTimeoutException": ConnectionError,
    "UnknownHostException": ConnectionError,
}
_OVER_QUOTA = {"DSQuotaExceededException", "NSQuotaExceededException", "QuotaByStorageTypeExceededException"}

Result = TypeVar("Result")


def _with_causes(thrown: Any) -> Iterator[Any]:
    while thrown is not None:
        yield thrown
        thrown = thrown.getCause()


@dataclass(frozen=True)
class _Hadoop:
    """What a session gave, to be used from any thread.

    Attributes:
        gateway: The way into the JVM.
        filesystem: Hadoop's FileSystem of the root.
    """

    gateway: Any
    filesystem: Any

    @property
    def classes(self) -> Any:
        return self.gateway.jvm.org.apache.hadoop.fs

    @cached_property
    def files(self) -> Any:
        """Hadoop's FileContext, whose rename can be told whether to overwrite; each one opens a client of its own."""
        return self.classes.FileContext.getFileContext(self.filesystem.getUri(), self.filesystem.getConf())

    def write(self, path: Any, content: bytes, *, overwrite: bool) -> None:
        stream = self.filesystem.create(path, overwrite)
        stream.write(bytearray(content))
        # Not after an error or a signal: closing shows what was written so far.
        stream.close()

    def rename(self, partial: Any, path: Any, *, overwrite: bool) -> None:
        kinds = getattr(self.classes, "Options$Rename")
        options = self.gateway.new_array(kinds, 1)
        options[0] = kinds.OVERWRITE if overwrite else kinds.NONE
        self.files.rename(partial, path, options)


class HadoopStore:
    """A folder of a file system that Hadoop reaches (hdfs://, gs:// with its connector), through the driver's JVM."""

    def __init__(self, root: str) -> None:
        """Takes the folder's URL; Spark must have been started at the first call."""
        self._root = root.rstrip("/")
        self._shown = without_credentials(self._root)

    @cached_property
    def _hadoop(self) -> _Hadoop:
        # A session is active in the thread that started it only; its context is the process's one.
        context: Any = SparkContext._active_spark_context
        if context is None:
            raise OSError(f"{self._shown}: Hadoop is reached through Spark, which has not been started")
        try:
            settings = context._jsc.hadoopConfiguration()
            if self._is_google:
                google_connector.name_class(settings)
            path = context._jvm.org.apache.hadoop.fs.Path(self._root)
            return _Hadoop(context._gateway, path.getFileSystem(settings))
        except (Py4JJavaError, PySparkException) as error:
            said = self._said_by(error)
            if self._is_google and any(known in said for known in _NO_FILE_SYSTEM):
                raise ConfigError(
                    f"{self._shown}: Spark has no file system for gs:// here: {google_connector.MISSING}"
                ) from None
            raise ConfigError(
                f"{self._shown} cannot be reached through Hadoop ({said}): check the URL, and whether Spark has the "
                "jars for its scheme"
            ) from None

    @property
    def _is_google(self) -> bool:
        return scheme_of(self._root) == "gs"

    def _said_by(self, error: Py4JJavaError | PySparkException) -> str:
        # PySpark turns some of Java's errors into its own.
        if isinstance(error, PySparkException):
            return self._shown_in(str(error))
        said, *causes = [self._shown_in(str(each.getMessage())) for each in _with_causes(error.java_exception)]
        # Some wrap what was wrong, others repeat it.
        return f"{said}: {causes[-1]}" if causes and not (causes[-1] in said or said in causes[-1]) else said

    def _shown_in(self, text: str) -> str:
        # HDFS sends its own stack along, and Google's connector the whole answer, line by line.
        first = text.strip().partition("\n")[0]
        return urls_without_credentials(hide_credentials(first.replace(self._root, self._shown), self._root))

    def _call(self, name: str, request: Callable[[_Hadoop, Any], Result]) -> Result:
        """Calls a function of the file system and of an object's path, whose Java errors become OSErrors."""
        hadoop = self._hadoop
        shown = f"{self._shown}/{name}" if name else self._shown
        try:
            # Hadoop's Path takes a bare path's characters as they are.
            return request(hadoop, hadoop.classes.Path(f"{self._root}/{name}" if name else self._root))
        except Py4JJavaError as error:
            status = google_connector.status_of(_with_causes(error.java_exception)) if self._is_google else None
            if status == google_connector.NOT_FOUND and not self._has_bucket(hadoop):
                # A file that is missing is told otherwise.
                raise FileNotFoundError(
                    f"there is no bucket {without_credentials(self._bucket)}: make it, or correct the URL"
                ) from None
            kind, *causes = (each.getClass().getSimpleName() for each in _with_causes(error.java_exception))
            told = f"{shown}: {self._said_by(error)} ({kind})"
            if kind in _OVER_QUOTA:
                raise OSError(errno.EDQUOT, told, self._shown) from None
            # Google's connector wraps what the network said.
            unreachable = any(_ERRORS.get(cause) is ConnectionError for cause in causes)
            usual = ConnectionError if unreachable else OSError
            raise (google_connector.ERRORS.get(status) or _ERRORS.get(kind, usual))(told) from None
        except PySparkException as error:
            raise OSError(f"{shown}: {self._said_by(error)}") from None
        except Py4JError as error:
            raise OSError(f"{shown}: Spark's JVM does not answer: {error}") from None

    @property
    def _bucket(self) -> str:
        return "/".join(self._root.split("/")[:3])

    def _has_bucket(self, hadoop: _Hadoop) -> bool:
        """Looks whether there is the bucket; Google says "not found" also of an upload that has gone."""
        try:
            return bool(hadoop.filesystem.exists(hadoop.classes.Path(f"{self._bucket}/")))
        except (Py4JError, PySparkException):
            return True

    @property
    def place(self) -> str:
        """See `ObjectStore`: as the URL says where there is no session yet, or no such file system."""
        try:
            qualified = self._call("", lambda hadoop, path: hadoop.filesystem.makeQualified(path).toString())
        except (OSError, ConfigError):
            qualified = self._root
        scheme, _, rest = qualified.partition("://")
        host, _, path = rest.partition("/")
        folder = posixpath.normpath(f"/{path.lstrip('/')}")
        return without_credentials(f"{scheme.lower()}://{host.lower()}{folder}")

    @google_connector.again_if_another_was_quicker
    def put(self, name: str, content: bytes) -> None:
        """See `ObjectStore`."""
        self._write(name, content, overwrite=True)

    def put_once(self, name: str, content: bytes, timeout_seconds: float) -> None:  # noqa: ARG002 - for S3
        """See `ObjectStore`."""
        self.put(name, content)

    def create(self, name: str, content: bytes) -> bool:
        """See `ObjectStore`.

        Raises:
            OSError: It failed, and there is no object of that name.
        """
        scheme = scheme_of(self._root)
        if scheme not in _CREATES_ONCE:
            raise OSError(
                f"{self._shown}: {scheme}:// is not known to create a name only once, which a run's log needs: give a "
                f"local folder, s3:// or one of {', '.join(sorted(_CREATES_ONCE - {'file'}))}"
            )
        try:
            self._write(name, content, overwrite=False)
        except OSError:
            if self._call(name, lambda hadoop, path: hadoop.filesystem.exists(path)):
                return False
            raise
        return True

    def _write(self, name: str, content: bytes, *, overwrite: bool) -> None:
        """Shows an object whole: most file systems show a file that is being written, so it has another name then."""

        def request(hadoop: _Hadoop, path: Any) -> None:
            if scheme_of(self._root) in _WHOLE_AT_CLOSE:
                hadoop.write(path, content, overwrite=overwrite)
                return
            # Spark passes over what begins with a dot.
            partial = hadoop.classes.Path(path.getParent(), f".{path.getName()}.{uuid.uuid4().hex}")
            try:
                hadoop.write(partial, content, overwrite=False)
                hadoop.rename(partial, path, overwrite=overwrite)
            finally:
                with suppress(Py4JError):
                    hadoop.filesystem.delete(partial, False)  # noqa: FBT003 - Hadoop's own signature: recursive

        self._call(name, request)

    def read(self, name: str) -> bytes | None:
        """See `ObjectStore`."""

        def request(hadoop: _Hadoop, path: Any) -> bytes:
            stream = hadoop.filesystem.open(path)
            try:
                return bytes(stream.readAllBytes())
            finally:
                stream.close()

        try:
            return self._call(name, request)
        except FileNotFoundError:
            return None

    def read_once(self, name: str, timeout_seconds: float) -> bytes | None:  # noqa: ARG002 - for S3
        """See `ObjectStore`."""
        return self.read(name)

    def read_tail(self, name: str, size: int, length: int) -> bytes:
        """See `ObjectStore`."""

        def request(hadoop: _Hadoop, path: Any) -> bytes:
            stream = hadoop.filesystem.open(path)
            try:
                stream.seek(start_of_tail(size, length))
                return bytes(stream.readNBytes(min(size, length)))
            finally:
                stream.close()

        try:
            return self._call(name, request)
        except _BeyondTheEndError:
            return b""

    def names(self, folder: str) -> list[str]:
        """See `ObjectStore`."""
        return self._listed(folder, lambda _: True)

    def folders(self, folder: str) -> list[str]:
        """See `ObjectStore`."""
        return self._listed(folder, lambda status: bool(status.isDirectory()))

    def _listed(self, folder: str, is_wanted: Callable[[Any], bool]) -> list[str]:
        def request(hadoop: _Hadoop, path: Any) -> list[str]:
            return [each.getPath().getName() for each in hadoop.filesystem.listStatus(path) if is_wanted(each)]

        try:
            return sorted(self._call(folder, request))
        except FileNotFoundError:
            return []

    def files(self, folder: str) -> dict[str, int]:
        """See `ObjectStore`."""

        def request(hadoop: _Hadoop, path: Any) -> dict[str, int]:
            root = hadoop.filesystem.makeQualified(hadoop.classes.Path(self._root)).toString().rstrip("/")
            listing = hadoop.filesystem.listFiles(path, True)  # noqa: FBT003 - Hadoop's own signature: recursive
            found = {}
            while listing.hasNext():
                status = listing.next()
                found[status.getPath().toString()[len(root) + 1 :]] = int(status.getLen())
            return found

        while True:
            try:
                return dict(sorted(self._call(folder, request).items()))
            except FileNotFoundError:
                # A folder below it may have gone since it was listed.
                if not self._call(folder, lambda hadoop, path: hadoop.filesystem.exists(path)):
                    return {}

    def delete(self, name: str) -> None:
        """See `ObjectStore`."""
        self._call(name, lambda hadoop, path: hadoop.filesystem.delete(path, True))  # noqa: FBT003 - recursive
