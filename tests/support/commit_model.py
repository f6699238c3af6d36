"""A model of drivers that share a run's folder: the project's own log over a store in memory, under a scheduler.

Each driver is a greenlet that hands every store operation to the scheduler, which pauses, kills and wakes drivers at
each of them, lets any driver take over at any time, and lets requests arrive a second time or after their sender's
death. After each operation that changes the store, all that the log names must be there and right, and a finished run
must stay finished. The seed of the scheduler's choices names the schedule.
"""

import argparse
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from greenlet import getcurrent, greenlet

from metaclip_spark.commits.attempts import garbage
from metaclip_spark.commits.entries import (
    ArchiveSummary,
    Attempt,
    Begin,
    Drop,
    FileWritten,
    Finish,
    Reset,
    Sample,
    Table,
    Wave,
    Written,
    decode,
    entry_name,
)
from metaclip_spark.commits.log import Log
from metaclip_spark.commits.owner import Applicant, Owner, take
from metaclip_spark.commits.run_file import RUN, publish_run_file
from metaclip_spark.commits.state import State
from metaclip_spark.errors import CurationError

BUCKETS = 2
MOST_OPERATIONS = 700
_CHANGES = ("put", "create", "delete")


class InputGoneError(CurationError):
    """A driver does not find a file that it wants to read."""


@dataclass(frozen=True)
class Faults:
    """What is wrong with the protocol that is tried.

    Attributes:
        put_for_create: An entry is looked for and then put, in place of being created.
        any_garbage: Folders of later drivers count as garbage, too.
    """

    put_for_create: bool = False
    any_garbage: bool = False


class MemoryStore:
    """What the log needs of a `Storage`; every operation is the scheduler's to do."""

    def __init__(self, objects: dict[str, bytes], faults: Faults) -> None:
        self.root = "model"
        self.objects = objects
        self._faults = faults

    def _ask(self, *operation: Any) -> Any:
        return getcurrent().parent.switch(operation)

    def read_object(self, name: str) -> bytes | None:
        found: bytes | None = self._ask("read", name)
        return found

    def create_bytes(self, name: str, content: bytes) -> bool:
        if not self._faults.put_for_create:
            return bool(self._ask("create", name, content))
        if self._ask("read", name) is not None:
            return False
        self._ask("put", name, content)
        return True

    def put_bytes(self, name: str, content: bytes) -> None:
        self._ask("put", name, content)

    def names(self, folder: str) -> list[str]:
        found: list[str] = self._ask("names", folder)
        return found

    def delete(self, name: str) -> None:
        self._ask("delete", name)

    def do(self, operation: tuple[Any, ...]) -> Any:
        """Does an operation now."""
        kind, name, *content = operation
        if kind == "read":
            return self.objects.get(name)
        if kind == "put":
            self.objects[name] = content[0]
        elif kind == "create":
            return self.objects.setdefault(name, content[0]) is content[0]
        elif kind == "names":
            below = f"{name}/" if name else ""
            return sorted({key[len(below) :].split("/")[0] for key in self.objects if key.startswith(below)})
        elif kind == "delete":
            for key in [key for key in self.objects if key == name or key.startswith(f"{name}/")]:
                del self.objects[key]
        return None


