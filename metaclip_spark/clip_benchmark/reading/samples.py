"""What a sample is: the members of a shard that training takes, and a decoded pair."""

import io
from dataclasses import dataclass

from PIL import Image

INDEX_FILE = "shards.json"
PROTECTED_FILE = "protected_words.txt"
IMAGE_EXTENSIONS = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp"}
"""Pillow's name of a format -> its extension."""
IMAGE_MEMBERS = frozenset({"png", "jpg", "jpeg", "webp"})
TEXT_MEMBER = "txt"
JSON_MEMBER = "json"

MISSING_MEMBER = "member.missing"
DUPLICATE_MEMBER = "member.duplicate"
EMPTY_CAPTION = "caption.empty"
BROKEN_IMAGE = "image.corrupt"
CUT_TAR = "tar.truncated"
BROKEN_TAR = "tar.unreadable"


@dataclass(frozen=True)
class Sample:
    """A pair to train on: its index in the folder, an RGB image and a caption that is not empty."""

    index: int
    image: Image.Image
    caption: str


@dataclass(frozen=True)
class EncodedSample:
    """A pair whose image is not decoded yet."""

    index: int
    image: bytes
    caption: str


@dataclass(frozen=True)
class LostSample:
    """A sample that cannot be trained on, and why; see the reasons above."""

    reason: str


def caption_of(content: bytes) -> str:
    """Decodes a caption, without space around it."""
    return content.decode("utf-8", "replace").strip()


def decoded(content: bytes) -> Image.Image | None:
    """Decodes a picture to RGB; None where it is broken."""
    try:
        with Image.open(io.BytesIO(content), formats=tuple(IMAGE_EXTENSIONS)) as image:
            return image.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        # Pillow reports a broken PNG as a SyntaxError.
        return None
