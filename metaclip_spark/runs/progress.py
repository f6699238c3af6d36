"""What a user sees while a step runs: a bar where the log goes to a terminal, lines of the log elsewhere."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from pyspark.sql import SparkSession
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from metaclip_spark.config.logs import terminal
from metaclip_spark.errors import counted

SECONDS_BETWEEN_LOOKS = 0.5
SECONDS_BETWEEN_LINES = 30.0
_DESCRIPTION = "spark.job.description"

log = logging.getLogger(__name__)


@dataclass
class StepProgress:
    """How far a step is.

    Attributes:
        step: The step's name.
        unit: What is counted: archives or partitions; empty for nothing that would tell a reader anything.
        total: How many there are; 0 while unknown.
        done_before: How many earlier Spark jobs of this step have done.
        pairs: Pairs so far, as last committed.
        seconds: Seconds that the step took, once it is over.
        part: Which part of the step it is, where the step is done in parts.
    """

    step: str
    unit: str
    total: int = 0
    done_before: int = 0
    pairs: int = 0
    seconds: float = 0.0
    part: str = ""
    done: int = field(default=0, init=False)

    def look(self, spark: SparkSession) -> None:
        """Updates `done` (and `total`, where Spark alone knows it) from the stages that run now."""
        tracker = spark.sparkContext.statusTracker()
        stages = [info for stage in tracker.getActiveStageIds() if (info := tracker.getStageInfo(stage)) is not None]
        running = sum(stage.numCompletedTasks for stage in stages)
        if self.unit == "archives":
            # Between two stages of a wave none is active.
            self.done = max(self.done, min(self.total, self.done_before + running))
        elif stages:
            self.total = sum(stage.numTasks for stage in stages)
            self.done = running

    def line(self, elapsed: float) -> str:
        """The state in one line, `elapsed` seconds after the step began."""
        parts = [f"{self.done:,} of {counted(self.total, self.unit[:-1])}"] if self.counts_something else []
        if self.pairs:
            parts.append(f"{counted(self.pairs, 'pair')} so far")
        parts.append(f"{elapsed:.0f} s elapsed")
        if (left := self.seconds_left(elapsed)) is not None:
            parts.append(f"about {left:.0f} s left")
        return f"{self.step}: {', '.join(parts)}"

    @property
    def counts_something(self) -> bool:
        """Whether there is more than one thing to count: 0 of 1 says nothing."""
        return bool(self.unit) and (self.total > 1 or self.unit == "archives")

    def seconds_left(self, elapsed: float) -> float | None:
        """How long the step may still take; None where nothing tells it."""
        known = self.unit and 0 < self.done < self.total
        return elapsed / self.done * (self.total - self.done) if known else None

    def as_fields(self, elapsed: float) -> dict[str, object]:
        """The state as fields of a line of the log."""
        left = self.seconds_left(elapsed)
        counts = {"done": self.done, "total": self.total, "unit": self.unit} if self.unit else {}
        times = {"seconds_elapsed": round(elapsed, 1), "seconds_left": left if left is None else round(left, 1)}
        return {"event": "progress", "step": self.step, "progress": {**counts, "pairs": self.pairs, **times}}


@contextmanager
def described(spark: SparkSession, step: str, part: str = "") -> Iterator[None]:
    """Names the Spark jobs that this thread starts in the block, for Spark's UI."""
    context = spark.sparkContext
    before = context.getLocalProperty(_DESCRIPTION)
    context.setJobDescription(f"{step}: {part}" if part else step)
    yield
    # Not after a signal, when this thread's next call into the JVM would wait for the answer to the one cut short.
    context.setJobDescription(before)  # type: ignore[arg-type, unused-ignore]


@contextmanager
def watch(spark: SparkSession, progress: StepProgress) -> Iterator[StepProgress]:
    """Shows a step's progress, as Spark's status tracker knows it, while the block runs; the block may update it."""
    console = terminal()
    started = time.monotonic()
    stop = threading.Event()
    show = partial(_show_bar, console) if console else _log_lines
    thread = threading.Thread(target=show, args=(spark, progress, stop), daemon=True)
    thread.start()
    try:
        with described(spark, progress.step, progress.part):
            yield progress
    finally:
        stop.set()
        thread.join()
        progress.seconds = time.monotonic() - started


def _log_lines(spark: SparkSession, progress: StepProgress, stop: threading.Event) -> None:
    started = time.monotonic()
    while not stop.wait(SECONDS_BETWEEN_LINES):
        progress.look(spark)
        elapsed = time.monotonic() - started
        log.info(progress.line(elapsed), extra=progress.as_fields(elapsed))


def _show_bar(console: Console, spark: SparkSession, progress: StepProgress, stop: threading.Event) -> None:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[state]}"),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        started = time.monotonic()
        task = bar.add_task(progress.step, total=None, state="")
        while not stop.wait(SECONDS_BETWEEN_LOOKS):
            progress.look(spark)
            state = progress.line(time.monotonic() - started).removeprefix(f"{progress.step}: ")
            total = progress.total if progress.counts_something else None
            bar.update(task, total=total, completed=progress.done, state=state)
