"""From a batch to the weighted terms of a variant: encodes each view once, gathers, and calls the supervision."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from metaclip_spark.clip_benchmark.augmentation.batches import sent
from metaclip_spark.clip_benchmark.augmentation.text import IGNORE_INDEX
from metaclip_spark.clip_benchmark.losses import supervision
from metaclip_spark.clip_benchmark.losses.all_gather import all_gather, all_gather_detached, rank
from metaclip_spark.clip_benchmark.losses.neighbour_queue import NeighbourQueue
from metaclip_spark.clip_benchmark.losses.supervision import Tokens, Views, unit
from metaclip_spark.clip_benchmark.model.encoders import ContrastiveModel
from metaclip_spark.clip_benchmark.model.towers import ImageFeatures, TextFeatures, without_running_statistics
from metaclip_spark.clip_benchmark.settings.training_config import TrainingConfig
from metaclip_spark.clip_benchmark.settings.variants import MASKED


@dataclass(frozen=True)
class Inputs:
    """A batch on its device.

    Attributes:
        images: For each image view (B, 3, H, W), normalised.
        texts: Kind of text -> (B, T) token ids.
        labels: (B, T) the masked words' ids, -100 elsewhere; None where nothing is masked.
        samples: (B,) the samples' indices.
        asked: (M,) positions of the masked words among all B T, if they are known; to find them is to wait for the
            device.
    """

    images: tuple[Tensor, ...]
    texts: Mapping[str, Tensor]
    labels: Tensor | None
    samples: Tensor
    asked: Tensor | None = None


@dataclass
class StepNotes:
    """What a step tells beside its losses; numbers that are tensors stay on the device until they are read.

    Attributes:
        queue_texts: For each contrasted text (B, D), to enter the queue after the step.
        neighbours: Neighbours that were looked up.
        stale_neighbours: Number of those that are an earlier embedding of the same sample, a tensor of one number;
            None where none were looked up.
        skipped_terms: Terms that this step could not compute.
        embedding_deviation: Mean standard deviation of the unit image embeddings' coordinates, times the root of
            their width: about 1 where they spread, 0 where they collapsed. A tensor of one number; None where it was
            not measured.
    """

    queue_texts: list[Tensor] = field(default_factory=list)
    neighbours: int = 0
    stale_neighbours: Tensor | None = None
    skipped_terms: list[str] = field(default_factory=list)
    embedding_deviation: Tensor | None = None


class Objective(nn.Module):
    """The model with its loss, so that all that is trained runs within one forward pass.

    Attributes:
        queue: DeCLIP's queue; None where the variant has none.
        term_weights: The variant's row of weights.
        notes: Of the last step.
        measures_spread: Whether the next step measures how far embeddings spread.
    """

    def __init__(self, config: TrainingConfig, model: ContrastiveModel, queue: NeighbourQueue | None) -> None:
        """Holds what the terms are computed from."""
        super().__init__()
        self.model = model
        self.queue = queue
        self.notes = StepNotes()
        self.measures_spread = True
        self._config = config
        self.term_weights = config.weights
        self._recipe = config.recipe

    def forward(self, inputs: Inputs) -> dict[str, Tensor]:
        """Computes each term of the variant.

        Returns:
            Term -> its value before weighting; a term that this step skips is 0 with a gradient of zeros.
        """
        self.notes = StepNotes()
        with torch.autocast(inputs.samples.device.type, torch.bfloat16, enabled=self._config.precision == "bfloat16"):
            images = self._encoded_images(inputs.images)
            texts = {kind: self.model.encode_text(inputs.texts[kind]) for kind in self._encoded_texts()}
        images = [ImageFeatures(*(_exact(part) for part in view)) for view in images]
        texts = {kind: TextFeatures(_exact(of.embedding), _exact(of.tokens), of.valid) for kind, of in texts.items()}
        return self._terms(images, texts, inputs)

    def weighted_sum(self, terms: dict[str, Tensor]) -> Tensor:
        """The loss: the terms that `forward` returned, added up with the variant's weights."""
        return torch.stack([self.term_weights.weight(name) * value for name, value in terms.items()]).sum()

    def enqueue_texts(self, samples: Tensor) -> None:
        """Puts the step's texts into the queue, the edited captions first, as DeCLIP does; `samples` is (B,)."""
        if self.queue is None:
            return
        for texts in reversed(self.notes.queue_texts):
            if self._recipe.gathers_queue:
                self.queue.enqueue(all_gather_detached(texts), all_gather_detached(samples))
            else:
                self.queue.enqueue(texts, samples)

    @torch.no_grad()
    def clamp_scales(self) -> None:
        """Keeps the logarithms of the scales within the preset's bounds."""
        for scale in self.model.scales():
            scale.clamp_(*self._recipe.log_scale_bounds)

    def _encoded_images(self, views: tuple[Tensor, ...]) -> list[ImageFeatures]:
        first, *others = views
        encoded = [self.model.encode_image(first)]
        with without_running_statistics(self.model) if self._recipe.first_view_normalises else nullcontext():
            return encoded + [self.model.encode_image(view) for view in others]

    def _encoded_texts(self) -> tuple[str, ...]:
        extra = (MASKED,) if self.term_weights.masked_words and MASKED not in self._recipe.contrasted_texts else ()
        return (*self._recipe.contrasted_texts, *extra)

    def _terms(self, images: list[ImageFeatures], texts: dict[str, TextFeatures], inputs: Inputs) -> dict[str, Tensor]:
        terms: dict[str, Tensor] = {}
        contrasted = [images[index] for index in self._recipe.contrasted_images]
        captions = [texts[kind] for kind in self._recipe.contrasted_texts]
        if self.measures_spread:
            self._note_spread(contrasted[0])
        if self.term_weights.contrast:
            terms.update(self._contrast_terms(contrasted, captions, inputs))
        if self.term_weights.simclr:
            terms["simclr"] = self._simclr(images[1], images[2])
        if self.term_weights.simsiam:
            terms["simsiam"] = self._simsiam(contrasted)
        if self.term_weights.masked_words:
            terms["masked_words"] = self._masked_words(texts[MASKED], inputs)
        if self.term_weights.tokens:
            terms["tokens"] = self._token_contrast(contrasted[0], captions[0])
        return terms

    def _contrast_terms(
        self, images: list[ImageFeatures], texts: list[TextFeatures], inputs: Inputs
    ) -> dict[str, Tensor]:
        image_views = _views([view.embedding for view in images])
        text_views = _views([view.embedding for view in texts])
        scale = self._scale()
        first_row = rank() * len(inputs.samples)
        terms = {"contrast": supervision.multi_view_contrast(image_views, text_views, scale, first_row)}
        if self.queue is not None:
            terms["neighbours"] = self._neighbours(self.queue, image_views, text_views, scale, inputs.samples)
        return terms

    def _neighbours(self, queue: NeighbourQueue, images: Views, texts: Views, scale: Tensor, samples: Tensor) -> Tensor:
        self.notes.queue_texts = [text.detach() for text in texts.own]
        if self._recipe.waits_for_queue and not queue.full:
            self.notes.skipped_terms.append("neighbours")
            return 0 * images.own[0].sum()
        found = [queue.nearest(text.detach()) for text in texts.own]
        self.notes.neighbours = sum(len(neighbours.samples) for neighbours in found)
        self.notes.stale_neighbours = torch.stack([neighbours.samples == samples for neighbours in found]).sum()
        everywhere = [all_gather_detached(neighbours.embeddings) for neighbours in found]
        return supervision.neighbour_contrast(images.own, everywhere, scale, rank() * len(samples))

    def _simclr(self, first: ImageFeatures, second: ImageFeatures) -> Tensor:
        one, other = (unit(self.model.simclr_head(view.pooled)) for view in (first, second))
        return supervision.view_contrast(
            one, other, all_gather(one), all_gather(other), supervision.SIMCLR_TEMPERATURE, rank() * len(one)
        )

    def _simsiam(self, images: list[ImageFeatures]) -> Tensor:
        projected = [self.model.simsiam_projector(view.embedding) for view in images]
        predicted = [self.model.simsiam_predictor(projection) for projection in projected]
        return supervision.negative_cosine(predicted, projected)

    def _masked_words(self, text: TextFeatures, inputs: Inputs) -> Tensor:
        if inputs.labels is None:
            raise ValueError("the batch has no masked words: give labels")
        asked = asked_positions(inputs.labels) if inputs.asked is None else inputs.asked
        if not len(asked):
            self.notes.skipped_terms.append("masked_words")
        # Only the masked positions meet the head: all of them would take gigabytes at full size.
        words = self.model.word_head(text.tokens.flatten(0, 1)[asked])
        return supervision.masked_word_loss(words, inputs.labels.flatten()[asked])

    def _token_contrast(self, image: ImageFeatures, text: TextFeatures) -> Tensor:
        patches, words = self.model.dense_image(image.tokens), self.model.dense_text(text.tokens)
        patches_valid = torch.ones(patches.shape[:2], dtype=torch.bool, device=patches.device)
        words_valid = text.valid if self._recipe.masks_padding else torch.ones_like(text.valid)
        images = self._selected(patches, patches_valid, words, words_valid)
        texts = self._selected(words, words_valid, patches, patches_valid)
        scale = self.model.token_logit_scale.exp()
        return supervision.token_contrast(images, texts, scale, rank() * len(patches))

    def _selected(self, tokens: Tensor, valid: Tensor, others: Tensor, others_valid: Tensor) -> Tokens:
        counts = [self._config.selected_tokens(tokens_there) for tokens_there in range(tokens.shape[1] + 1)]
        positions = supervision.select_tokens(tokens, others, valid, others_valid, counts[-1])
        selected = supervision.take_tokens(tokens, positions)
        own_counts = sent(torch.tensor(counts), valid.device)[valid.sum(dim=1)]
        within = torch.arange(counts[-1], device=valid.device) < own_counts[:, None]
        return Tokens(tokens, valid, all_gather(selected), all_gather_detached(within))

    def _scale(self) -> Tensor:
        scale = self.model.logit_scale.exp()
        cap = self._recipe.scale_cap
        # The cap holds for the value only: the gradient is that of the scale without it.
        return scale if cap is None else scale + (scale.clamp(max=cap) - scale).detach()

    @torch.no_grad()
    def _note_spread(self, image: ImageFeatures) -> None:
        vectors = unit(image.tokens.mean(dim=1) if self.model.scores_tokens else image.embedding)
        self.notes.embedding_deviation = vectors.std(dim=0).mean() * vectors.shape[1] ** 0.5


def asked_positions(labels: Tensor) -> Tensor:
    """Finds the masked words of (B, T) labels: their (M,) positions among all B T."""
    return (labels.flatten() != IGNORE_INDEX).nonzero().squeeze(1)


def _views(embeddings: list[Tensor]) -> Views:
    own = [unit(embedding) for embedding in embeddings]
    return Views(own, [all_gather(view) for view in own])


def _exact(features: Tensor) -> Tensor:
    """Features in at least single precision, in which losses are computed."""
    return features.float() if features.dtype in {torch.bfloat16, torch.float16} else features
