"""A logistic regression over so many features, classes and items that scikit-learn's would take hours."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_ROWS = 8192
_STEPS = 500
_TOLERANCE = 1e-4


def predict_by_blocks(
    fitted: NDArray[np.float32], labels: NDArray[np.int64], scored: NDArray[np.float32], device: str
) -> NDArray[np.int64]:
    """Fits the multinomial logistic regression of scikit-learn (C = 1, no penalty on the intercepts) and applies it.

    L-BFGS over all rows, whose losses and gradients are added up block by block.

    Args:
        fitted: (N, W) features.
        labels: (N,) from 0.
        scored: (M, W) features.
        device: Where it is computed.

    Returns:
        (M,) classes.
    """
    mean, deviation = fitted.mean(axis=0), fitted.std(axis=0)
    deviation[deviation == 0] = 1.0
    rows = torch.from_numpy((fitted - mean) / deviation).float()
    targets = torch.from_numpy(labels)
    classes = int(targets.max()) + 1
    weights = torch.zeros(classes, rows.shape[1], device=device, requires_grad=True)
    intercepts = torch.zeros(classes, device=device, requires_grad=True)
    solver = torch.optim.LBFGS(
        [weights, intercepts],
        max_iter=_STEPS,
        tolerance_grad=_TOLERANCE,
        tolerance_change=0.0,
        history_size=10,
        line_search_fn="strong_wolfe",
    )

    def loss_of_all() -> Tensor:
        solver.zero_grad()
        total = weights.square().sum() / (2 * len(rows))
        total.backward()  # type: ignore[no-untyped-call, unused-ignore]
        for block, target in zip(rows.split(_ROWS), targets.split(_ROWS), strict=True):
            logits = block.to(device) @ weights.T + intercepts
            loss = torch.nn.functional.cross_entropy(logits, target.to(device), reduction="sum") / len(rows)
            loss.backward()  # type: ignore[no-untyped-call, unused-ignore]
            total = total.detach() + loss.detach()
        return total

    with torch.enable_grad():
        solver.step(loss_of_all)  # type: ignore[no-untyped-call, unused-ignore]
    with torch.no_grad():
        others = torch.from_numpy((scored - mean) / deviation).float()
        found = [(block.to(device) @ weights.T + intercepts).argmax(dim=1).cpu() for block in others.split(_ROWS)]
    predicted: NDArray[np.int64] = torch.cat(found).numpy()
    return predicted
