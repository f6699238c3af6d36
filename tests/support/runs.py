"""Logs and manifests of runs that no Spark wrote. Used by the tests."""

import copy

import msgspec

from metaclip_spark.commits.entries import (
    AnyEntry,
    ArchiveSummary,
    Begin,
    FileWritten,
    Open,
    Process,
    Reset,
    Sample,
    Table,
    Wave,
    Written,
    encode,
    entry_name,
)
from metaclip_spark.commits.log import Log
from metaclip_spark.commits.owner import Applicant, Owner, take
from metaclip_spark.commits.state import STEPS, State
from metaclip_spark.runs.layout import wave_place
from metaclip_spark.runs.ledger import Ledger, ledger_of
from metaclip_spark.runs.open import read_log
from metaclip_spark.runs.records import DeduplicateNumbers, ExtractionSettings, Manifest, NoSettings
from metaclip_spark.stores.storage import Storage

ARCHIVES = ExtractionSettings(input="archives", max_page_bytes=5)
OWNER = "owner"
SOMEWHERE = Process(host="elsewhere", pid=1)


def opened(owner: str = OWNER, **more) -> Open:
    """A driver of which nobody can tell whether it lives."""
    return Open(**{"owner": owner, "name": "test", "process": SOMEWHERE, **more})


def state_after(*entries: AnyEntry) -> State:
    """What counts after a driver's `Open` and these entries."""
    state = State()
    for number, entry in enumerate((opened(), *entries), start=1):
        state.take(number, entry)
    return state


def archive_summary(name: str, status: str = "ok", etag: str = "e", **changed) -> ArchiveSummary:
    """What an attempt at an archive gave."""
    numbers = dict.fromkeys(("bytes_read", "records", "pages", "images", "images_kept", "texts"), 0)
    facts = {"archive": name, "status": status, "size": 1, "etag": etag, **numbers, "pairs": 1, "rejected": {}}
    return ArchiveSummary(**{**facts, **changed})


def wave_folder(name: str) -> str:
    """The folder of an attempt at a wave."""
    return f"{wave_place()}{name}"


def wave(name: str, *archives: ArchiveSummary, files: tuple[FileWritten, ...] = (), owner: str = OWNER) -> Wave:
    """An attempt at the wave whose number the name begins with."""
    return Wave(
        owner=owner, wave=int(name.partition("-")[0]), written=Written(wave_folder(name), files), archives=archives
    )


def ledger_after(*waves: Wave) -> Ledger:
    """The ledger after some waves."""
    return ledger_of(state_after(*waves))


def begin(
    step: str = "extract", config: ExtractionSettings | NoSettings = ARCHIVES, buckets: int = 1, owner: str = OWNER
) -> Begin:
    """A round of a step begins."""
    return Begin(owner=owner, step=step, config=msgspec.to_builtins(config), input="", buckets=buckets)


def take_folder(storage, name: str = "test") -> Owner:
    """Takes a folder, whoever has it, and reads its log."""
    log = Log(storage)
    log.read_all()
    return take(log, storage, Applicant(name))


def unfinish(output) -> None:
    """Makes a finished run one whose counts were made again since."""
    owner = take_folder(Storage(str(output)))
    owner.commit(msgspec.structs.replace(owner.state.tables["count", None], owner=owner.nonce))
    owner.leave()


def tell_again(output, *, without: str) -> None:
    """Begins a run's log anew and tells all that counts, as if one step had not been done."""
    owner = take_folder(Storage(str(output)))
    told = copy.copy(owner.state)
    owner.commit(Reset(owner=owner.nonce))
    for step in STEPS:
        begun = 0
        if step in told.begins:
            begun = owner.commit(msgspec.structs.replace(told.begins[step][1], owner=owner.nonce))
        for each in told.waves.values() if step == "extract" else ():
            owner.commit(msgspec.structs.replace(each, owner=owner.nonce))
        for (name, _), each in told.tables.items():
            if name == step != without:
                owner.commit(msgspec.structs.replace(each, owner=owner.nonce, begin=begun))
    if told.sample and without != "sample":
        owner.commit(msgspec.structs.replace(told.sample, owner=owner.nonce))
    owner.leave()


def write_newer(output, layout: int = 99) -> None:
    """Lets a newer version open a run."""
    storage = Storage(str(output))
    storage.create_bytes(entry_name(read_log(storage).state.number + 1), encode(opened(layout=layout)))


def put_entry_1(storage, name: str, *archives: ArchiveSummary, config: ExtractionSettings = ARCHIVES) -> None:
    """Puts a ledger entry as version 0.1.0 does."""
    told = [msgspec.structs.asdict(summary) for summary in archives]
    entry = {"wave": int(name[:5]), "config": msgspec.to_builtins(config), "files": [], "archives": told}
    storage.put_json(f"ledger/{name}.json", entry)


def manifest(step: str = "deduplicate", **changed) -> Manifest:
    """The manifest of a step without settings."""
    facts = {
        "step": step,
        "config": NoSettings(),
        "input": "before",
        "numbers": DeduplicateNumbers(pairs_in=1, duplicates=0, pairs=1),
        "settings": {},
        "seconds": 1.0,
    }
    return Manifest(**{**facts, **changed})


class Kill(BaseException):
    """In place of a signal: nothing catches it."""


def table(owner: str, step: str, bucket: int | None = None, begin: int = 0, **tables: Written) -> Table:
    """The tables of a step without settings, or of one of its buckets, count."""
    told = msgspec.to_builtins(manifest(step))
    return Table(owner=owner, step=step, bucket=bucket, begin=begin, tables=tables, manifest=told)


def sample(owner: str, **tables: Written) -> Sample:
    """A curated set counts."""
    return Sample(owner=owner, tables=tables, manifest=msgspec.to_builtins(manifest("sample")))
