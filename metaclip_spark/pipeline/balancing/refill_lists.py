"""What the draw of a first run with several metadata lists must become so that enough pairs survive.

Its thresholds follow from one number, the anchor's threshold or the tail share, and none falls where that number grows:
so there is a smallest number with which enough pairs are expected to survive. Which entries a pair has is taken to say
nothing about its survival; of which language it is does.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, partial

import pyarrow as pa
from msgspec import UNSET
from pyspark.sql import DataFrame

from metaclip_spark.balance import ExpectedSize
from metaclip_spark.config.curation import SampleConfig
from metaclip_spark.config.fields import from_saved
from metaclip_spark.errors import ConfigError, CurationError
from metaclip_spark.list_thresholds import EntryLists, ListThresholds, Threshold, whole_threshold
from metaclip_spark.pipeline.balancing.list_thresholds import floors_of, read_options
from metaclip_spark.pipeline.first_run import FirstRun
from metaclip_spark.runs.entry_tables import read_thresholds
from metaclip_spark.runs.layout import THRESHOLDS as THRESHOLDS_TABLE
from metaclip_spark.runs.records import BY_LANGUAGE, RefillNumbers
from metaclip_spark.runs.step import SAMPLE
from metaclip_spark.steps.lists.sizes import SizesOfLists, sizes_of_lists
from metaclip_spark.steps.thresholds import threshold_for_target_pairs
from metaclip_spark.thresholds import check_threshold
from udfs.balancing.probability import PROBABILITY_UNITS
from udfs.schemas import THRESHOLDS

STEPS_OF_SHARE = 10**6
"""A tail share is looked for among the whole millionths: one that can be typed."""


@dataclass(frozen=True, eq=False)
class LargerDraws:
    """The draws that differ from a first run's in the one number which all of its thresholds follow from.

    Attributes:
        rule: What gives the thresholds.
        config: How the first run was drawn.
    """

    rule: ListThresholds
    config: SampleConfig

    @property
    def by_share(self) -> bool:
        """Whether the number is a tail share, in units of 1 / `STEPS_OF_SHARE`, and not the anchor's threshold."""
        return self.config.tail_share is not None

    @property
    def is_whole(self) -> bool:
        """Whether the first run has drawn all pairs that it could: its threshold is infinity."""
        return self.config.threshold_t is not None and check_threshold(self.config.threshold_t) == math.inf

    @property
    def largest(self) -> int:
        """The largest number: the draw keeps every pair, but for lists whose threshold was given."""
        return STEPS_OF_SHARE - 1 if self.by_share else self.rule.largest_anchor_threshold

    def thresholds(self, number: int) -> list[Threshold]:
        """Gives the threshold of each list; none falls where the number grows."""
        if self.by_share:
            return self.rule.at_share(Fraction(number, STEPS_OF_SHARE))
        return self.rule.at_anchor(number)


@dataclass(frozen=True, eq=False)
class ListSurvivors:
    """How many pairs of each list were attempted, and how many of them are left.

    Attributes:
        attempted: One number for each list.
        survived: One number for each list.
    """

    attempted: Sequence[int]
    survived: Sequence[int]

    @cached_property
    def shares(self) -> list[Fraction]:
        """The share of each list's pairs that survives; of a list of which none was attempted, that of all."""
        tried = sum(self.attempted)
        of_all = Fraction(sum(self.survived), tried) if tried else Fraction(0)
        both = zip(self.survived, self.attempted, strict=True)
        return [Fraction(left, attempted) if attempted else of_all for left, attempted in both]

    def gained(self, before: Iterable[ExpectedSize], after: Iterable[ExpectedSize]) -> int:
        """Gives how many more are expected to survive of a larger draw, in units of 2^-32, rounded down."""
        units = zip(self.shares, (size.expected_units for size in before), after, strict=True)
        return math.floor(sum(share * (size.expected_units - drawn) for share, drawn, size in units))


