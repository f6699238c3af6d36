"""The queue of recent text embeddings in which DeCLIP looks for neighbours (arXiv 2110.05208, section 3.3)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from metaclip_spark.clip_benchmark.losses.supervision import unit

UNKNOWN_SAMPLE = -1
"""Sample index of what the queue holds before texts enter it."""


@dataclass(frozen=True)
class Neighbours:
    """The nearest entry of each query.

    Attributes:
        embeddings: (B, D) unit vectors, without gradient.
        samples: (B,) the index of the sample that each came from, `UNKNOWN_SAMPLE` for a start value.
    """

    embeddings: Tensor
    samples: Tensor


class NeighbourQueue:
    """First in, first out; no parameter and no buffer of a model, so that nothing synchronises or trains it.

    Attributes:
        embeddings: (entries, D) unit vectors.
        samples: (entries,) the index of the sample that each came from, `UNKNOWN_SAMPLE` for a start value.
        next_index: The entry that the next text replaces.
        entered: Texts that have entered so far.
    """

    def __init__(self, entries: int, width: int, seed: int, device: torch.device | str = "cpu") -> None:
        """Fills the queue with random unit vectors, drawn by the seed."""
        generator = torch.Generator().manual_seed(seed)
        start = unit(torch.randn(entries, width, generator=generator))
        self.embeddings = start.to(device)
        self.samples = torch.full((entries,), UNKNOWN_SAMPLE, dtype=torch.long, device=device)
        self.next_index = 0
        self.entered = 0

    @property
    def full(self) -> bool:
        """Whether every start value was replaced by a text; a counter tells it, since a look would wait for a GPU."""
        return self.entered >= len(self.samples)

    @torch.no_grad()
    def nearest(self, texts: Tensor) -> Neighbours:
        """Finds the entry with the largest cosine to each of (B, D) unit vectors."""
        indices = (texts.to(self.embeddings.dtype) @ self.embeddings.T).argmax(dim=1)
        return Neighbours(unit(self.embeddings[indices]).to(texts.dtype), self.samples[indices])

    @torch.no_grad()
    def enqueue(self, texts: Tensor, samples: Tensor) -> None:
        """Replaces the oldest entries.

        Args:
            texts: (M, D) unit vectors; of more than the queue holds only the last stay.
            samples: (M,) the index of the sample that each came from.
        """
        entries = len(self.embeddings)
        first = max(0, len(texts) - entries)
        indices = (self.next_index + torch.arange(first, len(texts), device=texts.device)) % entries
        self.embeddings[indices] = texts[first:].detach().to(self.embeddings.dtype)
        self.samples[indices] = samples[first:].to(self.samples.device)
        self.next_index = (self.next_index + len(texts)) % entries
        self.entered += len(texts)

    def state_dict(self) -> dict[str, Tensor | int]:
        """What a checkpoint keeps."""
        return {"embeddings": self.embeddings, "samples": self.samples, "next_place": self.next_index}

    def load_state_dict(self, state: dict[str, Tensor | int]) -> None:
        """Restores what `state_dict` returned."""
        self.embeddings.copy_(torch.as_tensor(state["embeddings"]))
        self.samples.copy_(torch.as_tensor(state["samples"]))
        self.next_index = int(state["next_place"])
        # Entries are filled in order, so that those which are filled are as many as have entered, up to all of them.
        self.entered = int((self.samples != UNKNOWN_SAMPLE).sum())
