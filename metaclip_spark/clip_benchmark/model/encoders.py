"""The model of one variant: two towers, the heads that its terms need, and the similarity scales."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from metaclip_spark.clip_benchmark.augmentation.tokenizer import Vocabulary
from metaclip_spark.clip_benchmark.model.towers import (
    ImageFeatures,
    ResNetTower,
    TextFeatures,
    TextTower,
    VisionTower,
    freeze,
)
from metaclip_spark.clip_benchmark.settings.training_config import TrainingConfig

START_SCALE = 1 / 0.07
"""CLIP, arXiv 2103.00020, section 2.4."""


class ContrastiveModel(nn.Module):
    """Image and text encoder with the heads of the configured variant; heads of other variants are None.

    Attributes:
        logit_scale: (1,) logarithm of the global contrast's scale.
        token_logit_scale: (1,) the same of FILIP's.
        scores_tokens: Whether zero-shot classification compares tokens, since the global embedding is not trained.
    """

    def __init__(self, config: TrainingConfig) -> None:
        """Builds the model with random weights from torch's global generator."""
        super().__init__()
        self.vocabulary = Vocabulary(config.size.context_length)
        self.image_tower = VisionTower(config) if config.image_tower == "vit" else ResNetTower(config)
        self.text_tower = TextTower(config, self.vocabulary.special)
        self.logit_scale = nn.Parameter(torch.full((1,), math.log(START_SCALE)))
        self._add_heads(config)
        self.scores_tokens = not config.weights.contrast
        if self.scores_tokens:
            freeze(self.logit_scale)
            self.image_tower.freeze_embedding()
            self.text_tower.freeze_embedding()

    def _add_heads(self, config: TrainingConfig) -> None:
        size, weights, image_width = config.size, config.weights, self.image_tower.width
        if weights.tokens:
            self.image_token_head = nn.Linear(image_width, size.token_embedding)
            self.text_token_head = nn.Linear(self.text_tower.width, size.token_embedding)
            self.token_logit_scale = nn.Parameter(torch.full((1,), math.log(START_SCALE)))
        if weights.simclr:
            self.simclr_head = simclr_head(image_width, size.simclr_hidden, size.simclr_output)
        if weights.simsiam:
            self.simsiam_projector = simsiam_projector(config.embedding_width, size.simsiam_hidden)
            self.simsiam_predictor = simsiam_predictor(size.simsiam_hidden, size.simsiam_bottleneck)
        if weights.masked_words:
            self.word_head = nn.Linear(self.text_tower.width, self.vocabulary.special.vocabulary_size)

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        """Encodes B texts as token ids: (B, T), int64."""
        return self.vocabulary.ids(texts)

    def encode_image(self, images: Tensor) -> ImageFeatures:
        """Encodes (B, 3, H, W) images, normalised as the views are; the embedding is not normalised."""
        return self.image_tower(images)

    def encode_text(self, ids: Tensor) -> TextFeatures:
        """Encodes (B, T) token ids; the embedding is not normalised."""
        return self.text_tower(ids)

    def dense_image(self, tokens: Tensor) -> Tensor:
        """Embeds the image tokens (B, T, W) of `ImageFeatures` for FILIP's comparison: (B, T, D) unit vectors."""
        return normalize(self.image_token_head(tokens), dim=-1)

    def dense_text(self, tokens: Tensor) -> Tensor:
        """Embeds the text tokens (B, T, W) of `TextFeatures` for FILIP's comparison: (B, T, D) unit vectors."""
        return normalize(self.text_token_head(tokens), dim=-1)

    def scales(self) -> list[nn.Parameter]:
        """The logarithms of the scales that are trained."""
        named = dict(self.named_parameters(recurse=False))
        return [parameter for parameter in named.values() if parameter.requires_grad]


def simclr_head(width: int, hidden: int, output: int) -> nn.Sequential:
    """SLIP's head (arXiv 2112.12750, section 3), (B, width) to (B, output): three layers, the last not normalised."""
    return nn.Sequential(*_normalised(width, hidden), *_normalised(hidden, hidden), nn.Linear(hidden, output))


def simsiam_projector(width: int, hidden: int) -> nn.Sequential:
    """SimSiam's projector (arXiv 2011.10566, section 3), (B, width) to (B, hidden), with a normalised output."""
    layers = [*_normalised(width, hidden), *_normalised(hidden, hidden)]
    return nn.Sequential(*layers, nn.Linear(hidden, hidden), nn.BatchNorm1d(hidden))


def simsiam_predictor(width: int, bottleneck: int) -> nn.Sequential:
    """SimSiam's predictor (arXiv 2011.10566, section 3), (B, width) to (B, width)."""
    return nn.Sequential(*_normalised(width, bottleneck), nn.Linear(bottleneck, width))


def _normalised(width: int, output: int) -> list[nn.Module]:
    return [nn.Linear(width, output), nn.BatchNorm1d(output), nn.ReLU(inplace=True)]
