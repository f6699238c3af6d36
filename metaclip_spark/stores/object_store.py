"""The small objects and the listings of a run on a local file system, on S3, and on whatever Hadoop reaches.

Large tables are Spark's own business; here are the tables that the driver holds and the JSON objects that make tables
count, which must be put whole, and the lock, which must be created by one of two who try at once.
"""

import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped, unused-ignore]
from pyspark.sql import SparkSession

from metaclip_spark.errors import ConfigError
from udfs.sources import FetchOptions
from udfs.sources.credentials import without_credentials
from udfs.sources.resume import TransientFetchError, with_retries
from udfs.sources.s3 import call_s3, list_pages, list_s3, split_s3

_KEYS_PER_DELETE = 1000
_TAKEN = ("PreconditionFailed", "ConditionalRequestConflict")


class ObjectStore(Protocol):
    """Objects below a root, by relative name."""

    def put(self, name: str, content: bytes) -> None:
        """Puts an object whole, over one that is there."""
        ...

    def create(self, name: str, content: bytes) -> bool:
        """Puts an object unless there is one; tells whether it did. Of two who try at once one succeeds."""
        ...

    def read(self, name: str) -> bytes | None:
        """Reads an object; None where there is none."""
        ...

    def names(self, folder: str) -> list[str]:
        """Lists the names directly in a folder, sorted; empty where there is none."""
        ...

    def files(self, folder: str) -> list[str]:
        """Lists all files below a folder, relative to the root, sorted."""
        ...

    def delete(self, name: str) -> None:
        """Deletes an object, or a folder with all that is in it."""
        ...


