"""The losses of the last steps, on their device until they are read: a step then waits for nothing.

A GPU computes far behind the program that tells it what to do. Each number that is read on the way makes the program
wait for all of it, and the GPU for the program.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from metaclip_spark.clip_benchmark.losses.objective import StepNotes
from metaclip_spark.clip_benchmark.training.processes import mean_over_processes
from metaclip_spark.errors import TrainingDivergedError


@dataclass(frozen=True)
class ReadSteps:
    """What was read of some steps.

    Attributes:
        losses: Term -> its value in each step, the mean over the processes; not a number where the step
            skipped the term in one of them.
        stale_neighbours: Neighbours that are the same sample's earlier embedding, in this process.
        embedding_deviation: Of the last step that measured it, the mean over the processes; None where none did.
    """

    losses: dict[str, list[float]]
    stale_neighbours: int
    embedding_deviation: float | None


class StepLosses:
    """The losses of some steps in a row."""

    def __init__(self, output: str) -> None:
        """Takes the folder that an error names."""
        self._output = output
        self._names: tuple[str, ...] = ()
        self._values: list[Tensor] = []
        self._skipped: list[tuple[int, str]] = []
        self._stale: list[Tensor] = []
        self._deviation: Tensor | None = None

    def note(self, values: Mapping[str, Tensor], notes: StepNotes) -> None:
        """Keeps a step's losses, by term, and its notes, without a look at them."""
        self._names = tuple(values)
        self._skipped += [(len(self._values), term) for term in notes.skipped_terms]
        self._values.append(torch.stack([value.detach() for value in values.values()]))
        if notes.stale_neighbours is not None:
            self._stale.append(notes.stale_neighbours)
        if notes.embedding_deviation is not None:
            self._deviation = notes.embedding_deviation

    def read(self, steps_done: int) -> ReadSteps:
        """Reads the steps that were noted; after them `steps_done` steps of the run are done.

        Raises:
            TrainingDivergedError: If a loss of one of them, in any process, is no finite number.
        """
        values = torch.stack(self._values)
        diverged = ~values.isfinite().all(dim=1, keepdim=True)
        for place, term in self._skipped:
            values[place, self._names.index(term)] = math.nan
        means = mean_over_processes(torch.cat([values, diverged.to(values.dtype)], dim=1)).tolist()
        deviation = None if self._deviation is None else float(mean_over_processes(self._deviation))
        stale = int(torch.stack(self._stale).sum()) if self._stale else 0
        names, first = self._names, steps_done - len(means)
        for place, (*losses, share) in enumerate(means):
            if share > 0:
                raise TrainingDivergedError(
                    f"step {first + place} of {self._output} gives the losses {dict(zip(names, losses, strict=True))}: "
                    "lower --learning-rate, or go on from a checkpoint before it"
                )
        by_term = {name: [losses[column] for losses in means] for column, name in enumerate(names)}
        return ReadSteps(by_term, stale, deviation)
