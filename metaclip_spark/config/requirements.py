"""What a finished run must fulfil: checks of its report's numbers, each a name, an operator and a number."""

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, NamedTuple

from metaclip_spark.config.fields import OPERATIONAL, check_types
from metaclip_spark.errors import ConfigError, brief, meant_by
from metaclip_spark.thresholds import LARGEST_COUNT, read_number

OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "==": operator.eq,
}
_REQUIREMENT = re.compile(r"\s*([\w-]+)\s*(>=|<=|==|>|<)\s*([^\s=].*?)\s*", re.ASCII)
_LONGEST_SHOWN = 80


class Quantity(NamedTuple):
    """A number of the report that a check may name.

    Attributes:
        meaning: What it is.
        look_at: What tells why it is too small or too large.
        kind: A whole number, a share from 0 to 1, or any number of at least 0.
    """

    meaning: str
    look_at: str
    kind: Literal["count", "share", "number"] = "count"

    @property
    def is_share(self) -> bool:
        """Whether it is shown as a percentage."""
        return self.kind == "share"


_FUNNEL = "the funnel in the report"
_ARCHIVES = "the table `archives/`, and `rejects/` for the reasons"
_UNMATCHED = "the unmatched texts in the report, and the metadata list"
_BALANCE = "the balance in the report, and t"

QUANTITIES = {
    "archives": Quantity("archives, or files of `--pool`", "what `--archives` or `--pool` names"),
    "failed_archives": Quantity("archives that could not be read", _ARCHIVES),
    "damaged_archives": Quantity("archives that were read in part", _ARCHIVES),
    "empty_archives": Quantity("archives of 0 bytes", _ARCHIVES),
    "pages": Quantity("pages of the archives", _FUNNEL),
    "images": Quantity("images in the pages", _FUNNEL),
    "images_kept": Quantity("images with a usable URL and at least one text", _FUNNEL),
    "pairs": Quantity("pairs before deduplication", _FUNNEL),
    "pool": Quantity("distinct pairs", _FUNNEL),
    "matched": Quantity("pairs of the pool with at least one metadata entry", _UNMATCHED),
    "counted": Quantity("matched pairs that pass the language filter; without one, all", "the languages in the report"),
    "curated": Quantity("pairs of the curated set", _FUNNEL),
    "entries": Quantity("entries of the metadata list", "what `--metadata` names"),
    "entries_matched": Quantity("entries that occur in a counted pair", _UNMATCHED),
    "matches": Quantity("entries of all counted pairs, added up", _UNMATCHED),
    "head_entries_cut": Quantity("entries with more than t counted pairs, which are thinned out", _BALANCE),
    "warnings": Quantity("warnings of the report", "the warnings at the top of the report"),
    "rejected_share": Quantity(
        "bad records among pages and bad records, as `--max-rejects` counts them", "the table `rejects/`", "share"
    ),
    "duplicate_share": Quantity("duplicates among the pairs", _FUNNEL, "share"),
    "matched_share": Quantity("matched pairs among those of the pool", _UNMATCHED, "share"),
    "counted_share": Quantity(
        "counted pairs among the matched ones, 1 without a language filter", "the languages in the report", "share"
    ),
    "curated_share": Quantity("curated pairs among the counted ones", _BALANCE, "share"),
    "tail_share": Quantity("matches of entries with fewer than t pairs, among all", _BALANCE, "share"),
    "entries_matched_share": Quantity("matched entries among those of the list", _UNMATCHED, "share"),
    "matches_per_matched_pair": Quantity("matches per counted pair", _UNMATCHED, "number"),
}
"""What a check may name, in the order of the steps. A share of nothing is 0."""


class Requirement(NamedTuple):
    """A check as it was typed, and what it says."""

    text: str
    quantity: str
    operator: str
    bound: int | float

    def is_met_by(self, value: float) -> bool:
        """Tells whether a quantity's value fulfils it."""
        return OPERATORS[self.operator](value, self.bound)


@dataclass(frozen=True)
class RequireConfig:
    """What a finished run must fulfil.

    Attributes:
        require: Checks of the report's numbers, each a name, an operator (>=, <=, >, < or ==) and a number, in quotes
            for the shell. Where one fails, the run stays and the command ends with exit code 3.
    """

    require: tuple[str, ...] = field(
        default=(), metadata=OPERATIONAL | {"values": "one or more such as 'curated>=1' or 'matched_share>=0.3'"}
    )

    def __post_init__(self) -> None:
        """Checks the values."""
        check_types(self)
        _ = self.requirements

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """What the texts say, each once."""
        return tuple(dict.fromkeys(map(read_requirement, self.require)))


def read_requirement(text: str) -> Requirement:
    """Reads a check such as "curated>=10k", "matched_share >= 30%" or "warnings==0".

    Raises:
        ConfigError: If it has another form, no quantity has its name, or its number is out of the quantity's range.
    """
    found = _REQUIREMENT.fullmatch(text)
    shown = f"--require {text.strip()[:_LONGEST_SHOWN]!r}"
    if not found:
        raise ConfigError(
            f"{shown}: give a name, one of {', '.join(OPERATORS)} and a number, in quotes for the shell, such as "
            "'curated>=1'"
        )
    name, sign, number = found.groups()
    if name not in QUANTITIES:
        near = meant_by(name.replace("-", "_"), QUANTITIES)
        advice = f"did you mean {near}? The names" if near else "the names"
        raise ConfigError(f"{shown}: no number is called {name[:_LONGEST_SHOWN]}; {advice} are {', '.join(QUANTITIES)}")
    return Requirement(f"{name}{sign}{number}", name, sign, _bound(number, QUANTITIES[name], shown, name))


def _bound(text: str, quantity: Quantity, shown: str, name: str) -> int | float:
    number = _percentage(text) if text.endswith("%") else read_number(text)
    if number.is_nan():
        raise ConfigError(f"{shown}: {brief(text)} is not a number")
    if quantity.is_share:
        if not 0 <= number <= 1:
            raise ConfigError(f"{shown}: {name} is a share from 0 to 1: write it as 0.3 or 30%")
        return float(number)
    if text.endswith("%"):
        raise ConfigError(f"{shown}: {name} is not a share: give a number without %")
    if not 0 <= number <= LARGEST_COUNT:
        raise ConfigError(f"{shown}: {name} must be compared with a number from 0 to 2^63 - 1")
    if quantity.kind == "number":
        return float(number)
    if number != number.to_integral_value():
        raise ConfigError(f"{shown}: {name} is a whole number: compare it with one")
    return int(number)


def _percentage(text: str) -> Decimal:
    number = read_number(text[:-1])
    # Decimals may be as small as they like: what is divided is of a size that floats have.
    return Decimal(str(float(number))) / 100 if number.is_finite() else number
