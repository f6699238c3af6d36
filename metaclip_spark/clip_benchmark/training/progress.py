"""How far a training is: a line of the log every so many steps, and the numbers that trackers draw."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from metaclip_spark.errors import counted

LINE_STEPS = 100
"""Steps between two lines."""

_SCALES = {"logit_scale": "scale", "token_logit_scale": "token scale"}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingState:
    """Where a training is.

    Attributes:
        step: Steps that were trained.
        end: Steps that this process trains, earlier ones included.
        losses: Term, or `total`, -> its value in each of the last steps, not a number where a step skipped it.
        scales: Name of the parameter -> similarity scale.
        learning_rate: Of the last step.
        samples_per_second: Of all processes, in the last steps.
        seconds: That all steps took.
        lost: Samples that this process replaced so far.
    """

    step: int
    end: int
    losses: Mapping[str, Sequence[float]]
    scales: Mapping[str, float]
    learning_rate: float
    samples_per_second: float
    seconds: float
    lost: int

    def seconds_left(self, samples_per_step: int) -> float:
        """How long the rest takes, if it goes on as in the last steps."""
        left = (self.end - self.step) * samples_per_step
        return left / self.samples_per_second if self.samples_per_second else 0.0


def log_progress(state: TrainingState, samples_per_step: int) -> None:
    """Logs one line: steps, each loss (its mean over the last steps), scales, rate, samples a second, time left."""
    losses = {name: _mean(values) for name, values in state.losses.items()}
    left = state.seconds_left(samples_per_step)
    terms = ", ".join(f"{name} {'skipped' if value is None else f'{value:.4f}'}" for name, value in losses.items())
    scales = ", ".join(f"{_SCALES.get(name, name)} {value:.2f}" for name, value in state.scales.items())
    parts = [terms, scales, f"learning rate {state.learning_rate:.3g}", f"{state.samples_per_second:,.0f} samples/s"]
    if state.lost:
        parts.append(f"{counted(state.lost, 'sample')} lost")
    progress = {
        "done": state.step,
        "total": state.end,
        "unit": "steps",
        "losses": losses,
        "scales": dict(state.scales),
        "learning_rate": state.learning_rate,
        "samples_per_second": round(state.samples_per_second, 1),
        "seconds_elapsed": round(state.seconds, 1),
        "seconds_left": round(left, 1),
        "lost": state.lost,
    }
    log.info(
        f"step {state.step:,} of {state.end:,}: {'; '.join(parts)}; about {left:,.0f} s left",
        extra={"event": "progress", "step": "train", "progress": progress},
    )


def _mean(values: Sequence[float]) -> float | None:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else None
