"""Drivers that are stopped at a chosen moment while another one finishes their run. Used by the tests.

Usage: python -m tests.end_to_end.pauses [pattern]
Stops a driver at every moment (that matches the pattern) of two runs, and checks what comes of it: the long form.
"""

import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

from metaclip_spark.commits import owner
from tests.end_to_end import paused_driver
from tests.end_to_end.processes import all_stopped, processes_of, send_to_all
from tests.end_to_end.stored import check_whole
from tests.support.jobs import CHECKOUT, METADATA, SAMPLE, Output, call, content, run_json

MOST_SECONDS = 600
"""Far above what a busy machine needs: it ends a test that waits for what never comes."""


@dataclass(frozen=True)
class Ended:
    """How a job ended: its exit code, and what it wrote, to either of its outputs as spark-submit mixes them."""

    code: int
    words: str

    def check_lost(self) -> None:
        """Checks that it says in one line that another driver has the run."""
        told = [line for line in self.words.splitlines() if line.startswith("error: ")]
        assert len(told) == 1, self.words[-4000:]
        assert "another driver" in told[0], told
        assert "Traceback" not in self.words, self.words[-4000:]
        assert self.code == 2, self.words[-4000:]


@dataclass
class Driver:
    """A process that does jobs and stops itself on the way.

    Attributes:
        folder: Where its output goes.
        command: How it is started; it reads requests where none is given.
    """

    folder: Path
    command: Sequence[str] = (sys.executable, paused_driver.__file__)
    _read: dict[str, int] = field(default_factory=lambda: {"stdout": 0, "stderr": 0})

    def __post_init__(self) -> None:
        """Starts it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._start()

    def _start(self) -> None:
        self._is_killed = False
        python = {"PYSPARK_PYTHON": sys.executable, "PYSPARK_DRIVER_PYTHON": sys.executable, "MASTER": "local[2]"}
        environment = {**os.environ, **python, "SPARK_LOCAL_IP": "127.0.0.1", "PYTHONPATH": str(CHECKOUT)}
        with (self.folder / "stdout").open("w") as out, (self.folder / "stderr").open("w") as err:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.PIPE, stdout=out, stderr=err, env=environment, start_new_session=True,
                text=True,
            )  # fmt: skip

    def begin(self, job: str, *options: object, **wanted: object) -> None:
        """Sends a request, to a new process where the one before was killed."""
        if self._is_killed:
            self._start()
        request = json.dumps({"job": job, "options": [str(option) for option in options], **wanted})
        self._read = {name: (self.folder / name).stat().st_size for name in self._read}
        self.process.stdin.write(f"{request}\n")
        self.process.stdin.flush()

    def told(self, name: str) -> str:
        """Gives what it wrote since the request."""
        return (self.folder / name).read_bytes()[self._read[name] :].decode("utf-8", "replace")

    def wait_until_stopped(self) -> None:
        """Waits until all of its processes have been stopped."""
        self._wait_until(lambda: all_stopped(self.process.pid) and self.process.poll() is None)

    def go_on(self) -> Ended:
        """Wakes it up, and waits until its job has ended."""
        send_to_all(self.process.pid, signal.SIGCONT)
        return self.ended()

    def ended(self) -> Ended:
        """Waits until its job has ended."""
        self._wait_until(lambda: self._code() is not None)
        return Ended(self._code(), self._words())

    def last_words(self) -> Ended:
        """Lets it end by itself after its job."""
        self.process.stdin.close()
        return Ended(self.process.wait(MOST_SECONDS), self._words())

    def _words(self) -> str:
        return "".join(map(self.told, self._read))

    def _code(self) -> int | None:
        codes = [line.removeprefix("exit: ") for line in self.told("stdout").splitlines() if line.startswith("exit: ")]
        return int(codes[0]) if codes else self.process.poll()

    def _wait_until(self, reached: Callable[[], bool]) -> None:
        end = time.monotonic() + MOST_SECONDS
        while not reached():
            assert self._code() is None or reached(), f"its job has ended:\n{self.told('stderr')[-3000:]}"
            if time.monotonic() > end:
                states = processes_of(self.process.pid)
                # It would keep every test that has it waiting.
                self.kill()
                raise AssertionError(f"it hangs: {states}\n{self.told('stdout')[-300:]}\n{self.told('stderr')[-3000:]}")
            time.sleep(0.02)

    def kill(self) -> None:
        """Ends all of its processes."""
        self._is_killed = True
        send_to_all(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process.stdin.close()


@contextmanager
def driver(folder: Path):
    """Runs a driver, and ends it whatever comes."""
    made = Driver(folder)
    try:
        yield made
    finally:
        made.kill()


@contextmanager
def impatience(seconds: float = 1.0):
    """Lets this process take over after a short silence."""
    with mock.patch.multiple(owner, SECONDS_OF_SILENCE=seconds, SECONDS_BETWEEN_LOOKS=0.1):
        yield


class Settings:
    """What two drivers run with: the same archives, and all else different.

    Attributes:
        first: The options of the one that is stopped.
        second: Those of the one that takes over.
        other_draw: Those of a driver that differs from the second one in its draw only.
    """

    def __init__(self, folder: Path, buckets: int) -> None:
        """Writes their metadata lists into a folder."""
        lemmas = gzip.decompress(METADATA.read_bytes()).decode().splitlines()
        for name, entries in (("first", lemmas[::2]), ("second", lemmas[1::2])):
            (folder / f"{name}.txt").write_text("\n".join(entries) + "\n")
        archives = ("--archives", f"{SAMPLE}/sample-0000[01].warc.gz", "--archives-per-wave", 1, "--buckets", buckets)
        self.first = (*archives, "--metadata", folder / "first.txt", "--threshold-t", 5, "--seed", 1)
        matched = (*archives, "--metadata", folder / "second.txt")
        self.second = (*matched, "--threshold-t", 3, "--seed", 2)
        self.other_draw = (*matched, "--threshold-t", 5, "--seed", 1)


def finish_in_its_place(output: Output, options: Sequence[object]) -> None:
    """Takes over a run, whose driver is silent, and finishes it."""
    with impatience():
        # Without --clean it would only read a run that another one has finished with the same options.
        assert call("curate", *options, "--output", output, "--resume", "--clean") == 0


@dataclass(frozen=True)
class Second:
    """The driver that takes over: its options, and the tables that it makes where nothing disturbs it."""

    options: Sequence[object]
    tables: dict[str, list[str]]

    def check(self, output: Output) -> None:
        """Checks that a run is the second driver's to the row, and run.json its or absent."""
        state = check_whole(output)
        assert content(output) == self.tables
        assert state.finished
        told = run_json(output)
        assert told is None or (told["commit"], told["curated"]) == (state.finish_number, state.finished.sample)


