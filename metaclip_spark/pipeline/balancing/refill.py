"""The table refill, which the sample step writes where --refill-plan asks what else of the first run to download."""

from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from metaclip_spark import balance
from metaclip_spark.config.exclusion import RedrawConfig
from metaclip_spark.errors import ConfigError
from metaclip_spark.pipeline.balancing.refill_lists import lists_refill
from metaclip_spark.pipeline.exclusion import Judging, with_removals
from metaclip_spark.pipeline.first_run import FirstRun
from metaclip_spark.pipeline.rules import Rules
from metaclip_spark.runs.entry_tables import read_lists
from metaclip_spark.runs.layout import REFILL
from metaclip_spark.runs.records import RefillNumbers
from metaclip_spark.runs.run import Run
from metaclip_spark.runs.step import SAMPLE, Attempt
from metaclip_spark.steps.exclusion.exclude import REASON, before_duplicates
from metaclip_spark.steps.lists.sizes import count_by_list
from metaclip_spark.steps.refill import asked_pairs, most_survivors, refill_pairs, refill_threshold
from udfs.schemas import CURATED, MATCHED


@dataclass(frozen=True, eq=False)
class Planned:
    """A plan before its pairs are looked for.

    Attributes:
        numbers: What is told of it.
        limit: The threshold of the larger draw, or that of each entry; None where nothing is missing.
    """

    numbers: RefillNumbers
    limit: float | NDArray[np.int64] | None


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
    ) -> Planned:
        """Finds what the first draw must become.

        Args:
            eligible: The survivors.
            probabilities: Shape (entries,): those of the second draw.
            target_pairs: How many pairs are to survive; None for as many as the second draw would keep had all been
                downloaded, or the most that can be had.
            survived: The number of rows of `eligible`.

        Raises:
            ConfigError: If all matched pairs of the first run together are too few.
        """
        if target_pairs is not None and target_pairs <= survived:
            return self._nothing(target_pairs)
        lists = read_lists(self.first.run)
        if lists is None:
            return self._plan_one(eligible, probabilities, target_pairs, survived)
        left = count_by_list(eligible, lists)
        planning = lists_refill(self.first, self._matched(), lists, left)
        target = target_pairs or min(asked_pairs(eligible, probabilities), planning.most)
        if target <= survived:
            return self._nothing(target)
        number = planning.smallest(target)
        limit = lists.for_each_entry(planning.draws.thresholds(number))
        return Planned(planning.numbers(target, number), limit)

    def _plan_one(
        self, eligible: DataFrame, probabilities: NDArray[np.float64], target_pairs: int | None, survived: int
    ) -> Planned:
        """Finds the threshold where there is one metadata list."""
        numbers = self.first.run.manifest(SAMPLE).numbers
        drawn, pairs, attempted = float(numbers.expected_size), numbers.pairs_in - numbers.gated_out, numbers.pairs
        target = target_pairs
        if target is None:
            most = most_survivors(drawn=drawn, pairs=pairs, attempted=attempted, survived=survived)
            target = min(asked_pairs(eligible, probabilities), most)
        if target <= survived:
            return self._nothing(target)
        threshold = refill_threshold(
            self._matched(),
            self.first.counts,
            target_pairs=target,
            drawn=drawn,
            pairs=pairs,
            attempted=attempted,
            survived=survived,
        )
        return Planned(RefillNumbers(target=target, threshold_t=threshold, pairs=0), threshold)

    def _nothing(self, target_pairs: int) -> Planned:
        return Planned(RefillNumbers(target=target_pairs, threshold_t=self.first.draw.threshold_t, pairs=0), None)

    def write(self, run: Run, attempt: Attempt, planned: Planned) -> RefillNumbers:
        """Writes the pairs that are missing, without those that rules exclude whatever is downloaded."""
        if planned.limit is None:
            attempt.write_rows(CURATED.empty_table(), REFILL)
            return planned.numbers
        wanted = balance.entry_probabilities(self.first.counts, planned.limit)
        allowed = _without_listed(run, self.first, self.rules, self._matched())
        missing = refill_pairs(allowed, self.first.probabilities, wanted, seed=self.first.draw.seed)
        written = attempt.write(missing.sortWithinPartitions("pair_id"), REFILL)
        self.first.check_unchanged()
        return msgspec.structs.replace(planned.numbers, pairs=written)

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
    if config.target_pairs is not None and config.language_thresholds:
        raise ConfigError(
            "--refill-plan with --target-pairs counts survivors, of which --language-thresholds would leave some out: "
            "give --threshold-t or --tail-share, or leave one of the other options out"
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
