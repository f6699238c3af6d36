"""A variant is a row of weights, a preset a recipe for each; together they say what a step computes.

The weights are those of the CLIP benchmark (arXiv 2203.05796) and its YFCC15M recipes.
"""

import math
from dataclasses import dataclass
from typing import Literal, get_args

TERMS = ("contrast", "simclr", "simsiam", "masked_words", "neighbours", "tokens")
"""The supervision signals, in the order in which they are added up."""

WEAK, STRONG = "weak", "strong"
CAPTION, MASKED, EDITED = "caption", "masked", "edited"


@dataclass(frozen=True)
class Variant:
    """How much each supervision signal counts; a signal of weight 0 is not computed.

    Attributes:
        contrast: Image-text contrast, the mean over the contrasted pairs of views (CLIP; DeCLIP section 3.2).
        simclr: Contrast of two strong image views (SLIP, arXiv 2112.12750 section 3).
        simsiam: Negative cosine of two image views (DeCLIP section 3.1).
        masked_words: Masked language modelling (DeCLIP section 3.1).
        neighbours: Contrast with the text's nearest neighbour (DeCLIP section 3.3).
        tokens: Token-wise contrast (FILIP, arXiv 2111.07783 section 3.1).
    """

    contrast: float = 0.0
    simclr: float = 0.0
    simsiam: float = 0.0
    masked_words: float = 0.0
    neighbours: float = 0.0
    tokens: float = 0.0

    @property
    def many_views(self) -> bool:
        """Whether two image views and two texts are contrasted in all pairs, as DeCLIP does."""
        return self.neighbours > 0

    def weight(self, term: str) -> float:
        """The weight of one of `TERMS`; 0 where the variant does not use it."""
        return float(getattr(self, term))

    def terms(self) -> tuple[str, ...]:
        """The terms that are computed, in the order of `TERMS`."""
        return tuple(term for term in TERMS if self.weight(term))


VariantName = Literal["clip", "slip", "filip", "declip", "defilip"]
VARIANTS: dict[VariantName, Variant] = {
    "clip": Variant(contrast=1.0),
    "slip": Variant(contrast=1.0, simclr=1.0),
    "filip": Variant(tokens=1.0),
    "declip": Variant(contrast=0.4, simsiam=0.2, masked_words=0.2, neighbours=0.2),
    "defilip": Variant(contrast=0.4, simsiam=0.2, masked_words=0.2, neighbours=0.2, tokens=0.2),
}


@dataclass(frozen=True)
class Recipe:
    """What a preset sets for one variant.

    Attributes:
        learning_rate: Peak of the learning rate.
        weight_decay: Of AdamW.
        log_scale_bounds: Bounds of the logarithm of each similarity scale.
        scale_cap: Largest scale of the global contrast in the forward pass, where the gradient ignores it; or None.
        image_views: Kinds of the image views, in order.
        contrasted_images: Indices of the views that are contrasted with texts.
        contrasted_texts: Kinds of the texts that they are contrasted with.
        first_view_normalises: Whether only the first image view enters the running statistics of batch normalisation,
            which evaluation uses; the others, which look like no test picture, are normalised by their own.
        bilinear: Whether pixels are interpolated from two neighbours a side, in place of four.
        evaluated_share: Side of what an evaluation sees of a picture's middle square, as a share of the square's.
        masks_padding: Whether FILIP leaves padding out of the mean, the maximum and the selection.
        selected_share: Share of a side's valid tokens that FILIP selects; None takes the model size's number of tokens.
        averages_prompt_tokens: Whether FILIP's prompts of a class are averaged position by position, in place of the
            mean over the prompts of their similarities (arXiv 2111.07783, section 3.1).
        waits_for_queue: Whether the neighbour term waits until the queue holds only real texts.
        gathers_queue: Whether the texts of all processes enter each queue, so that all queues are equal.
        ordinary_replacements: Whether a random replacement of a masked word is never a special token.
        decays_embeddings: Whether positions, the class embedding and attention biases decay as weights do.
        wide_embedding: Whether the embedding of the vision transformer is as wide as its blocks.
        position_deviation: Standard deviation of the vision transformer's position embedding at the start; None takes
            the root of one over its width.
        pools_to_embedding: Whether the ResNet's attention pooling gives the embedding itself, where no head needs what
            is projected to it.
    """

    learning_rate: float
    weight_decay: float
    log_scale_bounds: tuple[float, float]
    scale_cap: float | None
    image_views: tuple[str, ...]
    contrasted_images: tuple[int, ...]
    contrasted_texts: tuple[str, ...]
    first_view_normalises: bool
    bilinear: bool
    evaluated_share: float
    masks_padding: bool
    selected_share: float | None
    averages_prompt_tokens: bool
    waits_for_queue: bool
    gathers_queue: bool
    ordinary_replacements: bool
    decays_embeddings: bool
    wide_embedding: bool
    position_deviation: float | None
    pools_to_embedding: bool


