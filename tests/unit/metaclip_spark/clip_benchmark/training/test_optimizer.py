"""The optimizer's groups and schedule, and what they leave alone."""

import math

import pytest
import torch

from metaclip_spark.clip_benchmark.model.encoders import ContrastiveModel
from metaclip_spark.clip_benchmark.settings.variants import VARIANTS
from metaclip_spark.clip_benchmark.training.optimizer import learning_rate_at, make_optimizer
from metaclip_spark.clip_benchmark.training.train import TOTAL, train

EMBEDDINGS = ("positional_embedding", "class_embedding", "in_proj_bias")


@pytest.mark.parametrize("preset", ["clean", "published"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_norms_biases_and_scales_do_not_decay(config, variant, preset):
    run = config(variant, preset=preset)
    model = ContrastiveModel(run)
    optimizer = make_optimizer(run, model)
    decay = {id(parameter): group["weight_decay"] for group in optimizer.param_groups for parameter in group["params"]}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            assert id(parameter) not in decay
        elif name.endswith(EMBEDDINGS):
            assert decay[id(parameter)] == (run.decay if preset == "published" else 0.0), name
        elif ".ln_" in name or name.endswith((".bias", "logit_scale")):
            assert decay[id(parameter)] == 0.0, name
        elif parameter.dim() > 1:
            assert decay[id(parameter)] == run.decay, name


def test_the_rate_rises_to_its_peak_and_falls_to_zero(config):
    run = config(steps=110, warmup_steps=10, learning_rate=1e-3)
    rates = [learning_rate_at(run, step) for step in range(111)]
    assert rates[0] == pytest.approx(1e-4)
    assert rates[5] == pytest.approx((1e-4 + 1e-3) / 2)
    assert rates[10] == max(rates) == pytest.approx(1e-3)
    assert rates[60] == pytest.approx(5e-4)
    assert rates[110] == pytest.approx(0, abs=1e-12)
    assert learning_rate_at(config(learning_rate=1e-5), 0) == 1e-5


def test_half_precision_trains_and_keeps_single_precision_losses(config):
    losses = train(config("defilip", precision="bfloat16", steps=30, warmup_steps=5)).losses[TOTAL]
    assert all(math.isfinite(value) for value in losses)
    assert losses[-1] < losses[0]


def test_the_text_depth_is_an_option(config):
    deep, shallow = (ContrastiveModel(config(text_depth=depth)).text_tower for depth in (3, 1))
    assert len(deep.body.transformer.resblocks) == 3
    assert len(shallow.body.transformer.resblocks) == 1
    assert shallow(torch.zeros(2, 16, dtype=torch.long)).embedding.shape == (2, 32)


def test_variants_start_with_the_same_towers(config):
    starts = []
    for variant in VARIANTS:
        torch.manual_seed(7)
        model = ContrastiveModel(config(variant))
        starts.append({name: part for name, part in model.named_parameters() if "_tower" in name})
    assert all(torch.equal(start[name], starts[0][name]) for start in starts for name in starts[0])
