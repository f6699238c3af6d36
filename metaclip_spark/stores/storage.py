"""A folder of a run, of a built list or of anything else that is written whole: objects, and Parquet files of Spark."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from metaclip_spark.errors import ConfigError, InputError
from metaclip_spark.stores import parquet_footers
from metaclip_spark.stores.hadoop_store import HadoopStore
from metaclip_spark.stores.local_store import LocalStore
from metaclip_spark.stores.object_store import ObjectStore
from metaclip_spark.stores.s3_store import S3Store
from udfs.sources import FetchOptions, environment_options, scheme_of
from udfs.sources.credentials import without_credentials
from udfs.sources.https import SCHEMES as WEB_SCHEMES
from udfs.sources.s3 import SCHEMES as S3_SCHEMES
from udfs.sources.s3 import split_s3

JsonObject = dict[str, Any]
"""Any JSON object: options of a command, facts that are printed only."""

_GLOB_CHARACTERS = frozenset("*?[]{}\\")


def _check_names(url: str) -> None:
    """Refuses a URL of S3 that Hadoop's paths would shorten, so that Spark and boto3 mean two places.

    Raises:
        ConfigError: If a folder in it is named "." or "..".
    """
    if odd := [name for name in url.split("/") if name in {".", ".."}]:
        raise ConfigError(f"--output {without_credentials(url)} holds {odd[0]!r}: write the path without it")


class Storage:
    """A folder: objects put whole, and folders of Parquet files that Spark writes.

    Attributes:
        root: The folder: an absolute path, or the URL that the user gave.
        uploads: The store, where it is S3 and can leave parts of uploads behind; else None.
        committer_required: The S3A committer whose name must stand in the _SUCCESS of each table that Spark writes;
            None for any.
    """

    def __init__(self, output: str, options: FetchOptions | None = None) -> None:
        """Names a run's folder; nothing is written yet.

        Args:
            output: A path on a file system that driver and executors share, or s3://, s3a://, gs://, hdfs://.
            options: How S3 is reached; as the environment says where it is not given.

        Raises:
            ConfigError: If the path has a character that Spark would take for a pattern, or the URL names no folder
                that could be used.
        """
        patterns = sorted(_GLOB_CHARACTERS.intersection(output))
        if patterns:
            raise ConfigError(
                f"--output {output} holds {patterns[0]}, which Spark takes for a pattern: choose another name"
            )
        scheme = scheme_of(output)
        self.uploads: S3Store | None = None
        self.committer_required: str | None = None
        self.root: Path | str = output.rstrip("/")
        self._objects: ObjectStore
        if scheme == "file":
            path = output.removeprefix("file://")
            if path != output and not path.startswith("/"):
                raise ConfigError(f"{output} names no folder of this machine: write file:///folder, or a path")
            self.root = Path(path).absolute()
            self._objects = LocalStore(self.root)
            # Hadoop takes a path's characters as they are, where a URI would escape "=" and the space.
            self._spark_root = f"file://{self.root}"
        elif scheme in S3_SCHEMES:
            try:
                bucket, prefix = split_s3(output)
            except ValueError as error:
                raise ConfigError(f"--output {error}") from None
            _check_names(output)
            self._objects = self.uploads = S3Store(output, options or environment_options())
            self._spark_root = f"s3a://{bucket}/{prefix}".rstrip("/")
        elif scheme in WEB_SCHEMES:
            raise ConfigError(
                f"{without_credentials(output)} is a web address, where no run can lie: give a folder or s3://, or "
                "copy the file here"
            )
        else:
            self._objects = HadoopStore(output)
            self._spark_root = output.rstrip("/")

    @property
    def scheme(self) -> str:
        """The scheme that Spark reads and writes the tables with: file, s3a (or s3 on EMR), gs, hdfs ..."""
        return scheme_of(self._spark_root)

    @property
    def place(self) -> str:
        """The folder as resolved: equal for two storages of one folder, whatever their URLs; for comparisons only."""
        return self._objects.place

    @property
    def needs_session(self) -> bool:
        """Whether the run's objects can be reached through Spark only."""
        return isinstance(self._objects, HadoopStore)

    def use_scheme(self, scheme: str) -> None:
        """Changes the scheme that Spark reads and writes with: EMR has a file system of its own behind s3."""
        self._spark_root = f"{scheme}://{self._spark_root.partition('://')[2]}"

    def location(self, name: str) -> str:
        """Gives scheme and absolute path of what Spark reads or writes for a name in the folder."""
        return f"{self._spark_root}/{name}" if name else self._spark_root

    def put_json(self, name: str, content: Any) -> None:
        """Puts a JSON object whole or not at all, over one that is there."""
        self.put_text(name, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False))

    def put_text(self, name: str, content: str) -> None:
        """Puts an object of text whole or not at all, over one that is there."""
        self.put_bytes(name, content.encode())

    def put_bytes(self, name: str, content: bytes) -> None:
        """Puts an object whole or not at all, over one that is there."""
        self._objects.put(name, content)

    def put_once(self, name: str, content: bytes, timeout_seconds: float) -> None:
        """Puts an object by one request without a retry: what a thread puts every few seconds.

        Raises:
            OSError: It failed, or a silent S3 server let the time pass: the object may still come to be.
        """
        self._objects.put_once(name, content, timeout_seconds)

    def create_bytes(self, name: str, content: bytes) -> bool:
        """Creates an object whole; True only if the store has accepted this very request.

        False tells that the name was taken, by this very content too: an answer may have been lost before.

        Raises:
            OSError: It failed; the object may have been created all the same, and may even come to be later.
        """
        return self._objects.create(name, content)

    def put_table(self, name: str, rows: pa.Table) -> None:
        """Puts a Parquet file whole or not at all, over one that is there."""
        sink = pa.BufferOutputStream()
        pq.write_table(rows, sink, compression="zstd")
        self.put_bytes(name, sink.getvalue().to_pybytes())

    def read_object(self, name: str) -> bytes | None:
        """Reads an object; None where there is none."""
        return self._objects.read(name)

    def read_once(self, name: str, timeout_seconds: float) -> bytes | None:
        """Reads an object by one request without a retry; None where there is none.

        Raises:
            OSError: It failed, or a silent S3 server let the time pass.
        """
        return self._objects.read_once(name, timeout_seconds)

    def read_bytes(self, name: str) -> bytes:
        """Reads an object.

        Raises:
            InputError: If there is none.
        """
        content = self._objects.read(name)
        if content is None:
            raise InputError(f"{self.root}/{name} is gone: run the step that wrote it again")
        return content

    def read_json(self, name: str, advice: str = "restore it, or use --overwrite to start anew") -> JsonObject | None:
        """Reads a JSON object; None where there is none.

        Raises:
            InputError: If it is not a JSON object; the message ends in `advice`.
        """
        content = self._objects.read(name)
        if content is None:
            return None
        try:
            found = json.loads(content)
        except (ValueError, RecursionError):
            raise InputError(f"{self.root}/{name} is not JSON: {advice}") from None
        if not isinstance(found, dict):
            raise InputError(f"{self.root}/{name} is not a JSON object: {advice}")
        return found

    def names(self, folder: str) -> list[str]:
        """Lists the names in a folder, sorted, hidden ones left out; empty where there is no such folder."""
        return [name for name in self._objects.names(folder) if name[0] != "."]

    def folders(self, folder: str) -> list[str]:
        """Lists the names of the folders directly in a folder, sorted, hidden ones and links left out."""
        return [name for name in self._objects.folders(folder) if name[0] != "."]

    def files(self, folder: str) -> dict[str, int]:
        """Lists all files below a folder with their sizes, sorted."""
        return self._objects.files(folder)

    def data_files(self, folder: str) -> dict[str, int]:
        """Lists the Parquet files below a folder with their bytes, sorted, without what committers keep meanwhile."""
        return {
            file: size
            for file, size in self._objects.files(folder).items()
            if file.endswith(".parquet") and not any(part[0] in "_." for part in file.split("/"))
        }

    def parquet_rows(self, files: Mapping[str, int]) -> dict[str, int]:
        """Counts the rows of Parquet files by their footers, from names with their bytes.

        Raises:
            InputError: A file is gone, or is not a Parquet file of that size.
        """
        return parquet_footers.parquet_rows(self._objects, without_credentials(str(self.root)), files)

    def committer(self, folder: str) -> str | None:
        """Names the committer that wrote a folder: S3A's write their name into _SUCCESS; None for any other."""
        content = self._objects.read(f"{folder}/_SUCCESS")
        try:
            return str(json.loads(content)["committer"]) if content else None
        except (ValueError, KeyError, TypeError):
            return None

    def delete(self, name: str) -> None:
        """Deletes an object, or a folder with all that is in it; no error where there is none."""
        self._objects.delete(name)
