"""The result of a training, which any process can unpickle without torch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any


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
            not_kept: of online curation, samples that the epochs begun so far passed over.
        view_maker: Who made the image views: loader or device.
    """

    losses: dict[str, list[float]]
    samples_per_second: float
    seconds: float
    checkpoint: Path
    diagnostics: dict[str, Any]
    view_maker: str
