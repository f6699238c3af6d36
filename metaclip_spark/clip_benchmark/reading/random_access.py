"""Reads samples from the tars of a local folder by their index.

A tar is read at the offsets that its headers name, so any sample can be fetched without the ones before it: a resumed
run needs no replay, and each process reads its own.
"""

import io
import tarfile
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from metaclip_spark.clip_benchmark.reading.keep_probability import KeepProbabilities, read_keep_probability
from metaclip_spark.clip_benchmark.reading.listing import find_shards, read_beside
from metaclip_spark.clip_benchmark.reading.samples import (
    BROKEN_IMAGE,
    CUT_TAR,
    EMPTY_CAPTION,
    IMAGE_MEMBERS,
    JSON_MEMBER,
    MISSING_MEMBER,
    PROTECTED_FILE,
    TEXT_MEMBER,
    LostSample,
    Sample,
    caption_of,
    decoded,
)
from metaclip_spark.clip_benchmark.reading.tars import has_end
from metaclip_spark.errors import ConfigError, InputError

_ABSENT = -1
_CUT = -2
_IMAGE, _TEXT, _JSON = slice(0, 2), slice(2, 4), slice(4, 6)


class ShardFolder:
    """The samples of a folder of tars at any depth, numbered in the order of their tars and members."""

    def __init__(self, folder: str) -> None:
        """Finds how many samples each tar has: from shards.json, or where there is none, from the tars."""
        self.folder = Path(folder)
        self._offsets: dict[Path, NDArray[np.int64]] = {}
        shards = find_shards(folder)
        self._paths = [Path(shard.path) for shard in shards]
        counts = [
            len(self._members(path)) if shard.samples is None else shard.samples
            for path, shard in zip(self._paths, shards, strict=True)
        ]
        if not sum(counts):
            raise ConfigError(f"--train-shards {folder} holds no samples: make them by metaclip-spark make-shards")
        self._ends = np.cumsum(counts)

    def __len__(self) -> int:
        """The number of samples."""
        return int(self._ends[-1])

    def read(self, index: int) -> Sample | LostSample:
        """Reads a sample by its index, or tells why it is lost."""
        path, offsets = self._place_of(index)
        if offsets is None or offsets[0] == _CUT:
            return LostSample(CUT_TAR if _is_cut(self._members(path)) else MISSING_MEMBER)
        if (offsets[:4] == _ABSENT).any():
            return LostSample(MISSING_MEMBER)
        with path.open("rb") as file:
            caption = caption_of(_read_at(file, offsets[_TEXT]))
            if not caption:
                return LostSample(EMPTY_CAPTION)
            image = decoded(_read_at(file, offsets[_IMAGE]))
        return LostSample(BROKEN_IMAGE) if image is None else Sample(index, image, caption)

    def keep_probabilities(self) -> KeepProbabilities:
        """Reads the pair_id and the keep probability of every sample that has its members.

        Raises:
            ConfigError: If a sample has none.
        """
        found = KeepProbabilities()
        starts = [0, *self._ends[:-1].tolist()]
        for path, start, end in zip(self._paths, starts, self._ends.tolist(), strict=True):
            with path.open("rb") as file:
                for place, offsets in enumerate(self._members(path)[: end - start]):
                    if (offsets[:4] >= 0).all():
                        content = _read_at(file, offsets[_JSON]) if offsets[_JSON][0] >= 0 else b""
                        found.add(start + place, read_keep_probability(content, str(path), str(place)))
        return found

    def protected_words(self) -> frozenset[str] | None:
        """The words that a label-safe edit of a caption must not touch, one a line of protected_words.txt."""
        return read_protected_words(str(self.folder))

    def _place_of(self, index: int) -> tuple[Path, NDArray[np.int64] | None]:
        """Finds a sample's tar, and its members there; None where the tar has fewer samples than were written."""
        shard = int(np.searchsorted(self._ends, index, side="right"))
        position = index - int(self._ends[shard - 1] if shard else 0)
        members = self._members(self._paths[shard])
        return self._paths[shard], members[position] if position < len(members) else None

    def _members(self, path: Path) -> NDArray[np.int64]:
        """Reads a tar's headers when its first sample is asked for."""
        if path not in self._offsets:
            self._offsets[path] = member_offsets(path)
        return self._offsets[path]


def read_protected_words(folder: str) -> frozenset[str] | None:
    """Reads the words that a label-safe edit of a caption must not touch; None where the folder names none."""
    content = read_beside(folder, PROTECTED_FILE)
    return None if content is None else frozenset(content.decode("utf-8").lower().split())


def member_offsets(path: Path) -> NDArray[np.int64]:
    """Finds where a tar's samples are.

    Args:
        path: A tar whose members are named key.extension, those of a key one after another.

    Returns:
        (samples, 6): start and size in bytes of the image, of the caption and of the JSON, -1 where the member is
        missing. Where the tar is truncated the last row, which is that of the sample that it ends in, holds -2.

    Raises:
        InputError: If the tar cannot be read.
    """
    found: dict[str, list[int]] = {}
    is_whole = False
    try:
        size = path.stat().st_size
        with tarfile.open(path, mode="r:") as tar:
            try:
                for member in tar:
                    name = PurePosixPath(member.name).name
                    key, _, extension = name.partition(".")
                    if member.isfile() and key and member.offset_data + member.size <= size:
                        offsets = found.setdefault(key, [_ABSENT] * 6)
                        _note(offsets, extension.lower(), member.offset_data, member.size)
                is_whole = has_end(path)
            except tarfile.TarError:
                # Its first member was read when it was opened: the rest is lost, and counted.
                pass
    except (tarfile.TarError, OSError) as error:
        raise InputError(f"{path} is not a readable tar ({error}): make it again") from None
    if not is_whole:
        _mark_cut(found)
    return np.array(list(found.values()), np.int64).reshape(-1, 6)


def _note(offsets: list[int], extension: str, start: int, size: int) -> None:
    if extension in IMAGE_MEMBERS:
        offsets[_IMAGE] = start, size
    elif extension == TEXT_MEMBER:
        offsets[_TEXT] = start, size
    elif extension == JSON_MEMBER:
        offsets[_JSON] = start, size


def _mark_cut(found: dict[str, list[int]]) -> None:
    """Marks the sample that a truncated tar ends in; where it ends between two, one more, since nobody knows more."""
    last = next(reversed(found), "")
    if last and _ABSENT not in found[last][:4]:
        last = ""
    found[last] = [_CUT] * 6


def _is_cut(members: NDArray[np.int64]) -> bool:
    return bool(len(members)) and members[-1, 0] == _CUT


def _read_at(file: io.BufferedReader, place: NDArray[np.int64]) -> bytes:
    file.seek(int(place[0]))
    return file.read(int(place[1]))
