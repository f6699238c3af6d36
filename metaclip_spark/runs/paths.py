"""What a path means that leads into a run.

A table's folder holds attempts that do not count, too, so no path into a run is read by what lies there: the run's log
names the files.
"""

import os
import posixpath
from collections.abc import Iterable, Iterator
from functools import cache
from typing import NamedTuple

from metaclip_spark.commits.entries import Written, entry_name
from metaclip_spark.commits.state import State
from metaclip_spark.config.curation import ExtractConfig
from metaclip_spark.errors import ConfigError, InputError, said_of
from metaclip_spark.inputs.archive_path import ArchivePath
from metaclip_spark.inputs.files import check_pool_files, resolve_archives, resolve_pool
from metaclip_spark.inputs.remote import fetch_options, resolve_crawl
from metaclip_spark.runs.buckets import buckets_of
from metaclip_spark.runs.layout import (
    CURATED_IMAGES,
    MARKER,
    REFILL,
    REPORT,
    TABLES,
    THRESHOLDS,
    is_of_run,
    local_name,
    place_of,
)
from metaclip_spark.runs.open import check_finished, read_log
from metaclip_spark.runs.step import STEPS
from metaclip_spark.stores.session import get_session
from metaclip_spark.stores.storage import Storage
from udfs.sources import FetchOptions, environment_options, scheme_of, stat_archive
from udfs.sources.credentials import without_credentials
from udfs.sources.https import SCHEMES as WEB_SCHEMES

_MAGIC = frozenset("*?[]{}\\")

_ASKED_FOR = {
    "balance_counts": "--entry-counts",
    CURATED_IMAGES: "--one-row-per-image",
    REFILL: "--refill-plan",
    THRESHOLDS: "--metadata with a folder of lists",
}
"""Tables that a step writes only where an option asks for them."""


class InRun(NamedTuple):
    """A place in a run.

    Attributes:
        storage: The run's folder.
        state: What counts in it.
        below: What the path names below that folder; empty for the folder itself.
    """

    storage: Storage
    state: State
    below: str


def table_folders(storage: Storage, state: State, table: str) -> list[Written]:
    """Gives what counts of a table: one folder, or one for each bucket.

    Raises:
        InputError: If nothing counts, or not all buckets do.
    """
    step = next(step for step in STEPS.values() if table in step.tables)
    parts = step.parts(buckets_of(state) or 1)
    found = [written for part in parts if (written := state.written(table, part))]
    if len(found) == len(parts):
        return found
    if any(state.written(other) for other in step.tables):
        without = _ASKED_FOR.get(table, "one")
        raise InputError(f"{storage.root} has no table '{table}': its step '{step.name}' was done without {without}")
    root, again = storage.root, f"run its step '{step.name}' first"
    if found:
        raise InputError(f"{root} has only {len(found)} of {len(parts)} buckets of table '{table}': {again}")
    raise InputError(f"{root} has no table '{table}': {again}")


def paths_of_table(storage: Storage, table: str) -> list[str]:
    """Gives the folders of a finished run's table, for programs: one, or one for each bucket or wave.

    Raises:
        InputError: If the folder is no run, the run is unfinished, or has no such table.
    """
    log = read_log(storage)
    check_finished(storage, log)
    state = log.state
    if table == REPORT:
        return [shown_path(storage, state.finished.report if state.finished else REPORT)]
    return [shown_path(storage, written.folder) for written in table_folders(storage, state, table)]


def shown_path(storage: Storage, name: str) -> str:
    """Gives the path of something in a run as the user writes it: the run's folder as it was given, and the name."""
    return f"{storage.root}/{name}"


def find_run(path: str, options: FetchOptions | None = None) -> InRun | None:
    """Finds the run that a path leads to or into, by the names that a run gives its folders; None where there is none.

    Raises:
        InputError: If its log is not whole, or of a newer version.
    """
    how = options or environment_options()
    for root, below in _candidates(path):
        if _holds_log(root, how):
            storage = Storage(root, how)
            return InRun(storage, read_log(storage).state, below)
    return None


def is_run_folder(path: str) -> bool:
    """Tells whether a path is a run's folder, of which something can be read."""
    found = find_run(path)
    return found is not None and not found.below and bool(found.state.tables or found.state.samples)


def files_in_run(path: str, table: str, options: FetchOptions | None = None) -> list[ArchivePath] | None:
    """Lists the files that a path into a run means; None where it leads into none.

    Args:
        path: The run's folder, the name of a table or of one of its buckets in it, or a folder or file that the log
            names.
        table: What the run's folder itself stands for.
        options: How stores are reached.

    Returns:
        Each file, and its name below `path`.

    Raises:
        InputError: If the log does not name it, or what it names is not whole.
    """
    found = find_run(path, options)
    if found is None:
        return None
    named, below = [], found.below
    if below in {"", *TABLES}:
        named = [file for each in table_folders(found.storage, found.state, below or table) for file in each.sizes]
    else:
        for place, written in _named(found.state):
            named += [file for file in written.sizes if below in {place, written.folder, file}]
        if not named:
            raise InputError(_not_named(path, found))
    cut = {file: posixpath.basename(file) if file == below else file.removeprefix(f"{below}/") for file in named}
    return [ArchivePath(cut[file], shown_path(found.storage, file)) for file in dict.fromkeys(named)]


