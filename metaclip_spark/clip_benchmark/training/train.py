"""Trains one configuration: alone, under torchrun, or in processes that `distributed` starts.

python -m metaclip_spark.clip_benchmark.training.train --config run.yaml
torchrun --standalone --nproc-per-node 2 -m metaclip_spark.clip_benchmark.training.train --config run.yaml --processes 2
"""

import logging
import math
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.nn.parallel import DistributedDataParallel

from metaclip_spark.clip_benchmark.augmentation.batches import Batch, sent
from metaclip_spark.clip_benchmark.augmentation.device_batches import DeviceBatches
from metaclip_spark.clip_benchmark.augmentation.image import normalized
from metaclip_spark.clip_benchmark.dependencies import require_trackers
from metaclip_spark.clip_benchmark.loading.load import batches_from, open_batches
from metaclip_spark.clip_benchmark.losses.neighbour_queue import NeighbourQueue
from metaclip_spark.clip_benchmark.losses.objective import Inputs, Objective, asked_positions
from metaclip_spark.clip_benchmark.model.encoders import ContrastiveModel
from metaclip_spark.clip_benchmark.reading.state import BlockStart, ReadingState
from metaclip_spark.clip_benchmark.settings.training_config import TrainingConfig
from metaclip_spark.clip_benchmark.training import checkpoints
from metaclip_spark.clip_benchmark.training.optimizer import learning_rate_at, make_optimizer, set_learning_rate
from metaclip_spark.clip_benchmark.training.processes import (
    TrainingProcess,
    joined,
    memory_told,
    sum_over_processes,
    wait_for_all,
)
from metaclip_spark.clip_benchmark.training.progress import LINE_STEPS, TrainingState, log_progress
from metaclip_spark.clip_benchmark.training.result import TrainingResult, solved_pretext
from metaclip_spark.clip_benchmark.training.step_losses import StepLosses
from metaclip_spark.clip_benchmark.training.trackers import Tracker, tracked, write_state
from metaclip_spark.config.fields import check_made_with
from metaclip_spark.config.job import GOES_ON, job
from metaclip_spark.config.logs import as_json_line, json_formatter
from metaclip_spark.errors import ConfigError

log = logging.getLogger(__name__)

TOTAL = "total"
"""Name of the weighted sum of all terms."""

READ_STEPS = 50
"""Steps between two looks at what they gave; a look waits for the device."""

_MODULE = "metaclip_spark.clip_benchmark.training.train"


def train(config: TrainingConfig) -> TrainingResult:
    """Trains, from the newest checkpoint in the output folder on where there is one.

    With one thread and deterministic algorithms a resumed run gives the bits of one that was not stopped.

    Args:
        config: The run; each of its processes calls this.

    Returns:
        The result, the same in each process but for its time.
    """
    require_trackers(config.tensorboard, config.wandb)
    torch.set_num_threads(config.threads)
    if config.device == "cuda":
        # Products of single precision by TF32.
        torch.set_float32_matmul_precision("high")
    with memory_told(), joined(config) as process:
        run = TrainingRun(config, process)
        run.resume()
        return run.finish()


