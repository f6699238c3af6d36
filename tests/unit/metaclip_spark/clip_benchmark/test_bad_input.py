"""What cannot be trained on is one clear error, or is counted and skipped."""

import math
from dataclasses import replace

import pytest
import torch

from metaclip_spark.clip_benchmark.augmentation.text import IGNORE_INDEX
from metaclip_spark.clip_benchmark.training.checkpoints import load_model
from metaclip_spark.clip_benchmark.training.processes import TrainingProcess
from metaclip_spark.clip_benchmark.training.train import TOTAL, TrainingRun, train
from metaclip_spark.errors import ConfigError, InputError, OutputExistsError, TrainingDivergedError
from tests.support.clip_benchmark.small_shards import members, write_tar

STEPS, BATCH = 6, 8


def damaged(folder, damage):
    """Writes 24 samples in one tar, the first of which `damage` changes."""
    samples = [members(number) for number in range(24)]
    damage(samples[0])
    folder.mkdir()
    write_tar(folder / "00000.tar", samples)
    return str(folder)


DAMAGES = {
    "image.corrupt": lambda sample: sample.update(png=b"not a picture"),
    "image.corrupt too": lambda sample: sample.update(png=sample["png"][:60]),
    "caption.empty": lambda sample: sample.update(txt=b" \n"),
    "member.missing": lambda sample: sample.pop("txt"),
    "member.missing too": lambda sample: sample.pop("png"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_bad_sample_is_replaced_and_counted(config, tmp_path, damage):
    folder = damaged(tmp_path / "damaged", DAMAGES[damage])
    bad = replace(config(), train_shards=folder)
    result = train(bad)
    # 48 places in two passes over 24 samples meet the bad one twice, and replacements may meet it again.
    assert list(result.diagnostics["lost"]) == [damage.removesuffix(" too")]
    assert result.diagnostics["lost"][damage.removesuffix(" too")] >= 2
    assert len(result.losses[TOTAL]) == STEPS
    again = train(replace(bad, output=str(tmp_path / "again")))
    assert again.losses == result.losses
    whole = TrainingRun(bad, TrainingProcess(0, "cpu")).batches
    assert all(0 not in whole[step].samples.tolist() for step in range(STEPS))


def test_shards_without_one_good_sample_are_an_error(config, tmp_path):
    folder = tmp_path / "bad"
    folder.mkdir()
    write_tar(folder / "00000.tar", [{"png": b"x", "txt": b"a bar"}] * 3)
    with pytest.raises(InputError, match=r"100 samples .* in a row cannot be used \(\{'image.corrupt': 100\}\)"):
        train(replace(config(), train_shards=str(folder)))


@pytest.mark.parametrize(
    ("files", "error", "message"),
    [
        ({}, ConfigError, "holds no tars"),
        ({"00000.tar": b""}, InputError, "is not a readable tar"),
        ({"00000.tar": b"\0" * 10240}, ConfigError, "holds no samples"),
        ({"shards.json": b"{}"}, InputError, "does not describe shards"),
        ({"shards.json": b'{"shards": [{"name": "00000.tar", "samples": 8}]}'}, InputError, "is not a readable tar"),
    ],
)
def test_a_folder_that_is_no_shards_is_an_error(config, tmp_path, files, error, message):
    folder = tmp_path / "folder"
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    with pytest.raises(error, match=message):
        train(replace(config(), train_shards=str(folder)))


@pytest.mark.parametrize("preset", ["clean", "published"])
def test_a_batch_without_a_masked_word_skips_the_term(config, preset):
    run = TrainingRun(config("declip", preset=preset), TrainingProcess(0, "cpu"))
    batch = run.batches[0]
    run.train_step(replace(batch, labels=torch.full_like(batch.labels, IGNORE_INDEX)))
    run.train_step(run.batches[1])
    skipped, computed = run.losses["masked_words"]
    assert math.isnan(skipped)
    assert computed > 5
    assert run.counts["skipped.masked_words"] == 1
    assert all(math.isfinite(value) for value in run.losses[TOTAL])


@pytest.mark.parametrize(
    ("variant", "tower"), [("slip", "vit"), ("declip", "vit"), ("defilip", "vit"), ("clip", "resnet")]
)
def test_a_batch_of_one_is_an_error_where_it_is_normalised(config, variant, tower):
    with pytest.raises(ConfigError, match="batch-size is 1: it must be at least 2 per process, since"):
        config(variant, image_tower=tower, batch_size=1, processes=2)


def test_a_batch_of_one_alone_is_an_error_for_every_variant(config):
    with pytest.raises(ConfigError, match="one pair has nothing to be told from"):
        config("clip", batch_size=1)
    assert config("clip", batch_size=1, processes=2)


def test_a_queue_as_large_as_the_data_is_an_error(config):
    with pytest.raises(ConfigError, match="queue-size is 96, but there are 96 samples"):
        train(config("declip", queue_size=96))


def test_going_on_from_a_checkpoint_of_another_variant_is_an_error(config):
    result = train(config("clip"))
    with pytest.raises(OutputExistsError, match="variant was 'clip' and is now 'slip'"):
        train(config("slip"))
    with pytest.raises(ConfigError, match="is a checkpoint of clip, not slip"):
        load_model(result.checkpoint, variant="slip")


@pytest.mark.parametrize("content", [b"", b"x" * 100, None])
def test_a_damaged_checkpoint_is_an_error(config, content):
    result = train(config())
    file = result.checkpoint / "model.pt"
    file.write_bytes(file.read_bytes()[:1000] if content is None else content)
    with pytest.raises(InputError, match=r"model.pt is damaged"):
        train(config())
    with pytest.raises(InputError, match=r"model.pt is damaged"):
        load_model(result.checkpoint)


class Harm:
    def __reduce__(self):
        return (print, ("code ran",))


def test_a_checkpoint_runs_no_code(config, capsys):
    result = train(config())
    torch.save({"config": Harm()}, result.checkpoint / "model.pt")
    with pytest.raises(InputError, match="damaged"):
        load_model(result.checkpoint)
    assert "code ran" not in capsys.readouterr().out


def test_a_missing_checkpoint_is_an_error(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        load_model(tmp_path / "checkpoint-00000001")


def test_a_loss_that_is_no_number_ends_the_run(config):
    run = TrainingRun(config(), TrainingProcess(0, "cpu"))
    with torch.no_grad():
        run.objective.model.logit_scale.fill_(math.nan)
    with pytest.raises(TrainingDivergedError, match=r"step 0 of .*run gives the losses"):
        run.train_step(run.batches[0])


def test_fewer_processes_than_configured_is_an_error(config):
    with pytest.raises(ConfigError, match="--processes is 2 but 1 run"):
        train(config(processes=2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variant": "blip"}, "--variant is 'blip': it must be one of clip, slip, filip, declip, defilip"),
        ({"image_tower": "vgg"}, "--image-tower is 'vgg': it must be one of vit, resnet"),
        ({"model_size": "huge"}, "--model-size is 'huge': it must be one of unit"),
        ({"preset": "repo"}, "--preset is 'repo'"),
        ({"view_set": "all"}, "--view-set is 'all'"),
        ({"precision": "float16"}, "--precision is 'float16'"),
        ({"steps": 0, "warmup_steps": 0}, "--steps is 0"),
        ({"warmup_steps": 6}, "--warmup-steps is 6: it must be from 0 to below --steps"),
        ({"image_pixels": 36}, "--image-pixels is 36: it must be a multiple of 8 for a unit vit"),
        ({"image_tower": "resnet", "image_pixels": 40}, "a multiple of 32 for a unit resnet"),
        ({"learning_rate": 0.0}, "--learning-rate is 0.0: it must be a finite number above 0"),
        ({"learning_rate": math.inf}, "--learning-rate is inf: it must be a finite number above 0"),
        ({"learning_rate": math.nan}, "--learning-rate is nan"),
        ({"weight_decay": math.inf}, "--weight-decay is inf: it must be a finite number of at least 0"),
        ({"weight_decay": math.nan}, "--weight-decay is nan"),
        ({"filip_topk": math.inf}, "--filip-topk is inf: it must be a finite number above 0"),
        ({"filip_topk": 0}, "--filip-topk is 0"),
        ({"text_depth": 0}, "--text-depth is 0"),
        ({"queue_size": 0}, "--queue-size is 0"),
        ({"seed": -1}, "--seed is -1"),
        ({"output": " "}, "--output is  : it must be a folder"),
    ],
)
def test_an_option_out_of_range_is_named(config, options, message):
    with pytest.raises(ConfigError) as raised:
        config(**options)
    assert message in str(raised.value)


def test_a_folder_without_wordnet_is_an_error(config, tmp_path):
    with pytest.raises(ConfigError, match=r"--synonyms .* does not hold data.noun"):
        train(config("declip", synonyms=str(tmp_path)))
