"""The manifests of a run's steps, together."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from metaclip_spark.errors import InputError
from metaclip_spark.runs.records import (
    CountManifest,
    DeduplicateManifest,
    ExcludeManifest,
    ExtractManifest,
    Manifest,
    MatchManifest,
    SampleManifest,
)
from metaclip_spark.runs.run import Run
from metaclip_spark.runs.step import COUNT, DEDUPLICATE, EXCLUDE, EXTRACT, MATCH, SAMPLE, STEPS


@dataclass(frozen=True)
class Manifests:
    """The manifests of all steps of a run; None for a step that it went without."""

    extract: ExtractManifest
    deduplicate: DeduplicateManifest
    match: MatchManifest
    exclude: ExcludeManifest | None
    count: CountManifest
    sample: SampleManifest

    def by_step(self) -> dict[str, Manifest[Any, Any]]:
        """Gives them by the step's name, in the order of the steps."""
        made = {step: getattr(self, step) for step in STEPS}
        return {step: manifest for step, manifest in made.items() if manifest is not None}


def read_manifests(run: Run) -> Manifests:
    """Reads the manifests of all steps.

    Raises:
        InputError: If a step has not been done, was done before the step that it reads from, or by another version.
    """
    manifests = Manifests(
        run.manifest(EXTRACT),
        run.manifest(DEDUPLICATE),
        run.manifest(MATCH),
        run.manifest(EXCLUDE) if EXCLUDE.name in run.state.begins else None,
        run.manifest(COUNT),
        run.manifest(SAMPLE),
    )
    for (before, made_before), (step, made) in pairwise(manifests.by_step().items()):
        if made.input != made_before.digest:
            raise InputError(f"the step '{step}' was done before the last '{before}': run {step} again")
    return manifests
