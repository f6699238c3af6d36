"""What a sample is: the members of a shard that training takes, and a decoded pair."""

import io
from dataclasses import dataclass

from PIL import Image

INDEX_FILE = "shards.json"
IMAGE_EXTENSIONS = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp"}
"""Pillow's name of a format -> its extension."""
IMAGE_MEMBERS = frozenset({"png", "jpg", "jpeg", "webp"})
TEXT_MEMBER = "txt"


@dataclass(frozen=True)
class Sample:
    """A pair to train on: its index in the folder, an RGB image and a caption that is not empty."""

    index: int
    image: Image.Image
    caption: str


@dataclass(frozen=True)
class LostSample:
    """A sample that cannot be trained on: member.missing, caption.empty or image.corrupt."""

    reason: str


def decoded(content: bytes) -> Image.Image | None:
    """Decodes a picture to RGB; None where it is broken."""
    try:
        with Image.open(io.BytesIO(content), formats=tuple(IMAGE_EXTENSIONS)) as image:
            return image.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        # Pillow reports a broken PNG as a SyntaxError.
        return None
