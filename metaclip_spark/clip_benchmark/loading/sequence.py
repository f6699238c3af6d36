"""Which sample is trained on when, where whole tars are read one after another.

Each epoch has the tars in an order of its own, of which every process takes its share. What a process reads is shuffled
in blocks: while one block is trained on in a random order, the next one is read into the memory that becomes free. So a
stopped run goes on by reading from where its block began, and no picture is decoded for that.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

import metaclip_spark
from metaclip_spark.clip_benchmark.augmentation.random import Purpose, generator_for
from metaclip_spark.clip_benchmark.dependencies import require_packages
from metaclip_spark.clip_benchmark.reading.keep_probability import DRAWS_WITH, read_keep_probability
from metaclip_spark.clip_benchmark.reading.listing import Shard
from metaclip_spark.clip_benchmark.reading.samples import (
    EMPTY_CAPTION,
    JSON_MEMBER,
    MISSING_MEMBER,
    EncodedSample,
    caption_of,
)
from metaclip_spark.clip_benchmark.reading.state import BlockStart, ReadingState
from metaclip_spark.clip_benchmark.reading.tars import Members, image_and_caption, read_tar
from metaclip_spark.clip_benchmark.settings.training_config import TrainingConfig
from metaclip_spark.errors import ConfigError, InputError, counted
from udfs.sources.credentials import without_credentials

_PLACE_BITS = 32
"""Bits of a sample's index that are its place in its tar."""

_USED = EncodedSample(-1, b"", "")
"""What stands in the place of a sample that was trained on."""


class EncodedBatch(NamedTuple):
    """One step's samples of one process before they are decoded.

    Attributes:
        step: The step.
        samples: The samples.
        lost: Samples that were lost while these were read, by reason.
        not_kept: Samples that online curation passed over meanwhile.
        state: What reading goes on from behind them.
    """

    step: int
    samples: tuple[EncodedSample, ...]
    lost: Counter[str]
    not_kept: int
    state: ReadingState


@dataclass
class _Passed:
    """What was passed over while a block was read."""

    lost: Counter[str] = field(default_factory=Counter)
    not_kept: int = 0


@dataclass
class _Block:
    """Samples that are shuffled together, all of one epoch."""

    start: BlockStart
    samples: list[EncodedSample] = field(default_factory=list)
    passed: _Passed = field(default_factory=_Passed)
    is_read: bool = False


class _Read(NamedTuple):
    """A sample, and where it lies; None at the end of an epoch."""

    epoch: int
    shard: int
    number: int
    sample: EncodedSample | None


class SampleSequence:
    """The samples of one process, in the order in which it trains on them."""

    def __init__(self, shards: tuple[Shard, ...], config: TrainingConfig, rank: int) -> None:
        """The order as a function of the seed, the tars and the process.

        Raises:
            ConfigError: If there are fewer tars than processes, or a package is missing.
        """
        require_packages("reading in sequence", "webdataset")
        if config.online_curation:
            require_packages("--online-curation", *DRAWS_WITH)
        if len(shards) < config.processes:
            raise ConfigError(
                f"--train-shards {without_credentials(config.train_shards)} holds {counted(len(shards), 'tar')}, but "
                f"each of --processes {config.processes} reads its own: make more by a smaller --samples-per-shard"
            )
        self._shards = shards
        self._config = config
        self._rank = rank

    def batches(self, first_step: int, end_step: int, state: ReadingState) -> Iterator[EncodedBatch]:
        """Reads the batches of steps, from where the step before them has left off."""
        rest = self._samples_from(state)
        size = self._config.samples_per_process
        for step in range(first_step, end_step):
            read = list(islice(rest, size))
            lost = sum((passed.lost for _, passed, _ in read if passed), Counter())
            not_kept = sum(passed.not_kept for _, passed, _ in read if passed)
            yield EncodedBatch(step, tuple(sample for sample, _, _ in read), lost, not_kept, read[-1][2])

    def _samples_from(self, state: ReadingState) -> Iterator[tuple[EncodedSample, _Passed | None, ReadingState]]:
        """Yields each sample, what was passed over with the first one of a block, and the state behind it."""
        reader = _Reader(self._shards, self._config, self._rank, state.start)
        block = reader.begin(state.start.block)
        reader.finish(block)
        emitted = state.emitted
        while True:
            following = reader.begin(block.start.block + 1)
            position = block.start.block * self._config.processes + self._rank
            order = generator_for(self._config.seed, Purpose.BLOCK_ORDER, position).permutation(len(block.samples))
            for number, place in enumerate(order[emitted:].tolist(), start=emitted + 1):
                passed = block.passed if number == 1 else None
                yield block.samples[place], passed, ReadingState(block.start, number)
                # Its memory is free for one of the next block.
                block.samples[place] = _USED
                reader.read_into(following)
            reader.finish(following)
            block, emitted = following, 0


