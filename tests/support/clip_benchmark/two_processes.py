"""Two processes that train together, forked from a server that has imported torch once."""

import os
import pickle
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch.multiprocessing

from metaclip_spark.clip_benchmark.settings.training_config import TrainingConfig
from metaclip_spark.clip_benchmark.training.result import TrainingResult
from metaclip_spark.clip_benchmark.training.train import train


def start_two(function: Callable[..., None], *arguments: Any) -> None:
    """Calls a function in two processes, with the number of each and the arguments, and waits for both."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    try:
        # Forks of a server that imports torch once, and not of this process, which has threads.
        torch.multiprocessing.set_forkserver_preload([__name__])
        torch.multiprocessing.start_processes(_ranked, (function, arguments), nprocs=2, start_method="forkserver")
    finally:
        for name in ("MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE"):
            del os.environ[name]


def _ranked(number: int, function: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    os.environ |= {"RANK": str(number), "LOCAL_RANK": str(number)}
    torch.set_num_threads(1)
    function(number, *arguments)


def train_in_two(config: TrainingConfig, folder: Path) -> TrainingResult:
    """Trains a configuration of two processes without Spark; gives the result of the first."""
    start_two(_train, config, folder)
    result: TrainingResult = pickle.loads((folder / "0.pickle").read_bytes())
    return result


def _train(number: int, config: TrainingConfig, folder: Path) -> None:
    (folder / f"{number}.pickle").write_bytes(pickle.dumps(train(config)))
