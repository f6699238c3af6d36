"""Peak memory and time of scoring a tiny model on pictures as many and as large as ImageNet-1k's validation set.

Fifty thousand JPEG pictures of 224 pixels in 1,000 classes, made here from a few hundred that differ. Zero-shot with 80
prompts, retrieval (each picture has a caption) and the linear probe are measured; the model takes 224 pixels, has few
layers and is untrained, since only the cost is asked for.

Usage: .venv-benchmark/bin/python tests/benchmarks/bench_clip_scoring.py [pictures, 50000] [classes, 1000] [threads, 2]
"""

import io
import json
import resource
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import numpy as np
import open_clip
import torch
from PIL import Image

from metaclip_spark.clip_benchmark.scoring.score import score
from metaclip_spark.clip_benchmark.scoring.table import score_lines
from metaclip_spark.clip_benchmark.settings.scoring_config import ScoringConfig

PIXELS = 224
DIFFERENT = 500
PER_TAR = 5000
MODEL = "few-layers"
SETTINGS = {
    "embed_dim": 64,
    "vision_cfg": {"image_size": PIXELS, "layers": 2, "width": 128, "head_width": 32, "patch_size": 32},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 1},
}


def jpegs() -> list[bytes]:
    """Draws smooth pictures with grain, which take as long to decode as photographs of this size."""
    made = []
    for number in range(DIFFERENT):
        generator = np.random.default_rng(number)
        coarse = Image.fromarray(generator.integers(0, 256, (7, 7, 3), np.uint8)).resize((PIXELS, PIXELS))
        grain = np.asarray(coarse, np.int16) + generator.integers(-12, 13, (PIXELS, PIXELS, 1), np.int16)
        file = io.BytesIO()
        Image.fromarray(grain.clip(0, 255).astype(np.uint8)).save(file, "jpeg", quality=85)
        made.append(file.getvalue())
    return made


def write_pictures(folder: Path, pictures: int, classes: int) -> None:
    """Writes a webdataset folder, in the manner of LAION's CLIP_benchmark."""
    (folder / "test").mkdir(parents=True)
    drawn = jpegs()
    tars = range(0, pictures, PER_TAR)
    for shard, first in enumerate(tars):
        with tarfile.open(folder / "test" / f"{shard}.tar", "w") as tar:
            for number in range(first, min(first + PER_TAR, pictures)):
                label = number % classes
                for extension, content in (
                    ("jpg", drawn[number % DIFFERENT]),
                    ("cls", str(label).encode()),
                    ("txt", f"picture number {number} of thing {label}".encode()),
                ):
                    member = tarfile.TarInfo(f"{number:09d}.{extension}")
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))
    (folder / "test" / "nshards.txt").write_text(str(len(tars)))
    (folder / "classnames.txt").write_text("".join(f"thing {label}\n" for label in range(classes)))


def main(pictures: int = 50_000, classes: int = 1000, threads: int = 2) -> None:
    """Scores, and prints what it took."""
    with tempfile.TemporaryDirectory() as folder:
        data, weights = Path(folder) / "data", Path(folder) / "weights.pt"
        write_pictures(data, pictures, classes)
        settings = Path(folder) / f"{MODEL}.json"
        settings.write_text(json.dumps(SETTINGS))
        open_clip.add_model_config(settings)
        torch.manual_seed(0)
        torch.save(open_clip.create_model(MODEL).state_dict(), weights)
        before, seconds, processor = peak(), time.perf_counter(), time.process_time()
        found = score(ScoringConfig(str(data), model=MODEL, pretrained=str(weights), threads=threads))
        seconds, processor = time.perf_counter() - seconds, time.process_time() - processor
    sys.stdout.write("\n".join(score_lines(found)) + "\n")
    sys.stdout.write(
        f"{pictures:,} pictures of {PIXELS} pixels, {classes:,} classes, {threads} threads: {seconds:,.0f} s, "
        f"{processor:,.0f} s of processor, at most {peak():.2f} GB resident ({before:.2f} before)\n"
    )


def peak() -> float:
    """The largest resident size of this process so far, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
