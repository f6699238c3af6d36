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
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from metaclip_spark.config.logs import terminal

SECONDS_BETWEEN_LOOKS = 0.5
SECONDS_BETWEEN_LINES = 30.0

log = logging.getLogger(__name__)


@dataclass
class StepProgress:
    """How far a step is.

    Attributes:
        step: The step's name.
        unit: What is counted: archives or partitions.
        total: How many there are; 0 while unknown.
        done_before: How many earlier Spark jobs of this step have done.
        pairs: Pairs so far, as last committed.
        seconds: Seconds that the step took, once it is over.
    """

    step: str
    unit: str
    total: int = 0
    done_before: int = 0
    pairs: int = 0
    seconds: float = 0.0
    done: int = field(default=0, init=False)

    def look(self, spark: SparkSession) -> None:
        """Updates `done` (and `total`, where Spark alone knows it) from the stages that run now."""
        tracker = spark.sparkContext.statusTracker()
        stages = [info for stage in tracker.getActiveStageIds() if (info := tracker.getStageInfo(stage)) is not None]
        running = sum(stage.numCompletedTasks for stage in stages)
        if self.unit == "archives":
            self.done = min(self.total, self.done_before + running)
        elif stages:
            self.total = sum(stage.numTasks for stage in stages)
            self.done = running

    def line(self, elapsed: float) -> str:
        """The state in one line, `elapsed` seconds after the step began."""
        parts = [f"{self.step}: {self.done:,} of {self.total:,} {self.unit}"]
        if self.pairs:
            parts.append(f"{self.pairs:,} pairs so far")
        parts.append(f"{elapsed:.0f} s elapsed")
        if 0 < self.done < self.total:
            parts.append(f"about {elapsed / self.done * (self.total - self.done):.0f} s to go")
        return ", ".join(parts)


@contextmanager
def watch(spark: SparkSession, progress: StepProgress) -> Iterator[StepProgress]:
    """Shows a step's progress, as Spark's status tracker knows it, while the block runs; the block may update it."""
    spark.sparkContext.setJobDescription(progress.step)
    console = terminal()
    started = time.monotonic()
    stop = threading.Event()
    show = partial(_show_bar, console) if console else _log_lines
    thread = threading.Thread(target=show, args=(spark, progress, stop), daemon=True)
    thread.start()
    try:
        yield progress
    finally:
        stop.set()
        thread.join()
        progress.seconds = time.monotonic() - started


def _log_lines(spark: SparkSession, progress: StepProgress, stop: threading.Event) -> None:
    started = time.monotonic()
    while not stop.wait(SECONDS_BETWEEN_LINES):
        progress.look(spark)
        log.info(progress.line(time.monotonic() - started))


def _show_bar(console: Console, spark: SparkSession, progress: StepProgress, stop: threading.Event) -> None:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}"),
        TextColumn("{task.fields[pairs]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(progress.step, total=None, unit=progress.unit, pairs="")
        while not stop.wait(SECONDS_BETWEEN_LOOKS):
            progress.look(spark)
            pairs = f"{progress.pairs:,} pairs" if progress.pairs else ""
            bar.update(task, total=progress.total or None, completed=progress.done, pairs=pairs)