PresetName = Literal["clean", "published"]
PRESETS: tuple[PresetName, ...] = get_args(PresetName)
"""clean: one recipe for all variants. published: as the benchmark's YFCC15M runs were configured, quirks included."""


def recipe_of(name: PresetName, variant_name: VariantName) -> Recipe:
    """The recipe of a preset for a variant.

    In `clean` the first contrasted pair is the weak crop and the whole caption, for every variant; what a variant adds
    comes on top. In `published` DeCLIP, FILIP and DeFILIP contrast strong views with a masked caption, and SLIP and
    FILIP use half the learning rate and five times the decay of the others; that learning rate is a sixth of the one
    that SLIP's own authors advise.
    """
    variant = VARIANTS[variant_name]
    if name == "clean":
        return Recipe(
            learning_rate=1e-3,
            weight_decay=0.1,
            log_scale_bounds=(0.0, math.log(100)),
            scale_cap=None,
            image_views=_clean_views(variant),
            contrasted_images=(0, 1) if variant.many_views else (0,),
            contrasted_texts=(CAPTION, EDITED) if variant.many_views else (CAPTION,),
            first_view_normalises=True,
            bilinear=False,
            evaluated_share=1.0,
            masks_padding=True,
            selected_share=0.25,
            averages_prompt_tokens=False,
            waits_for_queue=True,
            gathers_queue=True,
            ordinary_replacements=True,
            decays_embeddings=False,
            wide_embedding=False,
            position_deviation=None,
            pools_to_embedding=False,
        )
    other_rate = variant_name in {"slip", "filip"}
    return Recipe(
        learning_rate=5e-4 if other_rate else 1e-3,
        weight_decay=0.5 if other_rate else 0.1,
        log_scale_bounds=(3.0, 6.0),
        scale_cap=None if other_rate else 100.0,
        image_views=_published_views(variant),
        contrasted_images=(0, 1) if variant.many_views else (0,),
        contrasted_texts=_published_texts(variant),
        first_view_normalises=False,
        bilinear=True,
        evaluated_share=7 / 8,
        masks_padding=False,
        selected_share=None,
        averages_prompt_tokens=True,
        waits_for_queue=False,
        gathers_queue=False,
        ordinary_replacements=False,
        decays_embeddings=True,
        wide_embedding=variant_name == "filip",
        position_deviation=0.01,
        pools_to_embedding=not variant.simclr,
    )


def _clean_views(variant: Variant) -> tuple[str, ...]:
    if variant.simclr:
        return (WEAK, STRONG, STRONG)
    return (WEAK, STRONG) if variant.many_views else (WEAK,)


def _published_views(variant: Variant) -> tuple[str, ...]:
    if variant.simclr:
        return (WEAK, STRONG, STRONG)
    if variant.many_views:
        return (STRONG, STRONG)
    return (STRONG,) if variant.tokens else (WEAK,)


def _published_texts(variant: Variant) -> tuple[str, ...]:
    if variant.many_views:
        return (MASKED, EDITED)
    return (MASKED,) if variant.tokens else (CAPTION,)
