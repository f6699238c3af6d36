"""The entries of a folder's log: one type per kind, written and read here only."""

import msgspec

from metaclip_spark.errors import InputError
from metaclip_spark.stores.storage import JsonObject

LAYOUT = 2
"""The version of the log. A change that an older reader would misread raises it."""

COMMITS = "commits"
"""The folder of the log."""

REGISTER = "removals"
"""The table of a removal that tells what is listed."""

NAMED_PAIRS = "removed_pairs"
"""The table of a removal that tells which pairs it names."""

UNKNOWN = -1
"""In place of a file's size or rows, which layout 1 did not tell."""


class FileWritten(msgspec.Struct, array_like=True, frozen=True):
    """One Parquet file: name below its folder, size in bytes, rows."""

    name: str
    size: int
    rows: int


class Written(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A folder that one attempt wrote, and its files.

    Attributes:
        folder: The folder, below the run's.
        files: What is in it.
    """

    folder: str
    files: tuple[FileWritten, ...]

    @property
    def rows(self) -> int:
        """Rows of all files."""
        return sum(file.rows for file in self.files)

    @property
    def sizes(self) -> dict[str, int]:
        """File, below the run's folder, to its size."""
        return {f"{self.folder}/{file.name}": file.size for file in self.files}


class ArchiveSummary(msgspec.Struct, array_like=True, frozen=True, kw_only=True):
    """What one attempt at an archive gave: a row of `udfs.schemas.ARCHIVES`, packed."""

    archive: str
    status: str
    size: int
    etag: str
    bytes_read: int
    records: int
    pages: int
    images: int
    images_kept: int
    texts: int
    pairs: int
    rejected: dict[str, int]


class Process(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A process, told apart from every other one.

    Attributes:
        host: The machine's name, for messages only: containers share names.
        pid: The process's number.
        started: When it started, in clock ticks since the machine's start; None where the system does not say.
        boot_id: The machine's boot; None where the system does not say.
        pid_namespace: Where the number is valid; None where the system does not say.
    """

    host: str
    pid: int
    started: int | None = None
    boot_id: str | None = None
    pid_namespace: str | None = None


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag=str.lower):
    """What every entry has.

    Attributes:
        owner: The nonce of the driver that created it; an entry counts only if the last `Open` has it too.
        at: When it was created, by the driver's clock, such as 2026-11-27T04:48:49Z: for people, nothing depends on it.
            Empty where an earlier version wrote it.
    """

    owner: str
    at: str = ""


class Open(Entry, frozen=True, kw_only=True):
    """A driver takes the folder.

    Attributes:
        name: The job, for messages.
        process: The driver's process.
        application: The id of its Spark application; None before there is one.
        attempt: Which attempt of the application it is, where the cluster manager counts them.
        layout: The layout of the entries that follow.
        command: The command as it was typed, without credentials; empty for a program that uses the library.
        folder: The folder that relative paths of the command begin in.
    """

    name: str
    process: Process
    application: str | None = None
    attempt: str | None = None
    layout: int = LAYOUT
    command: str = ""
    folder: str = ""


class Begin(Entry, frozen=True, kw_only=True):
    """A round of a step begins: its tables of earlier rounds, and those of the steps after it, no longer count.

    Attributes:
        step: The step.
        config: What its result depends on, besides its input.
        input: The digest of its input.
        buckets: Into how many buckets the pool is split.
    """

    step: str
    config: JsonObject
    input: str
    buckets: int


class Wave(Entry, frozen=True, kw_only=True):
    """One attempt at a wave of archives counts.

    Attributes:
        wave: The wave's number.
        written: Its rows.
        archives: What each archive gave.
        reference_records: Records that the reference reader has read, by reason; empty where an earlier version wrote.
        replaces: The folder of the wave whose rows these are, without those that were purged; empty for a new wave.
    """

    wave: int
    written: Written
    archives: tuple[ArchiveSummary, ...]
    reference_records: dict[str, int] = {}
    replaces: str = ""


class Table(Entry, frozen=True, kw_only=True):
    """The tables of a step, or of one bucket of a step, count.

    Attributes:
        step: The step.
        bucket: The bucket, where the step works by bucket.
        begin: The number of the round's `Begin`; 0 for a step of one round.
        tables: Table to what was written.
        manifest: What the step was made with and from, and what came of it.
    """

    step: str
    bucket: int | None = None
    begin: int = 0
    tables: dict[str, Written]
    manifest: JsonObject


class Sample(Entry, frozen=True, kw_only=True):
    """A curated set counts, until a later one does.

    Attributes:
        tables: Table to what was written.
        manifest: What it was made with and from, and what came of it.
    """

    tables: dict[str, Written]
    manifest: JsonObject


class Finish(Entry, frozen=True, kw_only=True):
    """The run is finished: `run.json` tells people so.

    Attributes:
        sample: The folder of the curated set.
        report: The folder of the report.
    """

    sample: str
    report: str


class Attempt(msgspec.Struct, array_like=True, frozen=True):
    """One archive in one wave, which is named by its folder."""

    folder: str
    archive: str


class Drop(Entry, frozen=True, kw_only=True):
    """Attempts at archives no longer count, nor does what was made from them.

    Attributes:
        attempts: The attempts.
        reason: Why.
    """

    attempts: tuple[Attempt, ...]
    reason: str


class Reset(Entry, frozen=True, kw_only=True):
    """Nothing before it counts."""


class Import(Entry, frozen=True, kw_only=True):
    """What a run of layout 1 holds counts.

    Attributes:
        entries: As this layout would have told it; the number of each is that of the import.
    """

    entries: "tuple[Begin | Wave | Drop | Table | Sample | Finish, ...]"


class Removal(Entry, frozen=True, kw_only=True):
    """What is listed is removed from all that the folder will ever hold: nothing ends a removal, not even a `Reset`.

    Attributes:
        tables: Table to what was written: what is listed, and the matched pairs that it names.
        reason: Why, in the operator's words.
        by: Who asks for it, in the operator's words; empty where nobody is named.
        values: Kind of what is listed to how many values it has.
        without_pairs: Kind to how many values name no matched pair; empty, as are `matched` and `curated`, where there
            were no pairs yet to compare with.
        matched: Kind to how many matched pairs it names; a pair is told of under its first kind alone. Empty where only
            curated pairs were looked at.
        curated: Kind to how many pairs of the curated set it names.
        image_hash: The hash that its images are listed by, as img2dataset names it; empty where none is listed, or an
            earlier version wrote.
        input: The digest of the pairs that it was compared with; empty where those are the curated ones alone, or none.
        sample: The folder of that curated set; empty where there was none.
        settings: All options of each step by which the curated set was made.
        rules: What its exclusion depended on; empty where it had none.
    """

    tables: dict[str, Written]
    reason: str
    by: str = ""
    values: dict[str, int]
    without_pairs: dict[str, int]
    matched: dict[str, int]
    curated: dict[str, int]
    image_hash: str = ""
    input: str = ""
    sample: str = ""
    settings: dict[str, JsonObject]
    rules: JsonObject = {}


class Removed(Entry, frozen=True, kw_only=True):
    """The curated set holds nothing of a removal any more.

    Attributes:
        removal: The number of the removal.
        mode: How it was taken out: by balancing what is left (rebalance), or without (drop).
        pairs: The curated pairs that are left.
        entered: How many of them were not curated before; None where the curated set before is gone, or there was none.
    """

    removal: int
    mode: str
    pairs: int
    entered: int | None = None


class Purge(Entry, frozen=True, kw_only=True):
    """What was removed is to be taken out of every table, and the steps are done again with these options.

    Attributes:
        pairs: How many raw pairs leave.
        settings: All options of each step.
        rules: What the exclusion depended on; empty where there was none.
    """

    pairs: int
    settings: dict[str, JsonObject]
    rules: JsonObject = {}


class End(Entry, frozen=True, kw_only=True):
    """The driver leaves the folder."""


AnyEntry = Open | Begin | Wave | Table | Sample | Finish | Drop | Reset | Import | Removal | Removed | Purge | End

_decoder = msgspec.json.Decoder(AnyEntry)


def entry_name(number: int) -> str:
    """Names an entry's file."""
    return f"{COMMITS}/{number:08d}.json"


def encode(entry: AnyEntry) -> bytes:
    """Gives the content of an entry's file; equal entries have equal contents."""
    return msgspec.json.encode(entry)


def decode(content: bytes, shown: str) -> AnyEntry:
    """Reads the content of an entry's file, which messages name as `shown`.

    Raises:
        InputError: If it is not whole, not an entry, or of a newer layout.
    """
    try:
        entry: AnyEntry = _decoder.decode(content)
    except msgspec.DecodeError as error:
        layout = _layout_of(content)
        if layout is not None and layout > LAYOUT:
            raise InputError(
                f"{shown} was written by a newer version of metaclip-spark, in layout {layout}; this version reads "
                f"layout {LAYOUT}: use that version"
            ) from None
        raise InputError(
            f"{shown} is not an entry that this version of metaclip-spark writes ({error}): restore it, use the "
            "version that wrote it, or give another --output"
        ) from None
    return entry


def check_layout(entry: Open, shown: str) -> None:
    """Refuses what follows an `Open` of a newer layout.

    Raises:
        InputError: If it is newer.
    """
    if entry.layout > LAYOUT:
        raise InputError(
            f"{shown} was written by a newer version of metaclip-spark, in layout {entry.layout}; this version reads "
            f"layout {LAYOUT}: use that version"
        )


class _AnyLayout(msgspec.Struct):
    layout: int


def _layout_of(content: bytes) -> int | None:
    try:
        return msgspec.json.decode(content, type=_AnyLayout).layout
    except msgspec.DecodeError:
        return None
