"""What a user sees while a step runs: a bar on a terminal, plain lines elsewhere, read from Spark's status tracker."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pyspark.sql import SparkSession
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

SECONDS_BETWEEN_LOOKS = 0.5
SECONDS_BETWEEN_LINES = 30.0


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
        """Updates `done` (and `total`, where Spark alone knows it) from the stages that run now.

        Args:
            spark: The session whose jobs are watched.
        """
        tracker = spark.sparkContext.statusTracker()
        stages = [info for stage in tracker.getActiveStageIds() if (info := tracker.getStageInfo(stage)) is not None]
        running = sum(stage.numCompletedTasks for stage in stages)
        if self.unit == "archives":
            self.done = min(self.total, self.done_before + running)
        elif stages:
            self.total = sum(stage.numTasks for stage in stages)
            self.done = running

    def line(self, elapsed: float) -> str:
        """Describes the state in one line.

        Args:
            elapsed: Seconds since the step began.

        Returns:
            Step, units done of all, pairs so far, elapsed and expected time.
        """
        parts = [f"{self.step}: {self.done:,} of {self.total:,} {self.unit}"]
        if self.pairs:
            parts.append(f"{self.pairs:,} pairs so far")
        parts.append(f"{elapsed:.0f} s elapsed")
        if 0 < self.done < self.total:
            parts.append(f"about {elapsed / self.done * (self.total - self.done):.0f} s to go")
        return ", ".join(parts)


@contextmanager
def watch(spark: SparkSession, console: Console, progress: StepProgress) -> Iterator[StepProgress]:
    """Shows a step's progress while the block runs.

    Args:
        spark: The session that runs the step.
        console: Where to show it.
        progress: The step; the block may update its fields.

    Yields:
        The same object.
    """
    spark.sparkContext.setJobDescription(progress.step)
    started = time.monotonic()
    stop = threading.Event()
    show = _show_bar if console.is_terminal else _show_lines
    thread = threading.Thread(target=show, args=(spark, console, progress, stop), daemon=True)
    thread.start()
    try:
        yield progress
    finally:
        stop.set()
        thread.join()
        progress.seconds = time.monotonic() - started


def _show_lines(spark: SparkSession, console: Console, progress: StepProgress, stop: threading.Event) -> None:
    started = time.monotonic()
    while not stop.wait(SECONDS_BETWEEN_LINES):
        progress.look(spark)
        console.print(progress.line(time.monotonic() - started), highlight=False, soft_wrap=True)


def _show_bar(spark: SparkSession, console: Console, progress: StepProgress, stop: threading.Event) -> None:
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
