"""Small shards for tests: coloured bars with captions that name them, written without the package's own writer."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {"red": (220, 40, 40), "green": (40, 200, 60), "blue": (50, 70, 230), "yellow": (230, 220, 60)}
PLACES = ("left", "middle", "right")


def picture(number: int, pixels: int = 32) -> Image.Image:
    noise = np.random.default_rng(number).integers(0, 60, (pixels, pixels, 3), np.uint8)
    start = (number // len(COLOURS)) % len(PLACES) * pixels // len(PLACES)
    noise[:, start : start + pixels // len(PLACES)] = list(COLOURS.values())[number % len(COLOURS)]
    return Image.fromarray(noise)


def caption(number: int) -> str:
    return f"a {list(COLOURS)[number % len(COLOURS)]} bar at the {PLACES[(number // len(COLOURS)) % len(PLACES)]}"


def png(image: Image.Image) -> bytes:
    content = io.BytesIO()
    image.save(content, "png")
    return content.getvalue()


def members(number: int) -> dict[str, bytes]:
    return {"png": png(picture(number)), "txt": caption(number).encode(), "json": b"{}"}


def write_tar(path: Path, samples: list[dict[str, bytes]], first: int = 0) -> None:
    with tarfile.open(path, "w") as tar:
        for place, sample in enumerate(samples):
            for extension, content in sample.items():
                member = tarfile.TarInfo(f"{first + place:09d}.{extension}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))


def write_shards(folder: Path, samples: int = 96, per_shard: int = 32) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    shards = []
    for first in range(0, samples, per_shard):
        numbers = range(first, min(first + per_shard, samples))
        name = f"{len(shards):05d}.tar"
        write_tar(folder / name, [members(number) for number in numbers], first)
        shards.append({"name": name, "samples": len(numbers)})
    described = {"samples": samples, "shards": shards, "lost": {}}
    (folder / "shards.json").write_text(json.dumps(described), encoding="utf-8")
    return folder
