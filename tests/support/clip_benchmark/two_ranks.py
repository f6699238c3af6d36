"""One step of a variant in float64 without batch normalisation, in one process or in several."""

from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from metaclip_spark.clip_benchmark.augmentation.text import IGNORE_INDEX
from metaclip_spark.clip_benchmark.losses import supervision
from metaclip_spark.clip_benchmark.losses.all_gather import rank
from metaclip_spark.clip_benchmark.losses.objective import Inputs
from metaclip_spark.clip_benchmark.losses.supervision import unit
from metaclip_spark.clip_benchmark.settings.training_config import TrainingConfig
from metaclip_spark.clip_benchmark.training.processes import TrainingProcess, joined
from metaclip_spark.clip_benchmark.training.train import TrainingRun, inputs_of


@contextmanager
def exact_and_not_normalised():
    """Lets models be built in double precision, with the identity for batch normalisation."""
    norms = nn.BatchNorm1d, nn.BatchNorm2d
    nn.BatchNorm1d = nn.BatchNorm2d = lambda _width: nn.Identity()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)
        nn.BatchNorm1d, nn.BatchNorm2d = norms


def step(config: TrainingConfig, whole: Inputs) -> dict:
    """Gives loss, gradients, chosen tokens and queue after one step on this process's rows of a batch."""
    chosen = []
    choose = supervision.select_tokens

    def recorded(*arguments):
        chosen.append(choose(*arguments))
        return chosen[-1]

    with exact_and_not_normalised():
        run = TrainingRun(config, TrainingProcess(rank(), "cpu"))
    objective = run.objective
    if run.queue:
        run.queue.embeddings = run.queue.embeddings.double()
        start = torch.Generator().manual_seed(5)
        texts = unit(torch.randn(16, config.embedding_width, generator=start, dtype=torch.float64))
        run.queue.enqueue(texts, whole.samples[:1].repeat(16))
    supervision.select_tokens = recorded
    rows = slice(rank() * config.samples_per_process, (rank() + 1) * config.samples_per_process)
    mine = Inputs(
        tuple(view[rows].double() for view in whole.images),
        {kind: ids[rows] for kind, ids in whole.texts.items()},
        None if whole.labels is None else whole.labels[rows],
        whole.samples[rows],
    )
    loss = objective.weighted_sum(run.distributed(mine))
    loss.backward()
    objective.enqueue_texts(mine.samples)
    supervision.select_tokens = choose
    gradients = {name: part.grad for name, part in objective.model.named_parameters() if part.grad is not None}
    return {
        "loss": loss.detach(),
        "gradients": gradients,
        "chosen": chosen,
        "queue": run.queue.state_dict() if run.queue else {},
    }


def batch_of(config: TrainingConfig) -> Inputs:
    """Gives a batch with one masked word in each caption, so that the mean over words is one over captions."""
    inputs = inputs_of(TrainingRun(config, TrainingProcess(0, "cpu")).batches[0], "cpu")
    labels: Tensor | None = None
    if inputs.labels is not None:
        labels = torch.full_like(inputs.labels, IGNORE_INDEX)
        labels[:, 2] = inputs.texts["caption"][:, 2]
    return replace(inputs, labels=labels)


def in_processes(number: int, configs: list[TrainingConfig], wholes: list[Inputs], folder: Path) -> None:
    """Is what each process runs."""
    with joined(configs[0]):
        results = [step(config, whole) for config, whole in zip(configs, wholes, strict=True)]
    torch.save(results, folder / f"{number}.pt")
