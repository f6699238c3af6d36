"""The thresholds of several metadata lists, by the options of the sample step, and the table that tells of them."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame

from metaclip_spark.balance import ExpectedSize, exact_sum
from metaclip_spark.config.curation import SampleConfig
from metaclip_spark.config.fields import digest, option_of
from metaclip_spark.entries import load_language_thresholds
from metaclip_spark.errors import ConfigError, joined, said_of
from metaclip_spark.list_thresholds import EntryLists, ListThresholds, Threshold, whole_threshold
from metaclip_spark.runs.records import BY_LANGUAGE
from metaclip_spark.steps.lists.sizes import (
    Evaluate,
    anchor_for_target_pairs,
    count_by_list,
    sizes_of_lists,
    smallest_thresholds,
)
from metaclip_spark.thresholds import LARGEST_COUNT, check_threshold
from udfs.schemas import THRESHOLDS

log = logging.getLogger(__name__)

_FOR_LISTS = ("anchor_language", "language_thresholds", "min_language_pairs")


@dataclass(frozen=True, eq=False)
class GivenThresholds:
    """What the options say of several metadata lists.

    Attributes:
        lists: The lists.
        anchor: The list whose threshold is given or found; None where none is named.
        given: Code to the threshold of a list that has its own.
        min_pairs: The floor: so many pairs are expected of each list that has as many.
    """

    lists: EntryLists
    anchor: str | None
    given: dict[str, Threshold]
    min_pairs: int

    @property
    def given_digest(self) -> str | None:
        """The digest of the thresholds that were given; None where none was."""
        return digest({code: str(threshold) for code, threshold in self.given.items()}) if self.given else None


def read_options(config: SampleConfig, lists: EntryLists | None, anchor: str | None) -> GivenThresholds | None:
    """Reads the options that are for several metadata lists.

    Args:
        config: The options.
        lists: The lists; None where there is but one.
        anchor: The language that the folder of lists names.

    Returns:
        What they say; None where there is but one list.

    Raises:
        ConfigError: If there is but one list and one of them was given, or no list has a code that is named.
        MetadataError: If the file of --language-thresholds cannot be used.
    """
    if lists is None:
        given_options = [option_of(name) for name in _FOR_LISTS if getattr(config, name)]
        if given_options:
            one = len(given_options) == 1
            raise ConfigError(
                f"{joined(given_options)} {'is' if one else 'are'} for a folder of metadata lists, but there is one "
                f"list: leave {'it' if one else 'them'} out"
            )
        return None
    named = config.anchor_language or anchor
    if named is not None:
        lists.check_code(named, "--anchor-language")
    given: dict[str, Threshold] = {}
    if config.language_thresholds:
        with said_of("--language-thresholds"):
            given = load_language_thresholds(config.language_thresholds, lists)
    return GivenThresholds(lists, named, given, config.min_language_pairs)


@dataclass(frozen=True, eq=False)
class ChosenThresholds:
    """The threshold of each metadata list.

    Attributes:
        rule: What gave them.
        thresholds: One for each list.
        tail_share: The tail share that they were to have; None where the threshold infinity was given.
        without_floor: What they would be without the floor.
    """

    rule: ListThresholds
    thresholds: list[Threshold]
    tail_share: Fraction | None
    without_floor: list[Threshold]

    @property
    def threshold_t(self) -> int | str:
        """The threshold that stands for all: the anchor's, or infinity."""
        anchor = self.rule.anchor
        if anchor is None:
            return BY_LANGUAGE if self.tail_share is not None else "inf"
        threshold = self.thresholds[self.rule.lists.codes.index(anchor)]
        return "inf" if threshold == math.inf else int(threshold)

    @property
    def for_each_entry(self) -> NDArray[np.int64]:
        """The threshold of each entry."""
        return self.rule.lists.for_each_entry(self.thresholds)


