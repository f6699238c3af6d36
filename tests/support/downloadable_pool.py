"""Archives whose images the image server has: it is asked as a proxy for `http://images.example/`.

So URLs, and with them pair_ids and draws, hold no port and are the same in every run.
"""

import random
from pathlib import Path

from tests.support.archive_files import http_response, members, warc_record
from tests.support.image_server import KINDS

HOST = "http://images.example"
TAKEN_DOWN = f"{HOST}/a.jpg"
"""An image that answers well, of pairs that every draw keeps."""

NOUNS = ("dog", "cat", "horse", "bird", "tree", "river", "boat", "train", "house", "flower")
IMAGES, IMAGES_OF_PAGE, PAGES_OF_ARCHIVE = 480, 12, 20
IN_TWENTY = {"missing": (0, 1), "slow": (2,), "opted-out": (3,), "page": (4,)}
"""Which of twenty images in a row are not to be had."""


def image_url(number: int) -> str:
    """Where an image is: the first part of its path says how it is answered."""
    kind = next((kind for kind, places in IN_TWENTY.items() if number % 20 in places), KINDS[0])
    return f"{HOST}/{kind}/{number}.png"


def kind_of(url: str) -> str:
    """How an image is answered, as the server counts it."""
    return url.removeprefix(HOST).split("/")[1]


def write_archives(folder: Path) -> None:
    """Writes pages of images: every third has a title, too, every ninth another alt on a second page."""
    chance = random.Random(0)
    weights = [1 / place for place in range(1, len(NOUNS) + 1)]
    placed = [*range(IMAGES), *range(0, IMAGES, 9)]
    images = [f'<img src="{TAKEN_DOWN}" alt="the kingfisher" title="our kingfisher">']
    for place, number in enumerate(placed):
        alt, title = chance.choices(NOUNS, weights, k=2)
        more = f' title="our {title}"' if number % 3 == 0 else ""
        images.append(f'<img src="{image_url(number)}" alt="{"the" if place < IMAGES else "this"} {alt}"{more}>')
    pages = [images[start : start + IMAGES_OF_PAGE] for start in range(0, len(images), IMAGES_OF_PAGE)]
    records = [
        warc_record(http_response("".join(page).encode()), f"http://pages.example/{number}")
        for number, page in enumerate(pages)
    ]
    folder.mkdir()
    for start in range(0, len(records), PAGES_OF_ARCHIVE):
        archive = folder / f"made-{start // PAGES_OF_ARCHIVE:05}.warc.gz"
        archive.write_bytes(b"".join(members(records[start : start + PAGES_OF_ARCHIVE])))