class LocalStore:
    """A folder of a file system that driver and executors share."""

    def __init__(self, root: Path) -> None:
        """Takes the folder, absolute."""
        self._root = root

    def put(self, name: str, content: bytes) -> None:
        """See `ObjectStore`."""
        self._partial(name, content).replace(self._root / name)

    def create(self, name: str, content: bytes) -> bool:
        """See `ObjectStore`."""
        partial = self._partial(name, content)
        try:
            # A link fails where the name is taken, as O_EXCL does, and shows the object only whole.
            os.link(partial, self._root / name)
        except FileExistsError:
            return False
        finally:
            partial.unlink()
        return True

    def _partial(self, name: str, content: bytes) -> Path:
        path = self._root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        return partial

    def read(self, name: str) -> bytes | None:
        """See `ObjectStore`."""
        try:
            return (self._root / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def names(self, folder: str) -> list[str]:
        """See `ObjectStore`."""
        path = self._root / folder
        return sorted(entry.name for entry in path.iterdir()) if path.is_dir() else []

    def files(self, folder: str) -> list[str]:
        """See `ObjectStore`."""
        paths = (self._root / folder).rglob("*")
        return sorted(path.relative_to(self._root).as_posix() for path in paths if path.is_file())

    def delete(self, name: str) -> None:
        """See `ObjectStore`."""
        path = self._root / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


class S3Store:
    """A prefix of an S3 bucket, through boto3 with the driver's credentials."""

    def __init__(self, root: str, options: FetchOptions) -> None:
        """Takes s3://bucket/prefix and how it is reached."""
        self._bucket, prefix = split_s3(root)
        self._prefix = prefix.strip("/")
        self._options = options

    def _key(self, name: str) -> str:
        return "/".join(part for part in (self._prefix, name.strip("/")) if part)

    def _url(self, name: str) -> str:
        return f"s3://{self._bucket}/{self._key(name)}"

    def _call(self, name: str, method: str, **arguments: Any) -> Any:
        def request(client: Any) -> Any:
            return getattr(client, method)(Bucket=self._bucket, **arguments)

        return with_retries(lambda: call_s3(self._url(name), self._options, request), self._options)

    def put(self, name: str, content: bytes) -> None:
        """See `ObjectStore`."""
        self._call(name, "put_object", Key=self._key(name), Body=content)

    def create(self, name: str, content: bytes) -> bool:
        """See `ObjectStore`: a put with If-None-Match.

        Raises:
            OSError: It failed for another reason.
        """
        try:
            self._call(name, "put_object", Key=self._key(name), Body=content, IfNoneMatch="*")
        except OSError as error:
            if not any(code in str(error) for code in _TAKEN):
                raise
            # The first attempt may have arrived although its answer was lost.
            return self.read(name) == content
        return True

    def read(self, name: str) -> bytes | None:
        """See `ObjectStore`.

        Raises:
            FileNotFoundError: There is no such bucket.
        """

        def request(client: Any) -> bytes:
            answer = client.get_object(Bucket=self._bucket, Key=self._key(name))
            content: bytes = answer["Body"].read()
            if len(content) != answer["ContentLength"] or "ETag" not in answer:
                raise TransientFetchError(f"{self._url(name)}: the answer broke off")
            return content

        try:
            return with_retries(lambda: call_s3(self._url(name), self._options, request), self._options)
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise
            return None

    def names(self, folder: str) -> list[str]:
        """See `ObjectStore`."""
        prefix = f"{self._key(folder)}/" if self._key(folder) else ""
        found: set[str] = set()
        for page in self._pages(folder, Prefix=prefix, Delimiter="/"):
            found |= {item["Prefix"] for item in page.get("CommonPrefixes", [])}
            found |= {item["Key"] for item in page.get("Contents", [])}
        # Hadoop leaves empty keys that end with "/" for folders.
        return sorted(name for key in found if (name := key.removeprefix(prefix).rstrip("/")))

    def _pages(self, name: str, **listing: str) -> Iterator[dict[str, Any]]:
        return list_pages(self._url(name), self._options, Bucket=self._bucket, **listing)

    def files(self, folder: str) -> list[str]:
        """See `ObjectStore`."""
        cut = len(self._prefix) + 1 if self._prefix else 0
        return sorted(key[cut:] for key, _ in list_s3(f"{self._url(folder)}/", self._options))

    def delete(self, name: str) -> None:
        """See `ObjectStore`.

        Raises:
            PermissionError: Something may not be deleted.
        """
        below = self._pages(name, Prefix=f"{self._key(name)}/")
        found = {item["Key"] for page in below for item in page.get("Contents", [])}
        # Servers over a file system delete a folder's key, which Hadoop leaves at any depth, only when it is empty.
        keys = sorted({self._key(name), f"{self._key(name)}/", *found}, reverse=True)
        for start in range(0, len(keys), _KEYS_PER_DELETE):
            named = [{"Key": key} for key in keys[start : start + _KEYS_PER_DELETE]]
            answer = self._call(name, "delete_objects", Delete={"Objects": named, "Quiet": True})
            if answer.get("Errors"):
                first = answer["Errors"][0]
                raise PermissionError(f"s3://{self._bucket}/{first['Key']}: cannot be deleted: {first['Code']}")

    def unfinished_uploads(self) -> list[tuple[str, str]]:
        """Lists (key, upload id) of the multipart uploads below the root that were neither completed nor aborted."""
        found: list[tuple[str, str]] = []
        markers: dict[str, str] = {}
        while True:
            page = self._call("", "list_multipart_uploads", Prefix=f"{self._prefix}/", **markers)
            found += [(item["Key"], item["UploadId"]) for item in page.get("Uploads", [])]
            if not page.get("IsTruncated"):
                return found
            markers = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}

    def abort_uploads(self, uploads: list[tuple[str, str]]) -> None:
        """Aborts multipart uploads, given as (key, upload id): their parts are billed until then."""
        for key, upload in uploads:
            self._call("", "abort_multipart_upload", Key=key, UploadId=upload)

    def region(self) -> str:
        """Gives the region of the bucket, such as us-east-1."""
        return str(self._call("", "get_bucket_location").get("LocationConstraint") or "us-east-1")


