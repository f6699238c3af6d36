"""The full-size recipe is a valid configuration, and trains: two steps of two processes with two pairs each."""

import shutil
from dataclasses import replace

import pytest
import torch

from metaclip_spark.clip_benchmark.model.encoders import ContrastiveModel
from metaclip_spark.clip_benchmark.report.published import RECIPES, published_tables
from metaclip_spark.clip_benchmark.settings.training_config import TrainingConfig
from metaclip_spark.clip_benchmark.settings.variants import VARIANTS
from metaclip_spark.clip_benchmark.training.train import TOTAL
from metaclip_spark.config.command_line import parse_configs
from tests.support.clip_benchmark.two_processes import train_in_two


def recipe(*options, tower="vit_b32"):
    (config,) = parse_configs(["--config", str(RECIPES / f"yfcc15m_{tower}.yaml"), *options], "test", TrainingConfig)
    return config


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("tower", ["vit_b32", "r50"])
def test_the_recipe_validates_whole(variant, tower):
    config = recipe("--variant", variant, tower=tower)
    assert config.samples_per_step == 4096
    assert config.steps == 128_001
    assert config.pixels == 224
    assert config.queue_entries == 65_536
    assert config.embedding_width == (1024 if tower == "r50" else 768 if variant == "filip" else 512)
    half = variant in {"slip", "filip"}
    assert (config.peak_learning_rate, config.decay) == ((5e-4, 0.5) if half else (1e-3, 0.1))
    assert config.selected_tokens(49) == 16


def test_the_towers_of_the_published_preset_are_those_of_its_code(config):
    published = ContrastiveModel(config("clip", preset="published"))
    assert 0.009 < published.image_tower.body.positional_embedding.std() < 0.011
    resnet = ContrastiveModel(config("clip", preset="published", image_tower="resnet"))
    images = torch.zeros(2, 3, 64, 64)
    features = resnet.eval().encode_image(images)
    assert features.embedding is features.pooled
    assert features.embedding.shape == (2, 32)
    slip = ContrastiveModel(config("slip", preset="published", image_tower="resnet")).eval().encode_image(images)
    # SimCLR's head reads what the embedding is projected from.
    assert slip.pooled.shape == (2, 256)


def test_the_published_figures_name_their_conditions():
    tables = published_tables()
    vit, resnet = tables["vit"], tables["resnet"]
    assert vit.top1_percent == {"clip": 32.8, "slip": 34.3, "filip": 39.5, "declip": 43.2, "defilip": 45.0}
    assert resnet.top1_percent == {"clip": 37.2, "slip": 28.5, "filip": 21.3, "declip": 44.4}
    assert (vit.image_tower, resnet.image_tower) == ("ViT-B/32", "ResNet-50")
    for table in tables.values():
        assert (table.data, table.preset) == ("YFCC15M-V2", "published")
        assert (table.steps, "80 prompts" in table.evaluation) == (128_001, True)


def test_the_recipe_trains_two_steps_in_two_processes(shards, tmp_path):
    config = replace(
        recipe(),
        train_shards=str(shards),
        output=str(tmp_path / "run"),
        steps=2,
        warmup_steps=1,
        batch_size=2,
        processes=2,
        device="cpu",
        loader_workers=0,
        synonyms=None,
    )
    result = train_in_two(config, tmp_path)
    assert len(result.losses[TOTAL]) == 2
    saved = torch.load(result.checkpoint / "model.pt", weights_only=True, mmap=True)
    assert sum(parameter.numel() for parameter in saved["model"].values()) > 150_000_000
    shutil.rmtree(result.checkpoint)
