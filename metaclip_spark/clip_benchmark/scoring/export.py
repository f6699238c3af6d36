"""Writes a checkpoint of ours as a folder that open_clip loads by `local-dir:FOLDER`, and checks that it does."""

import json
import math
import shutil
from dataclasses import dataclass
from pathlib import Path

import open_clip
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from metaclip_spark.clip_benchmark.augmentation.image import CHANNEL_DEVIATIONS, CHANNEL_MEANS
from metaclip_spark.clip_benchmark.augmentation.tokenizer import MASK
from metaclip_spark.clip_benchmark.model.encoders import ContrastiveModel
from metaclip_spark.clip_benchmark.model.towers import ResNetTower
from metaclip_spark.clip_benchmark.scoring.models import LOCAL, open_checkpoint
from metaclip_spark.clip_benchmark.settings.scoring_config import ExportConfig
from metaclip_spark.clip_benchmark.settings.training_config import TrainingConfig
from metaclip_spark.errors import ConfigError, CurationError, InputError, OutputExistsError

CONFIGURATION = "open_clip_config.json"
WEIGHTS = "open_clip_model.safetensors"
LARGEST_DIFFERENCE = 1e-5
"""Between an output of the exported model and ours, as a share of the largest output."""

_TEXTS = ("a photo of a dog", "two houses by the sea", f"an apple, {MASK} and a very long name " * 20)


@dataclass(frozen=True)
class Exported:
    """A folder that open_clip loads.

    Attributes:
        difference: The largest difference of an output to ours, as a share of the largest output.
        notes: What open_clip does in another way.
    """

    folder: Path
    variant: str
    difference: float
    notes: tuple[str, ...]


def export(config: ExportConfig) -> Exported:
    """Exports the model of a checkpoint.

    Raises:
        ConfigError: If open_clip cannot score the variant as it was trained.
        OutputExistsError: If the folder holds something.
        InputError: If the checkpoint is missing or damaged.
        CurationError: If open_clip gives other outputs.
    """
    # "." has no name.
    folder = Path(config.output).resolve()
    _check_output(folder, overwrite=config.overwrite)
    model, trained = open_checkpoint(config.checkpoint, "cpu")
    if model.scores_tokens:
        raise ConfigError(
            f"{config.checkpoint} is a checkpoint of {trained.variant}, which compares tokens: its global embedding is "
            "not trained, and open_clip compares nothing else; metaclip-spark evaluate-clip scores it"
        )
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    save_file(exported_weights(model, trained), partial / WEIGHTS)
    written = {"model_cfg": model_settings(model, trained), "preprocess_cfg": preprocessing(trained)}
    (partial / CONFIGURATION).write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")
    difference = difference_to(model, trained, partial)
    if not difference <= LARGEST_DIFFERENCE:
        raise CurationError(
            f"the outputs of open_clip {open_clip.__version__} differ by {difference:.1e} from ours, more than "
            f"{LARGEST_DIFFERENCE}: nothing was written; install the version that it was trained with"
        )
    _put(partial, folder)
    return Exported(folder, trained.variant, difference, _notes(trained))


def exported_weights(model: ContrastiveModel, config: TrainingConfig) -> dict[str, Tensor]:
    """The towers' weights by open_clip's names; heads that only training needs are left out."""
    tower = model.image_tower
    images = {f"visual.{name}": weights for name, weights in tower.body.state_dict().items()}
    if isinstance(tower, ResNetTower) and tower.projection is not None:
        # Two linear layers in a row are one.
        pooled = tower.body.attnpool.c_proj
        images["visual.attnpool.c_proj.weight"] = tower.projection.T @ pooled.weight
        images["visual.attnpool.c_proj.bias"] = tower.projection.T @ pooled.bias
    texts = {f"text.{name}": weights for name, weights in model.text_tower.body.state_dict().items()}
    cap = config.recipe.scale_cap
    scale = model.logit_scale.detach().reshape(())
    scale = scale if cap is None else scale.clamp(max=math.log(cap))
    whole = {**images, **texts, "logit_scale": scale}
    return {name: weights.detach().clone().contiguous() for name, weights in whole.items()}