def choose_thresholds(
    options: GivenThresholds, config: SampleConfig, passed: DataFrame, counts: NDArray[np.int64]
) -> ChosenThresholds:
    """Finds the threshold of each metadata list; a target and a floor read the pairs several times.

    Args:
        options: What the options say of the lists.
        config: How thresholds are chosen; a target is at most the number of pairs.
        passed: The matched pairs that pass the language filter.
        counts: Shape (entries,): the counts to balance with.

    Raises:
        ConfigError: If the anchor has no matches to take a tail share from, or the target cannot be reached.
    """
    rule = ListThresholds(options.lists, counts, options.anchor, options.given)
    evaluate: Evaluate = partial(sizes_of_lists, passed, counts, options.lists)
    if config.target_pairs is not None:
        smallest: Sequence[Threshold] = [1] * len(options.lists)
        rule = rule.with_floors(floors_of(rule, evaluate, smallest, options.min_pairs))
        anchor: Threshold = anchor_for_target_pairs(rule, evaluate, int(config.target_pairs))
    elif config.threshold_t is not None:
        anchor = check_threshold(config.threshold_t)
    if config.tail_share is not None:
        share: Fraction | None = Fraction(str(config.tail_share))
        choose = partial(ListThresholds.at_share, share=config.tail_share)
    else:
        share = None if anchor == math.inf else rule.anchor_share(anchor)
        choose = partial(ListThresholds.at_anchor, threshold=anchor)
        warning = rule.empty_tail(anchor)
        if warning:
            log.warning(warning)
    without_floor = choose(rule.without_floors())
    if config.target_pairs is None:
        rule = rule.with_floors(floors_of(rule, evaluate, without_floor, options.min_pairs))
    return ChosenThresholds(rule, choose(rule), share, without_floor)


def floors_of(
    rule: ListThresholds, evaluate: Evaluate, thresholds: Sequence[Threshold], min_pairs: int
) -> Sequence[int]:
    """Finds the smallest threshold of each list that reaches the floor; 1 where these thresholds reach it."""
    if not min_pairs:
        return ()
    lists = rule.lists
    whole = [*map(whole_threshold, thresholds)]
    of_lists = evaluate([[threshold] for threshold in whole])
    sizes = [of_list[threshold] for of_list, threshold in zip(of_lists, whole, strict=True)]
    targets = [
        min(min_pairs, size.pairs) if code not in rule.given and size.size < min(min_pairs, size.pairs) else 0
        for code, size in zip(lists.codes, sizes, strict=True)
    ]
    largest = [int(lists.part(rule.counts, place).max(initial=1)) for place in range(len(lists))]
    return smallest_thresholds(evaluate, largest, targets)


def thresholds_table(
    chosen: ChosenThresholds, own_counts: NDArray[np.int64], sizes: Sequence[ExpectedSize], curated: DataFrame | None
) -> pa.Table:
    """Makes the table of all metadata lists; triggers a Spark job over the curated pairs.

    Args:
        chosen: The thresholds.
        own_counts: Shape (entries,): the run's own counts.
        sizes: The expected size of each list.
        curated: The pairs that were kept; None where there are none.
    """
    lists = chosen.rule.lists
    parts = [lists.part(own_counts, place) for place in range(len(lists))]
    columns = {
        "metadata_language": lists.codes,
        "threshold_t": [None if t > LARGEST_COUNT else int(t) for t in chosen.thresholds],
        "tail_share": [chosen.rule.tail_share(place, t) for place, t in enumerate(chosen.thresholds)],
        "matches": [exact_sum(part) for part in parts],
        "pairs": [size.pairs for size in sizes],
        "expected_size": [size.size for size in sizes],
        "standard_error": [size.standard_error for size in sizes],
        "kept": _kept(curated, lists),
        "entries": [part.size for part in parts],
        "entries_matched": [int(np.count_nonzero(part)) for part in parts],
        "floor_applied": [before < now for before, now in zip(chosen.without_floor, chosen.thresholds, strict=True)],
    }
    return pa.Table.from_arrays([pa.array(columns[field.name], field.type) for field in THRESHOLDS], schema=THRESHOLDS)


def with_kept(rows: pa.Table, curated: DataFrame | None, lists: EntryLists) -> pa.Table:
    """Counts anew how many pairs of each metadata list are kept; triggers a Spark job over the curated pairs.

    Args:
        rows: The table of all lists.
        curated: The pairs that are left; None where there are none.
        lists: The lists.
    """
    place = THRESHOLDS.get_field_index("kept")
    field = THRESHOLDS.field(place)
    return rows.set_column(place, field, pa.array(_kept(curated, lists), field.type))


def _kept(curated: DataFrame | None, lists: EntryLists) -> list[int]:
    return count_by_list(curated, lists) if curated is not None else [0] * len(lists)
