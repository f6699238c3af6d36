"""From samples to batches: every view of a batch, as a function of the configuration and the step."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from metaclip_spark.clip_benchmark.augmentation.image import VIEWS, random_view, resampling_of
from metaclip_spark.clip_benchmark.augmentation.random import Purpose, generator_for
from metaclip_spark.clip_benchmark.augmentation.sample_order import SampleOrder, draw_sample
from metaclip_spark.clip_benchmark.augmentation.synonyms import NoSynonyms, Synonyms, WordNetSynonyms
from metaclip_spark.clip_benchmark.augmentation.text import (
    Protected,
    edit_caption,
    mask_words,
    protects_content,
    protects_nothing,
)
from metaclip_spark.clip_benchmark.augmentation.tokenizer import Vocabulary
from metaclip_spark.clip_benchmark.reading.random_access import ShardFolder
from metaclip_spark.clip_benchmark.reading.samples import Sample
from metaclip_spark.clip_benchmark.settings.training_config import TrainingConfig
from metaclip_spark.clip_benchmark.settings.variants import CAPTION, EDITED, MASKED


@dataclass(frozen=True)
class Batch:
    """One step's samples of one process.

    Attributes:
        images: For each image view (B, H, W, 3) uint8, on the host or, where it was made there, on the device.
        texts: Kind of text -> (B, T) token ids.
        labels: (B, T) the masked words' ids, -100 elsewhere; None where nothing is masked.
        samples: (B,) the samples' indices.
        lost: Samples that were replaced, by reason.
    """

    images: tuple[Tensor, ...]
    texts: dict[str, Tensor]
    labels: Tensor | None
    samples: Tensor
    lost: Counter[str] = field(default_factory=Counter)


class Batches(Dataset[Batch]):
    """The batch of each step, by the step's number."""

    def __init__(self, config: TrainingConfig, rank: int, folder: ShardFolder) -> None:
        """Opens the samples for the process of this rank."""
        self._config = config
        self._rank = rank
        self._folder = folder
        self._order = SampleOrder(len(folder), config.seed)
        self._vocabulary = Vocabulary(config.size.context_length)
        self._kinds = text_kinds(config)
        self._synonyms = synonyms_of(config)
        self._protected = protection(config, folder)

    def __getitem__(self, step: int) -> Batch:
        """Makes a step's batch: this process's share of the step's positions in the order of samples."""
        config = self._config
        size = config.samples_per_process
        first = step * config.samples_per_step + self._rank * size
        positions = range(first, first + size)
        lost: Counter[str] = Counter()
        samples = [draw_sample(self._folder, self._order, config.seed, position, lost) for position in positions]
        drawn = list(zip(positions, samples, strict=True))
        views = [self._image_views(position, sample) for position, sample in drawn]
        texts = {kind: self._texts(kind, drawn) for kind in self._kinds if kind != MASKED}
        labels = None
        if MASKED in self._kinds:
            texts[MASKED], labels = self._masked(texts[CAPTION], positions)
        return Batch(
            tuple(torch.from_numpy(np.stack(of_kind)) for of_kind in zip(*views, strict=True)),
            texts,
            labels,
            torch.tensor([sample.index for sample in samples]),
            lost,
        )

    def _image_views(self, position: int, sample: Sample) -> list[NDArray[np.uint8]]:
        config = self._config
        made = []
        for number, kind in enumerate(config.recipe.image_views):
            generator = generator_for(config.seed, Purpose.IMAGE_VIEW + number, position)
            view = VIEWS[config.view_set][kind]
            made.append(random_view(sample.image, view, config.pixels, generator, resampling_of(config.recipe)))
        return made

    def _texts(self, kind: str, drawn: list[tuple[int, Sample]]) -> Tensor:
        if kind == CAPTION:
            return self._vocabulary.ids([sample.caption for _, sample in drawn])
        edited = [
            edit_caption(
                sample.caption,
                generator_for(self._config.seed, Purpose.EDIT, position),
                self._synonyms,
                self._protected,
            )
            for position, sample in drawn
        ]
        return self._vocabulary.ids(edited)

    def _masked(self, captions: Tensor, positions: range) -> tuple[Tensor, Tensor]:
        masked = [
            mask_words(
                ids,
                self._vocabulary.special,
                generator_for(self._config.seed, Purpose.MASK, position),
                ordinary_replacements=self._config.recipe.ordinary_replacements,
            )
            for ids, position in zip(captions.numpy(), positions, strict=True)
        ]
        ids, labels = zip(*masked, strict=True)
        return torch.from_numpy(np.stack(ids)), torch.from_numpy(np.stack(labels))


def text_kinds(config: TrainingConfig) -> tuple[str, ...]:
    """The kinds of texts that a run encodes, the caption always first, since masking starts from it."""
    wanted = {CAPTION, *config.recipe.contrasted_texts}
    if config.weights.masked_words:
        wanted.add(MASKED)
    return tuple(kind for kind in (CAPTION, EDITED, MASKED) if kind in wanted)


def synonyms_of(config: TrainingConfig) -> Synonyms:
    """The source of synonyms for edited captions."""
    return NoSynonyms() if config.synonyms is None else WordNetSynonyms(config.synonyms)


def protection(config: TrainingConfig, folder: ShardFolder) -> Protected:
    """Tells which words an edit must not touch.

    None for `paper`; for the other view sets those that the folder names, or else all but stop words.
    """
    if config.view_set == "paper":
        return protects_nothing
    words = folder.protected_words()
    return protects_content if words is None else words.__contains__


class StepBatches(Protocol):
    """The batch of each step, by the step's number."""

    def __getitem__(self, step: int) -> Batch:
        """Makes a step's batch."""


def batches_from(config: TrainingConfig, batches: StepBatches, first_step: int, end_step: int) -> Iterator[Batch]:
    """Makes the batches up to `end_step`, in worker processes where the configuration asks for them."""
    if not config.loader_workers or not isinstance(batches, Batches):
        for step in range(first_step, end_step):
            yield batches[step]
        return
    yield from DataLoader(
        batches,
        batch_size=None,
        sampler=range(first_step, end_step),
        num_workers=config.loader_workers,
        collate_fn=_as_made,
    )


def sent(values: Tensor, device: torch.device | str) -> Tensor:
    """Sends a tensor to a device, from pinned memory to a GPU: only from there does nobody wait for the transfer."""
    if torch.device(device).type == "cpu" or values.device.type != "cpu":
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)


def _as_made(batch: Batch) -> Batch:
    return batch
