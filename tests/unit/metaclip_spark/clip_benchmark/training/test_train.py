"""Losses start where arithmetic says, fall, and a resumed run goes on bit by bit."""

import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch

from metaclip_spark.clip_benchmark.model.encoders import ContrastiveModel
from metaclip_spark.clip_benchmark.settings.training_config import IMAGE_TOWERS
from metaclip_spark.clip_benchmark.settings.variants import VARIANTS
from metaclip_spark.clip_benchmark.training import checkpoints
from metaclip_spark.clip_benchmark.training.train import TOTAL, train
from metaclip_spark.errors import ConfigError, OutputExistsError

BATCH = 8
VOCABULARY = 49409


@pytest.mark.parametrize("tower", IMAGE_TOWERS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_terms_start_at_a_guess_and_fall(config, variant, tower):
    result = train(config(variant, image_tower=tower, steps=25, warmup_steps=5, learning_rate=2e-3))
    starts = {name: next(value for value in values if not math.isnan(value)) for name, values in result.losses.items()}
    guess = math.log(BATCH)
    for name in ("contrast", "tokens"):
        # Above the guess, since the scale of 14.3 makes chance similarities matter.
        assert name not in starts or guess - 0.1 < starts[name] < guess + 1.5
    if "simclr" in starts:
        # A temperature of 0.1 makes chance similarities matter here, too.
        assert starts["simclr"] < math.log(2 * BATCH - 1) + 2
    if "masked_words" in starts:
        assert abs(starts["masked_words"] - math.log(VOCABULARY)) < 1
    if "simsiam" in starts:
        assert abs(starts["simsiam"]) < 0.3
    for name, values in result.losses.items():
        known = [value for value in values if not math.isnan(value)]
        assert sum(known[-5:]) < sum(known[:5]), name
        assert all(math.isfinite(value) for value in known)
    assert result.diagnostics["embedding_deviation"] > 0.2


@pytest.mark.parametrize("preset", ["clean", "published"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_resumed_run_gives_the_same_bits(config, tmp_path, variant, preset):
    whole = config(variant, preset=preset, steps=10, output=str(tmp_path / "whole"))
    once = train(whole)
    parts = replace(whole, output=str(tmp_path / "parts"))
    first = train(replace(parts, stop_at_step=5))
    assert len(first.losses[TOTAL]) == 5
    again = train(parts)
    assert {name: values[5:] for name, values in again.losses.items()} == {
        name: values[5:] for name, values in once.losses.items()
    }
    assert repr(again.losses) == repr(once.losses)
    assert again.diagnostics == once.diagnostics
    models = [torch.load(result.checkpoint / "model.pt", weights_only=True)["model"] for result in (once, again)]
    assert all(torch.equal(models[0][name], models[1][name]) for name in models[0])


def test_a_resumed_run_whose_device_makes_the_views_gives_the_same_bits(config, tmp_path):
    whole = config("defilip", view_maker="device", view_set="paper", steps=8, output=str(tmp_path / "whole"))
    once = train(whole)
    assert once.view_maker == "device"
    parts = replace(whole, output=str(tmp_path / "parts"))
    train(replace(parts, stop_at_step=4))
    with pytest.raises(OutputExistsError, match="view_maker was 'device' and is now 'loader'"):
        train(replace(parts, view_maker="loader"))
    assert repr(train(parts).losses) == repr(once.losses)
    assert train(replace(whole, view_maker="auto", output=str(tmp_path / "auto"))).losses != once.losses


def test_a_killed_run_goes_on_from_its_checkpoint(config, tmp_path):
    killed = config("declip", steps=400, checkpoint_every_steps=5, output=str(tmp_path / "killed"))
    options = [
        f"--{name.replace('_', '-')}={getattr(killed, name)}"
        for name in ("variant", "train_shards", "output", "model_size", "queue_size", "steps", "warmup_steps")
    ]
    command = [
        sys.executable,
        "-m",
        "metaclip_spark.clip_benchmark.training.train",
        *options,
        "--checkpoint-every-steps=5",
    ]
    process = subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"})
    deadline = time.monotonic() + 300
    while checkpoints.latest(killed.output) is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    reached = int(checkpoints.latest(killed.output).name.removeprefix("checkpoint-"))
    assert 0 < reached < 400
    end = reached + 5
    again = train(replace(killed, stop_at_step=end))
    straight = train(replace(killed, output=str(tmp_path / "straight"), stop_at_step=end))
    assert repr(again.losses) == repr(straight.losses)


def test_a_finished_run_is_not_trained_again(config):
    first = train(config())
    assert train(config()) == first


def test_only_the_last_two_checkpoints_stay(config, tmp_path):
    train(config(steps=8, checkpoint_every_steps=2))
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["checkpoint-00000006", "checkpoint-00000008"]
    (tmp_path / "run" / "checkpoint-00000008" / "model.pt").unlink()
    assert checkpoints.latest(str(tmp_path / "run")).name == "checkpoint-00000006"


def test_a_killed_deletion_leaves_no_part_of_a_checkpoint_and_is_finished_later(tmp_path, monkeypatch):
    saved = checkpoints.folder_of(str(tmp_path), 3)
    saved.mkdir()
    for name in ("model.pt", "rank-00000.pt"):
        (saved / name).touch()
    assert checkpoints.latest(str(tmp_path)) == saved
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints.shutil, "rmtree", lambda folder: (folder / "model.pt").unlink() or sys.exit())
        with pytest.raises(SystemExit):
            checkpoints.delete(saved)
    assert checkpoints.latest(str(tmp_path)) is None
    checkpoints.finish_deletions(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_worker_processes_give_the_same_batches(config, tmp_path):
    alone = train(config("declip"))
    helped = train(config("declip", loader_workers=2, output=str(tmp_path / "helped")))
    assert repr(helped.losses) == repr(alone.losses)


def test_the_seed_changes_the_run(config, tmp_path):
    losses = [train(config(seed=seed, output=str(tmp_path / str(seed)))).losses[TOTAL] for seed in (0, 1)]
    assert losses[0] != losses[1]


def test_scales_stay_within_the_bounds_of_the_preset(config):
    result = train(config("defilip", preset="published", learning_rate=0.5, steps=3, warmup_steps=0))
    model, _ = checkpoints.load_model(result.checkpoint)
    assert all(3.0 <= scale.item() <= 6.0 for scale in (model.logit_scale, model.token_logit_scale))


def test_a_checkpoint_gives_its_model_back(config):
    result = train(config("filip"))
    model, loaded = checkpoints.load_model(result.checkpoint)
    assert loaded == config("filip")
    assert model.scores_tokens
    assert not model.training
    features = model.encode_text(model.tokenize(["a red bar", "a blue bar at the left"]))
    tokens = model.dense_text(features.tokens)
    assert torch.allclose(tokens.norm(dim=-1), torch.ones(2, 16))
    assert features.valid.sum(dim=1).tolist() == [5, 8]


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (
            torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 80.00 MiB."),
            r"full \(Tried .* 80\.00 MiB\): ",
        ),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), "full: "),
    ],
)
def test_a_gpu_whose_memory_is_full_is_told_in_one_line(config, monkeypatch, raised, told):
    def full(*_):
        raise raised

    monkeypatch.setattr(ContrastiveModel, "encode_image", full)
    with pytest.raises(ConfigError, match=f"{told}give a lower --batch-size, or of a grid a lower --cells-at-once$"):
        train(config())
    raised.args = ("shapes do not fit",)
    with pytest.raises(RuntimeError, match=r"^shapes do not fit$"):
        train(config())
