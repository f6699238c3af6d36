"""The processes that train together: one alone, or those that torchrun or Spark's TorchDistributor started."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist

from metaclip_spark.clip_benchmark.settings.training_config import TrainingConfig
from metaclip_spark.errors import ConfigError


@dataclass(frozen=True)
class TrainingProcess:
    """One of the processes that train together: its rank, from 0, and the device it computes on."""

    rank: int
    device: str


@contextmanager
def joined(config: TrainingConfig) -> Iterator[TrainingProcess]:
    """Joins the other processes for a while: gloo on the CPU, nccl on GPUs."""
    started = int(os.environ.get("WORLD_SIZE", "1"))
    if started != config.processes:
        raise ConfigError(
            f"--processes is {config.processes} but {started} run: start them with torchrun --nproc-per-node, or with "
            "metaclip-spark benchmark"
        )
    if config.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("--device cuda, but torch finds no GPU: give --device cpu")
    device = f"cuda:{int(os.environ.get('LOCAL_RANK', '0'))}" if config.device == "cuda" else "cpu"
    if config.processes == 1:
        yield TrainingProcess(0, device)
        return
    if config.device == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if config.device == "cuda" else "gloo")
    try:
        yield TrainingProcess(dist.get_rank(), device)
    finally:
        dist.destroy_process_group()


def mean_over_processes(values: Mapping[str, float]) -> dict[str, float]:
    """Averages the numbers of all processes in double precision; not a number where a process has none."""
    if not dist.is_initialized():
        return dict(values)
    device = "cuda" if dist.get_backend() == "nccl" else "cpu"
    summed = torch.tensor(list(values.values()), dtype=torch.float64, device=device)
    dist.all_reduce(summed)
    return dict(zip(values, (summed / dist.get_world_size()).tolist(), strict=True))


def sum_over_processes(counts: Counter[str]) -> Counter[str]:
    """Adds up the counts of all processes."""
    if not dist.is_initialized():
        return counts
    everywhere: list[Counter[str]] = [Counter() for _ in range(dist.get_world_size())]
    dist.all_gather_object(everywhere, counts)
    return sum(everywhere, Counter())


def wait_for_all() -> None:
    """Returns when every process has called it."""
    if dist.is_available() and dist.is_initialized():
        dist.barrier()
