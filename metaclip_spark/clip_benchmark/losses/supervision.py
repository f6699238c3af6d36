"""The supervision signals: pure functions of encoder outputs, without processes, heads or state.

Rows are this process's B samples, columns the N samples of all processes; `first_row` is the column of row 0. Unit
vectors come in, losses come out as means over the rows.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

SIMCLR_TEMPERATURE = 0.1
"""SLIP, arXiv 2112.12750, section 3: the temperature of SimCLR's loss."""


def unit(vectors: Tensor) -> Tensor:
    """Scales vectors to length 1.

    Args:
        vectors: (..., D).

    Returns:
        (..., D); a vector of zeros stays one.
    """
    return functional.normalize(vectors, dim=-1)


def one_way_contrast(queries: Tensor, keys: Tensor, scale: Tensor, first_row: int = 0) -> Tensor:
    """Asks each query for its key among all keys: CLIP's cross-entropy in one direction.

    Args:
        queries: (B, D) unit vectors.
        keys: (N, D) unit vectors; row `first_row + i` belongs to query i.
        scale: The similarity scale, a number.
        first_row: Column of query 0.

    Returns:
        The mean cross-entropy; about ln N where nothing is learnt.
    """
    return _cross_entropy(scale * queries @ keys.T, first_row)


def image_text_contrast(
    images: Tensor, texts: Tensor, all_images: Tensor, all_texts: Tensor, scale: Tensor, first_row: int = 0
) -> Tensor:
    """Contrasts images with texts in both directions (CLIP, arXiv 2103.00020, section 2.3).

    Args:
        images: (B, D) unit vectors.
        texts: (B, D) unit vectors.
        all_images: (N, D), those of all processes.
        all_texts: (N, D).
        scale: The similarity scale, a number.
        first_row: Column of row 0.

    Returns:
        The mean of both directions' cross-entropies.
    """
    to_text = one_way_contrast(images, all_texts, scale, first_row)
    to_image = one_way_contrast(texts, all_images, scale, first_row)
    return (to_text + to_image) / 2


@dataclass(frozen=True)
class Views:
    """The unit embeddings of some views, here and everywhere.

    Attributes:
        own: For each view (B, D).
        all: For each view (N, D).
    """

    own: Sequence[Tensor]
    all: Sequence[Tensor]


def multi_view_contrast(images: Views, texts: Views, scale: Tensor, first_row: int = 0) -> Tensor:
    """Contrasts each image view with each text view (DeCLIP, arXiv 2110.05208, section 3.2).

    Args:
        images: The image views.
        texts: The text views.
        scale: The similarity scale, a number.
        first_row: Column of row 0.

    Returns:
        The mean over all pairs of views; with one view of each it is `image_text_contrast`.
    """
    pairs = [
        image_text_contrast(image, text, all_images, all_texts, scale, first_row)
        for image, all_images in zip(images.own, images.all, strict=True)
        for text, all_texts in zip(texts.own, texts.all, strict=True)
    ]
    return torch.stack(pairs).mean()


def neighbour_contrast(images: Sequence[Tensor], neighbours: Sequence[Tensor], scale: Tensor, first_row: int) -> Tensor:
    """Asks each image view for the nearest neighbour of its texts (DeCLIP, section 3.3), from image to text only.

    Args:
        images: For each image view (B, D) unit vectors.
        neighbours: For each text view (N, D) unit vectors, the neighbours of all processes' texts; no gradient
            reaches them.
        scale: The similarity scale, a number.
        first_row: Column of row 0.

    Returns:
        The mean over all pairs of views.
    """
    pairs = [one_way_contrast(image, keys.detach(), scale, first_row) for image in images for keys in neighbours]
    return torch.stack(pairs).mean()


def view_contrast(
    first: Tensor, second: Tensor, all_first: Tensor, all_second: Tensor, temperature: float, first_row: int = 0
) -> Tensor:
    """Contrasts two views of the same images: NT-Xent (SimCLR, arXiv 2002.05709, section 2.1).

    Args:
        first: (B, D) unit vectors of the first view.
        second: (B, D) of the second.
        all_first: (N, D), those of all processes.
        all_second: (N, D).
        temperature: Divides the cosine.
        first_row: Column of row 0.

    Returns:
        The mean over 2 B anchors, each with 2 N - 1 candidates: its other view and all other images' views.
    """
    rows = torch.arange(len(first), device=first.device)
    # A mask that is written to by index waits for the device.
    itself = (rows + first_row)[:, None] == torch.arange(len(all_first), device=first.device)

    def anchored(anchors: Tensor, others: Tensor, same_view: Tensor) -> Tensor:
        to_others = anchors @ others.T / temperature
        to_same_view = (anchors @ same_view.T / temperature).masked_fill(itself, -math.inf)
        return _cross_entropy(torch.cat([to_others, to_same_view], dim=1), first_row)

    return (anchored(first, all_second, all_first) + anchored(second, all_first, all_second)) / 2


