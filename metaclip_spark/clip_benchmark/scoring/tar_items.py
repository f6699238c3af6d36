"""Finds the items of webdataset tars: labels and captions are read, pictures stay where they are."""

import tarfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from metaclip_spark.clip_benchmark.reading.listing import Shard
from metaclip_spark.clip_benchmark.reading.samples import (
    CUT_TAR,
    DUPLICATE_MEMBER,
    EMPTY_CAPTION,
    IMAGE_MEMBERS,
    MISSING_MEMBER,
    TEXT_MEMBER,
)
from metaclip_spark.clip_benchmark.reading.tars import has_end
from metaclip_spark.clip_benchmark.scoring.items import FoundItems, TestItem
from metaclip_spark.errors import InputError, brief

_LABEL_MEMBER = "cls"
_LONGEST_TEXT = 2**20


def tar_items(tars: Sequence[Shard]) -> FoundItems:
    """Finds the items of tars, in order.

    Where one item has a class, each needs one, and likewise captions; several captions stand in lines of their own. Of
    two pictures of one name the first stays. What a tar lacks of the samples that were written to it is lost, and one
    of a tar without its end where nobody knows how many they were.

    Raises:
        InputError: If a tar cannot be read, or a class is no number.
    """
    found: list[TestItem] = []
    lost: Counter[str] = Counter()
    for tar in tars:
        items, lost_here = _items_of(Path(tar.path))
        found += items
        lost += lost_here + _missing_in(tar, len(items) + lost_here.total())
    labelled = any(item.label is not None for item in found)
    captioned = any(item.captions != () for item in found)
    kept: list[TestItem] = []
    for item in found:
        captions = tuple(caption for caption in item.captions if caption)
        if (labelled and item.label is None) or (captioned and not item.captions):
            lost[MISSING_MEMBER] += 1
        elif captioned and not captions:
            lost[EMPTY_CAPTION] += 1
        else:
            kept.append(TestItem(item.file, item.start, item.size, item.label, captions))
    return FoundItems(kept, lost)


def _missing_in(tar: Shard, found: int) -> Counter[str]:
    is_cut = not has_end(Path(tar.path))
    missing = int(is_cut) if tar.samples is None else max(0, tar.samples - found)
    return +Counter({CUT_TAR if is_cut else MISSING_MEMBER: missing})


def _items_of(path: Path) -> tuple[list[TestItem], Counter[str]]:
    """Gives a tar's items, an empty caption for a text without one, and how many are lost."""
    pictures: dict[str, tuple[int, int]] = {}
    labels: dict[str, int] = {}
    captions: dict[str, tuple[str, ...]] = {}
    keys: dict[str, None] = {}
    names: set[str] = set()
    lost: Counter[str] = Counter()
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                # All members would be kept for random access otherwise.
                tar.members = []  # type: ignore[attr-defined, unused-ignore]
                name = PurePosixPath(member.name)
                stem, _, extension = name.name.partition(".")
                extension = extension.lower()
                if not member.isfile() or not stem:
                    continue
                key = str(name.with_name(stem))
                keys[key] = None
                if member.name in names:
                    lost[DUPLICATE_MEMBER] += extension in IMAGE_MEMBERS
                    continue
                names.add(member.name)
                if extension in IMAGE_MEMBERS:
                    pictures.setdefault(key, (member.offset_data, member.size))
                elif extension == _LABEL_MEMBER:
                    labels[key] = _label(path, key, _text(tar, member, path))
                elif extension == TEXT_MEMBER:
                    lines = _text(tar, member, path).splitlines()
                    captions[key] = tuple(line.strip() for line in lines) or ("",)
    except (tarfile.TarError, OSError) as error:
        raise InputError(f"{path} is not a readable tar ({error}): fetch it again") from None
    items = [TestItem(path, *pictures[key], labels.get(key), captions.get(key, ())) for key in keys if key in pictures]
    lost[MISSING_MEMBER] = len(keys) - len(items)
    return items, +lost


def _text(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> str:
    if member.size > _LONGEST_TEXT:
        raise InputError(f"{path}: {member.name} has {member.size:,} bytes, more than any caption or class")
    content = tar.extractfile(member)
    return (content.read() if content else b"").decode("utf-8", "replace")


def _label(path: Path, key: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InputError(f"{path}: the class of {key} is {brief(text)}: it must be a number from 0") from None
