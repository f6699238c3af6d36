"""A training tells how far it is: in the log, as JSON, in TensorBoard and in Weights & Biases."""

import json
import logging
import math
import sys
from dataclasses import asdict, replace

import pytest

from metaclip_spark.clip_benchmark.settings.grid import Cell
from metaclip_spark.clip_benchmark.settings.grid_config import GridConfig
from metaclip_spark.clip_benchmark.training import train as training
from metaclip_spark.clip_benchmark.training.checkpoints import latest
from metaclip_spark.clip_benchmark.training.optimizer import learning_rate_at
from metaclip_spark.clip_benchmark.training.processes import TrainingProcess, processor_of
from metaclip_spark.clip_benchmark.training.progress import TrainingState, log_progress
from metaclip_spark.clip_benchmark.training.trackers import tracked
from metaclip_spark.clip_benchmark.training.train import TrainingRun, train
from metaclip_spark.config.logs import JsonFormatter
from metaclip_spark.errors import ConfigError

STATE = TrainingState(
    step=200,
    end=1000,
    losses={"contrast": [4.0, 3.0], "neighbours": [math.nan, math.nan], "tokens": [math.nan, 2.0]},
    scales={"logit_scale": 14.3, "token_logit_scale": 15.0},
    learning_rate=9.8e-4,
    samples_per_second=1234.5,
    seconds=40.0,
    lost=3,
)


def told(caplog):
    return [record for record in caplog.records if getattr(record, "event", "") == "progress"]


def test_a_line_tells_where_a_training_is(caplog):
    with caplog.at_level(logging.INFO, "metaclip_spark"):
        log_progress(STATE, samples_per_step=64)
    (record,) = told(caplog)
    assert record.getMessage() == (
        "step 200 of 1,000: contrast 3.5000, neighbours skipped, tokens 2.0000; scale 14.30, token scale 15.00; "
        "learning rate 0.00098; 1,234 samples/s; 3 samples lost; about 41 s left"
    )
    line = json.loads(JsonFormatter("runs/a").format(record), parse_constant=pytest.fail)
    assert (line["run"], line["event"], line["step"]) == ("runs/a", "progress", "train")
    progress = line["progress"]
    assert progress["losses"] == {"contrast": 3.5, "neighbours": None, "tokens": 2.0}
    assert progress["scales"] == {"logit_scale": 14.3, "token_logit_scale": 15.0}
    assert (progress["done"], progress["total"], progress["unit"], progress["lost"]) == (200, 1000, "steps", 3)
    assert (progress["learning_rate"], progress["samples_per_second"]) == (9.8e-4, 1234.5)
    assert progress["seconds_left"] == round(800 * 64 / 1234.5, 1)


@pytest.fixture
def often(monkeypatch):
    """Lets trainings of some steps read and tell as long ones do."""
    monkeypatch.setattr(training, "READ_STEPS", 2)
    monkeypatch.setattr(training, "LINE_STEPS", 4)


@pytest.mark.usefixtures("often")
def test_a_training_tells_its_own_numbers(config, caplog):
    with caplog.at_level(logging.INFO, "metaclip_spark"):
        result = train(config("declip", steps=9, checkpoint_every_steps=3))
    lines = [record.progress for record in told(caplog)]
    assert [line["done"] for line in lines] == [4, 8]
    contrast = result.losses["contrast"]
    assert [line["losses"]["contrast"] for line in lines] == pytest.approx(
        [sum(contrast[:4]) / 4, sum(contrast[4:8]) / 4]
    )
    assert lines[1]["learning_rate"] == learning_rate_at(config("declip", steps=9), 7)
    assert 10 < lines[1]["scales"]["logit_scale"] < 20
    assert lines[0]["seconds_elapsed"] <= lines[1]["seconds_elapsed"]


