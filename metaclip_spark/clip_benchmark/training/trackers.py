"""Where the numbers of a training can be watched: TensorBoard and Weights & Biases, each only where it is asked for."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from metaclip_spark.clip_benchmark.settings.training_config import TrainingConfig
from metaclip_spark.clip_benchmark.training.optimizer import learning_rate_at
from metaclip_spark.clip_benchmark.training.progress import TrainingState
from metaclip_spark.errors import ConfigError


class Tracker(Protocol):
    """Anything that draws numbers over steps."""

    def write(self, step: int, values: dict[str, float]) -> None:
        """Takes the numbers of a step, which are named as `loss/contrast`."""

    def close(self) -> None:
        """Ends the run; everything is written."""


class _TensorBoard:
    def __init__(self, folder: str, first_step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - an optional package

        # What a killed run drew after its last checkpoint is drawn anew.
        self._writer: Any = SummaryWriter(folder, purge_step=first_step + 1)

    def write(self, step: int, values: dict[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


class _WeightsAndBiases:
    def __init__(self, project: str, config: TrainingConfig) -> None:
        import wandb  # noqa: PLC0415 - an optional package

        name, folder = Path(config.output).absolute().name, Path(config.wandb_folder or config.output).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        try:
            self._run: Any = wandb.init(project=project, name=name, group=name, dir=str(folder), config=config.shown())
        except wandb.errors.Error as error:
            told = str(error).rstrip(".")
            raise ConfigError(
                f"--wandb {project}: {told}; log in with wandb login, or set WANDB_MODE=offline in the environment"
            ) from None

    def write(self, step: int, values: dict[str, float]) -> None:
        self._run.log(values, step=step)

    def close(self) -> None:
        self._run.finish()


@contextmanager
def tracked(config: TrainingConfig, rank: int, first_step: int) -> Iterator[list[Tracker]]:
    """Opens the trackers that a configuration asks for, in the first process alone."""
    opened: list[Tracker] = []
    try:
        if rank == 0 and config.tensorboard is not None:
            opened.append(_TensorBoard(config.tensorboard, first_step))
        if rank == 0 and config.wandb is not None:
            opened.append(_WeightsAndBiases(config.wandb, config))
        yield opened
    finally:
        for tracker in opened:
            tracker.close()


def write_state(trackers: list[Tracker], config: TrainingConfig, state: TrainingState) -> None:
    """Gives trackers each of the last steps: its losses and learning rate, and to the last one what was measured."""
    if not trackers:
        return
    count = max(map(len, state.losses.values()))
    for place in range(count):
        step = state.step - count + place + 1
        # What a step skipped has no point in its curve.
        values = {f"loss/{name}": of[place] for name, of in state.losses.items() if of[place] == of[place]}
        values["learning_rate"] = learning_rate_at(config, step - 1)
        if step == state.step:
            values |= {**state.scales, "samples_per_second": state.samples_per_second, "lost": float(state.lost)}
        for tracker in trackers:
            tracker.write(step, values)
