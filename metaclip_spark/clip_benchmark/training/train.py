"""Trains one configuration: alone, under torchrun, or in processes that `distributed` starts.

python -m metaclip_spark.clip_benchmark.training.train --config run.yaml
torchrun --standalone --nproc-per-node 2 -m metaclip_spark.clip_benchmark.training.train --config run.yaml --processes 2
"""

import math
import sys
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.nn.parallel import DistributedDataParallel

from metaclip_spark.clip_benchmark.augmentation.batches import Batch, Batches, batches_from
from metaclip_spark.clip_benchmark.augmentation.image import normalized
from metaclip_spark.clip_benchmark.data.samples import ShardFolder
from metaclip_spark.clip_benchmark.losses.neighbour_queue import NeighbourQueue
from metaclip_spark.clip_benchmark.losses.objective import Inputs, Objective
from metaclip_spark.clip_benchmark.model.encoders import ContrastiveModel
from metaclip_spark.clip_benchmark.settings.training_config import TrainingConfig
from metaclip_spark.clip_benchmark.training import checkpoints
from metaclip_spark.clip_benchmark.training.optimizer import learning_rate_at, make_optimizer, set_learning_rate
from metaclip_spark.clip_benchmark.training.processes import (
    TrainingProcess,
    joined,
    mean_over_processes,
    sum_over_processes,
    wait_for_all,
)
from metaclip_spark.clip_benchmark.training.result import TrainingResult
from metaclip_spark.config.command_line import parse_configs
from metaclip_spark.config.job import run_job
from metaclip_spark.errors import ConfigError, TrainingDivergedError

TOTAL = "total"
_DEVIATION = "embedding deviation"


def train(config: TrainingConfig) -> TrainingResult:
    """Trains, from the newest checkpoint in the output folder on where there is one.

    With one thread and deterministic algorithms a resumed run gives the bits of one that was not stopped.

    Args:
        config: The run; each of its processes calls this.

    Returns:
        The result, the same in each process but for its time.
    """
    torch.set_num_threads(config.threads)
    with joined(config) as process:
        run = TrainingRun(config, process)
        run.resume()
        return run.finish()


