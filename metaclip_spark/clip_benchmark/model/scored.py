"""What scoring asks of a model, whoever trained it."""

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from metaclip_spark.clip_benchmark.model.towers import ImageFeatures, TextFeatures


class ScoredModel(Protocol):
    """Image and text encoder.

    Attributes:
        scores_tokens: Whether token embeddings are compared, and not the global ones.
    """

    scores_tokens: bool

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        """Encodes B texts as token ids: (B, T), int64."""

    def encode_image(self, images: Tensor) -> ImageFeatures:
        """Encodes (B, 3, H, W) images."""

    def encode_text(self, ids: Tensor) -> TextFeatures:
        """Encodes (B, T) token ids."""

    def dense_image(self, tokens: Tensor) -> Tensor:
        """Embeds image tokens: (B, T, D) unit vectors."""

    def dense_text(self, tokens: Tensor) -> Tensor:
        """Embeds text tokens: (B, T, D) unit vectors."""