@dataclass(frozen=True, eq=False)
class ListsRefill:
    """What a plan goes by where there are several metadata lists.

    Attributes:
        matched: The first run's matched pairs, after the language filter.
        drawn: The threshold of each list there.
        draws: The draws that it could have been made with.
        survivors: What was attempted, and what is left of it.
    """

    matched: DataFrame
    drawn: Sequence[Threshold]
    draws: LargerDraws
    survivors: ListSurvivors

    @property
    def lists(self) -> EntryLists:
        """The lists."""
        return self.draws.rule.lists

    @cached_property
    def _largest(self) -> Sequence[Threshold]:
        return self.drawn if self.draws.is_whole else self.draws.thresholds(self.draws.largest)

    @cached_property
    def _sizes(self) -> tuple[list[ExpectedSize], list[ExpectedSize]]:
        """The expected sizes of the first draw and of the largest one."""
        both = [self.drawn, self._largest]
        sizes = self._evaluate([*zip(*both, strict=True)])
        before, largest = (_sizes_at(sizes, thresholds) for thresholds in both)
        return before, largest

    @cached_property
    def most(self) -> int:
        """How many pairs are expected to survive where all are attempted that the largest draw draws."""
        more = self.survivors.gained(*self._sizes)
        return sum(self.survivors.survived) + max(0, more // PROBABILITY_UNITS)

    def smallest(self, target_pairs: int) -> int:
        """Finds the smallest number whose draw gives a target of expected survivors, more than there are so far.

        Raises:
            ConfigError: If not even the largest draw is enough.
        """
        if target_pairs > self.most:
            given = " with its --language-thresholds" if self.draws.rule.given else ""
            raise ConfigError(
                f"--refill-plan: {target_pairs:,} pairs are more than the {self.matched_pairs:,} matched pairs of the "
                f"first run are expected to give{given}, by what survived of each language: give at most "
                f"{self.most:,}, or extract more archives"
            )
        missing = target_pairs - sum(self.survivors.survived)
        return threshold_for_target_pairs(self._gains, missing, self.draws.largest)

    def numbers(self, target_pairs: int, number: int) -> RefillNumbers:
        """Tells of the draw with a number, before its pairs are looked for."""
        by_share = self.draws.by_share
        thresholds = zip(self.lists.codes, self.draws.thresholds(number), strict=True)
        return RefillNumbers(
            target=target_pairs,
            threshold_t=BY_LANGUAGE if by_share else number,
            pairs=0,
            tail_share=number / STEPS_OF_SHARE if by_share else UNSET,
            thresholds={code: "inf" if t == math.inf else int(t) for code, t in thresholds},
        )

    @property
    def matched_pairs(self) -> int:
        """How many matched pairs there are."""
        return sum(size.pairs for size in self._sizes[0])

    def _gains(self, numbers: Sequence[int]) -> dict[int, ExpectedSize]:
        """Computes what each number is expected to add to the survivors; one pass."""
        by_number = {number: self.draws.thresholds(number) for number in numbers}
        sizes = self._evaluate([*zip(*by_number.values(), strict=True)])
        return {
            number: ExpectedSize(
                pairs=0,
                expected_units=self.survivors.gained(self._sizes[0], _sizes_at(sizes, thresholds)),
                variance_units=0,
            )
            for number, thresholds in by_number.items()
        }

    def _evaluate(self, thresholds: Sequence[Sequence[Threshold]]) -> SizesOfLists:
        return sizes_of_lists(self.matched, self.draws.rule.counts, self.lists, thresholds)


def _sizes_at(sizes: SizesOfLists, thresholds: Sequence[Threshold]) -> list[ExpectedSize]:
    return [of_list[whole_threshold(threshold)] for of_list, threshold in zip(sizes, thresholds, strict=True)]


def lists_refill(first: FirstRun, matched: DataFrame, lists: EntryLists, survived: Sequence[int]) -> ListsRefill:
    """Reads what a plan goes by.

    Args:
        first: The first run.
        matched: Its matched pairs, after the language filter.
        lists: Its metadata lists.
        survived: How many pairs of each list are left.

    Raises:
        ConfigError: If the thresholds that were given for single lists are not told any more.
    """
    config = from_saved(SampleConfig, first.run.manifest(SAMPLE).settings)
    rule = _rule(first, config, lists)
    if config.min_language_pairs:
        evaluate = partial(sizes_of_lists, matched, rule.counts, lists)
        rule = rule.with_floors(floors_of(rule, evaluate, [1] * len(lists), config.min_language_pairs))
    attempted = first.run.read_rows(THRESHOLDS_TABLE, pa.schema([THRESHOLDS.field("kept")]))["kept"].to_pylist()
    drawn = read_thresholds(first.run, lists)
    return ListsRefill(matched, drawn, LargerDraws(rule, config), ListSurvivors(attempted, survived))


def _rule(first: FirstRun, config: SampleConfig, lists: EntryLists) -> ListThresholds:
    """Reads what gave the first run its thresholds, but for the floors."""
    settings = first.run.manifest(SAMPLE).config
    anchor = settings.anchor or None
    try:
        options = read_options(config, lists, anchor)
    except CurationError as error:
        raise ConfigError(f"--refill-plan needs what {first.run.storage.root} was drawn with: {error}") from None
    assert options is not None
    if options.given_digest != (settings.thresholds or None):
        raise ConfigError(
            f"--refill-plan: {config.language_thresholds} does not say what it said when {first.run.storage.root} was "
            "drawn: restore it, or sample that run again"
        )
    return ListThresholds(lists, first.counts, anchor, options.given)
