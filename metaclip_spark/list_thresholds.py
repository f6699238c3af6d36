"""Thresholds of several metadata lists: each list has its own t, so that all have the tail share of the anchor.

Source: "MetaCLIP 2: A Worldwide Scaling Recipe", section 3. numpy only; nothing here knows Spark. Where the published
functions give a language the threshold 0, and so keep none of its pairs, the threshold here is at least 1.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property

import numpy as np
import numpy.typing as npt

from metaclip_spark.balance import Counts, TailShares
from metaclip_spark.errors import ConfigError, counted
from metaclip_spark.thresholds import LARGEST_COUNT

Threshold = int | float
"""A whole number of at least 1, or infinity."""

_MOST_NAMED = 5


@dataclass(frozen=True, eq=False)
class EntryLists:
    """Where each metadata list begins among the ids of all entries.

    Attributes:
        codes: The code of each list, in the order of the ids.
        starts: int64, shape (lists + 1,), ascending from 0 to the number of entries: the entries of a list are those
            from its start to the next one.
    """

    codes: tuple[str, ...]
    starts: npt.NDArray[np.int64]

    def __len__(self) -> int:
        """The number of lists."""
        return len(self.codes)

    def code_of(self, entry: int) -> str:
        """Gives the code of an entry's list, by its id."""
        return self.codes[int(np.searchsorted(self.starts, entry, side="right")) - 1]

    def part(self, numbers: Counts, place: int) -> Counts:
        """Gives the numbers of one list's entries, a view of those of all entries."""
        return numbers[self.starts[place] : self.starts[place + 1]]

    def for_each_entry(self, thresholds: Sequence[Threshold]) -> Counts:
        """Repeats one threshold per list for each of its entries, as `balance.entry_probabilities` takes them."""
        limits = np.array([whole_threshold(threshold) for threshold in thresholds], np.int64)
        return np.repeat(limits, np.diff(self.starts))

    def check_code(self, code: str, named: str) -> None:
        """Refuses a code that no list has.

        Raises:
            ConfigError: If it is one; the message begins with what it is `named`.
        """
        if code not in self.codes:
            more = len(self.codes) - _MOST_NAMED
            others = f" and {more:,} more" if more > 0 else ""
            raise ConfigError(
                f"{named} {code!r}: there is no such metadata list; there are "
                f"{', '.join(self.codes[:_MOST_NAMED])}{others}"
            )


@dataclass(frozen=True, eq=False)
class ListThresholds:
    """The rule that gives each list its threshold.

    Attributes:
        lists: The lists.
        counts: Shape (entries,): the counts to balance with.
        anchor: The list whose threshold is given, and whose tail share all others take; None where there is none.
        given: Code to the threshold that was given for a list itself: nothing else changes it.
        floors: For each list the smallest threshold that it may have; 1 where there is no floor.
    """

    lists: EntryLists
    counts: Counts
    anchor: str | None = None
    given: Mapping[str, Threshold] = field(default_factory=dict)
    floors: Sequence[int] = ()

    @cached_property
    def shares(self) -> list[TailShares]:
        """The tail shares that each list's counts can give."""
        return [TailShares.of(self.lists.part(self.counts, place)) for place in range(len(self.lists))]

    @cached_property
    def anchor_place(self) -> int:
        """The place of the anchor among the lists.

        Raises:
            ConfigError: If there is no anchor, or no pair matched an entry of it.
        """
        if self.anchor is None:
            raise ConfigError(
                "the metadata folder names no anchor, whose t is given: give --anchor-language, or --tail-share"
            )
        place = self.lists.codes.index(self.anchor)
        if not self.shares[place].matches:
            raise ConfigError(
                f"no pair matched an entry of the anchor's list {self.anchor}, so that no t has a tail share there: "
                "give --anchor-language with a list that has matches, or --tail-share"
            )
        return place

    @property
    def largest_anchor_threshold(self) -> int:
        """One more than the anchor's largest count: there the tail share is 1."""
        return self.shares[self.anchor_place].values[-1] + 1

    def at_anchor(self, threshold: Threshold) -> list[Threshold]:
        """Gives the threshold of each list where the anchor has this one, and the others its tail share.

        No threshold falls where the anchor's grows: the anchor's share does not, nor the achievable share that is
        nearest to it.

        Raises:
            ConfigError: If there is no anchor, or no pair matched an entry of it, and the threshold is not infinity.
        """
        if threshold == math.inf:
            return self._with_given([math.inf] * len(self.lists))
        thresholds = self._nearest(self.anchor_share(threshold))
        thresholds[self.anchor_place] = threshold
        return self._with_given(thresholds)

    def anchor_share(self, threshold: Threshold) -> Fraction:
        """Gives the tail share that all other lists take where the anchor has this threshold.

        Raises:
            ConfigError: If there is no anchor, or no pair matched an entry of it.
        """
        return self.shares[self.anchor_place].share(threshold)

    def at_share(self, share: float | Fraction) -> list[Threshold]:
        """Gives each list, the anchor too, the threshold whose tail share is nearest to one that is wanted."""
        # Its digits as they are written: none is rounded.
        return self._with_given(self._nearest(Fraction(str(share))))

    def tail_share(self, place: int, threshold: Threshold) -> float:
        """Gives the share of a list's matches that its entries below a threshold have."""
        return float(self.shares[place].share(threshold))

    def with_floors(self, floors: Sequence[int]) -> "ListThresholds":
        """Gives the same rule with a smallest threshold for each list."""
        return replace(self, floors=floors)

    def without_floors(self) -> "ListThresholds":
        """Gives the same rule without a smallest threshold for each list."""
        return replace(self, floors=())

    def empty_tail(self, threshold: Threshold) -> str | None:
        """Says that the anchor's threshold leaves no tail, so that the others' is 1; None where it leaves one."""
        if threshold == math.inf or self.anchor_share(threshold):
            return None
        rarest = self.shares[self.anchor_place].values[0]
        return (
            f"the tail share is 0: t = {threshold:,} leaves {self.anchor} no tail, whose rarest matched entry has "
            f"{counted(rarest, 'pair')}; so t is 1 for every other language, unless it is given or raised"
        )

    @cached_property
    def _found(self) -> dict[Fraction, list[Threshold]]:
        return {}

    def _nearest(self, share: Fraction) -> list[Threshold]:
        # Many thresholds of the anchor have one share.
        if share not in self._found:
            self._found[share] = [shares.threshold(share) for shares in self.shares]
        return [*self._found[share]]

    def _with_given(self, thresholds: Sequence[Threshold]) -> list[Threshold]:
        floors = self.floors or [1] * len(self.lists)
        return [
            self.given.get(code, max(threshold, floor))
            for code, threshold, floor in zip(self.lists.codes, thresholds, floors, strict=True)
        ]


def whole_threshold(threshold: Threshold) -> int:
    """Gives a threshold as a 64-bit number: where no count exceeds it, the largest one."""
    return LARGEST_COUNT if threshold >= LARGEST_COUNT else int(threshold)
