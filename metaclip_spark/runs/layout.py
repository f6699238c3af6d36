"""The names of a run's files and folders.

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

from pathlib import Path

from metaclip_spark.errors import ConfigError, OutputExistsError
from metaclip_spark.inputs.archive_path import ArchivePath
from metaclip_spark.stores.storage import Storage

LAYOUT = 1
"""The version of every file of a run. A change that an older reader would misread raises it."""

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
BUCKETS = f"{MANIFESTS}/buckets.json"
REPORT = "report"
REPORT_JSON = f"{REPORT}/report.json"
LOCK = "lock.json"
RUN = "run.json"
MARKER = "output.json"

_OURS = (*TABLES, LEDGER, MANIFESTS, REPORT, RUN)


def manifest_name(step: str, bucket: int | None = None) -> str:
    """Names the file that makes a step's table count; `bucket` where the step works by bucket."""
    return f"{MANIFESTS}/{step}.json" if bucket is None else f"{MANIFESTS}/{step}-{bucket:03d}.json"


def bucket_folder(table: str, bucket: int) -> str:
    """Names the folder of one bucket of pool or matched."""
    return f"{table}/bucket={bucket:03d}"


def wave_folder(entry_name: str) -> str:
    """Names the folder of one attempt at one wave, by its ledger entry: NNNNN-<nonce>."""
    return f"extracted/wave={entry_name}"


def holds_run(storage: Storage) -> bool:
    """Tells whether a run was begun in the folder."""
    return MARKER in storage.names("")


def mark_as_run(storage: Storage) -> None:
    """Marks the folder as a run's, before anything else is written: only such a folder is ever deleted from."""
    storage.put_json(MARKER, {"holds": "a metaclip-spark run", "layout": LAYOUT})


def check_usable(storage: Storage) -> None:
    """Refuses a file, and a folder with files that no run wrote, which `--overwrite` must not delete.

    Raises:
        OutputExistsError: If the output is one of them.
    """
    if isinstance(storage.root, Path) and storage.root.exists() and not storage.root.is_dir():
        raise OutputExistsError(f"--output {storage.root} is a file: give a folder")
    unexpected = [name for name in storage.names("") if name != LOCK]
    if unexpected and not holds_run(storage):
        raise OutputExistsError(
            f"--output {storage.root} holds {unexpected[0]}, which no run wrote: give another folder"
        )


def delete_run(storage: Storage) -> None:
    """Deletes a run's tables and files, those that make tables count first, and leaves anything else."""
    for name in reversed(_OURS):
        storage.delete(name)


def check_apart(output: str, paths: list[ArchivePath]) -> None:
    """Refuses inputs that are where a run writes, and would be deleted by it.

    Raises:
        ConfigError: If a path is in one of the run's folders.
    """
    root = Storage(output).root
    inside = tuple(f"{root}/{name}/" for name in _OURS)
    for _, path in paths:
        if path.removeprefix("file://").startswith(inside):
            raise ConfigError(f"the input {path} lies in the output's own folders: give another --output")
