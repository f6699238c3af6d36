"""Samples per CPU second of CLIP training here against a plain open_clip loop on preloaded tensors; the variants' cost.

Both train the same `tiny` ViT with the same batch, optimizer and threads. Ours reads shards, decodes, crops, tokenizes
and notes its losses; the plain loop only trains. They take turns, so that a busy machine slows both.

Usage: .venv-benchmark/bin/python tests/benchmarks/bench_clip_training.py [repeats, 9] [steps of a repeat, 5]
"""

import io
import json
import statistics
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import open_clip
import torch
from PIL import Image

from metaclip_spark.clip_benchmark.augmentation.image import normalized
from metaclip_spark.clip_benchmark.settings.training_config import IMAGE_TOWERS, TrainingConfig
from metaclip_spark.clip_benchmark.settings.variants import VARIANTS
from metaclip_spark.clip_benchmark.training.processes import TrainingProcess
from metaclip_spark.clip_benchmark.training.train import TrainingRun

SAMPLES = 1280
WORDS = ("circle", "square", "star", "cross", "arrow", "house", "tree", "moon")


def write_shards(folder: Path) -> None:
    """Writes pictures of noise with short captions into one tar."""
    generator = np.random.default_rng(0)
    with tarfile.open(folder / "00000.tar", "w") as tar:
        for number in range(SAMPLES):
            picture = io.BytesIO()
            Image.fromarray(generator.integers(0, 256, (32, 32, 3), np.uint8)).save(picture, "png")
            caption = f"a drawing of the {WORDS[number % len(WORDS)]} number {number}"
            for extension, content in (("png", picture.getvalue()), ("txt", caption.encode())):
                member = tarfile.TarInfo(f"{number:09d}.{extension}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))


class PlainLoop:
    """What anyone would write with open_clip, and tensors that are ready."""

    def __init__(self, config: TrainingConfig, ours: TrainingRun) -> None:
        size = config.size
        self.model = open_clip.CustomTextCLIP(
            embed_dim=size.vit_embedding,
            vision_cfg={
                "layers": size.vit_layers,
                "width": size.vit_width,
                "head_width": size.vit_width // size.vit_heads,
                "patch_size": size.patch_pixels,
                "image_size": size.vit_pixels,
            },
            text_cfg={
                "context_length": size.context_length,
                "vocab_size": 49409,
                "width": size.text_width,
                "heads": size.text_heads,
                "layers": size.text_layers,
                "pool_type": "eos",
                "eos_id": 49407,
            },
            quick_gelu=True,
            output_dict=True,
        )
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=1e-3, betas=(0.9, 0.98), eps=1e-8, weight_decay=0.1, fused=True
        )
        self.loss = open_clip.ClipLoss()
        batches = [ours.batches[step] for step in range(8)]
        self.ready = [(normalized(batch.images[0]), batch.texts["caption"]) for batch in batches]

    def step(self, number: int) -> None:
        """Trains one step."""
        images, texts = self.ready[number % len(self.ready)]
        output = self.model(images, texts)
        loss = self.loss(output["image_features"], output["text_features"], output["logit_scale"])
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        with torch.no_grad():
            self.model.logit_scale.clamp_(0, 4.6052)


def our_step(run: TrainingRun) -> Callable[[int], None]:
    """Gives a function that makes a batch and trains one step."""
    return lambda number: run.train_step(run.batches[number])


def rates(contestants: dict[str, Callable[[int], None]], samples: int, repeats: int, steps: int) -> dict[str, float]:
    """Measures samples per second of CPU time of each contestant, all taking turns; the median over the repeats.

    With one thread and nothing to wait for, that is the wall time of an idle machine, on a busy one, too.
    """
    measured: dict[str, list[float]] = {name: [] for name in contestants}
    for step in contestants.values():
        step(0)
    for repeat in range(repeats):
        # The order turns, so that nobody always follows the same one.
        names = list(contestants)
        for name in names[repeat % len(names) :] + names[: repeat % len(names)]:
            before = time.process_time()
            for number in range(steps):
                contestants[name](1 + repeat * steps + number)
            measured[name].append(samples * steps / (time.process_time() - before))
    return {name: statistics.median(values) for name, values in measured.items()}


def main(repeats: int, steps: int) -> None:
    """Measures and prints one JSON object."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        write_shards(Path(folder))

        def run(variant: str, tower: str) -> TrainingRun:
            config = TrainingConfig(
                variant, folder, f"{folder}/unused", image_tower=tower, steps=100_000, queue_size=1024
            )
            return TrainingRun(config, TrainingProcess(0, "cpu"))

        ours = run("clip", "vit")
        samples = ours.config.samples_per_step
        against = rates(
            {"plain open_clip": PlainLoop(ours.config, ours).step, "clip": our_step(ours)}, samples, repeats, steps
        )
        result = {
            "threads": 1,
            "batch": samples,
            "repeats": repeats,
            "samples_per_cpu_second": against,
            "clip_to_plain": against["clip"] / against["plain open_clip"],
        }
        for tower in IMAGE_TOWERS:
            by_variant = rates(
                {variant: our_step(run(variant, tower)) for variant in VARIANTS}, samples, repeats, max(1, steps // 2)
            )
            cost = {variant: by_variant["clip"] / rate for variant, rate in by_variant.items()}
            result[f"cost_to_clip_{tower}"] = cost
    sys.stdout.write(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    given = [int(value) for value in sys.argv[1:]]
    main(*(given + [9, 5][len(given) :]))
