"""The table refill, which the sample step writes where --refill-plan asks what else of the first run to download."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from metaclip_spark import balance
from metaclip_spark.config.exclusion import RedrawConfig
from metaclip_spark.errors import ConfigError
from metaclip_spark.pipeline.exclusion import Judging, with_removals
from metaclip_spark.pipeline.first_run import FirstRun
from metaclip_spark.pipeline.rules import Rules
from metaclip_spark.runs.entry_tables import read_lists
from metaclip_spark.runs.layout import REFILL
from metaclip_spark.runs.records import RefillNumbers
from metaclip_spark.runs.run import Run
from metaclip_spark.runs.step import SAMPLE, Attempt
from metaclip_spark.steps.exclusion.exclude import REASON, before_duplicates
from metaclip_spark.steps.refill import asked_pairs, most_survivors, refill_pairs, refill_threshold
from udfs.schemas import CURATED, MATCHED


@dataclass(frozen=True)
class Refill:
    """What else to download of a first run, whose curated pairs were attempted.

    Attributes:
        first: The first run.
        rules: The rules of the run that began with it.
    """

    first: FirstRun
    rules: Rules

    def plan(
        self, eligible: DataFrame, probabilities: NDArray[np.float64], *, target_pairs: int | None, survived: int
    ) -> RefillNumbers:
        """Finds what the first draw must become, before any pair is looked for.

        Args:
            eligible: The survivors.
            probabilities: Shape (entries,): those of the second draw.
            target_pairs: How many pairs are to survive; None for as many as the second draw would keep had all been
                downloaded, or the most that can be had.
            survived: The number of rows of `eligible`.

        Raises:
            ConfigError: If all matched pairs of the first run together are too few.
        """
        numbers = self.first.run.manifest(SAMPLE).numbers
        drawn, pairs, attempted = float(numbers.expected_size), numbers.pairs_in - numbers.gated_out, numbers.pairs
        target = target_pairs
        if target is None:
            most = most_survivors(drawn=drawn, pairs=pairs, attempted=attempted, survived=survived)
            target = min(asked_pairs(eligible, probabilities), most)
        if target <= survived:
            return RefillNumbers(target=target, threshold_t=self.first.draw.threshold_t, pairs=0)
        threshold = refill_threshold(
            self._matched(),
            self.first.counts,
            target_pairs=target,
            drawn=drawn,
            pairs=pairs,
            attempted=attempted,
            survived=survived,
        )
        return RefillNumbers(target=target, threshold_t=threshold, pairs=0)

    def write(self, run: Run, attempt: Attempt, planned: RefillNumbers) -> RefillNumbers:
        """Writes the pairs that are missing, without those that rules exclude whatever is downloaded."""
        before = self.first.draw.threshold_t
        if planned.threshold_t == before:
            attempt.write_rows(CURATED.empty_table(), REFILL)
            return planned
        counts = self.first.counts
        attempted, wanted = (
            balance.entry_probabilities(counts, float(threshold)) for threshold in (before, planned.threshold_t)
        )
        allowed = _without_listed(run, self.first, self.rules, self._matched())
        missing = refill_pairs(allowed, attempted, wanted, seed=self.first.draw.seed)
        written = attempt.write(missing.sortWithinPartitions("pair_id"), REFILL)
        self.first.check_unchanged()
        return RefillNumbers(target=planned.target, threshold_t=planned.threshold_t, pairs=written)

    def _matched(self) -> DataFrame:
        return self.first.run.passed_pairs(self.first.gate)


def refill_of(config: RedrawConfig, first: FirstRun, rules: Rules) -> Refill | None:
    """Tells what a plan of what else to download goes by; None where none is asked for.

    Raises:
        ConfigError: If nothing can be missing, or the first run does not have the pairs that may be.
    """
    if not config.refill_plan:
        return None
    if first.draw.attempted == "matched":
        raise ConfigError(
            "--refill-plan with --attempted matched: all pairs were attempted, so none is missing: leave out one of "
            "both options"
        )
    if read_lists(first.run) is not None:
        raise ConfigError(
            f"--refill-plan is for runs with one metadata list, and --from-run {first.run.storage.root} has several: "
            "leave it out"
        )
    if first.is_estimated:
        raise ConfigError(
            f"--refill-plan: {first.run.storage.root} was begun by rebalance, and has no pairs but those that were "
            "attempted: give --from-run the run that it began with"
        )
    return Refill(first, rules)


def _without_listed(run: Run, first: FirstRun, rules: Rules, matched: DataFrame) -> DataFrame:
    """Leaves out pairs that rules exclude whatever becomes of their images: by lists, and by what their pages declare.

    Args:
        run: The run that began with the pairs of another one.
        first: That one.
        rules: The rules.
        matched: Some of its matched pairs.

    Returns:
        Columns of `udfs.schemas.MATCHED`.
    """
    before = Judging(run, first, with_removals(rules.before_download, run, first))
    if not before.rules.settings.has_rules:
        return matched
    judged = before_duplicates(matched, before.rules.config, before.evidence(None))
    return judged.where(F.col(REASON).isNull()).select(*MATCHED.names)
