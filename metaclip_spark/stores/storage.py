"""The layout of a run, and the driver's reads and writes in it.

    extracted/wave=NNNNN-<nonce>/kind=<kind>/   raw rows of one attempt at one wave of archives
    ledger/NNNNN-<nonce>.json                   makes that attempt count
    archives/ rejects/                          rewritten from the ledgered waves when extraction ends
    pool/bucket=BBB/ matched/bucket=BBB/        distinct pairs; those with an entry
    entry_counts/ curated/ expected_kept/ report/
    balance_counts/                             the counts that --entry-counts gave, where it did
    manifests/<step>[-BBB].json                 makes a step's table count
    output.json                                 says that the folder holds a run
    lock.json run.json

A Spark job's commit is not atomic on any store, so a table counts only by one object that is put after its write
returned: the ledger entry of a wave, the manifest of a step, run.json of the run.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from metaclip_spark.config.fields import digest
from metaclip_spark.errors import ConfigError, InputError, OutputExistsError
from metaclip_spark.stores.object_store import HadoopStore, LocalStore, ObjectStore, S3Store
from udfs.sources.credentials import without_credentials
from udfs.sources.fetch import scheme_of
from udfs.sources.https import SCHEMES as WEB_SCHEMES
from udfs.sources.resume import FetchOptions
from udfs.sources.s3 import SCHEMES as S3_SCHEMES
from udfs.sources.s3 import split_s3

TABLES = (
    "extracted",
    "archives",
    "rejects",
    "pool",
    "matched",
    "entry_counts",
    "balance_counts",
    "curated",
    "expected_kept",
)
LEDGER = "ledger"
MANIFESTS = "manifests"
REPORT = "report"
LOCK = "lock.json"
RUN = "run.json"
MARKER = "output.json"
LAYOUT = 1
"""The version of tables, manifests and run.json. A change that an older reader would misread raises it."""

_OURS = (*TABLES, LEDGER, MANIFESTS, REPORT, RUN)
_GLOB_CHARACTERS = frozenset("*?[]{}\\")

ENDPOINT_VARIABLES = ("METACLIP_S3_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")

_CONTENT_OF_MANIFEST = ("step", "config", "input", "numbers")
_KEYS_OF_MANIFEST: dict[str, Any] = {
    "step": str,
    "config": dict,
    "input": str,
    "numbers": dict,
    "settings": dict,
    "seconds": int | float,
}
_KEYS: dict[str, dict[str, Any]] = {
    f"{MANIFESTS}/buckets.json": {"buckets": int},
    f"{REPORT}/report.json": {"funnel": list},
}
"""What must stand in an object that is read, and as what."""

_ADVICE = {
    LOCK: "delete it if no run works there",
    RUN: "run report_curation on that folder again",
    f"{REPORT}/report.json": "run report_curation on that folder again",
}


def s3_endpoint() -> str | None:
    """Gives the S3 server that the environment names.

    Returns:
        A URL, or None for AWS.
    """
    return next((os.environ[name] for name in ENDPOINT_VARIABLES if os.environ.get(name)), None)


def driver_options() -> FetchOptions:
    """Gives how the driver reaches S3 for the run's own objects.

    Returns:
        Signed requests to the environment's endpoint.
    """
    return FetchOptions(s3_endpoint=s3_endpoint())


class Storage:
    """One run's folder: objects put whole, and folders of Parquet files that Spark writes.

    Attributes:
        root: The folder: an absolute path, or the URL that the user gave.
        uploads: The store, where it is S3 and can leave parts of uploads behind; else None.
        committer_required: The S3A committer whose name must stand in the _SUCCESS of each table that Spark writes;
            None for any.
        guard: Called before each put and delete; raises where the run has lost its lock.
    """

    def __init__(self, output: str, options: FetchOptions | None = None) -> None:
        """Names a run's folder; nothing is written yet.

        Args:
            output: A path on a file system that driver and executors share, or s3://, s3a://, gs://, hdfs://.
            options: How S3 is reached; as `driver_options` says where it is not given.

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
        self.guard: Callable[[], None] = _always_held
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
            self._objects = self.uploads = S3Store(output, options or driver_options())
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
    def needs_session(self) -> bool:
        """Whether the run's objects can be reached through Spark only."""
        return isinstance(self._objects, HadoopStore)

    def use_scheme(self, scheme: str) -> None:
        """Changes the scheme that Spark reads and writes with: EMR has a file system of its own behind s3.

        Args:
            scheme: s3 or s3a.
        """
        self._spark_root = f"{scheme}://{self._spark_root.partition('://')[2]}"

    def location(self, name: str) -> str:
        """Gives what Spark reads or writes for a name in the run's folder.

        Args:
            name: A relative path.

        Returns:
            Scheme and absolute path.
        """
        return f"{self._spark_root}/{name}" if name else self._spark_root

    def put_json(self, name: str, content: Any) -> None:
        """Puts a JSON object whole or not at all, over one that is there.

        Args:
            name: A relative path.
            content: JSON-ready values.
        """
        self.put_text(name, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False))

    def put_text(self, name: str, content: str) -> None:
        """Puts an object of text whole or not at all, over one that is there.

        Args:
            name: A relative path.
            content: The text.
        """
        self.put_bytes(name, content.encode())

    def put_bytes(self, name: str, content: bytes) -> None:
        """Puts an object whole or not at all, over one that is there.

        Args:
            name: A relative path.
            content: All of it.
        """
        self.guard()
        self._objects.put(name, content)

    def put_table(self, name: str, rows: pa.Table) -> None:
        """Puts a Parquet file whole or not at all, over one that is there.

        Args:
            name: A relative path.
            rows: All of it.
        """
        sink = pa.BufferOutputStream()
        pq.write_table(rows, sink, compression="zstd")
        self.put_bytes(name, sink.getvalue().to_pybytes())

    def put_unguarded(self, name: str, content: Any) -> None:
        """Puts a JSON object without asking the guard: for the lock itself.

        Args:
            name: A relative path.
            content: JSON-ready values.
        """
        self._objects.put(name, json.dumps(content).encode())

    def create_json(self, name: str, content: Any) -> bool:
        """Writes a JSON object unless there is one.

        Args:
            name: A relative path.
            content: JSON-ready values.

        Returns:
            False if the name was taken; then nothing is written.
        """
        return self._objects.create(name, json.dumps(content).encode())

    def read_bytes(self, name: str) -> bytes:
        """Reads an object.

        Args:
            name: A relative path.

        Returns:
            Its content.

        Raises:
            InputError: If there is none.
        """
        content = self._objects.read(name)
        if content is None:
            raise InputError(f"{self.root}/{name} is gone: run the step that wrote it again")
        return content

    def read_json(self, name: str) -> dict[str, Any] | None:
        """Reads a JSON object.

        Args:
            name: A relative path.

        Returns:
            Its content, or None where there is none.

        Raises:
            InputError: If it is no JSON object, or lacks what an object of its folder holds.
        """
        content = self._objects.read(name)
        if content is None:
            return None
        advice = _ADVICE.get(name, "restore it, or use --overwrite to start anew")
        try:
            found = json.loads(content)
        except (ValueError, RecursionError):
            raise InputError(f"{self.root}/{name} is not JSON: {advice}") from None
        if not isinstance(found, dict):
            raise InputError(f"{self.root}/{name} is no JSON object: {advice}")
        # A manifest without content says of its step what no manifest says.
        keys = _KEYS.get(name) or (_KEYS_OF_MANIFEST if name.startswith(f"{MANIFESTS}/") and found else {})
        wrong = sorted(key for key, kind in keys.items() if not isinstance(found.get(key), kind))
        if wrong:
            raise InputError(f"{self.root}/{name} lacks {', '.join(wrong)}, or has another kind of it: {advice}")
        return found

    def names(self, folder: str) -> list[str]:
        """Lists the entries of a folder.

        Args:
            folder: A relative path.

        Returns:
            The names in it, hidden ones left out, sorted; empty where there is no such folder.
        """
        return [name for name in self._objects.names(folder) if name[0] != "."]

    def data_files(self, folder: str) -> list[str]:
        """Lists the Parquet files below a folder.

        Args:
            folder: A relative path.

        Returns:
            Paths relative to the run's folder, sorted, without what committers keep while they work.
        """
        return [
            file
            for file in self._objects.files(folder)
            if file.endswith(".parquet") and not any(part[0] in "_." for part in file.split("/"))
        ]

    def committer(self, folder: str) -> str | None:
        """Names the committer that wrote a folder, by its _SUCCESS.

        Args:
            folder: A relative path.

        Returns:
            S3A's committers write their name there; None for any other, or where nothing was committed.
        """
        content = self._objects.read(f"{folder}/_SUCCESS")
        try:
            return str(json.loads(content)["committer"]) if content else None
        except (ValueError, KeyError, TypeError):
            return None

    def delete(self, name: str) -> None:
        """Deletes an object, or a folder with all that is in it; no error where there is none.

        Args:
            name: A relative path.
        """
        self.guard()
        self._objects.delete(name)

    def holds_a_run(self) -> bool:
        """Tells whether a run was begun in the folder."""
        return MARKER in self.names("")

    def begin_run(self) -> None:
        """Marks the folder as a run's, before anything else is written: only such a folder is ever deleted from."""
        self.put_json(MARKER, {"holds": "a metaclip-spark run", "layout": LAYOUT})

    def check_usable(self) -> None:
        """Refuses a folder with files in it that no run wrote, which `--overwrite` must not delete.

        Raises:
            OutputExistsError: If the output is a file or such a folder.
        """
        if isinstance(self.root, Path) and self.root.exists() and not self.root.is_dir():
            raise OutputExistsError(f"--output {self.root} is a file: give a folder")
        strangers = [name for name in self.names("") if name != LOCK]
        if strangers and not self.holds_a_run():
            raise OutputExistsError(
                f"--output {self.root} holds {strangers[0]}, which no run wrote: give another folder"
            )

    def delete_run(self) -> None:
        """Deletes a run's tables and objects, the objects that make them count first, and leaves anything else."""
        for name in reversed(_OURS):
            self.delete(name)