class _Mark(NamedTuple):
    """A point of a run."""

    step: int
    seconds: float


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
        reading: How far this process has read, where it reads in sequence.
    """

    def __init__(self, config: TrainingConfig, process: TrainingProcess) -> None:
        """Builds the model from the seed and opens the samples."""
        self.config = config
        self.process = process
        self.batches, samples = open_batches(config, process.rank, process.device)
        self.queue = _queue(config, process, samples)
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
        self.reading: ReadingState | None = None
        self._unread = StepLosses(config.output)
        self._drawn = self._logged = _Mark(0, 0.0)

    @property
    def view_maker(self) -> str:
        """Who makes the image views: loader or device."""
        return "device" if isinstance(self.batches, DeviceBatches) else "loader"

    def resume(self) -> None:
        """Takes over the newest checkpoint in the output folder, where there is one."""
        path = checkpoints.latest(self.config.output)
        if path is None:
            return
        shared, own = checkpoints.load(path, self.process.rank, self.process.device)
        checkpoints.check_same_run(self.config, shared["config"], path)
        # The views of the one are not those of the other, and `auto` may choose otherwise on another machine.
        check_made_with({"view_maker": shared.get("view_maker", "loader")}, {"view_maker": self.view_maker}, path)
        self.objective.model.load_state_dict(shared["model"])
        self.optimizer.load_state_dict(shared["optimizer"])
        self.step, self.seconds, self.losses = shared["step"], shared["seconds"], shared["losses"]
        if self.queue is not None:
            self.queue.load_state_dict(own["queue"])
        torch.set_rng_state(own["generator"])
        self.counts = Counter(own["counts"])
        self.embedding_deviation = own["embedding_deviation"]
        reading = own.get("reading")
        self.reading = ReadingState(BlockStart(*reading[0]), reading[1]) if reading else None

    def finish(self) -> TrainingResult:
        """Trains the steps that are left."""
        end = min(self.config.steps, self.config.stop_at_step or self.config.steps)
        self.objective.train()
        saved_at = self.step
        self._drawn = self._logged = _Mark(self.step, self.seconds)
        with tracked(self.config, self.process.rank, self.step) as trackers:
            before = time.perf_counter()
            for batch in batches_from(self.config, self.batches, self.step, end, self.reading):
                done = self.step + 1
                saves = done % self.config.checkpoint_every_steps == 0 or done == end
                reads = saves or done % READ_STEPS == 0
                self.train_step(batch, reads=reads)
                if reads:
                    self.seconds += time.perf_counter() - before
                    self._tell(trackers, end)
                    before = time.perf_counter()
                if saves:
                    self.save()
                    saved_at, before = self.step, time.perf_counter()
        result = self._result(saved_at)
        if self.process.rank == 0 and result.diagnostics.get("solved_pretext"):
            log.warning(
                "the image self-supervision was solved by a shortcut: NT-Xent fell below a quarter of that of guessing"
            )
        return result

    def train_step(self, batch: Batch, *, reads: bool = True) -> None:
        """Trains one step.

        Args:
            batch: The step's.
            reads: Read the losses of the steps since they were last read, which waits for the device. A loss among
                them that is not finite ends the run.
        """
        set_learning_rate(self.optimizer, learning_rate_at(self.config, self.step))
        inputs = inputs_of(batch, self.process.device)
        self.objective.measures_spread = reads
        terms = self.distributed(inputs)
        loss = self.objective.weighted_sum(terms)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.objective.clamp_scales()
        self.objective.enqueue_texts(inputs.samples)
        self._note(terms, loss, batch)
        self.step += 1
        if reads:
            self._read()

    def save(self) -> Path:
        """Saves a checkpoint of the steps so far, and returns its folder."""
        own = {
            "queue": self.queue.state_dict() if self.queue else {},
            "generator": torch.get_rng_state(),
            "counts": dict(self.counts),
            "embedding_deviation": self.embedding_deviation,
            "reading": self.reading and (tuple(self.reading.start), self.reading.emitted),
        }
        return checkpoints.save(self.config, self.step, self.process.rank, self._shared, own, wait_for_all)

    def _shared(self) -> dict[str, Any]:
        return {
            "model": self.objective.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "seconds": self.seconds,
            "losses": self.losses,
            "view_maker": self.view_maker,
        }

    def _note(self, terms: dict[str, torch.Tensor], loss: torch.Tensor, batch: Batch) -> None:
        notes = self.objective.notes
        self._unread.note({**terms, TOTAL: loss}, notes)
        self.counts.update({f"lost.{reason}": count for reason, count in batch.lost.items()})
        self.counts["not_kept"] += batch.not_kept
        self.reading = batch.state
        self.counts.update({f"skipped.{term}": 1 for term in notes.skipped_terms})
        self.counts.update({"neighbours": notes.neighbours})

    def _read(self) -> None:
        read, self._unread = self._unread.read(self.step), StepLosses(self.config.output)
        for name, values in read.losses.items():
            self.losses.setdefault(name, []).extend(values)
        self.counts.update({"stale": read.stale_neighbours})
        if read.embedding_deviation is not None:
            self.embedding_deviation = read.embedding_deviation

    def _tell(self, trackers: list[Tracker], end: int) -> None:
        """Shows how far the run is, by what was read."""
        if self.process.rank != 0:
            return
        write_state(trackers, self.config, self._state_since(self._drawn, end))
        self._drawn = _Mark(self.step, self.seconds)
        if self.step % LINE_STEPS == 0:
            log_progress(self._state_since(self._logged, end), self.config.samples_per_step)
            self._logged = self._drawn

    def _state_since(self, mark: _Mark, end: int) -> TrainingState:
        steps, took = self.step - mark.step, self.seconds - mark.seconds
        named = self.objective.model.named_parameters(recurse=False)
        return TrainingState(
            step=self.step,
            end=end,
            losses={name: values[mark.step :] for name, values in self.losses.items()},
            scales={name: float(scale.detach().exp()) for name, scale in named if scale.requires_grad},
            learning_rate=learning_rate_at(self.config, self.step - 1),
            samples_per_second=steps * self.config.samples_per_step / took if took else 0.0,
            seconds=self.seconds,
            lost=sum(_counted(self.counts, "lost.").values()),
        )

    def _result(self, step: int) -> TrainingResult:
        counts = sum_over_processes(self.counts)
        asked = counts["neighbours"]
        diagnostics: dict[str, Any] = {
            "lost": _counted(counts, "lost."),
            "skipped_terms": _counted(counts, "skipped."),
            "stale_neighbours": counts["stale"] / asked if asked else None,
            "embedding_deviation": self.embedding_deviation,
        }
        if self.config.online_curation:
            diagnostics["not_kept"] = counts["not_kept"]
        solved = solved_pretext(self.losses, self.config.samples_per_step)
        if solved is not None:
            diagnostics["solved_pretext"] = solved
        return TrainingResult(
            losses=self.losses,
            samples_per_second=self.config.samples_per_step * step / self.seconds if self.seconds else 0.0,
            seconds=self.seconds,
            checkpoint=checkpoints.folder_of(self.config.output, step),
            diagnostics=diagnostics,
            view_maker=self.view_maker,
        )


def inputs_of(batch: Batch, device: str) -> Inputs:
    """Brings a batch to its device."""
    labels = batch.labels
    return Inputs(
        images=tuple(normalized(sent(views, device)) for views in batch.images),
        texts={kind: sent(ids, device) for kind, ids in batch.texts.items()},
        labels=None if labels is None else sent(labels, device),
        samples=sent(batch.samples, device),
        # Here, where a look costs nothing.
        asked=None if labels is None else sent(asked_positions(labels), device),
    )


def _queue(config: TrainingConfig, process: TrainingProcess, samples: int | None) -> NeighbourQueue | None:
    if not config.weights.neighbours:
        return None
    if samples is not None and config.queue_entries >= samples:
        raise ConfigError(
            f"--queue-size is {config.queue_entries}, but there are {samples} samples: give fewer, since each text "
            "would find its own earlier embedding"
        )
    seed = config.seed if config.recipe.gathers_queue else config.seed + process.rank
    return NeighbourQueue(config.queue_entries, config.embedding_width, seed, process.device)


def _counted(counts: Counter[str], prefix: str) -> dict[str, int]:
    return {name.removeprefix(prefix): count for name, count in sorted(counts.items()) if name.startswith(prefix)}


@job(TrainingConfig, when_stopped=GOES_ON)
def train_one(config: TrainingConfig) -> None:
    """Train one configuration of the CLIP benchmark."""
    result = train(config)
    losses = {name: values[-1] for name, values in result.losses.items()}
    told = ", ".join(f"{name} {value:.4f}" for name, value in losses.items())
    line = f"{result.checkpoint}: {told}; {result.samples_per_second:.1f} samples/s"
    if formatter := json_formatter():
        fields = {
            "checkpoint": str(result.checkpoint),
            "losses": {name: None if math.isnan(value) else value for name, value in losses.items()},
            "samples_per_second": result.samples_per_second,
            "seconds": result.seconds,
        }
        line = as_json_line(line, run=formatter.run, level=logging.INFO, event="result", **fields)
    sys.stdout.write(f"{line}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Trains what a command line says."""
    return train_one(argv, program=f"python -m {_MODULE}")


if __name__ == "__main__":
    sys.exit(main())
