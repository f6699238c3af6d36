"""Runs of layout 1, which had no log: read as entries of a log, and imported into one.

There, `ledger/` told which attempts at archives count, `manifests/` which tables, `run.json` that a run is finished.
"""

import os
import socket
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from metaclip_spark.commits.attempts import lies_in_attempt
from metaclip_spark.commits.entries import (
    UNKNOWN,
    ArchiveSummary,
    Attempt,
    Begin,
    Drop,
    FileWritten,
    Finish,
    Sample,
    Table,
    Wave,
    Written,
)
from metaclip_spark.commits.run_file import RUN
from metaclip_spark.errors import InputError, OutputExistsError
from metaclip_spark.runs.buckets import combined_input
from metaclip_spark.runs.layout import CURATED, LOCK, MARKER, REPORT, TABLES, wave_place
from metaclip_spark.runs.records import (
    REPORT_AGAIN,
    RESTORE,
    UNKNOWN_KEY,
    ExtractionSettings,
    Manifest,
    RunSummary,
    known,
    manifest_of,
)
from metaclip_spark.runs.step import EXTRACT, STEPS, Step
from metaclip_spark.stores.storage import JsonObject, Storage

LEDGER = "ledger"
MANIFESTS = "manifests"
LAYOUT_1 = 1
_REPORT_FILES = {"report.json", "report.html", "DATA_CARD.md", "entries"}

_FREE = "delete it if no run works there"
"""The advice on a lock that no run wrote."""

_STALE_SECONDS = 120.0
_SECONDS_UNTIL_A_HEARTBEAT = 30.0

Entry1 = Begin | Wave | Drop | Table | Sample | Finish


