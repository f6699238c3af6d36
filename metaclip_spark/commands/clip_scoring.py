"""The commands that score models and hand them on."""

import json
from dataclasses import asdict
from pathlib import Path

from metaclip_spark.clip_benchmark.dependencies import require_extra
from metaclip_spark.clip_benchmark.settings.scoring_config import ExportConfig, ScoringConfig
from metaclip_spark.commands.show import show
from metaclip_spark.config.job import STARTS_ANEW, job


@job(ScoringConfig, when_stopped=STARTS_ANEW)
def evaluate_clip(config: ScoringConfig) -> None:
    """Score a checkpoint, or a model of open_clip, on a test set: zero-shot, retrieval and a linear probe."""
    require_extra()
    from metaclip_spark.clip_benchmark.scoring.score import score
    from metaclip_spark.clip_benchmark.scoring.table import as_json, score_lines
    from metaclip_spark.clip_benchmark.training.processes import memory_told
    from metaclip_spark.stores.local_store import LocalStore

    output = None if config.output is None else Path(config.output)
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
    with memory_told("wait until no other process uses it, or give --device cpu"):
        scores = score(config)
    figures = as_json(scores)
    if output is not None:
        whole = {"settings": asdict(config), **figures}
        LocalStore(output.absolute().parent).put(output.name, json.dumps(whole, indent=1, ensure_ascii=False).encode())
    show([*score_lines(scores), *([f"wrote {output}"] if output else [])], **figures)


@job(ExportConfig, when_stopped=STARTS_ANEW)
def export_clip(config: ExportConfig) -> None:
    """Write a checkpoint as a folder that open_clip loads, and check that its outputs are the same."""
    require_extra()
    from metaclip_spark.clip_benchmark.scoring.export import export

    made = export(config)
    show(
        [
            f"wrote {made.folder}: {made.variant}",
            f"outputs through open_clip differ by {made.difference:.0e} at most",
            *made.notes,
            f"open_clip.create_model_and_transforms({f'local-dir:{made.folder}'!r}) loads it",
        ]
    )
