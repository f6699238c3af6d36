"""Two processes give the gradient of one process with both batches."""

from dataclasses import replace

import pytest
import torch

from tests.support.clip_benchmark.two_processes import start_two
from tests.support.clip_benchmark.two_ranks import batch_of, in_processes, step

CASES = [("clip", "clean"), ("slip", "clean"), ("filip", "clean"), ("filip", "published"), ("defilip", "clean")]


@pytest.fixture(scope="module")
def answers(shards, tmp_path_factory):
    """Case -> what one process gave, and what each of two gave."""
    from metaclip_spark.clip_benchmark.settings.training_config import TrainingConfig

    folder = tmp_path_factory.mktemp("ranks")
    alone = [
        TrainingConfig(
            variant, str(shards), str(folder), model_size="unit", queue_size=16, preset=preset, batch_size=12
        )
        for variant, preset in CASES
    ]
    together = [replace(config, processes=2, batch_size=6) for config in alone]
    wholes = [batch_of(config) for config in alone]
    start_two(in_processes, together, wholes, folder)
    ranks = [torch.load(folder / f"{number}.pt", weights_only=True) for number in range(2)]
    expected = [step(config, whole) for config, whole in zip(alone, wholes, strict=True)]
    return {case: (one, list(two)) for case, one, two in zip(CASES, expected, zip(*ranks, strict=True), strict=True)}


def difference(found, expected):
    return float((found - expected).norm() / expected.norm())


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_two_processes_give_the_gradient_of_one(answers, case):
    one, two = answers[case]
    for place, chosen in enumerate(one["chosen"]):
        both = torch.cat([rank["chosen"][place] for rank in two])
        assert chosen.shape[1] < 16
        assert torch.equal(both, chosen)
    assert (len(one["chosen"]) == 2) == (case[0] in {"filip", "defilip"})
    assert difference(sum(rank["loss"] for rank in two) / 2, one["loss"]) <= 1e-12
    for rank in two:
        assert set(rank["gradients"]) == set(one["gradients"])
        found = torch.cat([rank["gradients"][name].flatten() for name in one["gradients"]])
        assert difference(found, torch.cat([part.flatten() for part in one["gradients"].values()])) <= 1e-8
        scale = max(float(part.norm()) for part in one["gradients"].values())
        for name, gradient in one["gradients"].items():
            # Of a gradient that is zero but for rounding there is no relative error.
            if gradient.norm() > 1e-9 * scale:
                assert difference(rank["gradients"][name], gradient) <= 1e-8, name


def test_the_queue_is_the_same_everywhere(answers):
    one, two = answers["defilip", "clean"]
    for rank in two:
        assert sorted(rank["queue"]["samples"].tolist()) == sorted(one["queue"]["samples"].tolist())
    assert torch.equal(two[0]["queue"]["embeddings"], two[1]["queue"]["embeddings"])