def negative_cosine(predicted: Sequence[Tensor], projected: Sequence[Tensor]) -> Tensor:
    """Draws each view's prediction to the other view's projection (SimSiam, arXiv 2011.10566, section 3).

    Args:
        predicted: Both views' predictions, (B, D) each.
        projected: Both views' projections, (B, D) each; no gradient reaches them.

    Returns:
        The mean negative cosine, from -1 to 1.
    """
    cosines = [
        functional.cosine_similarity(prediction, target.detach(), dim=-1).mean()
        for prediction, target in zip(predicted, reversed(projected), strict=True)
    ]
    return -torch.stack(cosines).mean()


def masked_word_loss(logits: Tensor, words: Tensor) -> Tensor:
    """Asks for the masked words (BERT's loss; DeCLIP, section 3.1).

    Args:
        logits: (M, V), for the masked positions only.
        words: (M,) the ids that stood there.

    Returns:
        The mean cross-entropy, about ln V where nothing is learnt; 0, with a gradient of zeros, where M is 0.
    """
    if len(words) == 0:
        return logits.sum()
    return functional.cross_entropy(logits, words)


def select_tokens(tokens: Tensor, others: Tensor, valid: Tensor, others_valid: Tensor, count: int) -> Tensor:
    """Chooses the tokens that agree most with the sample's other side (FILIP, arXiv 2111.07783, section 3.1).

    Args:
        tokens: (B, T, D) unit vectors to choose from.
        others: (B, K, D) unit vectors of the other side of the same samples.
        valid: (B, T) bool, False for padding, which is chosen last.
        others_valid: (B, K) bool, False for padding, which agrees with nothing.
        count: How many to choose, at most T.

    Returns:
        (B, count) positions in `tokens`, by falling sum of similarities; without gradient.
    """
    with torch.no_grad():
        summed = (others * others_valid[..., None]).sum(dim=1)
        agreement = (tokens @ summed[..., None]).squeeze(-1).masked_fill(~valid, -math.inf)
        return agreement.topk(count, dim=1).indices


def take_tokens(tokens: Tensor, positions: Tensor) -> Tensor:
    """Takes the tokens at the chosen positions.

    Args:
        tokens: (B, T, D), or (B, T).
        positions: (B, K).

    Returns:
        (B, K, D), or (B, K).
    """
    indices = positions[..., None].expand(-1, -1, tokens.shape[-1]) if tokens.dim() == 3 else positions  # noqa: PLR2004
    return tokens.gather(1, indices)


def token_similarity(
    queries: Tensor, queries_valid: Tensor, keys: Tensor, keys_valid: Tensor, columns_at_once: int = 256
) -> Tensor:
    """Compares samples by their tokens: the mean over the query's tokens of the best key token (FILIP, section 3.1).

    Args:
        queries: (B, Q, D) unit vectors.
        queries_valid: (B, Q) bool; padding is left out of the mean.
        keys: (N, K, D) unit vectors.
        keys_valid: (N, K) bool; padding is never the best token. Each sample needs a valid token.
        columns_at_once: Samples that are compared at once, which bounds the memory to B x Q x so many x K numbers.

    Returns:
        (B, N) similarities from -1 to 1.
    """
    rows, width = queries.shape[0], queries.shape[-1]
    counted = queries_valid.to(queries.dtype)
    shares = (counted / counted.sum(dim=1, keepdim=True))[..., None]
    columns = []
    for some, some_valid in zip(keys.split(columns_at_once), keys_valid.split(columns_at_once), strict=True):
        each = queries.reshape(-1, width) @ some.reshape(-1, width).T
        each = each.view(rows, -1, *some.shape[:2]).masked_fill(~some_valid, -math.inf)
        columns.append((each.max(dim=-1).values * shares).sum(dim=1))
    return torch.cat(columns, dim=1)


@dataclass(frozen=True)
class Tokens:
    """Token embeddings of one side.

    Attributes:
        own: (B, T, D) unit vectors of all tokens.
        valid: (B, T) bool, False for padding.
        selected: (N, K, D) the selected ones of all processes.
        selected_valid: (N, K) bool.
    """

    own: Tensor
    valid: Tensor
    selected: Tensor
    selected_valid: Tensor


def token_contrast(images: Tokens, texts: Tokens, scale: Tensor, first_row: int = 0) -> Tensor:
    """Contrasts images with texts by their tokens, in both directions (FILIP, section 3.1).

    Args:
        images: The images' tokens.
        texts: The texts' tokens.
        scale: The similarity scale, a number.
        first_row: Column of row 0.

    Returns:
        The mean of both directions' cross-entropies.
    """
    to_text = token_similarity(images.own, images.valid, texts.selected, texts.selected_valid)
    to_image = token_similarity(texts.own, texts.valid, images.selected, images.selected_valid)
    return (_cross_entropy(scale * to_text, first_row) + _cross_entropy(scale * to_image, first_row)) / 2


def _cross_entropy(logits: Tensor, first_row: int) -> Tensor:
    wanted = torch.arange(first_row, first_row + len(logits), device=logits.device)
    return functional.cross_entropy(logits, wanted)
