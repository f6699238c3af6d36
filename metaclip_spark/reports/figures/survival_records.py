"""What a report says of the pairs that rules have judged."""

from msgspec import UNSET, UnsetType

from metaclip_spark.runs.records import Record


class SurvivalRow(Record):
    """Pairs that rules have judged and that have something in common: judged = left + the sum of the reasons.

    Attributes:
        group: A language or a domain or, where `is_class`, what they have in common in words.
        judged: How many the rules have judged.
        left: Those that no rule excludes.
        reasons: Reason to how many leave by it.
        is_class: Whether `group` is in our words.
        domains: Of a class of domains, how many it has.
    """

    group: str
    judged: int
    left: int
    reasons: dict[str, int]
    is_class: bool = False
    domains: int | UnsetType = UNSET


class Survival(Record):
    """What rules have left, by kinds of pairs: of each list the rows add up to all pairs that were judged.

    Attributes:
        languages: By the language of the page or, of several metadata lists, by that of the list; most pairs first.
        domains: By the domain of the image: the largest ones one by one, then the others by their pairs.
        entries: By whether balancing thins the pairs out.
    """

    languages: list[SurvivalRow]
    domains: list[SurvivalRow]
    entries: list[SurvivalRow]
