"""The encoders: open_clip's vision transformer, modified ResNet and text transformer, with what the losses read."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from open_clip.modified_resnet import ModifiedResNet
from open_clip.transformer import QuickGELU, TextTransformer, VisionTransformer
from torch import Tensor, nn

from metaclip_spark.clip_benchmark.augmentation.tokenizer import SpecialTokens, valid_tokens
from metaclip_spark.clip_benchmark.settings.training_config import TrainingConfig

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.SyncBatchNorm)


class ImageFeatures(NamedTuple):
    """The output of an image tower.

    Attributes:
        embedding: (B, D), not normalised.
        pooled: (B, W), what the embedding is projected from.
        tokens: (B, T, W) of the patches or the last feature map, without the class token.
    """

    embedding: Tensor
    pooled: Tensor
    tokens: Tensor


class TextFeatures(NamedTuple):
    """The output of the text tower.

    Attributes:
        embedding: (B, D), not normalised.
        tokens: (B, T, W).
        valid: (B, T) bool, False for padding.
    """

    embedding: Tensor
    tokens: Tensor
    valid: Tensor


class VisionTower(nn.Module):
    """A vision transformer whose patch convolution stays as it starts (MoCo v3, arXiv 2104.02057, section 4)."""

    def __init__(self, config: TrainingConfig) -> None:
        """Builds it with random weights."""
        super().__init__()
        size = config.size
        self.width = size.vit_width
        self.body = VisionTransformer(
            image_size=config.pixels,
            patch_size=size.patch_pixels,
            width=size.vit_width,
            layers=size.vit_layers,
            heads=size.vit_heads,
            mlp_ratio=4.0,
            output_dim=config.embedding_width,
            act_layer=QuickGELU,
        )
        self.tokens = self.body.grid_size[0] * self.body.grid_size[1]
        _start_blocks(self.body.transformer, size.vit_width, size.vit_layers)
        if config.recipe.position_deviation is not None:
            nn.init.normal_(self.body.positional_embedding, std=config.recipe.position_deviation)
        freeze(self.body.conv1)

    def forward(self, images: Tensor) -> ImageFeatures:
        """Encodes (B, 3, H, W) images; the tokens are the last block's output."""
        body = self.body
        patches = body.conv1(images).flatten(2).transpose(1, 2)
        class_token = body.class_embedding.to(patches.dtype).expand(len(images), 1, -1)
        hidden = body.ln_pre(torch.cat([class_token, patches], dim=1) + body.positional_embedding.to(patches.dtype))
        hidden = body.transformer(hidden)
        pooled = body.ln_post(hidden[:, 0])
        return ImageFeatures(pooled @ body.proj, pooled, hidden[:, 1:])

    def freeze_embedding(self) -> None:
        """Leaves out of the training what only the global embedding needs."""
        freeze(self.body.proj, self.body.ln_post)


class ResNetTower(nn.Module):
    """CLIP's modified ResNet, whose attention pooling gives the embedding or what that is projected from."""

    def __init__(self, config: TrainingConfig) -> None:
        """Builds it with random weights."""
        super().__init__()
        size = config.size
        self.width = 32 * size.resnet_width
        self.body = ModifiedResNet(
            layers=list(size.resnet_layers),
            output_dim=config.embedding_width if config.recipe.pools_to_embedding else self.width,
            heads=size.resnet_heads,
            image_size=config.pixels,
            width=size.resnet_width,
        )
        self.tokens = (config.pixels // 32) ** 2
        self.projection = None
        if not config.recipe.pools_to_embedding:
            self.projection = nn.Parameter(self.width**-0.5 * torch.randn(self.width, config.embedding_width))

    def forward(self, images: Tensor) -> ImageFeatures:
        """Encodes (B, 3, H, W) images; the tokens are the last stage's feature map."""
        body = self.body
        grid = body.layer4(body.layer3(body.layer2(body.layer1(body.stem(images)))))
        pooled = body.attnpool(grid)
        embedding = pooled if self.projection is None else pooled @ self.projection
        return ImageFeatures(embedding, pooled, grid.flatten(2).transpose(1, 2))

    def freeze_embedding(self) -> None:
        """Leaves out of the training what only the global embedding needs."""
        freeze(self.body.attnpool)
        if self.projection is not None:
            freeze(self.projection)


class TextTower(nn.Module):
    """A causal text transformer, read at the end token."""

    def __init__(self, config: TrainingConfig, special: SpecialTokens) -> None:
        """Builds it with random weights."""
        super().__init__()
        size = config.size
        self.width = size.text_width
        self.tokens = size.context_length
        self.end = special.end
        self.body = TextTransformer(
            context_length=size.context_length,
            vocab_size=special.vocabulary_size,
            width=size.text_width,
            heads=size.text_heads,
            layers=size.text_layers if config.text_depth is None else config.text_depth,
            output_dim=config.embedding_width,
            proj_bias=True,
            act_layer=QuickGELU,
        )

    def forward(self, ids: Tensor) -> TextFeatures:
        """Encodes (B, T) token ids; the tokens are normalised by the last layer norm."""
        body = self.body
        hidden = body.token_embedding(ids) + body.positional_embedding
        tokens = body.ln_final(body.transformer(hidden, attn_mask=body.attn_mask))
        ends = (ids == self.end).int().argmax(dim=1)
        pooled = tokens[torch.arange(len(ids), device=ids.device), ends]
        return TextFeatures(body.text_projection(pooled), tokens, valid_tokens(ids, self.end))

    def freeze_embedding(self) -> None:
        """Leaves out of the training what only the global embedding needs."""
        freeze(self.body.text_projection)


@contextmanager
def without_running_statistics(model: nn.Module) -> Iterator[None]:
    """Lets batches be normalised without entering the running statistics."""
    layers = [layer for layer in model.modules() if isinstance(layer, BATCH_NORMS) and layer.track_running_stats]
    for layer in layers:
        layer.track_running_stats = False
    try:
        yield
    finally:
        for layer in layers:
            layer.track_running_stats = True


def freeze(*parts: nn.Module | nn.Parameter) -> None:
    """Leaves parameters, or all of a module, out of the training."""
    for part in parts:
        for parameter in part.parameters() if isinstance(part, nn.Module) else (part,):
            parameter.requires_grad = False


def _start_blocks(transformer: nn.Module, width: int, layers: int) -> None:
    """Draws a transformer's start weights as open_clip does for texts only, and CLIP for both towers."""
    for block in transformer.resblocks:
        nn.init.normal_(block.attn.in_proj_weight, std=width**-0.5)
        nn.init.normal_(block.attn.out_proj.weight, std=width**-0.5 * (2 * layers) ** -0.5)
        nn.init.normal_(block.mlp.c_fc.weight, std=(2 * width) ** -0.5)
        nn.init.normal_(block.mlp.c_proj.weight, std=width**-0.5 * (2 * layers) ** -0.5)
