"""The batches of samples in the order in which they are read, in one process or in several."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

from torch.utils.data import DataLoader, Dataset, IterableDataset

from metaclip_spark.clip_benchmark.augmentation.batches import Batch, BatchMaker
from metaclip_spark.clip_benchmark.loading.sequence import EncodedBatch, SampleSequence
from metaclip_spark.clip_benchmark.reading.listing import find_shards, forget_clients
from metaclip_spark.clip_benchmark.reading.random_access import read_protected_words
from metaclip_spark.clip_benchmark.reading.samples import BROKEN_IMAGE, Sample, decoded
from metaclip_spark.clip_benchmark.reading.state import ReadingState
from metaclip_spark.clip_benchmark.settings.training_config import TrainingConfig
from metaclip_spark.errors import CurationError, InputError
from udfs.sources.credentials import without_credentials


class SequentialBatches(BatchMaker, Dataset[Batch]):
    """Batches of samples in the order in which they are read.

    Attributes:
        samples: How many samples the shards hold; None where nobody has counted them.
    """

    def __init__(self, config: TrainingConfig, rank: int) -> None:
        """Finds the tars of the process of this rank."""
        shards = find_shards(config.train_shards)
        super().__init__(config, rank, read_protected_words(config.train_shards))
        counts = [shard.samples for shard in shards if shard.samples is not None]
        self.samples = sum(counts) if len(counts) == len(shards) else None
        self._sequence = SampleSequence(shards, config, rank)

    def __getitem__(self, encoded: EncodedBatch) -> Batch:
        """Decodes a batch; a broken picture's place is taken by another sample of the batch."""
        images = [decoded(sample.image) for sample in encoded.samples]
        whole = [place for place, image in enumerate(images) if image is not None]
        if not whole:
            raise InputError(
                f"--train-shards {without_credentials(self._config.train_shards)}: all {len(images)} pictures of step "
                f"{encoded.step} are broken: make the shards again"
            )
        samples = []
        for place, image in enumerate(images):
            taken = whole[place % len(whole)] if image is None else place
            sample, picture = encoded.samples[taken], images[taken]
            assert picture is not None
            samples.append(Sample(sample.index, picture, sample.caption))
        broken = Counter({BROKEN_IMAGE: len(images) - len(whole)})
        return replace(
            self.make(encoded.step, samples),
            lost=encoded.lost + broken,
            not_kept=encoded.not_kept,
            state=encoded.state,
        )

    def encoded(
        self, first_step: int, end_step: int, state: ReadingState | None
    ) -> Iterable[EncodedBatch | CurationError]:
        """What the batches of steps are decoded from, from where the step before them has left off.

        Args:
            first_step: The first step.
            end_step: The step after the last one.
            state: That of the last batch before the first step; None at the beginning of a run.

        Returns:
            The encoded batches. Where other processes decode them, one more reads them, and an error that ends the
            reading is the last of them.
        """
        begun = ReadingState() if state is None else state
        if not self._config.loader_workers:
            return self._sequence.batches(first_step, end_step, begun)
        reading = _Reading(self._sequence, first_step, end_step, begun)
        return DataLoader(reading, batch_size=None, num_workers=1, collate_fn=_as_read)


class _Reading(IterableDataset[EncodedBatch]):
    """Reads in a process of its own."""

    def __init__(self, sequence: SampleSequence, first_step: int, end_step: int, state: ReadingState) -> None:
        self._sequence = sequence
        self._steps = first_step, end_step
        self._state = state

    def __iter__(self) -> Iterator[EncodedBatch | CurationError]:
        forget_clients()
        try:
            yield from self._sequence.batches(*self._steps, self._state)
        except CurationError as error:
            yield error


def _as_read(read: EncodedBatch | CurationError) -> EncodedBatch | CurationError:
    return read
