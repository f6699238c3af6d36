"""Many runs side by side: which there are below a folder, and what each of them tells.

A run's log decides what counts of it; `run.json` adds what the log does not tell. Nothing is computed anew, so that
neither Spark nor the tables are needed.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from metaclip_spark.commits.entries import COMMITS, entry_name
from metaclip_spark.commits.run_file import RUN
from metaclip_spark.commits.state import State
from metaclip_spark.config.command_line import one_line
from metaclip_spark.config.curation import OutputConfig
from metaclip_spark.config.fields import option_of
from metaclip_spark.errors import ConfigError, CurationError, InputError, counted
from metaclip_spark.reports.checks import status_word
from metaclip_spark.runs.buckets import combine
from metaclip_spark.runs.layout import MARKER
from metaclip_spark.runs.ledger import ledger_of
from metaclip_spark.runs.open import read_log, session_for
from metaclip_spark.runs.records import Manifest, Record, SampleNumbers
from metaclip_spark.runs.run import Run
from metaclip_spark.runs.step import COUNT, EXTRACT, SAMPLE, STEPS
from metaclip_spark.runs.waves import extraction_numbers
from metaclip_spark.stores.storage import JsonObject, Storage
from udfs.sources.credentials import urls_without_credentials

MOST_FOLDERS = 10_000
"""Folders that are looked into, at most: one that holds more was hardly meant."""

_READ_AT_ONCE = 8
_PAGE = "report.html"
_STAGES = {
    "extract": "pairs",
    "deduplicate": "pool",
    "match": "matched",
    "exclude": "eligible",
    "count": "counted",
    "sample": "curated",
}
"""Step to what its pairs are called."""

_DIGEST = "metadata_digest"
_IN_COLUMNS = {"threshold_t", "seed"}
"""Settings that have columns of their own."""


class Stage(Record):
    """Pairs that are left after a step."""

    name: str
    pairs: int


class Setting(Record):
    """A setting that differs between runs, as it is typed."""

    name: str
    value: str


class IndexRow(Record):
    """A run as the index shows it; what is not known is empty.

    Attributes:
        name: Its folder, below the index's.
        status: done, failed (a check), suspect, empty, stopped, not finished, or unreadable.
        notes: What the status comes from, or what is missing.
        page: The page of its report, below the index's folder.
        at: When the last of it was done.
        threshold_t: The threshold of the draw.
        seed: The seed of the draw.
        stages: Pairs after each step that counts, in the order of the steps.
        settings: Those that differ between the runs, without those that have columns.
        seconds: How long its steps took.
        version: The version that wrote its report.
    """

    name: str
    status: str
    notes: list[str] = msgspec.field(default_factory=list)
    page: str = ""
    at: str = ""
    threshold_t: int | str | None = None
    seed: int | None = None
    stages: list[Stage] = msgspec.field(default_factory=list)
    settings: list[Setting] = msgspec.field(default_factory=list)
    seconds: float | None = None
    version: str = ""

    @property
    def figures(self) -> JsonObject:
        """The figures of a row of the table, for a file to save; None for what is not known."""
        pairs = {stage.name: stage.pairs for stage in self.stages}
        return {
            "run": self.name,
            "status": self.status,
            "at": self.at,
            "t": self.threshold_t,
            "seed": self.seed,
            **{name: pairs.get(name) for name in _STAGES.values()},
            "seconds": self.seconds,
            "version": self.version,
        }


class _Check(msgspec.Struct):
    check: str
    passed: bool


class _Told(msgspec.Struct):
    """What run.json tells beside the log; other keys are passed over."""

    commit: int = 0
    versions: dict[str, str] = {}
    seconds: dict[str, float] = {}
    checks: list[_Check] = []


_Found = tuple[IndexRow, JsonObject]
"""A row, and all settings of the run."""


def open_folder(folder: str) -> Storage:
    """Names a folder of runs; starts Spark where Hadoop alone reaches it.

    Raises:
        ConfigError: If it is a file, or no folder that could be used.
    """
    try:
        storage = Storage(folder)
    except ConfigError as error:
        raise ConfigError(str(error).replace("--output", "--index")) from None
    if isinstance(storage.root, Path) and storage.root.is_file():
        raise ConfigError(f"--index {folder} is a file: give the folder that holds the runs")
    session_for(storage, "metaclip-spark index", OutputConfig(output=folder))
    return storage


def read_runs(storage: Storage) -> list[IndexRow]:
    """Reads all runs below a folder, the newest first; those of the same time are sorted by name.

    Raises:
        InputError: If there is none, the folder itself is one, or it holds too many folders to look into.
    """
    with ThreadPoolExecutor(_READ_AT_ONCE) as pool:
        found = list(pool.map(partial(_read_or_tell, storage), find_runs(storage)))
    if not found:
        raise InputError(f"--index {storage.root} holds no run: give a folder with runs in it or further down")
    rows = _with_settings(sorted(found, key=lambda each: each[0].name))
    # Sorting keeps the order of equals.
    return sorted(rows, key=lambda row: row.at, reverse=True)


def find_runs(storage: Storage) -> Iterator[str]:
    """Finds the runs below a folder; what lies in a run is its own business.

    Raises:
        InputError: If the folder itself is a run, or holds too many folders to look into.
        PermissionError: If it may not be read.
    """
    waiting, looked_into = deque([""]), 0
    while waiting:
        folder = waiting.popleft()
        looked_into += 1
        if looked_into > MOST_FOLDERS:
            raise InputError(f"--index {storage.root} holds more than {MOST_FOLDERS:,} folders: give one further down")
        try:
            below = None if _is_run(storage, folder) else storage.folders(folder)
        except PermissionError:
            if not folder:
                raise
            # It may hold runs: its row says that it could not be read.
            below = None
        if below is not None:
            waiting.extend(f"{folder}/{name}" if folder else name for name in below)
        elif folder:
            yield folder
        else:
            raise InputError(f"--index {storage.root} is a run: give the folder that holds it")


def _is_run(storage: Storage, folder: str) -> bool:
    names = storage.names(folder)
    return (
        MARKER in names
        or RUN in names
        or (COMMITS in names and storage.read_object(f"{folder}/{entry_name(1)}".lstrip("/")) is not None)
    )


def _read_or_tell(storage: Storage, name: str) -> _Found:
    """Reads a run; one that cannot be read is a row that says why."""
    try:
        return _read(storage, name)
    except (CurationError, OSError) as error:
        told = urls_without_credentials(one_line(str(error)))
        return IndexRow(name=name, status="unreadable", notes=[told]), {}


def _read(root: Storage, name: str) -> _Found:
    output = f"{root.root}/{name}"
    storage = Storage(output)
    run = Run(None, storage, OutputConfig(output=output), read_log(storage))
    state = run.state
    if not state.number and not state.waves and not state.tables:
        raise InputError(f"{output} has no log of what counts: it is not a run, or only a part of one")
    made = _made(run)
    sample = made.get(SAMPLE.name)
    told, notes = _told(storage, state)
    failed = [check.check for check in told.checks if not check.passed]
    row = IndexRow(
        name=name,
        status=_status_of(state, sample.numbers if sample else None, is_passed=not failed),
        at=state.made_at or (state.owner.at if state.owner else ""),
        threshold_t=sample.numbers.threshold_t if sample else None,
        seed=sample.config.sample.seed if sample else None,
        stages=_stages(state, made),
        seconds=round(sum(manifest.seconds for manifest in made.values()), 3) if made else None,
    )
    if told.seconds:
        row = msgspec.structs.replace(row, seconds=round(sum(told.seconds.values()), 3))
    page = f"{state.finished.report}/{_PAGE}" if state.finished else ""
    if page and _PAGE not in storage.names(page.rpartition("/")[0]):
        page, notes = "", [*notes, f"{_PAGE} is gone: metaclip-spark report writes it again"]
    if told.checks:
        of = f"{len(told.checks) - len(failed):,} of {counted(len(told.checks), 'check')} passed"
        notes = [f"{of}; failed: {', '.join(failed)}" if failed else of, *notes]
    row = msgspec.structs.replace(
        row,
        notes=[*_why_unfinished(state, made), *notes],
        page=f"{name}/{page}" if page else "",
        version=told.versions.get("metaclip-spark", ""),
    )
    return row, _settings(made)


def _made(run: Run) -> dict[str, Manifest[Any, Any]]:
    """Gives the manifests of the steps that count, each made from the one before it."""
    made: dict[str, Manifest[Any, Any]] = {}
    for step in STEPS.values():
        if step.optional and step.name not in run.state.begins:
            continue
        parts = [run.manifest_if_done(step, part) for part in step.parts(run.buckets)]
        done = [part for part in parts if part is not None]
        before = run.step_before(step)
        parts_before = [run.manifest_if_done(before, part) for part in before.parts(run.buckets)] if before else []
        if len(done) < len(parts) or None in parts_before:
            break
        manifest = combine(done, before, [part for part in parts_before if part is not None])
        if before and manifest.input != made[before.name].digest:
            break
        made[step.name] = manifest
    return made


def _status_of(state: State, sampled: SampleNumbers | None, *, is_passed: bool) -> str:
    if state.finished is None:
        return "stopped" if state.ended else "not finished"
    if sampled is None:
        return "done" if is_passed else "failed"
    return status_word(sampled.pairs, is_suspect=sampled.suspect, is_passed=is_passed)


def _why_unfinished(state: State, made: Mapping[str, Manifest[Any, Any]]) -> list[str]:
    if state.finished is not None:
        return []
    done = f"done so far: {', '.join(made)}" if made else "no step is done"
    if state.ended or state.owner is None:
        return [f"{done}; --resume goes on"]
    return [f"{done}; its driver on {state.owner.process.host} works on it, or was killed"]


def _stages(state: State, made: Mapping[str, Manifest[Any, Any]]) -> list[Stage]:
    if EXTRACT.name not in made:
        # Waves that count, of an extraction that has not come to its end.
        pairs = extraction_numbers(ledger_of(state)).pairs
        return [Stage(name=_STAGES[EXTRACT.name], pairs=pairs)] if state.waves else []
    gated = COUNT.name in made and bool(made[COUNT.name].config.gate.languages)
    return [
        Stage(name=_STAGES[step], pairs=manifest.numbers.pairs)
        for step, manifest in made.items()
        if step != COUNT.name or gated
    ]


def _told(storage: Storage, state: State) -> tuple[_Told, list[str]]:
    """Reads run.json of a finished run, and says what is wrong with it."""
    if state.finished is None:
        return _Told(), []
    content = storage.read_object(RUN)
    again = "metaclip-spark report writes it again"
    if content is None:
        return _Told(), [f"{RUN} is gone: {again}"]
    try:
        told = msgspec.json.decode(content, type=_Told)
    except (msgspec.DecodeError, RecursionError):
        return _Told(), [f"{RUN} cannot be read: {again}"]
    if told.commit != state.finish_number:
        return _Told(), [f"{RUN} tells of an earlier report: {again}"]
    return told, []


def _settings(made: Mapping[str, Manifest[Any, Any]]) -> JsonObject:
    """Gives all options of the steps that count; of the list that texts were matched against its contents, too."""
    settings = {name: value for manifest in made.values() for name, value in manifest.settings.items()}
    count = made.get(COUNT.name)
    return settings if count is None else {**settings, _DIGEST: count.config.metadata_digest[:12]}


def _with_settings(found: list[_Found]) -> list[IndexRow]:
    """Gives the rows with the settings that differ between those runs that have them."""
    names = sorted({name for _, settings in found for name in settings}.difference(_IN_COLUMNS))
    values = {name: [settings[name] for _, settings in found if name in settings] for name in names}
    differing = [name for name in names if any(one != other for one, other in pairwise(values[name]))]
    return [
        msgspec.structs.replace(row, settings=[*_shown_settings({name: settings.get(name) for name in differing})])
        for row, settings in found
    ]


def _shown_settings(settings: JsonObject) -> Iterator[Setting]:
    """Writes settings as they are typed; what is not typed where it is not wanted is left out."""
    for name, value in settings.items():
        if value is None or value is False or value in ([], ""):
            continue
        shown = " ".join(map(str, value)) if isinstance(value, list) else "" if value is True else str(value)
        is_option = name != _DIGEST
        yield Setting(name=option_of(name) if is_option else "list with digest", value=shown)
