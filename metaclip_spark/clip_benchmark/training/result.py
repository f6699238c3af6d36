"""The result of a training, which any process can unpickle without torch."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SOLVED_SHARE = 0.25
_LAST_SHARE = 0.05


@dataclass(frozen=True)
class TrainingResult:
    """What a run gave.

    Attributes:
        losses: Term, or `total`, -> its value in each step, before weighting, the mean over the processes; not a
            number where the step skipped the term in one of them.
        samples_per_second: Of all processes together, checkpoints left out.
        seconds: That the steps took, those before a resumption included.
        checkpoint: Folder of the last checkpoint.
        diagnostics: lost: samples that were replaced, by reason; skipped_terms: steps of a process that skipped a term;
            stale_neighbours: share of the neighbours that are the same sample's earlier embedding, None without a
            queue; embedding_deviation: of the last step, about 1 where embeddings spread and 0 where they collapsed;
            not_kept: of online curation, samples that the epochs begun so far passed over; solved_pretext: of image
            self-supervision, whether a shortcut solved it.
        view_maker: Who made the image views: loader or device.
    """

    losses: dict[str, list[float]]
    samples_per_second: float
    seconds: float
    checkpoint: Path
    diagnostics: dict[str, Any]
    view_maker: str


def solved_pretext(losses: Mapping[str, Sequence[float | None]], samples_per_step: int) -> bool | None:
    """Whether a training's image self-supervision was solved by a shortcut, such as a picture's colours.

    So it is where NT-Xent is below a quarter of that of guessing, ln(2B - 1), over the last twentieth of the steps.
    None for a training without that term.
    """
    values = [value for value in losses.get("simclr", ()) if value is not None and not math.isnan(value)]
    if not values:
        return None
    last = values[-max(1, round(_LAST_SHARE * len(values))) :]
    return math.fsum(last) / len(last) < _SOLVED_SHARE * math.log(2 * samples_per_step - 1)