class TrainingRun:
    """The state of one run in one process.

    Attributes:
        queue: DeCLIP's queue, or None.
        batches: The batch of each step.
        objective: Model and loss.
        distributed: The objective, with gradients averaged over the processes.
        step: Steps that were trained.
        seconds: Time that they took.
        losses: Term -> value in each step.
        counts: What happened how often.
        embedding_deviation: Of the last step.
    """

    def __init__(self, config: TrainingConfig, process: TrainingProcess) -> None:
        """Builds the model from the seed and opens the samples."""
        self.config = config
        self.process = process
        folder = ShardFolder(config.train_shards)
        self.queue = _queue(config, process, len(folder))
        self.batches = Batches(config, process.rank, folder)
        torch.manual_seed(config.seed)
        model = ContrastiveModel(config).to(process.device)
        if config.device == "cuda" and config.processes > 1:
            model = torch.nn.SyncBatchNorm.convert_sync_batchnorm(model)
        self.objective = Objective(config, model, self.queue)
        self.optimizer = make_optimizer(config, model)
        self.distributed = (
            DistributedDataParallel(self.objective, broadcast_buffers=False) if config.processes > 1 else self.objective
        )
        self.step = 0
        self.seconds = 0.0
        self.losses: dict[str, list[float]] = {}
        self.counts: Counter[str] = Counter()
        self.embedding_deviation = 0.0

    def resume(self) -> None:
        """Takes over the newest checkpoint in the output folder, where there is one."""
        path = checkpoints.latest(self.config.output)
        if path is None:
            return
        shared, own = checkpoints.load(path, self.process.rank, self.process.device)
        checkpoints.check_same_run(self.config, shared["config"], path)
        self.objective.model.load_state_dict(shared["model"])
        self.optimizer.load_state_dict(shared["optimizer"])
        self.step, self.seconds, self.losses = shared["step"], shared["seconds"], shared["losses"]
        if self.queue is not None:
            self.queue.load_state_dict(own["queue"])
        torch.set_rng_state(own["generator"])
        self.counts = Counter(own["counts"])
        self.embedding_deviation = own["embedding_deviation"]

    def finish(self) -> TrainingResult:
        """Trains the steps that are left."""
        end = min(self.config.steps, self.config.stop_at_step or self.config.steps)
        self.objective.train()
        saved_at = self.step
        before = time.perf_counter()
        for batch in batches_from(self.config, self.batches, self.step, end):
            self.train_step(batch)
            if self.step % self.config.checkpoint_every_steps == 0 or self.step == end:
                self.seconds += time.perf_counter() - before
                self.save()
                saved_at, before = self.step, time.perf_counter()
        return self._result(saved_at)

    def train_step(self, batch: Batch) -> None:
        """Trains one step; a loss that is not finite ends the run."""
        set_learning_rate(self.optimizer, learning_rate_at(self.config, self.step))
        inputs = inputs_of(batch, self.process.device)
        terms = self.distributed(inputs)
        loss = self.objective.weighted_sum(terms)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.objective.clamp_scales()
        self.objective.enqueue_texts(inputs.samples)
        self._note(terms, loss, batch)
        self.step += 1

    def save(self) -> Path:
        """Saves a checkpoint of the steps so far, and returns its folder."""
        own = {
            "queue": self.queue.state_dict() if self.queue else {},
            "generator": torch.get_rng_state(),
            "counts": dict(self.counts),
            "embedding_deviation": self.embedding_deviation,
        }
        return checkpoints.save(self.config, self.step, self.process.rank, self._shared, own, wait_for_all)

    def _shared(self) -> dict[str, Any]:
        return {
            "model": self.objective.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "seconds": self.seconds,
            "losses": self.losses,
        }

    def _note(self, terms: dict[str, torch.Tensor], loss: torch.Tensor, batch: Batch) -> None:
        notes = self.objective.notes
        values = {name: float(value.detach()) for name, value in (terms | {TOTAL: loss}).items()}
        if not all(math.isfinite(value) for value in values.values()):
            raise TrainingDivergedError(
                f"step {self.step} of {self.config.output} gives the losses {values}: lower --learning-rate, or go on "
                "from a checkpoint before it"
            )
        values |= dict.fromkeys(notes.skipped_terms, math.nan)
        means = mean_over_processes(values | {_DEVIATION: notes.embedding_deviation})
        self.embedding_deviation = means.pop(_DEVIATION)
        for name, value in means.items():
            self.losses.setdefault(name, []).append(value)
        self.counts.update({f"lost.{reason}": count for reason, count in batch.lost.items()})
        self.counts.update({f"skipped.{term}": 1 for term in notes.skipped_terms})
        self.counts.update({"neighbours": notes.neighbours, "stale": notes.stale_neighbours})

    def _result(self, step: int) -> TrainingResult:
        counts = sum_over_processes(self.counts)
        asked = counts["neighbours"]
        diagnostics = {
            "lost": _counted(counts, "lost."),
            "skipped_terms": _counted(counts, "skipped."),
            "stale_neighbours": counts["stale"] / asked if asked else None,
            "embedding_deviation": self.embedding_deviation,
        }
        return TrainingResult(
            losses=self.losses,
            samples_per_second=self.config.samples_per_step * step / self.seconds if self.seconds else 0.0,
            seconds=self.seconds,
            checkpoint=checkpoints.folder_of(self.config.output, step),
            diagnostics=diagnostics,
        )


def inputs_of(batch: Batch, device: str) -> Inputs:
    """Brings a batch to its device."""
    return Inputs(
        images=tuple(normalized(views.to(device, non_blocking=True)) for views in batch.images),
        texts={kind: ids.to(device, non_blocking=True) for kind, ids in batch.texts.items()},
        labels=None if batch.labels is None else batch.labels.to(device, non_blocking=True),
        samples=batch.samples.to(device),
    )


def _queue(config: TrainingConfig, process: TrainingProcess, samples: int) -> NeighbourQueue | None:
    if not config.weights.neighbours:
        return None
    if config.queue_entries >= samples:
        raise ConfigError(
            f"--queue-size is {config.queue_entries}, but there are {samples} samples: give fewer, since each text "
            "would find its own earlier embedding"
        )
    seed = config.seed if config.recipe.gathers_queue else config.seed + process.rank
    return NeighbourQueue(config.queue_entries, config.embedding_width, seed, process.device)


def _counted(counts: Counter[str], prefix: str) -> dict[str, int]:
    return {name.removeprefix(prefix): count for name, count in sorted(counts.items()) if name.startswith(prefix)}


def main(argv: Sequence[str] | None = None) -> int:
    """Trains what a command line says."""
    return run_job(partial(_train, argv))


def _train(argv: Sequence[str] | None) -> None:
    (config,) = parse_configs(argv, "Train one configuration of the CLIP benchmark.", TrainingConfig)
    result = train(config)
    last = ", ".join(f"{name} {values[-1]:.4f}" for name, values in result.losses.items())
    sys.stdout.write(f"{result.checkpoint}: {last}; {result.samples_per_second:.1f} samples/s\n")


if __name__ == "__main__":
    sys.exit(main())