@dataclass
class Driver:
    """One driver, and what it was asked to do."""

    name: str
    threshold: int
    archives: tuple[int, ...]
    overwrites: bool
    changed_archive: bool
    store: MemoryStore
    owner: Owner | None = None
    result: str | None = None
    alive: bool = True
    worked: bool = False
    operation: tuple[Any, ...] = ()
    running: greenlet = field(init=False)

    def work(self) -> None:
        """Curates, as a driver does."""
        log = Log(self.store)  # type: ignore[arg-type]
        log.read_on()
        self.owner = take(log, self.store, Applicant(self.name))  # type: ignore[arg-type]
        if self.overwrites:
            self._commit(Reset(owner=self.owner.nonce))
        elif self.changed_archive and log.state.waves:
            folder, wave = next(iter(log.state.waves.items()))
            gone = Attempt(folder, wave.archives[0].archive)
            if (folder, gone.archive) not in log.state.dropped:
                self._commit(Drop(owner=self.owner.nonce, attempts=(gone,), reason="changed"))
        self._extract()
        inputs = ",".join(sorted(self._archives()))
        self._deduplicate(inputs)
        sample = self._sample(inputs)
        finish = Finish(owner=self.owner.nonce, sample=sample.tables["curated"].folder, report="report")
        number = self._commit(finish)
        self.result = finish.sample
        publish_run_file(self.store, number, {"curated": finish.sample})  # type: ignore[arg-type]

    def _state(self) -> State:
        assert self.owner is not None
        return self.owner.state

    def _commit(self, entry: Any) -> int:
        assert self.owner is not None
        # A request in flight may still arrive after its sender has lost.
        self.worked = True
        return self.owner.commit(entry)

    def _archives(self) -> dict[str, str]:
        state = self._state()
        return {
            summary.archive: folder
            for folder, wave in state.waves.items()
            for summary in wave.archives
            if (folder, summary.archive) not in state.dropped
        }

    def _write(self, place: str, rows: list[str]) -> Written:
        """Writes two files, one after the other, and reads them back as a footer check does."""
        assert self.owner is not None
        folder = self.owner.new_folder(place)
        half = (len(rows) + 1) // 2
        files = []
        for number, part in enumerate((rows[:half], rows[half:])):
            content = json.dumps(part).encode()
            self.store.put_bytes(f"{folder}/{number}", content)
            files.append(FileWritten(str(number), len(content), len(part)))
        written = Written(folder, tuple(files))
        self._read(written)
        return written

    def _read(self, written: Written) -> list[str]:
        rows = []
        for name in written.sizes:
            content = self.store.read_object(name)
            if content is None:
                raise InputGoneError(name)
            rows += json.loads(content)
        return rows

    def _tidy(self, table: str) -> None:
        assert self.owner is not None
        state = self._state()
        if table == "curated":
            folders = [name for name in self.store.names("") if name.startswith("curated-")]
        else:
            folders = [f"{table}/{name}" for name in self.store.names(table)]
        opened = 10**8 if self.store._faults.any_garbage else self.owner.opened
        for folder in garbage(folders, counting=state.counting_folders(), named=state.named, opened=opened):
            self.store.delete(folder)

    def _extract(self) -> None:
        assert self.owner is not None
        pending = [str(archive) for archive in self.archives if str(archive) not in self._archives()]
        if not pending:
            return
        self._tidy("extracted")
        self._commit(Begin(owner=self.owner.nonce, step="extract", config={}, input="", buckets=BUCKETS))
        for archive in pending:
            written = self._write("extracted/wave=", _raw_rows(archive))
            summary = ArchiveSummary(
                archive=archive, status="ok", size=0, etag="", bytes_read=0, records=0, pages=0, images=0,
                images_kept=0, texts=0, pairs=BUCKETS, rejected={},
            )  # fmt: skip
            self._commit(Wave(owner=self.owner.nonce, wave=0, written=written, archives=(summary,)))

    def _deduplicate(self, inputs: str) -> None:
        assert self.owner is not None
        begun = self._state().begins.get("deduplicate")
        if begun is None or begun[1].input != inputs:
            begin = Begin(owner=self.owner.nonce, step="deduplicate", config={}, input=inputs, buckets=BUCKETS)
            number = self._commit(begin)
        else:
            number = begun[0]
        for bucket in range(BUCKETS):
            if ("deduplicate", bucket) in self._state().tables:
                continue
            self._tidy(f"pool/{bucket}")
            for folder in self._archives().values():
                self._read(self._state().waves[folder].written)
            written = self._write(f"pool/{bucket}", _pool_rows(inputs, bucket))
            self._commit(
                Table(
                    owner=self.owner.nonce, step="deduplicate", bucket=bucket, begin=number,
                    tables={"pool": written}, manifest={"input": inputs},
                )
            )  # fmt: skip

    def _sample(self, inputs: str) -> Sample:
        assert self.owner is not None
        wanted = {"input": inputs, "t": self.threshold}
        sample = self._state().sample
        if sample is not None and sample.manifest == wanted:
            return sample
        self._tidy("curated")
        for bucket in range(BUCKETS):
            self._read(self._state().tables["deduplicate", bucket].tables["pool"])
        written = self._write("curated-", _sample_rows(inputs, self.threshold))
        sample = Sample(owner=self.owner.nonce, tables={"curated": written}, manifest=wanted)
        self._commit(sample)
        return sample


