"""Opens the samples of a run, and makes its batches in its own process or in others."""

from collections.abc import Iterable, Iterator
from typing import Any

from torch.utils.data import DataLoader, Dataset

from metaclip_spark.clip_benchmark.augmentation.batches import Batch, Batches
from metaclip_spark.clip_benchmark.augmentation.device_batches import DeviceBatches, make_batches
from metaclip_spark.clip_benchmark.loading.sequential_batches import SequentialBatches
from metaclip_spark.clip_benchmark.reading.random_access import ShardFolder
from metaclip_spark.clip_benchmark.reading.state import ReadingState
from metaclip_spark.clip_benchmark.settings.training_config import TrainingConfig
from metaclip_spark.errors import CurationError

AnyBatches = Batches | DeviceBatches | SequentialBatches


def open_batches(config: TrainingConfig, rank: int, device: str) -> tuple[AnyBatches, int | None]:
    """Opens the samples for the process of a rank.

    Args:
        config: The run.
        rank: The process.
        device: Where it trains.

    Returns:
        Its batches, and how many samples there are; None where nobody has counted them.

    Raises:
        ConfigError: If there are none, or they lack what the configuration needs.
        InputError: If they cannot be read.
    """
    if config.reads_in_sequence:
        in_sequence = SequentialBatches(config, rank)
        return in_sequence, in_sequence.samples
    folder = ShardFolder(config.train_shards)
    return make_batches(config, rank, device, folder), len(folder)


def batches_from(
    config: TrainingConfig, batches: AnyBatches, first_step: int, end_step: int, state: ReadingState | None = None
) -> Iterator[Batch]:
    """Makes the batches up to `end_step`, in worker processes where the configuration asks for them.

    Args:
        config: The run.
        batches: Its batches.
        first_step: The first step.
        end_step: The step after the last one.
        state: That of the last batch before the first step, where it was read in sequence.

    Yields:
        The batch of each step, the same whatever the number of worker processes.

    Raises:
        CurationError: What a worker process could not go on with.
    """
    items: Iterable[Any] = range(first_step, end_step)
    if isinstance(batches, SequentialBatches):
        items = batches.encoded(first_step, end_step, state)
    if not config.loader_workers or isinstance(batches, DeviceBatches):
        yield from (batches[item] for item in items)
        return
    loader = DataLoader(
        _Told(batches), batch_size=None, sampler=items, num_workers=config.loader_workers, collate_fn=_as_made
    )
    for made in loader:
        if isinstance(made, CurationError):
            raise made
        yield made


class _Told(Dataset[Batch]):
    """Batches in a worker process, which tells its errors as they are: torch would add the process's traceback."""

    def __init__(self, batches: Batches | SequentialBatches) -> None:
        self._batches = batches

    def __getitem__(self, item: Any) -> Batch | CurationError:
        if isinstance(item, CurationError):
            # The process that reads could not go on; the batches before are trained on first.
            return item
        try:
            return self._batches[item]
        except CurationError as error:
            return error


def _as_made(made: Batch | CurationError) -> Batch | CurationError:
    return made
