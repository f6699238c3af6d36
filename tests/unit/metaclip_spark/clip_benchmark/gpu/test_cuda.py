"""On a GPU a step is the CPU's step, half precision stays finite, a stopped run goes on, and nothing waits."""

import math
import socket
from dataclasses import replace

import pytest
import torch
import torch.distributed as dist

from metaclip_spark.clip_benchmark.augmentation.device_batches import DeviceBatches
from metaclip_spark.clip_benchmark.settings.training_config import IMAGE_TOWERS
from metaclip_spark.clip_benchmark.settings.variants import VARIANTS
from metaclip_spark.clip_benchmark.training.processes import TrainingProcess, processor_of
from metaclip_spark.clip_benchmark.training.train import TOTAL, TrainingRun, train

GPU = "cuda:0"


def run_on(config, device):
    on = replace(config, device=device.partition(":")[0], view_maker="device")
    run = TrainingRun(on, TrainingProcess(0, device))
    run.objective.train()
    return run


@pytest.mark.parametrize("tower", IMAGE_TOWERS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_step_is_the_cpus_step(config, variant, tower):
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    runs = [run_on(config(variant, image_tower=tower, view_set="paper"), device) for device in ("cpu", GPU)]
    batches = [run.batches[0] for run in runs]
    for on_cpu, on_gpu in zip(*(batch.images for batch in batches), strict=True):
        # A value between two integers may be rounded to either.
        assert (on_cpu.int() - on_gpu.cpu().int()).abs().max() <= 1
    # The same pixels for both.
    batches[1] = replace(batches[1], images=tuple(view.to(GPU) for view in batches[0].images))
    for run, batch in zip(runs, batches, strict=True):
        run.train_step(batch)
    for name, (value,) in runs[0].losses.items():
        assert runs[1].losses[name][0] == pytest.approx(value, rel=1e-4, abs=1e-4, nan_ok=True), name
    gradients = [
        {name: part.grad.cpu() for name, part in run.objective.model.named_parameters() if part.grad is not None}
        for run in runs
    ]
    assert set(gradients[0]) == set(gradients[1])
    whole = [torch.cat([part.flatten() for part in of_run.values()]) for of_run in gradients]
    assert float((whole[1] - whole[0]).norm() / whole[0].norm()) <= 1e-3


@pytest.mark.parametrize("variant", VARIANTS)
def test_half_precision_stays_finite(config, variant):
    result = train(config(variant, device="cuda", precision="bfloat16", steps=20))
    assert result.view_maker == "device"
    assert all(math.isfinite(value) for value in result.losses[TOTAL])


@pytest.mark.parametrize("variant", ["slip", "defilip"])
@pytest.mark.parametrize("view_maker", ["loader", "device"])
def test_a_stopped_run_goes_on(config, tmp_path, variant, view_maker):
    whole = config(variant, device="cuda", view_maker=view_maker, steps=10, output=str(tmp_path / "whole"))
    once = train(whole)
    parts = replace(whole, output=str(tmp_path / "parts"))
    train(replace(parts, stop_at_step=5))
    again = train(parts)
    for name, values in once.losses.items():
        assert again.losses[name] == pytest.approx(values, rel=1e-4, abs=1e-4, nan_ok=True), name


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_step_waits_for_nothing(config, variant):
    run = run_on(config(variant), GPU)
    assert isinstance(run.batches, DeviceBatches)
    for step in range(3):
        run.train_step(run.batches[step])
    # What sorts so that sums have one order may look at what it sorts.
    torch.use_deterministic_algorithms(False)
    torch.cuda.set_sync_debug_mode("error")
    try:
        run.train_step(run.batches[3], reads=False)
    finally:
        torch.cuda.set_sync_debug_mode("default")
        torch.use_deterministic_algorithms(True)


def test_one_process_alone_may_use_nccl(config):
    run = run_on(config("defilip"), GPU)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    torch.cuda.set_device(GPU)
    dist.init_process_group("nccl", init_method=f"tcp://127.0.0.1:{port}", rank=0, world_size=1)
    try:
        run.distributed = torch.nn.parallel.DistributedDataParallel(run.objective, broadcast_buffers=False)
        for step in range(2):
            run.train_step(run.batches[step])
    finally:
        dist.destroy_process_group()
    assert all(math.isfinite(value) for value in run.losses[TOTAL])


def test_the_processor_is_the_gpus_model():
    assert processor_of(GPU) == torch.cuda.get_device_name(0)
