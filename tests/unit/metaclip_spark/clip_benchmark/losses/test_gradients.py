"""Each term reaches exactly its parameters."""

import pytest
import torch

from metaclip_spark.clip_benchmark.losses.supervision import unit
from metaclip_spark.clip_benchmark.settings.training_config import IMAGE_TOWERS
from metaclip_spark.clip_benchmark.settings.variants import PRESETS, VARIANTS
from metaclip_spark.clip_benchmark.training.processes import TrainingProcess
from metaclip_spark.clip_benchmark.training.train import TrainingRun, inputs_of

POOLING = {"vit": {"ln_post"}, "resnet": {"attnpool"}}
PROJECTION = {"vit": {"proj"}, "resnet": {"projection"}}


def group_of(name, tower):
    """Gives what a parameter belongs to."""
    parts = name.split(".")
    if parts[0] not in {"image_tower", "text_tower"}:
        return parts[0]
    side, place = parts[0].split("_")[0], parts[2] if len(parts) > 2 else parts[1]
    if side == "text":
        return "text projection" if place == "text_projection" else "text body"
    if place in POOLING[tower]:
        return "image pooling"
    if place in PROJECTION[tower]:
        return "image projection"
    return "patch convolution" if (tower, place) == ("vit", "conv1") else "image body"


IMAGE = {"image body", "image pooling", "image projection"}
TEXT = {"text body", "text projection"}
REACHED = {
    "contrast": IMAGE | TEXT | {"logit_scale"},
    "simclr": {"image body", "image pooling", "simclr_head"},
    "simsiam": IMAGE | {"simsiam_projector", "simsiam_predictor"},
    "masked_words": {"text body", "word_head"},
    "neighbours": IMAGE | {"logit_scale"},
    "tokens": {"image body", "text body", "image_token_head", "text_token_head", "token_logit_scale"},
}


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("tower", IMAGE_TOWERS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_each_term_reaches_exactly_its_parameters(config, variant, tower, preset):
    run = TrainingRun(config(variant, image_tower=tower, preset=preset), TrainingProcess(0, "cpu"))
    if run.queue:
        run.queue.enqueue(unit(torch.randn(16, run.config.embedding_width)), torch.arange(16))
    terms = run.objective(inputs_of(run.batches[0], "cpu"))
    assert set(terms) == set(VARIANTS[variant].terms())
    model = run.objective.model
    # There the attention pooling gives the embedding.
    missing = {"image projection"} if (tower, preset) == ("resnet", "published") and variant != "slip" else set()
    for name, value in terms.items():
        model.zero_grad(set_to_none=True)
        value.backward(retain_graph=True)
        reached = {part for part, parameter in model.named_parameters() if parameter.grad is not None}
        groups = {group_of(part, tower) for part in reached}
        assert groups == REACHED[name] - missing
        whole = {part for part, _ in model.named_parameters() if group_of(part, tower) in groups}
        assert reached == whole
        moved = {group_of(part, tower) for part in reached if model.get_parameter(part).grad.abs().sum() > 0}
        assert moved == groups
    every = set().union(*(REACHED[name] for name in terms)) - missing
    trained = {group_of(part, tower) for part, parameter in model.named_parameters() if parameter.requires_grad}
    # What no term reaches is frozen: processes that exchange gradients would wait for it.
    assert trained == every


@pytest.mark.parametrize("variant", VARIANTS)
def test_training_leaves_the_patch_convolution_and_moves_the_rest(config, variant):
    run = TrainingRun(config(variant), TrainingProcess(0, "cpu"))
    before = {name: parameter.detach().clone() for name, parameter in run.objective.model.named_parameters()}
    for step in range(3):
        run.train_step(run.batches[step])
    for name, parameter in run.objective.model.named_parameters():
        assert torch.equal(parameter, before[name]) == (not parameter.requires_grad), name
