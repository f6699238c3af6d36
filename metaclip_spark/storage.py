"""The layout of a run, and the driver's reads and writes in it.

    extracted/wave=NNNNN-<nonce>/kind=<kind>/   raw rows of one attempt at one wave of archives
    ledger/NNNNN-<nonce>.json                   makes that attempt count
    archives/ rejects/                          rewritten from the ledgered waves when extraction ends
    pool/bucket=BBB/ matched/bucket=BBB/        distinct pairs; those with an entry
    entry_counts/ curated/ report/
    balance_counts/                             the counts that --entry-counts gave, where it did
    manifests/<step>[-BBB].json                 makes a step's table count
    lock.json run.json

A Spark job's commit is not atomic on any store, so a table counts only by one object that is put after its write
returned: the ledger entry of a wave, the manifest of a step, run.json of the run.
"""

import json
import os
import shutil
import uuid
from pathlib import Path
from typing import Any

from metaclip_spark.config import digest
from metaclip_spark.errors import InputError, OutputExistsError

TABLES = ("extracted", "archives", "rejects", "pool", "matched", "entry_counts", "balance_counts", "curated")
LEDGER = "ledger"
MANIFESTS = "manifests"
REPORT = "report"
LOCK = "lock.json"
RUN = "run.json"
_OURS = (*TABLES, LEDGER, MANIFESTS, REPORT, RUN)

_CONTENT_OF_MANIFEST = ("step", "config", "input", "numbers")


class Storage:
    """One run's folder: JSON objects put whole, and folders of Parquet files that Spark writes.

    Attributes:
        root: The folder, absolute.
    """

    def __init__(self, output: str) -> None:
        """Names a run's folder; nothing is written yet.

        Args:
            output: A path on a file system that driver and executors share.
        """
        self.root = Path(output.removeprefix("file://")).absolute()

    def location(self, name: str) -> str:
        """Gives what Spark reads or writes for a name in the run's folder.

        Args:
            name: A relative path.

        Returns:
            Scheme and absolute path.
        """
        # Hadoop takes a path's characters as they are, where a URI would escape "=" and the space.
        return f"file://{self.root / name}"

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
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        with partial.open("w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)

    def create_json(self, name: str, content: Any) -> bool:
        """Writes a JSON object unless there is one.

        Args:
            name: A relative path.
            content: JSON-ready values.

        Returns:
            False if the name was taken; then nothing is written.
        """
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        partial.write_text(json.dumps(content), encoding="utf-8")
        try:
            # A link fails where the name is taken, as O_EXCL does, and shows the object only whole.
            os.link(partial, path)
        except FileExistsError:
            return False
        finally:
            partial.unlink()
        return True

    def read_json(self, name: str) -> Any | None:
        """Reads a JSON object.

        Args:
            name: A relative path.

        Returns:
            Its content, or None where there is none.

        Raises:
            InputError: If it is not JSON.
        """
        path = self.root / name
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except ValueError:
            raise InputError(f"{path} is not JSON: restore it, or use --overwrite to start anew") from None

    def names(self, folder: str) -> list[str]:
        """Lists the entries of a folder.

        Args:
            folder: A relative path.

        Returns:
            The names in it, hidden ones left out, sorted; empty where there is no such folder.
        """
        path = self.root / folder
        return sorted(entry.name for entry in path.iterdir() if entry.name[0] != ".") if path.is_dir() else []

    def data_files(self, folder: str) -> list[str]:
        """Lists the Parquet files below a folder.

        Args:
            folder: A relative path.

        Returns:
            Paths relative to the run's folder, sorted.
        """
        return sorted(path.relative_to(self.root).as_posix() for path in (self.root / folder).rglob("*.parquet"))

    def delete(self, name: str) -> None:
        """Deletes an object, or a folder with all that is in it; no error where there is none.

        Args:
            name: A relative path.
        """
        path = self.root / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def holds_a_run(self) -> bool:
        """Tells whether the folder has anything of a run in it."""
        return any((self.root / name).exists() for name in (LEDGER, MANIFESTS, RUN))

    def check_usable(self) -> None:
        """Refuses a folder with files in it that no run wrote, which `--overwrite` must not delete.

        Raises:
            OutputExistsError: If the output is a file or such a folder.
        """
        if self.root.exists() and not self.root.is_dir():
            raise OutputExistsError(f"--output {self.root} is a file: give a folder")
        strangers = [name for name in self.names("") if name not in {*_OURS, LOCK}]
        if strangers and not self.holds_a_run():
            raise OutputExistsError(
                f"--output {self.root} holds {strangers[0]}, which no run wrote: give another folder"
            )

    def delete_run(self) -> None:
        """Deletes a run's tables and objects, the objects that make them count first, and leaves anything else."""
        for name in reversed(_OURS):
            self.delete(name)


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