def _raw_rows(archive: str) -> list[str]:
    return [f"{archive}.{row}" for row in range(BUCKETS)]


def _pool_rows(inputs: str, bucket: int) -> list[str]:
    return [f"{archive}.{bucket}" for archive in inputs.split(",")]


def _sample_rows(inputs: str, threshold: int) -> list[str]:
    return [f"{archive}.{row}.{threshold}" for archive in inputs.split(",") for row in range(BUCKETS)]


class Schedule:
    """One schedule: a few drivers over one store, in an order that the seed chooses."""

    def __init__(self, seed: int, faults: Faults) -> None:
        self._random = random.Random(seed)
        self._faults = faults
        self._objects: dict[str, bytes] = {}
        self._store = MemoryStore(self._objects, faults)
        self._late: list[tuple[Any, ...]] = []
        self._drivers: list[Driver] = []
        self._state = State()
        self._current: Driver | None = None
        self._finished: Driver | None = None
        self.violations: list[str] = []
        self.history: list[tuple[str, ...]] = []

    @property
    def finished(self) -> bool:
        """Whether a driver came to its end."""
        return self._finished is not None

    def run(self) -> None:
        """Lets the drivers work until all have ended."""
        total = self._random.randint(2, 4)
        self._start()
        for _ in range(MOST_OPERATIONS):
            running = [driver for driver in self._drivers if driver.alive]
            if self.violations or (not running and len(self._drivers) >= total):
                break
            self._move(running, total)
        for operation in self._late if not self.violations else ():
            self._store.do(operation)
            self._check()
        self._check_end()

    def _move(self, running: list[Driver], total: int) -> None:
        dice = self._random.random()
        if (dice < 0.03 or not running) and len(self._drivers) < total:
            self._start()
        elif self._late and dice < 0.06:
            operation = self._late.pop(self._random.randrange(len(self._late)))
            self._note("late", operation)
            self._store.do(operation)
            self._check()
        else:
            # Runs of one driver, and long pauses of the others.
            if self._current not in running or self._random.random() < 0.06:
                self._current = self._random.choice(running)
            self._step(self._current)  # type: ignore[arg-type]

    def _start(self) -> None:
        driver = Driver(
            name="ABCD"[len(self._drivers)],
            threshold=self._random.choice((1, 2)),
            archives=self._random.choice(((0,), (0, 1))),
            overwrites=self._random.random() < 0.15,
            changed_archive=self._random.random() < 0.1,
            store=self._store,
        )
        driver.running = greenlet(driver.work)
        self._drivers.append(driver)
        self._resume(driver)

    def _step(self, driver: Driver) -> None:
        operation = driver.operation
        changes = operation[0] in _CHANGES
        if self._random.random() < 0.004:
            driver.alive = False
            self._note(driver.name, ("killed",))
            if changes and self._random.random() < 0.5:
                self._late.append(operation)
            return
        if changes and self._random.random() < 0.02:
            self._late.append(operation)
        self._note(driver.name, operation)
        answer = self._store.do(operation)
        self._resume(driver, answer)
        if changes:
            self._check()

    def _resume(self, driver: Driver, *answer: Any) -> None:
        """Lets a driver go on until its next operation."""
        try:
            asked = driver.running.switch(*answer)
        except CurationError as error:
            driver.alive = False
            self._note(driver.name, ("stops", str(error)[:80]))
            return
        if driver.running.dead:
            driver.alive = False
            self._note(driver.name, ("finishes",))
            latest = self._finished
            if latest is None or _opened(driver) > _opened(latest):
                self._finished = driver
        else:
            driver.operation = asked

    def _note(self, who: str, operation: tuple[Any, ...]) -> None:
        self.history.append((who, *map(str, operation[:2])))

    def _check(self) -> None:
        """Reads the log as a reader would, and compares what it names with what must be there."""
        if self._faults.put_for_create:
            # Entries may have changed.
            self._state = State()
        while (content := self._objects.get(entry_name(self._state.number + 1))) is not None:
            self._state.take(self._state.number + 1, decode(content, "entry"))
        for what, written, rows in self._named():
            found = [row for name in written.sizes for row in json.loads(self._objects.get(name, b"[]"))]
            if sorted(found) != sorted(rows):
                self.violations.append(f"rows of a {what} that counts are lost or wrong")
        done = self._finished
        if done is None or any(_opened(other) > _opened(done) and other.worked for other in self._drivers):
            return
        if self._state.finished is None or self._state.finished.sample != done.result:
            self.violations.append("a finished run does not stay finished")

    def _named(self) -> Iterator[tuple[str, Written, list[str]]]:
        for folder, wave in self._state.waves.items():
            if any((folder, summary.archive) not in self._state.dropped for summary in wave.archives):
                yield "wave", wave.written, [row for each in wave.archives for row in _raw_rows(each.archive)]
        for (_, bucket), table in self._state.tables.items():
            yield "table", table.tables["pool"], _pool_rows(table.manifest["input"], bucket or 0)
        sample = self._state.sample
        if sample is not None:
            yield "sample", sample.tables["curated"], _sample_rows(sample.manifest["input"], sample.manifest["t"])

    def _check_end(self) -> None:
        owners = [driver for driver in self._drivers if driver.owner is not None]
        if self.violations or self._finished is None or max(owners, key=_opened) is not self._finished:
            return
        # A delete that arrives late may leave none, which the next command puts right; the log decides.
        content = self._objects.get(RUN)
        if content is not None and json.loads(content)["curated"] != self._finished.result:
            self.violations.append("run.json is another driver's at the end")