def pause_at(
    paused: Driver, moment: str, output: Output, options: Sequence[object], second: Second, **wanted: object
) -> None:
    """Stops a driver at a moment, lets another one finish its run, wakes it up, and checks what comes of it."""
    paused.begin("curate", *options, "--output", output, moment=moment, **wanted)
    paused.wait_until_stopped()
    finish_in_its_place(output, second.options)
    second.check(output)
    ended = paused.go_on()
    if moment == "after create end":
        assert ended.code == 0, ended.words
    else:
        ended.check_lost()
    second.check(output)


def moments_of(paused: Driver, output: Output, options: Sequence[object]) -> list[str]:
    """Lists the moments of an undisturbed run."""
    paused.begin("curate", *options, "--output", output)
    ended = paused.ended()
    assert ended.code == 0, ended.words[-3000:]
    lines = paused.told("stdout").splitlines()
    return [line.removeprefix("moment: ") for line in lines if line.startswith("moment: ") and "beats/" not in line]


def pause_everywhere(folder: Path, pattern: str) -> int:
    """Stops a driver at every moment of a new run, and around every deletion of one that starts anew.

    Returns:
        How many of them went wrong.
    """
    settings = Settings(folder, buckets=2)
    base, expected = folder / "base" / "out", folder / "expected" / "out"
    assert call("curate", *settings.first, "--output", base) == 0
    assert call("curate", *settings.second, "--output", expected) == 0
    second = Second(settings.second, content(expected))
    forms = {"new": settings.first, "anew": (*settings.first, "--overwrite")}
    begun, done, failed = time.monotonic(), 0, 0
    with driver(folder / "driver") as paused:
        for form, options in forms.items():

            def new_output(name: object, form: str = form) -> Path:
                output = folder / f"{form}-{name}" / "out"
                if form == "anew":
                    shutil.copytree(base, output)
                return output

            moments = [
                moment
                for moment in moments_of(paused, new_output("all"), options)
                if re.search(pattern, f"{form}, {moment}")
            ]
            if form == "anew":
                moments = [moment for moment in moments if "delete" in moment or "reset" in moment]
            for moment in moments:
                done += 1
                output = new_output(done)
                try:
                    pause_at(paused, moment, output, options, second)
                    print(f"{form}, {moment}: {'run.json' if run_json(output) else 'no run.json'}", flush=True)
                    shutil.rmtree(output.parent)
                except AssertionError as error:
                    failed += 1
                    print(f"FAILED {form}, {moment}, {output}: {error}", flush=True)
    print(f"{done} moments, {failed} failed, {(time.monotonic() - begun) / 60:.1f} minutes")
    return failed


def main() -> None:
    """Runs the long form."""
    os.environ.setdefault("MASTER", "local[2]")
    sys.exit(bool(pause_everywhere(Path(tempfile.mkdtemp(prefix="metaclip-pauses-")), "".join(sys.argv[1:2]))))


if __name__ == "__main__":
    main()
