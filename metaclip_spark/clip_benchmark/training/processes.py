"""The processes that train together: one alone, or those that torchrun or Spark's TorchDistributor started."""

import os
import platform
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor

from metaclip_spark.clip_benchmark.settings.training_config import Device, TrainingConfig
from metaclip_spark.errors import ConfigError, counted

_PROCESSOR = re.compile(r"^model name\s*:\s*(.+)$", re.MULTILINE)

LESS_MEMORY = "give a lower --batch-size, or of a grid a lower --cells-at-once"
"""What helps where the memory of a GPU is full."""

_MEMORY_FULL = re.compile(r"out of memory|_ALLOC_FAILED")
_TRIED = re.compile(r"tried to allocate [\d.]+ \w+", re.IGNORECASE)


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
    device = _own_device(config.device)
    if config.device == "cuda":
        torch.cuda.set_device(device)
    if config.processes == 1:
        yield TrainingProcess(0, device)
        return
    dist.init_process_group("nccl" if config.device == "cuda" else "gloo")
    try:
        yield TrainingProcess(dist.get_rank(), device)
    finally:
        dist.destroy_process_group()


def check_device(device: Device) -> None:
    """Refuses a GPU where torch finds none."""
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            f"--device is cuda, but torch {torch.__version__} finds no GPU: give cpu, or install torch for CUDA and a "
            "driver"
        )


@contextmanager
def memory_told(remedy: str = LESS_MEMORY) -> Iterator[None]:
    """Tells in one line that a GPU's memory is full, and the remedy.

    Raises:
        ConfigError: If it is.
        RuntimeError: Whatever else torch raises.
    """
    try:
        yield
    except RuntimeError as error:
        # Of allocations, of kernels and of libraries: they have no type in common.
        if not _MEMORY_FULL.search(str(error)):
            raise
        tried = _TRIED.search(str(error))
        raise ConfigError(f"the GPU's memory is full{f' ({tried[0]})' if tried else ''}: {remedy}") from None


def processor_of(device: str) -> str:
    """Names the model of the GPU or the CPU that a device is."""
    if device.startswith("cuda"):
        return str(torch.cuda.get_device_name(device))
    try:
        named = _PROCESSOR.search(Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace"))
    except OSError:
        named = None
    return named[1].strip() if named else platform.processor() or platform.machine()


def mean_over_processes(values: Tensor) -> Tensor:
    """Averages numbers of all processes in double precision; not a number where a process has none."""
    values = values.double()
    if not dist.is_initialized():
        return values
    dist.all_reduce(values)
    return values / dist.get_world_size()


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


def _own_device(device: Device) -> str:
    check_device(device)
    if device == "cpu":
        return "cpu"
    number, found = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if number >= found:
        raise ConfigError(
            f"--device is cuda, but this is process {number + 1} of a machine with {counted(found, 'GPU')}: start one "
            "process for each GPU"
        )
    return f"cuda:{number}"
