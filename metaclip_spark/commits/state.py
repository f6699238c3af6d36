"""What counts after some entries of a log: a fold over them, which readers and writers share."""

from dataclasses import dataclass, field

from metaclip_spark.commits.entries import (
    AnyEntry,
    Begin,
    Drop,
    End,
    Finish,
    Import,
    Open,
    Purge,
    Removal,
    Removed,
    Reset,
    Sample,
    Table,
    Wave,
    Written,
)

STEPS = ("extract", "deduplicate", "match", "exclude", "count")
"""The steps whose tables a new round of an earlier one ends; a sample stays until a later one counts."""

STEPS_IN_ROUNDS = STEPS[:4]
"""The steps that begin with a `Begin`."""

TableKey = tuple[str, int | None]
"""(step, bucket)"""


@dataclass
class State:
    """What the log says, in the order in which it says it.

    Attributes:
        number: The number of the last entry.
        opened: The number of the last `Open`; 0 before the first.
        owner: The last `Open`.
        ended: Whether its driver has left.
        reset_by: The Spark application whose driver made the last `Reset`, where nothing but its own work followed.
        begins: Step to the number of its round, and its `Begin`.
        waves: Folder to wave.
        dropped: (folder, archive) of the attempts that no longer count.
        tables: (step, bucket) to what counts of it.
        samples: The curated sets, the one that counts last.
        finished: The `Finish`, while nothing has changed since.
        finish_number: Its number.
        named: Every folder that the log has ever named.
        changed: Whether any driver has done more than open and leave.
        imported: Whether what counts began with what a run of layout 1 held.
        removals: The number of each removal, and the removal.
        concluded: The number of a removal to what became of the curated set by it.
        pending: The numbers of those that the curated set may still hold pairs of.
        purge: The purge that has not come to its end.
        drivers: The `Open` of each driver that has done more since the last `Reset` than to write a report.
        made_at: When the last of that was done; empty where an earlier version did it.
    """

    number: int = 0
    opened: int = 0
    owner: Open | None = None
    ended: bool = True
    reset_by: str | None = None
    begins: dict[str, tuple[int, Begin]] = field(default_factory=dict)
    waves: dict[str, Wave] = field(default_factory=dict)
    dropped: set[tuple[str, str]] = field(default_factory=set)
    tables: dict[TableKey, Table] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)
    finished: Finish | None = None
    finish_number: int = 0
    named: set[str] = field(default_factory=set)
    changed: bool = False
    imported: bool = False
    removals: dict[int, Removal] = field(default_factory=dict)
    concluded: dict[int, Removed] = field(default_factory=dict)
    pending: set[int] = field(default_factory=set)
    purge: Purge | None = None
    drivers: list[Open] = field(default_factory=list)
    made_at: str = ""

    def take(self, number: int, entry: AnyEntry) -> None:
        """Takes the entry that follows."""
        self.number = number
        if isinstance(entry, Open):
            self.opened, self.owner, self.ended = number, entry, False
            return
        if self.owner is None or entry.owner != self.owner.owner:
            # Its driver had lost the folder before.
            return
        if isinstance(entry, End):
            self.ended = True
            return
        self.changed = True
        self._change(number, entry)

    def take_layout_1(self, entries: "tuple[Begin | Wave | Drop | Table | Sample | Finish, ...]") -> None:
        """Takes what a run of layout 1 holds, before any entry."""
        for entry in entries:
            self._change(0, entry)

    def _change(self, number: int, entry: AnyEntry) -> None:
        if isinstance(entry, Import):
            self._clear()
            self.imported = True
            for each in entry.entries:
                self._change(number, each)
            return
        self.finished = None
        if isinstance(entry, Finish):
            self.finished, self.finish_number, self.purge = entry, number, None
            self.named.add(entry.report)
        elif isinstance(entry, Wave):
            self._add_wave(entry)
        elif isinstance(entry, Removal | Removed | Purge):
            self._add_removal(number, entry)
        elif isinstance(entry, Table | Sample):
            self._add_table(number, entry)
        else:
            self._take_away(number, entry)
        if not isinstance(entry, Finish):
            self._note_driver(entry)

    def _note_driver(self, entry: AnyEntry) -> None:
        self.made_at = entry.at or self.made_at
        if self.owner is not None and self.owner not in self.drivers[-1:]:
            self.drivers.append(self.owner)

    def _add_table(self, number: int, entry: Table | Sample) -> None:
        self.named.update(written.folder for written in entry.tables.values())
        if isinstance(entry, Sample):
            self.samples.append(entry)
        elif entry.step not in STEPS_IN_ROUNDS or self._is_of_this_round(entry, number):
            self.tables[entry.step, entry.bucket] = entry

    def _add_wave(self, entry: Wave) -> None:
        self.named.add(entry.written.folder)
        if entry.replaces not in self.waves:
            self.waves[entry.written.folder] = entry
            return
        # It also has the other's place in the order: of several attempts at an archive the first counts.
        waves = [entry if folder == entry.replaces else wave for folder, wave in self.waves.items()]
        self.waves = {wave.written.folder: wave for wave in waves}
        self.tables.pop(("extract", None), None)
        self._end_rounds("deduplicate")

    def _add_removal(self, number: int, entry: Removal | Removed | Purge) -> None:
        if isinstance(entry, Removal):
            self.removals[number] = entry
            self.pending.add(number)
            self.named.update(written.folder for written in entry.tables.values())
        elif isinstance(entry, Removed):
            self.pending.discard(entry.removal)
            self.concluded[entry.removal] = entry
        else:
            self.purge = entry

    def _take_away(self, number: int, entry: AnyEntry) -> None:
        if isinstance(entry, Begin):
            self._end_rounds(entry.step)
            self.begins[entry.step] = number, entry
        elif isinstance(entry, Drop):
            self.dropped.update((attempt.folder, attempt.archive) for attempt in entry.attempts)
            self.tables.pop(("extract", None), None)
            self._end_rounds("deduplicate")
        elif isinstance(entry, Reset):
            self._clear()
            self.reset_by = self.owner.application if self.owner else None

    def _is_of_this_round(self, entry: Table, number: int) -> bool:
        begun = self.begins.get(entry.step)
        # The entries of an import bear no number of their own.
        return begun is not None and begun[0] == (entry.begin or number)

    def _end_rounds(self, step: str) -> None:
        ended = STEPS[STEPS.index(step) :]
        self.begins = {name: begun for name, begun in self.begins.items() if name not in ended}
        self.tables = {key: table for key, table in self.tables.items() if key[0] not in ended}

    def _clear(self) -> None:
        self._end_rounds("extract")
        self.waves, self.dropped, self.samples, self.imported = {}, set(), [], False
        self.drivers, self.made_at, self.purge = [], "", None
        # A set that is made anew holds nothing of them from the beginning.
        self.pending = set()

    def counting_folders(self, *, samples: int = 1) -> set[str]:
        """Gives the folders that count; of curated sets the last `samples`."""
        kept: list[Table | Sample | Removal] = [
            *self.tables.values(), *self.samples[-samples:], *self.removals.values()
        ]  # fmt: skip
        folders = {written.folder for entry in kept for written in entry.tables.values()}
        folders.update(folder for folder, wave in self.waves.items() if self._counts(folder, wave))
        if self.finished:
            folders.add(self.finished.report)
        return folders

    def _counts(self, folder: str, wave: Wave) -> bool:
        return any((folder, summary.archive) not in self.dropped for summary in wave.archives)

    def written(self, table: str, bucket: int | None = None) -> Written | None:
        """Gives the folder of a table that counts, of one bucket where it lies by bucket."""
        entries: list[Table | Sample] = [*self.samples[-1:], *(
            entry for (_, of_bucket), entry in self.tables.items() if of_bucket == bucket
        )]  # fmt: skip
        return next((entry.tables[table] for entry in entries if table in entry.tables), None)

    @property
    def sample(self) -> Sample | None:
        """The curated set that counts."""
        return self.samples[-1] if self.samples else None

    def buckets(self, step: str) -> int | None:
        """Gives into how many buckets a step's round is split; None where none has begun."""
        begun = self.begins.get(step)
        return begun[1].buckets if begun else None
