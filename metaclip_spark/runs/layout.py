"""The names of a run's files and folders.

    commits/NNNNNNNN.json                       the log: it says what counts (see `metaclip_spark.commits`)
    beats/NNNNNNNN.json                         the sign of life of the driver whose `Open` has that number
    extracted/wave=<attempt>/kind=<kind>/       raw rows of one attempt at one wave of archives
    archives/<attempt>/ rejects/<attempt>/      made from the waves that count when extraction ends
    pool/bucket=BBB/<attempt>/                  distinct pairs
    matched/bucket=BBB/<attempt>/               those with an entry
    entry_counts/<attempt>/                     in how many pairs each entry occurs
    curated-<attempt>/                          the curated pairs
    expected_kept/<attempt>/                    how many pairs of each entry the draw was expected to keep
    balance_counts/<attempt>/                   the counts that --entry-counts gave, where it did
    report/<attempt>/                           the report
    run.json                                    tells people that the run is finished
    output.json lock.json                       say that the folder holds a run, and keep versions without a log out

An attempt is NNNNNNNN-<nonce>: the number of the driver's `Open`, and a nonce.
"""

import os
from pathlib import Path

from metaclip_spark.commits.entries import COMMITS, LAYOUT
from metaclip_spark.commits.log import has_log
from metaclip_spark.commits.owner import BEATS
from metaclip_spark.commits.run_file import RUN
from metaclip_spark.commits.state import State
from metaclip_spark.errors import ConfigError, OutputExistsError
from metaclip_spark.inputs.archive_path import ArchivePath
from metaclip_spark.stores.storage import Storage
from udfs.sources import scheme_of
from udfs.sources.s3 import SCHEMES as S3_SCHEMES
from udfs.sources.s3 import split_s3

EXTRACTED = "extracted"
CURATED = "curated"
REPORT = "report"
REPORT_JSON = "report.json"
TABLES = (
    EXTRACTED,
    "archives",
    "rejects",
    "pool",
    "matched",
    "entry_counts",
    "balance_counts",
    CURATED,
    "expected_kept",
)
LOCK = "lock.json"
MARKER = "output.json"

_WAVE = f"{EXTRACTED}/wave="
_OURS = (*TABLES, COMMITS, BEATS, REPORT, RUN, "ledger", "manifests")


def place_of(table: str, bucket: int | None = None) -> str:
    """Names where the attempts at a table lie, for one bucket of pool or matched."""
    if table == CURATED:
        # Readers of a folder "curated" would take all attempts below it for one table.
        return f"{CURATED}-"
    return table if bucket is None else f"{table}/bucket={bucket:03d}"


def wave_place() -> str:
    """Names where the attempts at waves lie."""
    return _WAVE


def wave_name(folder: str) -> str:
    """Gives the value that Spark reads as the column `wave` of a wave's folder."""
    return folder.removeprefix(_WAVE)


def report_file(state: State) -> str:
    """Names the file of a run's report; of layout 1 where no log tells of one."""
    folder = state.finished.report if state.finished else REPORT
    return f"{folder}/{REPORT_JSON}"


def holds_run(storage: Storage) -> bool:
    """Tells whether a run was begun in the folder."""
    names = storage.names("")
    # A driver marks the folder once it has taken it.
    return MARKER in names or (COMMITS in names and has_log(storage))


def mark_as_run(storage: Storage) -> None:
    """Marks the folder as a run's, and keeps versions of this package that know no log out of it.

    They never take over a lock that says neither where its owner runs nor when it was last alive.
    """
    storage.put_json(MARKER, {"holds": "a metaclip-spark run", "layout": LAYOUT})
    storage.put_json(LOCK, {"owner": f"a newer version of metaclip-spark (layout {LAYOUT}): use that version"})


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


def check_apart(output: str, paths: list[ArchivePath]) -> None:
    """Refuses inputs that are where a run writes, and would be deleted by it.

    Raises:
        ConfigError: If a path is in one of the run's folders.
    """
    root = Storage(output).place
    inside = (*(f"{root}/{name}/" for name in _OURS), f"{root}/{CURATED}-")
    for _, path in paths:
        if path.startswith(inside) or _place_of_input(path).startswith(inside):
            raise ConfigError(f"the input {path} lies in the output's own folders: give another --output")


def _place_of_input(path: str) -> str:
    """Resolves the path of an input as `Storage.place` resolves a folder."""
    scheme = scheme_of(path)
    if scheme == "file":
        return os.path.realpath(path.removeprefix("file://"))
    return f"s3://{'/'.join(split_s3(path))}" if scheme in S3_SCHEMES else path
