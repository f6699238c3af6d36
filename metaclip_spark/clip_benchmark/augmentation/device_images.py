"""All images of a folder of shards in the memory of a device, where they fit."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from metaclip_spark.clip_benchmark.reading.random_access import ShardFolder
from metaclip_spark.clip_benchmark.reading.samples import LostSample, Sample

_AT_ONCE = 1024
_LARGEST_TO_VIEW = 2
"""Longest side of a stored image, in sides of a view; a larger image is scaled down to it."""


@dataclass(frozen=True)
class DeviceImages:
    """N samples, their images on the device.

    Attributes:
        folder: Where they come from.
        images: (N, 3, H, W) uint8; beyond an image's own size its last row and column go on.
        sizes: (N, 2) width and height of each image.
        captions: The captions, empty for a lost sample.
        lost: Index -> why the sample cannot be trained on.
    """

    folder: Path
    images: Tensor
    sizes: NDArray[np.int32]
    captions: Sequence[str]
    lost: dict[int, LostSample]

    def __len__(self) -> int:
        """The number of samples."""
        return len(self.captions)

    def read(self, index: int) -> int | LostSample:
        """Gives the index back, or tells why that sample is lost."""
        return self.lost.get(index, index)


class TooManyBytesError(Exception):
    """Images do not fit.

    Attributes:
        needed: Bytes that they take at least.
    """

    def __init__(self, needed: int) -> None:
        """Takes the bytes."""
        super().__init__(needed)
        self.needed = needed


def device_memory(device: str) -> int:
    """The bytes of a device's whole memory."""
    if device.startswith("cuda"):
        return int(torch.cuda.get_device_properties(device).total_memory)
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def load_images(folder: ShardFolder, pixels: int, device: str, largest_bytes: int, readers: int) -> DeviceImages:
    """Reads every sample once, and brings the images to a device.

    Args:
        folder: The samples.
        pixels: Side of the views that will be made.
        device: Where the images go.
        largest_bytes: Most bytes that they may take there.
        readers: Threads that decode.

    Returns:
        The samples.

    Raises:
        TooManyBytesError: They take more.
    """
    count = len(folder)
    stored: list[NDArray[np.uint8]] = []
    captions: list[str] = []
    lost: dict[int, LostSample] = {}
    high = wide = 1
    for sample in _read_all(folder, readers):
        if isinstance(sample, LostSample):
            lost[len(stored)] = sample
            captions.append("")
            stored.append(np.zeros((1, 1, 3), np.uint8))
            continue
        captions.append(sample.caption)
        stored.append(np.asarray(_scaled_down(sample.image, _LARGEST_TO_VIEW * pixels)))
        high, wide = max(high, stored[-1].shape[0]), max(wide, stored[-1].shape[1])
        # Known before all are read: a folder that is far too large is not read to its end.
        if count * 3 * high * wide > largest_bytes:
            raise TooManyBytesError(count * 3 * high * wide)
    images = torch.empty(count, 3, high, wide, dtype=torch.uint8, device=device)
    for first in range(0, count, _AT_ONCE):
        part = np.stack([_widened(image, high, wide) for image in stored[first : first + _AT_ONCE]])
        images[first : first + len(part)] = torch.from_numpy(part).permute(0, 3, 1, 2).to(device)
    sizes = np.array([image.shape[1::-1] for image in stored], np.int32)
    return DeviceImages(folder.folder, images, sizes, captions, lost)


def _read_all(folder: ShardFolder, readers: int) -> Iterator[Sample | LostSample]:
    with ThreadPoolExecutor(max(1, readers)) as pool:
        for first in range(0, len(folder), _AT_ONCE):
            yield from pool.map(folder.read, range(first, min(first + _AT_ONCE, len(folder))))


def _scaled_down(image: Image.Image, longest: int) -> Image.Image:
    factor = longest / max(image.size)
    if factor >= 1:
        return image
    width, height = (max(1, round(side * factor)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=2.0)


def _widened(image: NDArray[np.uint8], high: int, wide: int) -> NDArray[np.uint8]:
    missing = (high - image.shape[0], wide - image.shape[1])
    return np.pad(image, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge") if any(missing) else image