def check_apart(output: str, paths: list[tuple[str, str]]) -> None:
    """Refuses inputs that lie where a run writes, and would be deleted by it.

    Args:
        output: The run's folder, as the user gave it.
        paths: (archive, path).

    Raises:
        ConfigError: If a path lies in one of the run's folders.
    """
    root = Storage(output).root
    inside = tuple(f"{root}/{name}/" for name in _OURS)
    for _, path in paths:
        if path.removeprefix("file://").startswith(inside):
            raise ConfigError(f"the input {path} lies in the output's own folders: give another --output")


def _always_held() -> None:
    """The guard of a folder that nobody has locked."""


def manifest_name(step: str, bucket: int | None = None) -> str:
    """Names the object that makes a step's table count.

    Args:
        step: The step.
        bucket: The bucket, where the step works by bucket.

    Returns:
        A path relative to the run's folder.
    """
    return f"{MANIFESTS}/{step}.json" if bucket is None else f"{MANIFESTS}/{step}-{bucket:03d}.json"


def bucket_folder(table: str, bucket: int) -> str:
    """Names the folder of one bucket of a table.

    Args:
        table: pool or matched.
        bucket: The bucket.

    Returns:
        A path relative to the run's folder.
    """
    return f"{table}/bucket={bucket:03d}"


def manifest_digest(manifest: dict[str, Any]) -> str:
    """Digests what a step's result depends on: its step, configuration, input and numbers, not its time or file names.

    Args:
        manifest: A step's manifest.

    Returns:
        A sha256 in hex.
    """
    return digest({key: manifest[key] for key in _CONTENT_OF_MANIFEST})