def _opened(driver: Driver) -> int:
    return driver.owner.opened if driver.owner else 0


def try_schedules(
    seeds: range, faults: Faults, until: Callable[[], bool] = lambda: False
) -> tuple[Counter[str], int, int]:
    """Tries schedules; gives violations by kind, the number of schedules tried, and in how many a driver finished."""
    violations: Counter[str] = Counter()
    tried = finished = 0
    for seed in seeds:
        if until():
            break
        schedule = Schedule(seed, faults)
        schedule.run()
        tried += 1
        finished += schedule.finished
        violations.update(f"{each} (seed {seed})" for each in schedule.violations[:1])
    return violations, tried, finished


def main() -> int:
    """Tries as many schedules as asked for, and shows the violations."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("schedules", type=int)
    parser.add_argument("--put-for-create", action="store_true")
    parser.add_argument("--any-garbage", action="store_true")
    options = parser.parse_args()
    begin = time.monotonic()
    faults = Faults(put_for_create=options.put_for_create, any_garbage=options.any_garbage)
    violations, tried, finished = try_schedules(range(options.schedules), faults)
    seconds = time.monotonic() - begin
    sys.stdout.write(f"{tried} schedules, {finished} with a finished driver, {seconds:.0f} s\n")
    sys.stdout.writelines(f"{each}\n" for each in list(violations)[:20])
    sys.stdout.write(f"{len(violations)} violations\n")
    return bool(violations)


if __name__ == "__main__":
    sys.exit(main())
