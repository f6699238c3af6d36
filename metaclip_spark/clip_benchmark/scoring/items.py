"""The items of a test set: where their pictures are, and what they are scored by."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

IMAGE_TOO_LARGE = "image.too_large"
OTHER_FILE = "other_file"

Kind = Literal["test folder", "image folder", "webdataset folder"]


@dataclass(frozen=True, slots=True)
class TestItem:
    """One item: the bytes of its picture in a file, its class or None, and its captions.

    Attributes:
        size: Bytes of the picture; None for those up to the file's end.
    """

    file: Path
    start: int
    size: int | None
    label: int | None
    captions: tuple[str, ...]

    __test__ = False


@dataclass(frozen=True)
class FoundItems:
    """Items, and how many are lost for each reason before a picture is read."""

    items: list[TestItem]
    lost: Counter[str]


@dataclass(frozen=True)
class TestSet:
    """What a model is scored on.

    Attributes:
        classes: Class names, by label; empty where there are captions only.
        templates: Prompts with a pair of braces each.
        lost: Reason -> items that cannot be scored, before a picture is read.
    """

    folder: Path
    kind: Kind
    items: tuple[TestItem, ...]
    classes: tuple[str, ...]
    templates: tuple[str, ...]
    lost: Counter[str]

    __test__ = False

    @property
    def has_captions(self) -> bool:
        """Whether each item has captions."""
        return bool(self.items[0].captions)
