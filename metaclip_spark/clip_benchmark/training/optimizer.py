"""The optimizer and its schedule, one for all variants (CLIP benchmark, arXiv 2203.05796, section 3)."""

import math
from collections.abc import Iterable

import torch
from torch import nn

from metaclip_spark.clip_benchmark.model.towers import BATCH_NORMS
from metaclip_spark.clip_benchmark.settings.training_config import TrainingConfig

FIRST_LEARNING_RATE = 1e-4
"""Where the warm-up starts, unless the peak is lower."""

_BETAS = (0.9, 0.98)
_EPSILON = 1e-8
_NORMS = (nn.LayerNorm, *BATCH_NORMS)


def make_optimizer(config: TrainingConfig, model: nn.Module) -> torch.optim.AdamW:
    """AdamW for everything that is trained; norms, biases and scales do not decay."""
    undecayed = set(_undecayed(model, keeps_embeddings=not config.recipe.decays_embeddings))
    trained = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    groups = [
        {"params": [parameter for name, parameter in trained if name not in undecayed], "weight_decay": config.decay},
        {"params": [parameter for name, parameter in trained if name in undecayed], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.peak_learning_rate, betas=_BETAS, eps=_EPSILON, fused=True)


def learning_rate_at(config: TrainingConfig, step: int) -> float:
    """The learning rate of a step, from 0: a linear rise to the peak, then a cosine to 0."""
    peak = config.peak_learning_rate
    first = min(FIRST_LEARNING_RATE, peak)
    if step < config.warmup_steps:
        return first + (peak - first) * step / config.warmup_steps
    done = (step - config.warmup_steps) / (config.steps - config.warmup_steps)
    return peak * (1 + math.cos(math.pi * done)) / 2


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Sets the learning rate of every group of parameters."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def _undecayed(model: nn.Module, *, keeps_embeddings: bool) -> Iterable[str]:
    """Names the parameters without decay: norms, the biases of modules and scales; embeddings if they are kept."""
    for path, module in model.named_modules():
        prefix = f"{path}." if path else ""
        for name, parameter in module.named_parameters(recurse=False):
            is_scale = name.endswith("logit_scale")
            is_norm_or_bias = isinstance(module, _NORMS) or name == "bias"
            is_embedding = name in {"positional_embedding", "class_embedding"} or parameter.dim() == 1
            if is_scale or is_norm_or_bias or (keeps_embeddings and is_embedding):
                yield prefix + name
