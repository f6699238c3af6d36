"""Checkpoints: a folder that is there whole or not at all, read without running any code from it.

checkpoint-00000300/model.pt        parameters, configuration, optimizer, step, losses so far
checkpoint-00000300/rank-00000.pt   what each process has of its own: queue, generator, counts
"""

import os
import pickle
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from metaclip_spark.clip_benchmark.model.encoders import ContrastiveModel
from metaclip_spark.clip_benchmark.settings.training_config import TrainingConfig
from metaclip_spark.config.fields import check_made_with
from metaclip_spark.errors import ConfigError, InputError

_NAME = re.compile(r"checkpoint-(\d{8})")
_MODEL = "model.pt"
_DELETED = ".deleted"
_KEPT = 2


def folder_of(output: str, step: int) -> Path:
    """The folder of a step's checkpoint."""
    return Path(output) / f"checkpoint-{step:08d}"


def latest(output: str) -> Path | None:
    """The folder of the newest whole checkpoint of a run, or None."""
    return max(filter(_is_whole, _saved_in(Path(output))), default=None)


def save(
    config: TrainingConfig,
    step: int,
    rank: int,
    shared: Callable[[], dict[str, Any]],
    own: dict[str, Any],
    wait: Callable[[], None],
) -> Path:
    """Saves a checkpoint and deletes all but the last two.

    Rank 0 saves what all processes share, each process what it has of its own; `wait` returns when every process has
    called it.
    """
    target = folder_of(config.output, step)
    partial = target.with_name(f".{target.name}.partial")
    if rank == 0:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
    wait()
    _write(own, partial / _rank_file(rank))
    if rank == 0:
        _write({"config": config.shown(), "step": step, **shared()}, partial / _MODEL)
    wait()
    if rank == 0:
        partial.rename(target)
        finish_deletions(target.parent)
        for old in sorted(_saved_in(target.parent))[:-_KEPT]:
            delete(old)
    return target


def delete(folder: Path) -> None:
    """Deletes a checkpoint or a folder of them, which a kill does not leave in part under its name."""
    deleted = folder.with_name(f".{folder.name}{_DELETED}")
    folder.rename(deleted)
    shutil.rmtree(deleted)


def finish_deletions(folder: Path) -> None:
    """Deletes what a kill left of deletions in a folder."""
    for deleted in folder.glob(f".*{_DELETED}"):
        shutil.rmtree(deleted)


def load(path: Path, rank: int, device: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Reads what all processes share, on the device, and what this process has of its own."""
    return _read(path / _MODEL, device), _read(path / _rank_file(rank), "cpu")


def check_same_run(config: TrainingConfig, saved: dict[str, Any], path: Path) -> None:
    """Refuses a checkpoint of a run that differs in an option that the result depends on."""
    options = config.result_options()
    check_made_with({name: saved.get(name) for name in options}, options, path)


def load_model(
    path: Path | str, device: str = "cpu", variant: str | None = None
) -> tuple[ContrastiveModel, TrainingConfig]:
    """Reads the model of a checkpoint, ready to be evaluated.

    Args:
        path: The checkpoint's folder.
        device: Where the model goes.
        variant: The variant that is wanted; any where it is None.

    Returns:
        The model in evaluation mode, and the run's configuration.

    Raises:
        ConfigError: If the checkpoint is of another variant.
        InputError: If it is missing, damaged, or of a version whose options are others.
    """
    saved = _read(Path(path) / _MODEL, device)
    try:
        config = TrainingConfig(**saved["config"])
    except (TypeError, KeyError, ConfigError) as error:
        raise InputError(
            f"{path} was saved by another version of metaclip-spark ({error}): open it with that one, or train again"
        ) from None
    if variant not in {None, config.variant}:
        raise ConfigError(f"{path} is a checkpoint of {config.variant}, not {variant}: give one of {variant}")
    model = ContrastiveModel(config).to(device)
    try:
        model.load_state_dict(saved["model"])
    except (RuntimeError, KeyError, TypeError, AttributeError) as error:
        told = " ".join(str(error).split())[:200]
        raise InputError(f"{path} does not fit its own configuration ({told}): train again") from None
    return model.eval(), config


def _saved_in(output: Path) -> list[Path]:
    return [path for path in output.glob("checkpoint-*") if _NAME.fullmatch(path.name)]


def _is_whole(checkpoint: Path) -> bool:
    return all((checkpoint / name).is_file() for name in (_MODEL, _rank_file(0)))


def _rank_file(rank: int) -> str:
    return f"rank-{rank:05d}.pt"


def _write(content: dict[str, Any], path: Path) -> None:
    with path.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path, device: str) -> dict[str, Any]:
    try:
        content = torch.load(path, map_location=device, weights_only=True)
    except FileNotFoundError:
        raise InputError(
            f"{path} does not exist: give the folder of a checkpoint, such as checkpoint-00000300"
        ) from None
    except (RuntimeError, OSError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise InputError(
            f"{path} is damaged ({str(error)[:200]}): delete its folder and go on from the one before"
        ) from None
    if not isinstance(content, dict):
        raise InputError(f"{path} holds no checkpoint: give the folder of one")
    return content
