"""Batches whose views are made on the device that trains, from images that its memory holds."""

import logging
from collections import Counter

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from metaclip_spark.clip_benchmark.augmentation.batches import (
    Batch,
    Batches,
    protection,
    sent,
    synonyms_of,
    text_kinds,
)
from metaclip_spark.clip_benchmark.augmentation.caption_table import PREPARED_EDITS, CaptionTable
from metaclip_spark.clip_benchmark.augmentation.device_images import (
    DeviceImages,
    TooManyBytesError,
    device_memory,
    load_images,
)
from metaclip_spark.clip_benchmark.augmentation.device_views import draw_numbers, make_views
from metaclip_spark.clip_benchmark.augmentation.image import VIEWS
from metaclip_spark.clip_benchmark.augmentation.random import Purpose, generator_for
from metaclip_spark.clip_benchmark.augmentation.sample_order import draw_sample, order_of
from metaclip_spark.clip_benchmark.augmentation.text import mask_words
from metaclip_spark.clip_benchmark.augmentation.tokenizer import Vocabulary
from metaclip_spark.clip_benchmark.reading.random_access import ShardFolder
from metaclip_spark.clip_benchmark.settings.training_config import TrainingConfig
from metaclip_spark.clip_benchmark.settings.variants import CAPTION, EDITED, MASKED
from metaclip_spark.errors import ConfigError, counted

log = logging.getLogger(__name__)

_GIB = 2**30


class DeviceBatches:
    """The batch of each step, by the step's number; images on the device, texts on the host.

    What is drawn depends on the seed, the view and the position of the step's first sample in the order of samples.
    """

    def __init__(self, config: TrainingConfig, rank: int, folder: ShardFolder, images: DeviceImages) -> None:
        """Takes the images, and encodes their captions, for the process of this rank."""
        self._config = config
        self._rank = rank
        self._images = images
        self._order = order_of(config, folder)
        self._kinds = text_kinds(config)
        vocabulary = Vocabulary(config.size.context_length)
        self._special = vocabulary.special
        self._captions = CaptionTable(
            images.captions,
            vocabulary,
            config.seed,
            synonyms_of(config),
            protection(config, folder.protected_words()),
        )

    def __getitem__(self, step: int) -> Batch:
        """Makes a step's batch: this process's share of the step's positions in the order of samples."""
        config = self._config
        positions = config.positions(step, self._rank)
        lost: Counter[str] = Counter()
        samples = np.array(
            [draw_sample(self._images, self._order, config.seed, position, lost) for position in positions]
        )
        texts, labels = self._texts(samples, positions.start)
        not_kept = sum(map(self._order.not_kept_at, positions))
        return Batch(
            self._image_views(samples, positions.start), texts, labels, torch.from_numpy(samples), lost, not_kept
        )

    def _image_views(self, samples: NDArray[np.int64], first: int) -> tuple[Tensor, ...]:
        config = self._config
        device = str(self._images.images.device)

        def send(values: NDArray[np.generic]) -> Tensor:
            return sent(torch.from_numpy(values), device)

        images = self._images.images[send(samples)]
        made = []
        for number, kind in enumerate(config.recipe.image_views):
            generator = generator_for(config.seed, Purpose.IMAGE_VIEW + number, first)
            view = VIEWS[config.view_set][kind]
            numbers = draw_numbers(self._images.sizes[samples], view, config.pixels, generator)
            made.append(make_views(images, numbers, config.pixels, send, bilinear=config.recipe.bilinear))
        return tuple(made)

    def _texts(self, samples: NDArray[np.int64], first: int) -> tuple[dict[str, Tensor], Tensor | None]:
        config = self._config
        captions = self._captions.ids(samples)
        texts = {CAPTION: captions}
        labels = None
        if EDITED in self._kinds:
            choices = generator_for(config.seed, Purpose.EDIT_CHOICE, first).integers(PREPARED_EDITS, size=len(samples))
            texts[EDITED] = self._captions.edited(samples, choices)
        if MASKED in self._kinds:
            texts[MASKED], masked = mask_words(
                captions,
                self._special,
                generator_for(config.seed, Purpose.MASK, first),
                ordinary_replacements=config.recipe.ordinary_replacements,
            )
            labels = torch.from_numpy(masked)
        return {kind: torch.from_numpy(ids) for kind, ids in texts.items()}, labels


def make_batches(config: TrainingConfig, rank: int, device: str, folder: ShardFolder) -> Batches | DeviceBatches:
    """Opens the samples for the process of a rank, with whom the configuration wants to make the views.

    Raises:
        ConfigError: If the device must make them, and the images do not fit there.
    """
    if config.view_maker == "loader" or (config.view_maker == "auto" and config.device == "cpu"):
        return Batches(config, rank, folder)
    memory = device_memory(device)
    largest = int(memory * config.device_memory_share)
    try:
        images = load_images(folder, config.pixels, device, largest, max(config.threads, config.loader_workers))
    except TooManyBytesError as error:
        told = (
            f"{counted(len(folder), 'image')} of {config.train_shards} take {error.needed / _GIB:,.2f} GiB at least, "
            f"more than --device-memory-share {config.device_memory_share} of the {memory / _GIB:,.2f} GiB of {device}"
        )
        if config.view_maker == "device":
            raise ConfigError(f"--view-maker is device, but {told}: give loader, or a larger share") from None
        log.info(f"{told}: the loader makes the views")
        return Batches(config, rank, folder)
    bytes_taken = images.images.numel()
    log.info(f"{counted(len(images), 'image')} take {bytes_taken / _GIB:,.2f} GiB of {device}, which makes the views")
    return DeviceBatches(config, rank, folder, images)
