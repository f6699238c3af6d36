"""Opens a model to be scored: a checkpoint of ours, or a model of open_clip with a file of weights."""

import hashlib
import pickle
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import open_clip
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn.functional import normalize

from metaclip_spark.clip_benchmark.augmentation.image import evaluation_view, resampling_of
from metaclip_spark.clip_benchmark.model.encoders import ContrastiveModel
from metaclip_spark.clip_benchmark.model.towers import ImageFeatures, TextFeatures
from metaclip_spark.clip_benchmark.scoring.pictures import View
from metaclip_spark.clip_benchmark.settings.scoring_config import ScoringConfig
from metaclip_spark.clip_benchmark.settings.training_config import Device, TrainingConfig
from metaclip_spark.clip_benchmark.settings.variants import Recipe, recipe_of
from metaclip_spark.clip_benchmark.training.checkpoints import latest, load_model
from metaclip_spark.errors import ConfigError, InputError, meant_by

LOCAL = "local-dir:"
_HUB = "hf-hub:"
_UNREADABLE = (
    *(RuntimeError, OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, StopIteration, AssertionError),
    *(pickle.UnpicklingError, SafetensorError),
)
"""What open_clip raises of a configuration or of weights that it cannot use."""


class OpenClipModel(nn.Module):
    """A model of open_clip as the evaluation takes it; what a probe is fitted on is the embedding."""

    scores_tokens = False

    def __init__(self, model: nn.Module, tokenizer: open_clip.SimpleTokenizer) -> None:
        """Takes a model and what makes its token ids."""
        super().__init__()
        self.model = model
        self._tokenizer = tokenizer

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        """Encodes B texts as token ids: (B, T), int64."""
        ids: Tensor = self._tokenizer(list(texts))
        return ids

    def encode_image(self, images: Tensor) -> ImageFeatures:
        """Encodes (B, 3, H, W) images, without tokens."""
        embedding = self.model.encode_image(images)
        return ImageFeatures(embedding, embedding, embedding[:, None])

    def encode_text(self, ids: Tensor) -> TextFeatures:
        """Encodes (B, T) token ids, without tokens."""
        embedding = self.model.encode_text(ids)
        return TextFeatures(embedding, embedding[:, None], ids[:, :1] >= 0)

    def dense_image(self, tokens: Tensor) -> Tensor:
        """Gives unit vectors."""
        return normalize(tokens, dim=-1)

    dense_text = dense_image


@dataclass(frozen=True)
class OpenedModel:
    """A model in evaluation mode, on its device.

    Attributes:
        name: What it is, for people.
        view: Makes what it takes of an RGB image.
        recipe: What it was trained by, as far as scoring depends on it.
        digest: Of its weights.
    """

    model: ContrastiveModel | OpenClipModel
    name: str
    view: View
    recipe: Recipe
    digest: str


def open_model(config: ScoringConfig) -> OpenedModel:
    """Opens the model of a configuration.

    Raises:
        ConfigError: If open_clip does not know it, or it would have to be downloaded.
        InputError: If its weights are missing, damaged or those of another model.
    """
    if config.checkpoint is not None:
        model, trained = open_checkpoint(config.checkpoint, config.device)
        name = f"{trained.variant} {trained.image_tower} {trained.model_size} ({trained.preset})"
        return OpenedModel(model, name, view_of(trained), trained.recipe, digest_of(model))
    found, view = _open_clip_model(config.model or "", config.pretrained, config.device)
    return OpenedModel(found, config.model or "", view, recipe_of("clean", "clip"), digest_of(found.model))


def open_checkpoint(folder: str, device: Device) -> tuple[ContrastiveModel, TrainingConfig]:
    """Opens a checkpoint of ours, or the newest of a run's folder.

    Raises:
        InputError: If it is missing, damaged, or of another version.
    """
    return load_model(latest(folder) or folder, device=device)


def view_of(config: TrainingConfig) -> View:
    """The view that a model of ours is evaluated by."""
    return evaluation_view(config.pixels, config.recipe.evaluated_share, resampling_of(config.recipe))


def digest_of(model: nn.Module) -> str:
    """A digest of a model's weights, by name and shape."""
    digest = hashlib.blake2b(digest_size=16)
    for name, weights in sorted(model.state_dict().items()):
        digest.update(f"{name} {tuple(weights.shape)} {weights.dtype} ".encode())
        digest.update(weights.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _open_clip_model(name: str, pretrained: str | None, device: Device) -> tuple[OpenClipModel, View]:
    weights = None if name.startswith(LOCAL) else _weights_file(name, pretrained)
    shown = f"--model {name}" if weights is None else f"--pretrained {pretrained}"
    with _told_of(shown, name):
        _check_texts(name)
        # A whole path is never taken for a tag, whose weights would be downloaded.
        model = open_clip.create_model(name, pretrained=weights, device=device, require_pretrained=True)
        tokenizer = open_clip.get_tokenizer(name)
    view = image_transform_v2(PreprocessCfg(**model.visual.preprocess_cfg), is_train=False)
    return OpenClipModel(model.eval(), tokenizer), view


def _weights_file(name: str, pretrained: str | None) -> str:
    """The whole path of the weights of a model that open_clip knows by name."""
    known = open_clip.list_models()
    if name.startswith(_HUB):
        raise ConfigError(f"--model {name} would be downloaded: fetch it, and give {LOCAL}FOLDER")
    if name.replace("/", "-") not in known:
        near = meant_by(name, known, alike=0.4)
        advice = f"did you mean {near}?" if near else f"it knows {', '.join(known[:3])} and {len(known) - 3} more"
        raise ConfigError(f"--model {name}: open_clip knows no such model: {advice}")
    file = Path(pretrained or "")
    if file.is_file():
        return str(file.resolve())
    tags = open_clip.list_pretrained_tags_by_model(name)
    if pretrained in tags:
        raise ConfigError(
            f"--pretrained {pretrained} names weights that would be downloaded: fetch them, and give the file"
        )
    raise ConfigError(f"--pretrained {pretrained} is not a file: give that of the weights of {name}")


def _check_texts(name: str) -> None:
    """Refuses a model whose tokenizer or text tower comes from the network."""
    texts = (open_clip.get_model_config(name) or {}).get("text_cfg", {})
    fetched = texts.get("hf_model_name") or texts.get("hf_tokenizer_name")
    if fetched or ("siglip" in name.lower() and not name.startswith(LOCAL)):
        raise ConfigError(
            f"--model {name} takes its tokens from {fetched or 'SigLIP'} of the Hugging Face Hub, and nothing is "
            "downloaded: give a model with CLIP's own tokenizer"
        )


@contextmanager
def _told_of(shown: str, name: str) -> Iterator[None]:
    """Puts what open_clip cannot use into one line."""
    try:
        yield
    except ConfigError:
        raise
    except _UNREADABLE as error:
        told = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{shown} cannot be loaded as {name} ({told}): give the weights of that model") from None
