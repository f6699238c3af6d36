"""The names of a run's files and folders.

    commits/NNNNNNNN.json                       the log: it says what counts (see `metaclip_spark.commits`)
    beats/NNNNNNNN.json                         the sign of life of the driver whose `Open` has that number
    extracted/wave=<attempt>/kind=<kind>/       raw rows of one attempt at one wave of archives
    archives/<attempt>/ rejects/<attempt>/      made from the waves that count when extraction ends
    pool/bucket=BBB/<attempt>/                  distinct pairs
    matched/bucket=BBB/<attempt>/               those with an entry
    eligible/bucket=BBB/<attempt>/              matched pairs that no rule excludes, where there are rules
    excluded/bucket=BBB/<attempt>/              the others, with their reasons
    entry_counts/<attempt>/                     in how many pairs each entry occurs
    curated-<attempt>/                          the curated pairs
    curated_images/<attempt>/                   the same by image, where --one-row-per-image asked for it
    refill/<attempt>/                           what else to download, where --refill-plan asked for it
    expected_kept/<attempt>/                    how many pairs of each entry the draw was expected to keep
    balance_counts/<attempt>/                   the counts that --entry-counts gave, where it did
    thresholds/<attempt>/                       the t of each language, where there are several metadata lists
    removals/<attempt>/                         what is to be removed for ever, by hash
    removed_pairs/<attempt>/                    the matched pairs that a removal names
    report/<attempt>/                           the report
    run.json                                    tells people that the run is finished
    output.json lock.json                       say that the folder holds a run, and keep versions without a log out

An attempt is NNNNNNNN-<nonce>: the number of the driver's `Open`, and a nonce.
"""

import os
import posixpath
from collections.abc import Collection, Iterable
from pathlib import Path

from metaclip_spark.commits.entries import COMMITS, LAYOUT, NAMED_PAIRS, REGISTER
from metaclip_spark.commits.log import has_log
from metaclip_spark.commits.owner import BEATS
from metaclip_spark.commits.run_file import RUN
from metaclip_spark.commits.state import State
from metaclip_spark.config.fields import path_text
from metaclip_spark.errors import ConfigError, InputError, OutputExistsError, said_of
from metaclip_spark.stores.storage import Storage
from udfs.sources import local_path, scheme_of
from udfs.sources.credentials import without_credentials
from udfs.sources.https import SCHEMES as WEB_SCHEMES

_UNUSABLE = (ConnectionError, FileNotFoundError, PermissionError)

EXTRACTED = "extracted"
CURATED = "curated"
CURATED_IMAGES = "curated_images"
REFILL = "refill"
THRESHOLDS = "thresholds"
REPORT = "report"
REPORT_JSON = "report.json"
TABLES = (
    EXTRACTED,
    "archives",
    "rejects",
    "pool",
    "matched",
    "eligible",
    "excluded",
    "entry_counts",
    "balance_counts",
    CURATED,
    CURATED_IMAGES,
    REFILL,
    "expected_kept",
    THRESHOLDS,
)
REGISTERS = (REGISTER, NAMED_PAIRS)
"""What stays whatever becomes of the tables."""
LOCK = "lock.json"
MARKER = "output.json"

_DEFAULT_PORTS = {"hdfs": ":8020"}
_ENCRYPTED = {"abfss": "abfs", "wasbs": "wasb"}
"""Schemes that reach the same files by TLS."""

_WAVE = f"{EXTRACTED}/wave="
_OURS = {*TABLES, *REGISTERS, COMMITS, BEATS, REPORT, RUN, MARKER, LOCK, "ledger", "manifests"}


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
        InputError: If its store cannot be reached, refuses it, or has no such bucket.
        OSError: If it cannot be listed for another reason, which may pass.
    """
    if isinstance(storage.root, Path) and storage.root.exists() and not storage.root.is_dir():
        raise OutputExistsError(f"--output {storage.root} is a file: give a folder")
    try:
        with said_of("--output"):
            unexpected = [name for name in storage.names("") if name != LOCK]
    except OSError as error:
        if error.errno is not None or not isinstance(error, _UNUSABLE):
            raise
        hint = ": check the URL, and whether its server is up" if isinstance(error, ConnectionError) else ""
        raise InputError(f"{error}{hint}") from None
    if unexpected == [COMMITS] and not storage.names(COMMITS):
        # A driver came no further than to the folder of its log.
        return
    if unexpected and not holds_run(storage):
        raise OutputExistsError(
            f"--output {storage.root} holds {unexpected[0]}, which no run wrote: give another folder"
        )


def is_of_run(name: str, read_only: Collection[str] = ()) -> bool:
    """Tells whether a path below a run's folder is one that the run writes, but for tables that are only read."""
    first = name.partition("/")[0]
    return first not in read_only and (first in _OURS or first.startswith(f"{CURATED}-"))


def check_apart(output: str, inputs: Iterable[str], read_only: Collection[str] = ()) -> None:
    """Refuses inputs that lie where a run writes, by whatever alias: they would be deleted.

    Args:
        output: The run's folder.
        inputs: Paths and URLs of what is read.
        read_only: Tables of the run that are only read.

    Raises:
        ConfigError: If an input lies in another one of the run's folders.
    """
    root = f"{resolved_place(output)}/"
    roots: dict[str, str] = {}
    for path in inputs:
        place = resolved_place(path, roots)
        if place.startswith(root) and is_of_run(place.removeprefix(root), read_only):
            raise ConfigError(
                f"the input {without_credentials(path)} lies in the output's own folders: give another --output"
            )


def resolved_place(path: str, roots: dict[str, str] | None = None) -> str:
    """Resolves a path or URL, so that all names of one file have one place; for comparisons only.

    Args:
        path: What a user gives.
        roots: The places of file systems that were asked before; more are added.
    """
    scheme = scheme_of(path)
    if scheme == "file":
        return os.path.realpath(local_name(path))
    if scheme in WEB_SCHEMES or "::" in path:
        return without_credentials(path)
    start, _, rest = path.partition("://")
    host, _, name = rest.partition("/")
    # Many files lie in one file system, which Hadoop has to be asked about.
    roots = {} if roots is None else roots
    url = f"{start}://{host}/x"
    if url not in roots:
        roots[url] = _file_system(url)
    return f"{roots[url]}{posixpath.normpath('/' + name.lstrip('/'))}".rstrip("/")


def _file_system(url: str) -> str:
    """Names the file system of a URL whose path is /x."""
    try:
        place = Storage(url).place
    except ConfigError:
        # No run could lie there.
        place = url
    scheme, _, rest = place.removesuffix("/x").partition("://")
    host = rest.removesuffix(_DEFAULT_PORTS.get(scheme, "/"))
    return f"{_ENCRYPTED.get(scheme, scheme)}://{host}"


def local_name(path: str) -> str:
    """Gives a local path, from a URL too: its characters stand for themselves where there is such a file."""
    name = path_text(path.removeprefix("file://"))
    if name == path or os.path.lexists(name):
        return name
    try:
        return str(local_path(path))
    except ValueError:
        # Of another machine: what reads it says so.
        return name