def counts_in_run(path: str) -> str | tuple[str, ...]:
    """Gives the files of entry counts that a path into a run means; a path that leads into none stays as it is.

    Raises:
        InputError: If the log does not name it.
    """
    files = files_in_run(path, "entry_counts")
    return path if files is None else tuple(file.path for file in files)


def counts_files(paths: Iterable[str]) -> list[str]:
    """Lists the files of entry counts that paths mean."""
    sources = map(counts_in_run, paths)
    return [file for source in sources for file in ([source] if isinstance(source, str) else source)]


def find_inputs(config: ExtractConfig) -> list[ArchivePath]:
    """Finds and checks the input before Spark starts work; of a run what counts there.

    Raises:
        InputError: If an input is missing, or lies in a run whose log does not name it.
        SchemaMismatchError: If a file of --pool lacks a column.
    """
    options = fetch_options(config)
    if config.crawl:
        return resolve_crawl(config, options)
    if config.archives:
        with said_of("--archives"):
            return resolve_archives(config.archives, config.archives_prefix, options)
    stored = {item: files for item in config.pool if (files := files_in_run(item, "pool", options)) is not None}
    with said_of("--pool"):
        paths = resolve_pool(config.pool, options, stored)
    known = {file.path for files in stored.values() for file in files}
    check_named((path for _, path in paths if path not in known), options)
    check_pool_files(
        paths,
        url_column=config.url_column,
        text_column=config.text_column,
        language_column=config.language_column,
        options=options,
    )
    return paths


def check_named(files: Iterable[str], options: FetchOptions | None = None) -> None:
    """Refuses files in a run that its log does not name, however they were found: by a glob, or in a folder above.

    Raises:
        InputError: If there is one.
    """
    how = options or environment_options()

    @cache
    def files_of(root: str) -> tuple[InRun, frozenset[str]] | None:
        if not _holds_log(root, how):
            return None
        found = find_run(root, how)
        return found and (found, frozenset(file for _, written in _named(found.state) for file in written.sizes))

    for path in files:
        for root, below in _candidates(path):
            known = files_of(root) if below else None
            if known is None:
                continue
            if below not in known[1]:
                raise InputError(_not_named(path, known[0]))
            break


def _named(state: State) -> Iterator[tuple[str, Written]]:
    """Yields what the log names of tables and curated sets, each with the place where its attempts lie."""
    for (_, bucket), entry in state.tables.items():
        for table, written in entry.tables.items():
            yield place_of(table, bucket), written
    for sample in state.samples:
        for written in sample.tables.values():
            yield written.folder, written


def _not_named(path: str, found: InRun) -> str:
    return (
        f"{without_credentials(path)} lies in the run {found.storage.root}, whose log does not name it: give the run's "
        f"folder, or one that metaclip-spark path {found.storage.root} TABLE names"
    )


def _candidates(path: str) -> Iterator[tuple[str, str]]:
    """Yields the folders that may be the run that a path leads to or into, with the rest of the path."""
    scheme = scheme_of(path)
    if scheme in WEB_SCHEMES:
        return
    start, whole = "", path
    if scheme == "file":
        whole = os.path.realpath(local_name(path))
    else:
        start, slash, whole = path.partition("://")
        start += slash
    # A bucket, or the folder above all others, comes first; Hadoop takes several slashes for one.
    first, *others = whole.split("/")
    parts = [first, *(part for part in others if part)]
    for length in range(len(parts), 0, -1):
        root, below = "/".join(parts[:length]), parts[length:]
        if start and not root:
            # hdfs:/// of the cluster's own, or no bucket.
            return
        if (not below or is_of_run("/".join(below))) and not _MAGIC.intersection(root):
            yield f"{start}{root or '/'}", "/".join(below)


def _holds_log(root: str, options: FetchOptions) -> bool:
    """Tells whether a folder holds a run.

    Raises:
        InputError: If the store cannot be reached.
    """
    names = (entry_name(1), MARKER)
    try:
        storage = Storage(root, options)
    except ConfigError:
        # What reads it says what is wrong with it.
        return False
    if storage.needs_session:
        get_session("metaclip-spark")
        try:
            return any(storage.read_object(name) is not None for name in names)
        except ConfigError:
            # Hadoop has no connector for it here; what reads the input may have one of its own.
            pass
    return any(_is_there(f"{root}/{name}", options) for name in names)


def _is_there(path: str, options: FetchOptions) -> bool:
    try:
        stat_archive(path, options)
    except (FileNotFoundError, NotADirectoryError, PermissionError, ValueError):
        return False
    except OSError as error:
        raise InputError(str(error)) from None
    return True
