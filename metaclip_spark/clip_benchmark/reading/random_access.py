"""Reads samples from webdataset tars by their index.

A tar is read at the offsets that its headers name, so any sample can be fetched without the ones before it: a resumed
run needs no replay, and each process reads its own.
"""

import io
import json
import tarfile
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from metaclip_spark.clip_benchmark.reading.samples import (
    IMAGE_MEMBERS,
    INDEX_FILE,
    TEXT_MEMBER,
    LostSample,
    Sample,
    decoded,
)
from metaclip_spark.errors import ConfigError, InputError

_ABSENT = -1


class ShardFolder:
    """The samples of a folder of tars, numbered in the order of their tars and members."""

    def __init__(self, folder: str) -> None:
        """Finds how many samples each tar has: from shards.json, or where there is none, from the tars."""
        self.folder = Path(folder)
        self._offsets: dict[str, NDArray[np.int64]] = {}
        names, counts = self._counted()
        if not sum(counts):
            raise ConfigError(f"--train-shards {folder} holds no samples: make them by metaclip-spark make-shards")
        self._names = names
        self._ends = np.cumsum(counts)

    def __len__(self) -> int:
        """The number of samples."""
        return int(self._ends[-1])

    def read(self, index: int) -> Sample | LostSample:
        """Reads a sample by its index, or tells why it is lost."""
        shard = int(np.searchsorted(self._ends, index, side="right"))
        position = index - int(self._ends[shard - 1] if shard else 0)
        path = self.folder / self._names[shard]
        members = self._members(path)
        if position >= len(members) or (members[position] == _ABSENT).any():
            return LostSample("member.missing")
        image_start, image_size, text_start, text_size = (int(value) for value in members[position])
        with path.open("rb") as file:
            caption = _read_at(file, text_start, text_size).decode("utf-8", "replace").strip()
            if not caption:
                return LostSample("caption.empty")
            image = decoded(_read_at(file, image_start, image_size))
        return LostSample("image.corrupt") if image is None else Sample(index, image, caption)

    def protected_words(self) -> frozenset[str] | None:
        """The words that a label-safe edit of a caption must not touch, one a line of protected_words.txt."""
        path = self.folder / "protected_words.txt"
        return frozenset(path.read_text(encoding="utf-8").lower().split()) if path.is_file() else None

    def _members(self, path: Path) -> NDArray[np.int64]:
        """Reads a tar's headers when its first sample is asked for."""
        if path.name not in self._offsets:
            self._offsets[path.name] = member_offsets(path)
        return self._offsets[path.name]

    def _counted(self) -> tuple[list[str], list[int]]:
        described = self.folder / INDEX_FILE
        if described.is_file():
            try:
                shards = json.loads(described.read_text(encoding="utf-8"))["shards"]
                return [str(shard["name"]) for shard in shards], [int(shard["samples"]) for shard in shards]
            except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
                raise InputError(f"{described} does not describe shards ({error!r}): make it again") from None
        paths = sorted(self.folder.glob("*.tar"))
        if not paths:
            raise ConfigError(f"--train-shards {self.folder} holds no tars: make them by metaclip-spark make-shards")
        return [path.name for path in paths], [len(self._members(path)) for path in paths]


def member_offsets(path: Path) -> NDArray[np.int64]:
    """Finds where a tar's samples are.

    Args:
        path: A tar whose members are named key.extension, those of a key one after another.

    Returns:
        (samples, 4): start and size in bytes of the image and of the caption, -1 where the member is missing.

    Raises:
        InputError: If the tar cannot be read.
    """
    found: dict[str, list[int]] = {}
    try:
        with tarfile.open(path, mode="r:") as tar:
            for member in tar:
                name = PurePosixPath(member.name).name
                key, _, extension = name.partition(".")
                if member.isfile() and key:
                    offsets = found.setdefault(key, [_ABSENT] * 4)
                    _note(offsets, extension.lower(), member.offset_data, member.size)
    except (tarfile.TarError, OSError) as error:
        raise InputError(f"{path} is not a readable tar ({error}): make it again") from None
    return np.array(list(found.values()), np.int64).reshape(-1, 4)


def _note(offsets: list[int], extension: str, start: int, size: int) -> None:
    if extension in IMAGE_MEMBERS:
        offsets[:2] = start, size
    elif extension == TEXT_MEMBER:
        offsets[2:] = start, size


def _read_at(file: io.BufferedReader, start: int, size: int) -> bytes:
    file.seek(start)
    return file.read(size)