class _Summary(ArchiveSummary, array_like=False, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Not packed."""


class _Superseded(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    archive: str
    entry: str
    etag: str


class _LedgerEntry(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    wave: int
    config: ExtractionSettings
    files: list[str]
    archives: list[_Summary]
    superseded: list[_Superseded] | UnsetType = UNSET
    layout: int = LAYOUT_1


class _Buckets(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    buckets: int
    layout: int = LAYOUT_1


class _LockHolder(msgspec.Struct, kw_only=True):
    owner: str | None = None
    host: str | None = None
    pid: int | None = None
    heartbeat: float | None = None


class _Stored(NamedTuple):
    """A manifest, and folder to the files that its step wrote."""

    manifest: Manifest[Any, Any]
    files: dict[str, list[str]]


_Told = dict[int | None, _Stored]
"""Bucket to manifest."""


def is_of_layout_1(storage: Storage) -> bool:
    """Tells whether a folder holds a run of layout 1 that nothing has imported."""
    return bool({LEDGER, MANIFESTS}.intersection(storage.names("")))


def is_finished_1(storage: Storage) -> bool:
    """Tells whether a run of layout 1 is finished.

    Raises:
        InputError: If its run.json is of another layout, or not what layout 1 is.
    """
    found = storage.read_json(RUN, REPORT_AGAIN)
    if found is None:
        return False
    layout = found.get("layout", "unknown")
    if layout != LAYOUT_1:
        versions = found.get("versions")
        version = versions.get("metaclip-spark") if isinstance(versions, dict) else None
        by = f"metaclip-spark {version}" if version else "another version of metaclip-spark"
        raise InputError(
            f"{storage.root} was written by {by} in layout {layout}; this version reads a run.json of layout "
            f"{LAYOUT_1} and the log of later ones: use that version, or {REPORT_AGAIN}"
        )
    known(found, RunSummary, f"{storage.root}/{RUN}", REPORT_AGAIN)
    return True


def check_marker(storage: Storage) -> None:
    """Refuses a run of a newer version before anything of it is changed.

    Raises:
        InputError: If its marker names a layout that this version does not know.
    """
    layout = (storage.read_json(MARKER, RESTORE) or {}).get("layout", LAYOUT_1)
    if layout not in {LAYOUT_1, LAYOUT_1 + 1}:
        raise InputError(
            f"{storage.root} was written by another version of metaclip-spark in layout {layout}; this version reads "
            f"layouts {LAYOUT_1} and {LAYOUT_1 + 1}: use that version"
        )


def read_layout_1(storage: Storage, owner: str = "") -> tuple[Entry1, ...]:
    """Reads a run of layout 1 as the entries that a log would hold; `owner` is what they bear.

    Raises:
        InputError: If one of its files is not what layout 1 is.
    """
    return tuple(_entries(storage, owner))


def _entries(storage: Storage, owner: str) -> Iterator[Entry1]:
    waves = dict(_ledger(storage))
    buckets = _buckets(storage)
    if waves:
        settings = msgspec.to_builtins(next(iter(waves.values())).config)
        yield Begin(owner=owner, step=EXTRACT.name, config=settings, input="", buckets=buckets)
    gone = []
    for name, entry in waves.items():
        folder = f"{wave_place()}{name}"
        if entry.archives:
            archives = tuple(ArchiveSummary(**msgspec.structs.asdict(summary)) for summary in entry.archives)
            yield Wave(owner=owner, wave=entry.wave, written=_written(storage, folder, entry.files), archives=archives)
        if entry.superseded is not UNSET:
            gone += [Attempt(f"{wave_place()}{item.entry}", item.archive) for item in entry.superseded]
    if gone:
        yield Drop(owner=owner, attempts=tuple(gone), reason="the archive has changed")
    told = {name: _manifests(storage, step, buckets) for name, step in STEPS.items()}
    for step in STEPS.values():
        yield from _step_entries(storage, step, told, buckets, owner)
    if is_finished_1(storage):
        yield Finish(owner=owner, sample=CURATED, report=REPORT)


def _step_entries(
    storage: Storage, step: Step[Any, Any], told: dict[str, _Told], buckets: int, owner: str
) -> Iterator[Begin | Table | Sample]:
    """Gives the entries of one step; `told` has what the manifests of every step say."""
    done = told[step.name]
    if not done:
        return
    if step.by_bucket:
        before = STEPS[step.after or ""]
        settings = next(iter(done.values())).manifest.config
        # A step that was done in part with other settings is done in that part only.
        done = {bucket: each for bucket, each in done.items() if each.manifest.config == settings}
        made = [each.manifest for each in told[before.name].values()]
        inputs = [each.manifest.input for each in done.values()]
        whole = combined_input(before, inputs, made) if len(done) == buckets else ""
        yield Begin(owner=owner, step=step.name, config=msgspec.to_builtins(settings), input=whole, buckets=buckets)
    for bucket, each in done.items():
        tables = {folder.partition("/")[0]: _written(storage, folder, names) for folder, names in each.files.items()}
        content: JsonObject = msgspec.to_builtins(each.manifest)
        if step.is_sample:
            yield Sample(owner=owner, tables=tables, manifest=content)
        else:
            yield Table(owner=owner, step=step.name, bucket=bucket, tables=tables, manifest=content)


def _manifests(storage: Storage, step: Step[Any, Any], buckets: int) -> _Told:
    """Reads the manifests of a step, by bucket."""
    found = {bucket: _manifest(storage, step, bucket) for bucket in step.parts(buckets)}
    return {bucket: manifest for bucket, manifest in found.items() if manifest is not None}


def _manifest(storage: Storage, step: Step[Any, Any], bucket: int | None) -> _Stored | None:
    name = f"{MANIFESTS}/{step.name}.json" if bucket is None else f"{MANIFESTS}/{step.name}-{bucket:03d}.json"
    found = storage.read_json(name, RESTORE)
    if not found:
        return None
    _check_layout(storage, name, found)
    files = found.pop("files", {})
    found.pop("layout", None)
    shown = f"{storage.root}/{name}"
    if not isinstance(files, dict):
        raise InputError(f"{shown} lacks files, or has another kind of it: {RESTORE}")
    return _Stored(manifest_of(found, step.config, step.numbers, shown), files)


def _check_layout(storage: Storage, name: str, found: JsonObject) -> None:
    layout = found.get("layout", LAYOUT_1)
    if layout != LAYOUT_1:
        raise InputError(
            f"{storage.root}/{name} was written by another version of metaclip-spark in layout {layout}; this version "
            f"reads layout {LAYOUT_1} there: use that version"
        )


def _ledger(storage: Storage) -> Iterator[tuple[str, _LedgerEntry]]:
    for name in storage.names(LEDGER):
        if not name.endswith(".json"):
            continue
        found = storage.read_json(f"{LEDGER}/{name}", RESTORE) or {}
        _check_layout(storage, f"{LEDGER}/{name}", found)
        try:
            yield name.removesuffix(".json"), msgspec.convert(found, _LedgerEntry)
        except msgspec.ValidationError as error:
            by_another = "use the version that wrote it, " if UNKNOWN_KEY in str(error) else ""
            raise InputError(
                f"{storage.root}/{LEDGER}/{name} is not a ledger entry ({error}): {by_another}restore it, or delete "
                "it, and --resume extracts its archives again"
            ) from None


def _buckets(storage: Storage) -> int:
    name = f"{MANIFESTS}/buckets.json"
    found = storage.read_json(name, RESTORE)
    if found is None:
        return 1
    _check_layout(storage, name, found)
    return known(found, _Buckets, f"{storage.root}/{name}", RESTORE).buckets


def _written(storage: Storage, folder: str, files: Sequence[str]) -> Written:
    there = storage.data_files(folder)
    return Written(
        folder,
        tuple(FileWritten(file.removeprefix(f"{folder}/"), there.get(file, UNKNOWN), UNKNOWN) for file in files),
    )


def take_lock_1(storage: Storage) -> None:
    """Refuses a run of layout 1 whose driver may be at work, by the rules of that layout.

    Raises:
        OutputExistsError: If its lock is held.
        InputError: If no run wrote its lock.
    """
    held = _lock_holder(storage)
    if held is None:
        return
    if held.host is None and held.heartbeat is None:
        # Ours: it keeps layout 1 out.
        return
    if not (_is_dead(held) or _is_silent(storage, held)):
        raise OutputExistsError(
            f"{storage.root} is in use by {held.owner} (process {held.pid} on {held.host}): wait for it, or delete "
            f"{storage.root}/{LOCK} if that process is gone"
        )


def _is_dead(held: _LockHolder) -> bool:
    if held.host != socket.gethostname() or held.pid is None:
        return False
    try:
        os.kill(held.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    # A killed run's number may be this process's own.
    return held.pid == os.getpid()


def _is_silent(storage: Storage, held: _LockHolder) -> bool:
    if held.heartbeat is None or time.time() - held.heartbeat < _STALE_SECONDS:
        return False
    # This machine's clock may be ahead of the other's: a living run moves its heartbeat meanwhile.
    time.sleep(_SECONDS_UNTIL_A_HEARTBEAT)
    found = _lock_holder(storage)
    return found is None or found.heartbeat == held.heartbeat


def _lock_holder(storage: Storage) -> _LockHolder | None:
    content = storage.read_json(LOCK, _FREE)
    return None if content is None else known(content, _LockHolder, f"{storage.root}/{LOCK}", _FREE)


def delete_report_1(storage: Storage) -> None:
    """Deletes the report of a run of layout 1, which lies beside those of a log."""
    for name in _REPORT_FILES.intersection(storage.names(REPORT)):
        storage.delete(f"{REPORT}/{name}")


def delete_layout_1(storage: Storage) -> None:
    """Deletes what a run of layout 1 wrote, whatever state it is in; attempts of a log stay."""
    storage.delete(RUN)
    storage.delete(CURATED)
    delete_report_1(storage)
    for table in TABLES:
        for file in storage.files(table):
            if not lies_in_attempt(file):
                storage.delete(file)
    # Last: by these a driver knows that something is still to be deleted.
    storage.delete(MANIFESTS)
    storage.delete(LEDGER)