class HadoopStore:
    """A folder of a file system that Hadoop reaches (hdfs://, gs:// with its connector), through the driver's JVM."""

    def __init__(self, root: str) -> None:
        """Takes the folder's URL; the session must be there at the first call."""
        self._root = root.rstrip("/")

    def _filesystem(self) -> tuple[Any, Any]:
        session = SparkSession.getActiveSession()
        if session is None:
            raise OSError(f"{self._root}: Hadoop is reached through Spark, which has not been started")
        context: Any = session.sparkContext
        try:
            path = context._jvm.org.apache.hadoop.fs.Path(self._root)
            return context, path.getFileSystem(context._jsc.hadoopConfiguration())
        except Py4JJavaError as error:
            shown = without_credentials(self._root)
            why = str(error.java_exception.getMessage()).replace(self._root, shown)
            raise ConfigError(
                f"{shown} cannot be reached through Hadoop ({why}): check the URL, and whether Spark has the jars "
                "for its scheme"
            ) from None

    def _path(self, context: Any, name: str) -> Any:
        # Hadoop's Path takes a bare path's characters as they are.
        return context._jvm.org.apache.hadoop.fs.Path(f"{self._root}/{name}" if name else self._root)

    def put(self, name: str, content: bytes) -> None:
        """See `ObjectStore`: HDFS shows files while they are written, so they are renamed into place."""
        context, filesystem = self._filesystem()
        folder, _, last = name.rpartition("/")
        # Spark does not read what begins with a dot.
        partial = self._path(context, f"{folder}/.{last}.{uuid.uuid4().hex}".removeprefix("/"))
        self._write(filesystem, partial, content)
        jvm = context._jvm
        overwrite = getattr(jvm.org.apache.hadoop.fs, "Options$Rename").OVERWRITE
        options = context._gateway.new_array(getattr(jvm.org.apache.hadoop.fs, "Options$Rename"), 1)
        options[0] = overwrite
        files = jvm.org.apache.hadoop.fs.FileContext.getFileContext(partial.toUri(), filesystem.getConf())
        files.rename(partial, self._path(context, name), options)

    def create(self, name: str, content: bytes) -> bool:
        """See `ObjectStore`: a create without overwrite."""
        context, filesystem = self._filesystem()
        path = self._path(context, name)
        try:
            self._write(filesystem, path, content)
        except Exception:
            if filesystem.exists(path):
                return False
            raise
        return True

    @staticmethod
    def _write(filesystem: Any, path: Any, content: bytes) -> None:
        stream = filesystem.create(path, False)  # noqa: FBT003 - Hadoop's own signature: overwrite
        try:
            stream.write(bytearray(content))
        finally:
            stream.close()

    def read(self, name: str) -> bytes | None:
        """See `ObjectStore`."""
        context, filesystem = self._filesystem()
        path = self._path(context, name)
        if not filesystem.exists(path):
            return None
        stream = filesystem.open(path)
        try:
            return bytes(context._jvm.org.apache.commons.io.IOUtils.toByteArray(stream))
        finally:
            stream.close()

    def names(self, folder: str) -> list[str]:
        """See `ObjectStore`."""
        context, filesystem = self._filesystem()
        path = self._path(context, folder)
        if not filesystem.exists(path):
            return []
        return sorted(status.getPath().getName() for status in filesystem.listStatus(path))

    def files(self, folder: str) -> list[str]:
        """See `ObjectStore`."""
        return sorted(self._files_below(folder))

    def _files_below(self, folder: str) -> Iterator[str]:
        context, filesystem = self._filesystem()
        path = self._path(context, folder)
        if not filesystem.exists(path):
            return
        cut = len(filesystem.makeQualified(self._path(context, "")).toString().rstrip("/")) + 1
        listing = filesystem.listFiles(path, True)  # noqa: FBT003 - Hadoop's own signature: recursive
        while listing.hasNext():
            yield listing.next().getPath().toString()[cut:]

    def delete(self, name: str) -> None:
        """See `ObjectStore`."""
        context, filesystem = self._filesystem()
        filesystem.delete(self._path(context, name), True)  # noqa: FBT003 - Hadoop's own signature: recursive
