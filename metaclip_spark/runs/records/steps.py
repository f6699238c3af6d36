"""What came of each step."""

import msgspec
from msgspec import UNSET, UnsetType

from metaclip_spark.errors import counted

Number = int | float
"""Numbers that are digested as they were written: 0 stays 0 where it is not 0.0."""

BY_LANGUAGE = "by language"
"""The threshold of several metadata lists without an anchor, none of which stands for the others."""


class Record(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A JSON object whose keys are known."""


class StepNumbers(Record):
    """What came of a step."""

    def in_words(self) -> str:
        """For the log: each number and its name."""
        told = msgspec.to_builtins(self).items()
        return ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in told if isinstance(number, int))


class NamedArchives(Record):
    """How many archives have a property, and the names of the first ones."""

    archives: int
    first: list[str]


class ExtractNumbers(StepNumbers):
    """The accepted archives added up."""

    archives: int
    archives_ok: int
    archives_damaged: int
    archives_failed: int
    archives_empty: int
    bytes_read: int
    records: int
    pages: int
    images: int
    images_kept: int
    texts: int
    pairs: int
    rejected: dict[str, int]
    without_pages: NamedArchives | UnsetType = UNSET
    with_unknown_records: NamedArchives | UnsetType = UNSET


class DeduplicateNumbers(StepNumbers):
    """Raw pairs, and those that stay; sums over buckets."""

    pairs_in: int
    duplicates: int
    pairs: int

    def in_words(self) -> str:
        """For the log."""
        return f"kept {self.pairs:,} of {counted(self.pairs_in, 'pair')} ({counted(self.duplicates, 'duplicate')})"


class MatchNumbers(StepNumbers):
    """Pairs of the pool, and those with an entry; sums over buckets.

    With one metadata list per language, `without_list` are those whose language has none, and `texts` tells by the code
    of each list how many were matched against it.
    """

    pairs_in: int
    unmatched: int
    pairs: int
    without_list: int | UnsetType = UNSET
    texts: dict[str, int] | UnsetType = UNSET

    @property
    def reasons(self) -> dict[str, int]:
        """Why pairs were not matched."""
        of_lists = {"no_list": self.without_list} if isinstance(self.without_list, int) else {}
        return {"no_entry": self.unmatched} | of_lists

    def in_words(self) -> str:
        """For the log."""
        of_lists = f", {self.without_list:,} without a list" if self.without_list else ""
        kept = f"kept {self.pairs:,} of {counted(self.pairs_in, 'pair')}"
        return f"{kept} ({self.unmatched:,} without an entry{of_lists})"


class ExcludeNumbers(StepNumbers):
    """Matched pairs, those that a rule excludes by reason, and those that stay; sums over buckets.

    Of what was downloaded: its rows, those of them without a pair, and why pairs have no image. The first bucket tells
    of all. Where the pairs are those of another run, `preferences` tells how many of all declare each preference.
    """

    pairs_in: int
    reasons: dict[str, int]
    pairs: int
    download_rows: int = 0
    download_unknown: int = 0
    download_errors: dict[str, int] = {}
    preferences: dict[str, int] | UnsetType = UNSET

    def in_words(self) -> str:
        """For the log."""
        told = _listed(self.reasons) or "none excluded"
        errors = f"; no image: {_listed(self.download_errors)}" if self.download_errors else ""
        return f"kept {self.pairs:,} of {counted(self.pairs_in, 'pair')} ({told}{errors})"


def _listed(numbers: dict[str, int]) -> str:
    return ", ".join(f"{number:,} {name}" for name, number in numbers.items())


class CountNumbers(StepNumbers):
    """Eligible pairs, those that pass the language filter, and their entries."""

    pairs_in: int
    gated_out: int
    pairs: int
    matches: int
    entries: int
    entries_matched: int
    estimated_pairs: int | UnsetType = UNSET

    @property
    def pairs_counted(self) -> int:
        """How many pairs the matches are of: estimated, where the matches are."""
        return self.estimated_pairs if isinstance(self.estimated_pairs, int) else self.pairs

    def in_words(self) -> str:
        """For the log."""
        entries = counted(self.entries, "entry", "entries")
        removed = f", {self.gated_out:,} removed by the language filter" if self.gated_out else ""
        matches = counted(self.matches, "match", "matches")
        return f"{counted(self.pairs, 'pair')} with {matches} of {self.entries_matched:,} of {entries}{removed}"


class RefillNumbers(Record):
    """What else of the first run is to be downloaded.

    Attributes:
        target: The number of pairs that are to survive, what was downloaded before among them.
        threshold_t: The threshold of the first draw that gives them; its own where nothing is missing. Of several
            metadata lists the anchor's, or `BY_LANGUAGE` where they have a tail share in common.
        pairs: The pairs that this threshold draws, and the first draw did not.
        tail_share: That tail share.
        thresholds: Of several metadata lists the threshold of each, by its code, where something is missing.
    """

    target: int
    threshold_t: int | str
    pairs: int
    tail_share: Number | UnsetType = UNSET
    thresholds: dict[str, int | str] | UnsetType = UNSET


class SampleNumbers(StepNumbers):
    """Eligible pairs, those that were drawn, and the figures of the balance.

    `pairs_in` is the sum of `gated_out`, `not_drawn`, `dropped_since_balance` where it is given, and `pairs`. Of the
    survivors of a first draw, `capped` are those that were attempted with a smaller chance than this draw gives them;
    `threshold_without_caps` is the threshold of the first draw that leaves none. Of several metadata lists
    `threshold_t` is that of the list `threshold_of`, or `BY_LANGUAGE` where there is no anchor, `list_tail_share` the
    tail share that each list was to have, where t is not infinite, and `tail_share` the share of all matches that
    entries below the t of their own list have; the others are sums, and the table thresholds tells of each list.
    """

    pairs_in: int
    gated_out: int
    not_drawn: int
    pairs: int
    threshold_t: int | str
    expected_size: Number
    standard_error: Number
    size_bound: Number
    tail_share: Number
    head_entries_cut: int
    suspect: bool
    capped: int | UnsetType = UNSET
    threshold_without_caps: int | UnsetType = UNSET
    images: int | UnsetType = UNSET
    refill: RefillNumbers | UnsetType = UNSET
    dropped_since_balance: int | UnsetType = UNSET
    threshold_of: str | UnsetType = UNSET
    list_tail_share: Number | UnsetType = UNSET

    @property
    def dropped(self) -> int:
        """How many pairs of the draw were removed from it since."""
        return self.dropped_since_balance if isinstance(self.dropped_since_balance, int) else 0

    def in_words(self) -> str:
        """For the log."""
        removed = f"; {self.gated_out:,} removed by the language filter" if self.gated_out else ""
        thinned = counted(self.head_entries_cut, "head entry", "head entries")
        images = f"; pairs of {counted(self.images, 'image')}" if self.images is not UNSET else ""
        kept = f"kept {self.pairs:,} of {counted(self.pairs_in, 'pair')}"
        return f"{kept} ({threshold_in_words(self.threshold_t, self.threshold_of)}, {thinned} thinned{removed}{images})"


def threshold_in_words(threshold_t: int | str, threshold_of: str | UnsetType = UNSET) -> str:
    """Names a threshold and, of several metadata lists, the one that it is for."""
    if threshold_t == BY_LANGUAGE:
        return "a t for each language"
    shown = threshold_t if isinstance(threshold_t, str) else f"{threshold_t:,}"
    return f"t = {shown} for {threshold_of}" if threshold_of else f"t = {shown}"