@pytest.mark.parametrize(("loss", "solved"), [(0.3, True), (2.0, False)])
def test_a_pretext_that_a_shortcut_solved_is_told_at_the_end(config, caplog, loss, solved):
    run = TrainingRun(config("slip"), TrainingProcess(0, "cpu"))
    # As after the last step; of 2 x 8 - 1 candidates a quarter of guessing's loss is 0.68.
    run.step, run.losses = 6, {"simclr": [math.nan, 2.7, 2.7, 2.7, 2.7, loss]}
    assert run.finish().diagnostics["solved_pretext"] is solved
    assert ("the image self-supervision was solved by a shortcut" in caplog.text) == solved
    run.losses = {"contrast": [2.0] * 6}
    assert "solved_pretext" not in run.finish().diagnostics


class StoppedInStep7(TrainingRun):
    def train_step(self, batch, *, reads=True):
        if self.step == 7:
            raise KeyboardInterrupt
        super().train_step(batch, reads=reads)


@pytest.mark.usefixtures("often")
def test_tensorboard_draws_each_step_once_whatever_was_killed(config, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    drawn = str(tmp_path / "curves")
    first = config("declip", steps=9, checkpoint_every_steps=4, tensorboard=drawn)
    with pytest.raises(KeyboardInterrupt):
        StoppedInStep7(first, TrainingProcess(0, "cpu")).finish()
    assert latest(first.output).name == "checkpoint-00000004"
    result = train(first)
    curves = EventAccumulator(drawn, size_guidance={"scalars": 0})
    curves.Reload()
    contrast = curves.Scalars("loss/contrast")
    assert [point.step for point in contrast] == list(range(1, 10))
    assert [point.value for point in contrast] == pytest.approx(result.losses["contrast"], rel=1e-6)
    known = [step for step, value in enumerate(result.losses["neighbours"], start=1) if not math.isnan(value)]
    assert [point.step for point in curves.Scalars("loss/neighbours")] == known
    assert len(curves.Scalars("learning_rate")) == 9
    assert {"logit_scale", "samples_per_second", "lost"} <= set(curves.Tags()["scalars"])


@pytest.mark.usefixtures("often")
def test_curves_of_a_run_that_was_killed_before_its_first_checkpoint_are_drawn_anew(config, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    drawn = str(tmp_path / "curves")
    run = config(steps=3, tensorboard=drawn)
    with tracked(run, 0, 0) as (killed,):
        for step in range(1, 5):
            killed.write(step, {"loss/contrast": 99.0})
    train(run)
    curves = EventAccumulator(drawn)
    curves.Reload()
    assert [point.step for point in curves.Scalars("loss/contrast")] == [1, 2, 3]


def test_credentials_of_a_store_are_handed_on_to_nobody(config):
    run = replace(config(), train_shards="https://me:secret@shards.example/a?key=secret")
    assert run.shown() == {**asdict(run), "train_shards": "https://shards.example/a?..."}


@pytest.mark.usefixtures("often", "wandb_stand_in")
def test_weights_and_biases_gets_each_step(config, tmp_path):
    result = train(config(steps=6, wandb="curves"))
    given, *steps = [json.loads(line) for line in (tmp_path / "run" / "wandb" / "told").read_text().splitlines()]
    assert (given["project"], given["name"], given["config"]["variant"]) == ("curves", "run", "clip")
    assert [step for step, _ in steps] == list(range(1, 7))
    assert [values["loss/contrast"] for _, values in steps] == result.losses["contrast"]
    with pytest.raises(ConfigError, match="--wandb : no project; log in with wandb login, or set WANDB_MODE=offline"):
        train(config(steps=6, wandb="", output=str(tmp_path / "other")))


@pytest.mark.parametrize("package", ["tensorboard", "wandb"])
def test_a_tracker_that_is_not_installed_is_told_in_one_line(config, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigError, match=f"--{package} is curves, but {package} is not installed: pip install"):
        train(config(**{package: "curves"}))


def test_each_cell_has_its_own_curves(tmp_path):
    grid = GridConfig(str(tmp_path), tensorboard="curves/", wandb="project")
    run = grid.training(Cell(seed=3), tmp_path, tmp_path / "checkpoints" / Cell(seed=3).name)
    assert (run.tensorboard, run.wandb) == (f"curves/{Cell(seed=3).name}", "project")
    assert run.wandb_folder == str(tmp_path / "curves" / Cell(seed=3).name)


def test_the_processor_is_named():
    assert processor_of("cpu").strip()
