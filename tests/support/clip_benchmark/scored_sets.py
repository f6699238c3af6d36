"""Test sets of each kind on disk, written without the package's own writers, and models to score on them."""

import json
from pathlib import Path

import open_clip
import torch

from metaclip_spark.clip_benchmark.model.encoders import ContrastiveModel
from metaclip_spark.clip_benchmark.settings.training_config import TrainingConfig
from metaclip_spark.clip_benchmark.training.checkpoints import save
from tests.support.clip_benchmark.small_shards import COLOURS, caption, picture, png, write_tar

CLASSES = tuple(COLOURS)
PICTURES = 24
TEMPLATES = ("a {} bar", "one {} thing at the left")
UNIT = {"layers": 1, "width": 32, "head_width": 16, "patch_size": 8}


def label(number: int) -> int:
    return number % len(CLASSES)


def image_folder(folder: Path) -> Path:
    for number in range(PICTURES):
        of_class = folder / f"{label(number)}_{CLASSES[label(number)]}"
        of_class.mkdir(parents=True, exist_ok=True)
        picture(number).save(of_class / f"{number:03d}.png")
    (folder / "classnames.txt").write_text("".join(f"{name}\n" for name in CLASSES))
    (folder / "templates.txt").write_text("".join(f"{template}\n" for template in TEMPLATES))
    return folder


def in_order_of_classes() -> list[int]:
    return sorted(range(PICTURES), key=label)


def webdataset_folder(folder: Path, members: tuple[str, ...] = ("cls",)) -> Path:
    texts = {"cls": lambda number: str(label(number)), "txt": lambda number: f"{caption(number)}\nno {number} bar\n"}
    samples = [
        {"png": png(picture(number)), **{name: texts[name](number).encode() for name in members}}
        for number in in_order_of_classes()
    ]
    (folder / "test").mkdir(parents=True)
    for shard in range(2):
        write_tar(folder / "test" / f"{shard}.tar", samples[shard * 12 : shard * 12 + 12])
    (folder / "test" / "nshards.txt").write_text("2")
    if "cls" in members:
        (folder / "classnames.txt").write_text("\n".join(CLASSES))
        templates = [template.replace("{}", "{c}") for template in TEMPLATES]
        (folder / "zeroshot_classification_templates.txt").write_text("\n".join(templates))
    return folder


def made_test_folder(folder: Path) -> Path:
    folder.mkdir()
    samples = [
        {
            "png": png(picture(number)),
            "txt": caption(number).encode(),
            "json": b'{"pair_id": "a"}',
            "cls": b"%d" % label(number),
        }
        for number in in_order_of_classes()
    ]
    write_tar(folder / "00000.tar", samples)
    described = {"samples": PICTURES, "shards": [{"name": "00000.tar", "samples": PICTURES}], "lost": {}}
    (folder / "shards.json").write_text(json.dumps(described))
    (folder / "classnames.txt").write_text("\n".join(CLASSES))
    (folder / "templates.txt").write_text("\n".join(TEMPLATES))
    return folder


def checkpoint(folder: Path, variant: str = "clip", **options) -> tuple[Path, ContrastiveModel, TrainingConfig]:
    """Saves an untrained model whose parameters are all drawn, so that no part of an export can be left out."""
    config = TrainingConfig(variant, "shards", str(folder), model_size="unit", **options)
    torch.manual_seed(1)
    model = ContrastiveModel(config)
    with torch.no_grad():
        for name, values in model.state_dict().items():
            if values.is_floating_point() and (values.dim() < 2 or "running" in name):
                values.uniform_(0.5, 1.5)
    return save(config, 1, 0, lambda: {"model": model.state_dict()}, {}, lambda: None), model.eval(), config


def open_clip_folder(folder: Path) -> Path:
    """Writes the configuration of a small model where open_clip finds it, and random weights of it."""
    text = {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
    settings = {"embed_dim": 16, "vision_cfg": {"image_size": 32, **UNIT}, "text_cfg": text}
    (folder / "small-test-model.json").write_text(json.dumps(settings))
    open_clip.add_model_config(folder / "small-test-model.json")
    torch.manual_seed(2)
    weights = folder / "weights.pt"
    torch.save({"state_dict": open_clip.create_model("small-test-model").state_dict()}, weights)
    return weights