def model_settings(model: ContrastiveModel, config: TrainingConfig) -> dict[str, object]:
    """What open_clip builds the towers from."""
    size, special = config.size, model.vocabulary.special
    if config.image_tower == "resnet":
        image: dict[str, object] = {
            "layers": list(size.resnet_layers),
            "width": size.resnet_width,
            "head_width": 32 * size.resnet_width // size.resnet_heads,
        }
    else:
        image = {
            "layers": size.vit_layers,
            "width": size.vit_width,
            "head_width": size.vit_width // size.vit_heads,
            "patch_size": size.patch_pixels,
        }
    text = {
        "context_length": size.context_length,
        "vocab_size": special.vocabulary_size,
        "width": size.text_width,
        "heads": size.text_heads,
        "layers": size.text_layers if config.text_depth is None else config.text_depth,
        # The mask's id is above that of the end, so that the largest id does not tell the end.
        "pool_type": "eos",
        "eos_id": special.end,
        "proj_bias": True,
        "tokenizer_kwargs": {"additional_special_tokens": [MASK]},
    }
    return {
        "embed_dim": config.embedding_width,
        "quick_gelu": True,
        "custom_text": True,
        "vision_cfg": {"image_size": config.pixels, **image},
        "text_cfg": text,
    }


def preprocessing(config: TrainingConfig) -> dict[str, object]:
    """What open_clip makes a picture's view from: the middle square, as our evaluation."""
    return {
        "size": config.pixels,
        "mode": "RGB",
        "mean": list(CHANNEL_MEANS),
        "std": list(CHANNEL_DEVIATIONS),
        "interpolation": "bilinear" if config.recipe.bilinear else "bicubic",
        "resize_mode": "shortest",
    }


def difference_to(model: ContrastiveModel, config: TrainingConfig, folder: Path) -> float:
    """Loads an exported model by open_clip, and finds its largest difference to ours on some images and texts."""
    name = f"{LOCAL}{folder}"
    theirs: nn.Module = open_clip.create_model(name, require_pretrained=True).eval()
    images = torch.randn(2, 3, config.pixels, config.pixels, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        pairs = [
            (theirs.encode_image(images), model.encode_image(images).embedding),
            (
                theirs.encode_text(open_clip.get_tokenizer(name)(list(_TEXTS))),
                model.encode_text(model.tokenize(_TEXTS)).embedding,
            ),
        ]
    return max(float((their - our).abs().max() / our.abs().max()) for their, our in pairs)


def _notes(config: TrainingConfig) -> tuple[str, ...]:
    share = config.recipe.evaluated_share
    if share == 1:
        return ()
    side = round(config.pixels / share)
    return (
        f"open_clip's transform shows the whole middle square, our evaluation {share:.3g} of its side: scale pictures "
        f"to {side} pixels and crop {config.pixels} for the same figures",
    )


def _put(partial: Path, folder: Path) -> None:
    """Moves a model into its folder, which may be the working directory and so stays; the file that opens it last."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIGURATION).unlink(missing_ok=True)
    for name in (WEIGHTS, CONFIGURATION):
        (partial / name).replace(folder / name)
    partial.rmdir()


def _check_output(folder: Path, *, overwrite: bool) -> None:
    if folder.is_file():
        raise ConfigError(f"--output {folder} is a file: give a folder")
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    if not overwrite:
        raise OutputExistsError(f"--output {folder} is not empty: give --overwrite to replace an exported model")
    others = sorted(path.name for path in folder.iterdir() if path.name not in {CONFIGURATION, WEIGHTS})
    if others:
        raise InputError(
            f"--output {folder} holds {others[0]}, which is no part of an exported model: give another folder"
        )
