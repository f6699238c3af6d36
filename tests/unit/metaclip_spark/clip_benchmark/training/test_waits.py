"""A step looks at no number that it computes: on a GPU each look would wait for all that was asked before."""

import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from metaclip_spark.clip_benchmark.settings.variants import PRESETS, VARIANTS
from metaclip_spark.clip_benchmark.training import train as training
from metaclip_spark.clip_benchmark.training.processes import TrainingProcess
from metaclip_spark.clip_benchmark.training.train import READ_STEPS, TOTAL, TrainingRun, train
from metaclip_spark.errors import TrainingDivergedError

aten = torch.ops.aten
LOOKS = {aten._local_scalar_dense, aten.nonzero, aten.masked_select, aten.equal, aten.is_nonzero}


WRITES_BY_INDEX = {aten.index_put, aten.index_put_, aten._index_put_impl_}


class NoLooks(TorchDispatchMode):
    """Refuses what brings numbers from the device to the program, indexing by booleans included, or waits for one."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        packet = func.overloadpacket
        assert packet not in LOOKS, func
        if packet in {aten.index, *WRITES_BY_INDEX}:
            assert not any(index is not None and index.dtype == torch.bool for index in args[1]), func
        # A number of the program is sent by itself, which waits; a tensor is there.
        assert packet not in WRITES_BY_INDEX or args[2].dim(), func
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_step_that_reads_nothing_looks_at_nothing(config, monkeypatch, variant, preset):
    run = TrainingRun(config(variant, preset=preset), TrainingProcess(0, "cpu"))
    run.objective.train()
    for step in range(2):
        run.train_step(run.batches[step])
    # What brings a batch to the device looks at the host's numbers.
    batch, inputs = run.batches[2], training.inputs_of(run.batches[2], "cpu")
    monkeypatch.setattr(training, "inputs_of", lambda *_: inputs)
    with NoLooks():
        run.train_step(batch, reads=False)
    with pytest.raises(AssertionError, match="_local_scalar_dense"), NoLooks():
        float(inputs.samples.sum())
    assert len(run.losses[TOTAL]) == 2
    run.train_step(batch)
    assert len(run.losses[TOTAL]) == 4


def test_losses_that_are_read_together_are_those_of_each_step(config):
    one_by_one = TrainingRun(config("defilip", queue_size=32), TrainingProcess(0, "cpu"))
    one_by_one.objective.train()
    for step in range(4):
        one_by_one.train_step(one_by_one.batches[step])
    together = train(config("defilip", queue_size=32, steps=6, stop_at_step=4))
    assert repr(together.losses) == repr(one_by_one.losses)
    assert math.isnan(together.losses["neighbours"][0]) and not math.isnan(together.losses["neighbours"][3])
    counts = one_by_one.counts
    assert together.diagnostics["stale_neighbours"] == counts["stale"] / counts["neighbours"]
    assert together.diagnostics["embedding_deviation"] == one_by_one.embedding_deviation


def test_the_step_that_diverged_is_named_though_later_ones_were_trained(config):
    assert READ_STEPS == 50
    run = TrainingRun(config(), TrainingProcess(0, "cpu"))
    run.train_step(run.batches[0])
    run.train_step(run.batches[1], reads=False)
    with torch.no_grad():
        run.objective.model.logit_scale.fill_(math.nan)
    run.train_step(run.batches[2], reads=False)
    run.train_step(run.batches[3], reads=False)
    with pytest.raises(
        TrainingDivergedError, match=r"step 2 of .*run gives the losses \{'contrast': nan, 'total': nan"
    ):
        run.train_step(run.batches[4])
