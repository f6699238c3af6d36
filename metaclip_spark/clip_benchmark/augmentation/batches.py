"""From samples to batches: every view of a batch, as a function of the configuration and the step."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from metaclip_spark.clip_benchmark.augmentation.image import VIEWS, random_view, resampling_of
from metaclip_spark.clip_benchmark.augmentation.random import Purpose, generator_for
from metaclip_spark.clip_benchmark.augmentation.sample_order import draw_sample, order_of
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
from metaclip_spark.clip_benchmark.reading.state import ReadingState
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
        lost: Samples that were replaced or passed over, by reason.
        not_kept: Samples that online curation passed over.
        state: What reading in sequence goes on from; None where samples are read by their index.
    """

    images: tuple[Tensor, ...]
    texts: dict[str, Tensor]
    labels: Tensor | None
    samples: Tensor
    lost: Counter[str] = field(default_factory=Counter)
    not_kept: int = 0
    state: ReadingState | None = None


class BatchMaker:
    """Makes the views of a batch from its samples."""

    def __init__(self, config: TrainingConfig, rank: int, protected: frozenset[str] | None) -> None:
        """Makes those of the process of this rank; `protected` are the words that the shards name, if they do."""
        self._config = config
        self._rank = rank
        self._vocabulary = Vocabulary(config.size.context_length)
        self._kinds = text_kinds(config)
        self._synonyms = synonyms_of(config)
        self._protected = protection(config, protected)

    def make(self, step: int, samples: Sequence[Sample]) -> Batch:
        """Makes a step's batch; nothing of it is lost."""
        positions = self._config.positions(step, self._rank)
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


class Batches(BatchMaker, Dataset[Batch]):
    """The batch of each step by the step's number, its samples read from anywhere in the tars."""

    def __init__(self, config: TrainingConfig, rank: int, folder: ShardFolder) -> None:
        """Opens the samples for the process of this rank."""
        super().__init__(config, rank, folder.protected_words())
        self._folder = folder
        self._order = order_of(config, folder)

    def __getitem__(self, step: int) -> Batch:
        """Makes a step's batch: this process's share of the step's positions in the order of samples."""
        lost: Counter[str] = Counter()
        positions = self._config.positions(step, self._rank)
        seed = self._config.seed
        samples = [draw_sample(self._folder, self._order, seed, position, lost) for position in positions]
        not_kept = sum(map(self._order.not_kept_at, positions))
        return replace(self.make(step, samples), lost=lost, not_kept=not_kept)


def text_kinds(config: TrainingConfig) -> tuple[str, ...]:
    """The kinds of texts that a run encodes, the caption always first, since masking starts from it."""
    wanted = {CAPTION, *config.recipe.contrasted_texts}
    if config.weights.masked_words:
        wanted.add(MASKED)
    return tuple(kind for kind in (CAPTION, EDITED, MASKED) if kind in wanted)


def synonyms_of(config: TrainingConfig) -> Synonyms:
    """The source of synonyms for edited captions."""
    return NoSynonyms() if config.synonyms is None else WordNetSynonyms(config.synonyms)


def protection(config: TrainingConfig, words: frozenset[str] | None) -> Protected:
    """Tells which words an edit must not touch.

    None for `paper`; for the other view sets those that the shards name (`words`), or else all but stop words.
    """
    if config.view_set == "paper":
        return protects_nothing
    return protects_content if words is None else words.__contains__


def sent(values: Tensor, device: torch.device | str) -> Tensor:
    """Sends a tensor to a device, from pinned memory to a GPU: only from there does nobody wait for the transfer."""
    if torch.device(device).type == "cpu" or values.device.type != "cpu":
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)
