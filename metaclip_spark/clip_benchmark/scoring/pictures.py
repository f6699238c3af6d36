"""Reads the pictures of a test set in batches, a few batches ahead."""

import hashlib
import io
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import torch
from PIL import Image
from torch import Tensor

from metaclip_spark.clip_benchmark.reading.samples import BROKEN_IMAGE, IMAGE_EXTENSIONS
from metaclip_spark.clip_benchmark.scoring.items import IMAGE_TOO_LARGE, TestItem

View = Callable[[Image.Image], Tensor]
_AHEAD = 2


@dataclass
class Pictures:
    """A pass over the items of a test set; what is counted is complete when it has ended.

    Attributes:
        lost: Reason -> items whose picture cannot be shown to a model.
        seen: The items whose picture can, in order.
    """

    items: Sequence[TestItem]
    view: View
    batch: int
    threads: int
    lost: Counter[str] = field(default_factory=Counter)
    seen: list[TestItem] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begins the digest."""
        self._digest = hashlib.blake2b(digest_size=16)

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Gives (B, 3, H, W) views and (B,) labels, -1 where there is none, of the items that can be read."""
        with ThreadPoolExecutor(self.threads) as pool:
            ahead: deque[list[Future[tuple[bytes, Tensor | str]]]] = deque()
            for first in range(0, len(self.items), self.batch):
                ahead.append([pool.submit(_read, item, self.view) for item in self.items[first : first + self.batch]])
                if len(ahead) > _AHEAD:
                    yield from self._batch(ahead.popleft())
            for waiting in ahead:
                yield from self._batch(waiting)

    def digest(self) -> str:
        """A digest of the pictures, labels and captions that were read, in order."""
        return self._digest.hexdigest()

    def _batch(self, futures: list[Future[tuple[bytes, Tensor | str]]]) -> Iterator[tuple[Tensor, Tensor]]:
        first = len(self.seen) + self.lost.total()
        views, labels = [], []
        for item, future in zip(self.items[first : first + len(futures)], futures, strict=True):
            content, view = future.result()
            self._digest.update(content)
            self._digest.update(repr((item.label, item.captions)).encode())
            if isinstance(view, str):
                self.lost[view] += 1
            else:
                views.append(view)
                labels.append(-1 if item.label is None else item.label)
                self.seen.append(item)
        if views:
            yield torch.stack(views), torch.tensor(labels)


def _read(item: TestItem, view: View) -> tuple[bytes, Tensor | str]:
    """Reads a picture: its digest, and its view or why it is lost."""
    with item.file.open("rb") as file:
        file.seek(item.start)
        content = file.read() if item.size is None else file.read(item.size)
    digest = hashlib.blake2b(content, digest_size=16).digest()
    try:
        with Image.open(io.BytesIO(content), formats=tuple(IMAGE_EXTENSIONS)) as image:
            return digest, view(image.convert("RGB"))
    except Image.DecompressionBombError:
        return digest, IMAGE_TOO_LARGE
    except (OSError, ValueError, SyntaxError):
        # Pillow reports a broken PNG as a SyntaxError.
        return digest, BROKEN_IMAGE
