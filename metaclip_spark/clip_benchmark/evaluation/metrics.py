"""Scores of images for texts and texts for images, and the figures that are made from them."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from metaclip_spark.clip_benchmark.evaluation.block_probe import predict_by_blocks

RECALLS = (1, 5)

_SMALL_PROBE = 2**28
"""Multiplications for the scores of all items, up to which scikit-learn's solver is quick."""

_LARGEST_BLOCK = 2**25
"""Similarities of tokens that are held at a time."""


def images_to_texts(images: Tensor, texts: Tensor) -> Tensor:
    """Scores texts for images.

    Args:
        images: (N, D), or (N, P, D) of patches.
        texts: (C, D), or (C, T, D) of tokens, zero where there is none.

    Returns:
        (N, C): the cosine, or the mean over an image's patches of the best token (FILIP, arXiv 2111.07783, equation 4).
    """
    return images @ texts.T if images.dim() == 2 else _mean_of_best(images, texts)  # noqa: PLR2004 - a matrix


def texts_to_images(texts: Tensor, images: Tensor) -> Tensor:
    """Scores images for texts.

    Args:
        texts: (C, D), or (C, T, D), zero where there is no token.
        images: (N, D), or (N, P, D).

    Returns:
        (C, N): the cosine, or the mean over a text's tokens of the best patch.
    """
    return texts @ images.T if images.dim() == 2 else _mean_of_best(texts, images)  # noqa: PLR2004 - a matrix


def linear_probe(features: NDArray[np.float32], labels: NDArray[np.int64], device: str = "cpu") -> float:
    """Fits a logistic regression on the first half of each class's items and scores it on the rest.

    Args:
        features: (N, W).
        labels: (N,), each of the classes at least once.
        device: Where a large one is computed.

    Returns:
        Top-1 on the second halves; not a number where a class has one item only.
    """
    indices = np.concatenate([np.arange(np.sum(labels == label)) for label in np.unique(labels)])
    within = np.empty(len(labels), int)
    within[np.argsort(labels, kind="stable")] = indices
    fitted = within < (np.bincount(labels)[labels] // 2)
    if len(np.unique(labels[fitted])) != len(np.unique(labels)):
        return math.nan
    if int(fitted.sum()) * features.shape[1] * (int(labels.max()) + 1) > _SMALL_PROBE:
        predicted = predict_by_blocks(features[fitted], labels[fitted], features[~fitted], device)
        return float(np.mean(predicted == labels[~fitted]))
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    probe.fit(features[fitted], labels[fitted])
    return float(probe.score(features[~fitted], labels[~fitted]))


def _mean_of_best(queries: Tensor, candidates: Tensor) -> Tensor:
    """Means over a query's tokens of each candidate's best token; rows of zeros are no tokens on either side."""
    there = (queries != 0).any(dim=-1)
    absent = ~(candidates != 0).any(dim=-1)
    at_once = max(1, _LARGEST_BLOCK // (queries.shape[1] * absent.numel()))
    rows = []
    for part, valid in zip(queries.split(at_once), there.split(at_once), strict=True):
        similar = torch.einsum("npd,ctd->ncpt", part, candidates)
        best = similar.masked_fill(absent[:, None, :], -torch.inf).amax(dim=3)
        rows.append(best.masked_fill(~valid[:, None, :], 0).sum(dim=2) / valid.sum(dim=1, keepdim=True))
    return torch.cat(rows)
