"""Two processes that train together, forked from a server that has imported torch once."""

import os
import pickle
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch.multiprocessing

from metaclip_spark.clip_benchmark.settings.training_config import TrainingConfig
from metaclip_spark.clip_benchmark.training.result import TrainingResult
from metaclip_spark.clip_benchmark.training.train import train


def start_two(function: Callable[..., None], *arguments: Any) -> None:
    """Calls a function in two processes, with the number of each and the arguments, and waits for both."""
    # Forks of a server that imports torch once, and not of this process, which has threads. The server keeps the
    # environment that it was started with, so the processes are told of theirs.
    told = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port()), "WORLD_SIZE": "2"}
    torch.multiprocessing.set_forkserver_preload([__name__])
    torch.multiprocessing.start_processes(_ranked, (function, arguments, told), nprocs=2, start_method="forkserver")


def _free_port() -> int:
    """Finds a port that the system gives to nobody who asks for any, as many tests beside this one do."""
    least = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for port in range(least - 1 - os.getpid() % 5000, 1024, -1):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise OSError("no port is free")


def _ranked(number: int, function: Callable[..., None], arguments: tuple[Any, ...], told: dict[str, str]) -> None:
    os.environ |= {**told, "RANK": str(number), "LOCAL_RANK": str(number)}
    torch.set_num_threads(1)
    function(number, *arguments)


def train_in_two(config: TrainingConfig, folder: Path) -> TrainingResult:
    """Trains a configuration of two processes without Spark; gives the result of the first."""
    start_two(_train, config, folder)
    result: TrainingResult = pickle.loads((folder / "0.pickle").read_bytes())
    return result


def _train(number: int, config: TrainingConfig, folder: Path) -> None:
    (folder / f"{number}.pickle").write_bytes(pickle.dumps(train(config)))