class _Reader:
    """Reads samples into blocks."""

    def __init__(self, shards: tuple[Shard, ...], config: TrainingConfig, rank: int, start: BlockStart) -> None:
        self._shards = shards
        self._config = config
        self._rank = rank
        self._shown = without_credentials(config.train_shards)
        self._passed = _Passed()
        self._usable = 0
        self._rest = self._read_from(start)

    def begin(self, number: int) -> _Block:
        """Begins a block; it starts where its first sample is found."""
        return _Block(BlockStart(number))

    def finish(self, block: _Block) -> None:
        """Reads the rest of a block."""
        while not block.is_read:
            self.read_into(block)

    def read_into(self, block: _Block) -> None:
        """Reads a sample into a block, unless the block is full or its epoch has ended."""
        if block.is_read:
            return
        read = next(self._rest)
        block.passed.lost += self._passed.lost
        block.passed.not_kept += self._passed.not_kept
        self._passed.lost.clear()
        self._passed.not_kept = 0
        if read.sample is None:
            # An epoch may keep nothing of what a process reads.
            block.is_read = bool(block.samples)
            return
        if not block.samples:
            block.start = BlockStart(block.start.block, read.epoch, read.shard, read.number)
        block.samples.append(read.sample)
        block.is_read = len(block.samples) == self._config.shuffle_buffer

    def _read_from(self, start: BlockStart) -> Iterator[_Read]:
        epoch, first_shard, first_sample = start.epoch, start.shard, start.sample
        while True:
            order = generator_for(self._config.seed, Purpose.SHARD_ORDER, epoch).permutation(len(self._shards))
            own: list[int] = order[self._rank :: self._config.processes].tolist()
            is_whole = (first_shard, first_sample) == (0, 0)
            self._usable = 0
            for place in range(first_shard, len(own)):
                for number, members in enumerate(read_tar(self._shards[own[place]], self._passed.lost)):
                    if number >= first_sample:
                        sample = self._sample_of(own[place], number, members, epoch)
                        if sample is not None:
                            yield _Read(epoch, place, number, sample)
                first_sample = 0
            if is_whole and not self._usable:
                raise InputError(
                    f"--train-shards {self._shown}: no sample of {counted(len(own), 'tar')} can be used "
                    f"({dict(self._passed.lost)}): make them again"
                )
            yield _Read(epoch, len(own), 0, None)
            epoch, first_shard = epoch + 1, 0

    def _sample_of(self, shard: int, number: int, members: Members, epoch: int) -> EncodedSample | None:
        """Gives a sample; None where it is lost or not kept, which is counted."""
        found = image_and_caption(members)
        caption = caption_of(found[1]) if found else ""
        if found is None or not caption:
            self._passed.lost[MISSING_MEMBER if found is None else EMPTY_CAPTION] += 1
            return None
        if self._config.online_curation:
            tar = self._shards[shard].path
            pair = read_keep_probability(members.get(JSON_MEMBER, b""), tar, str(members["__key__"]))
            self._usable += pair.keep_probability > 0
            pairs = [pair.pair_id], [pair.keep_probability]
            # Loaded when it is first used, and with it pyarrow.
            if not metaclip_spark.keeps_in_epoch(*pairs, self._config.draw_seed, epoch)[0]:
                self._passed.not_kept += 1
                return None
        else:
            self._usable += 1
        return EncodedSample(shard << _PLACE_BITS | number, found[0], caption)
