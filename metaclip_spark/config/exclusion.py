"""Which matched pairs a run excludes before it counts and samples."""

from dataclasses import dataclass, field
from typing import Literal

from metaclip_spark.config.fields import check_types
from metaclip_spark.errors import ConfigError, brief, meant_by
from udfs.preferences import PREFERENCES

_NAMES = {"values": f"some of {', '.join(PREFERENCES)}"}


@dataclass(frozen=True)
class ExcludeConfig:
    """Which matched pairs are neither counted nor sampled; without any of these options, none.

    Attributes:
        respect_preferences: Exclude pairs of pages that ask for one of these (such as noai,noimageai).
        unknown_preferences: What becomes of pairs whose pages' preferences were not read (extracted by an earlier
            version, or given by --pool without the column): keep or drop.

    Example:
        >>> from metaclip_spark import ExcludeConfig
        >>> ExcludeConfig(respect_preferences=("noai,noimageai",)).respect_preferences
        ('noai', 'noimageai')
    """

    respect_preferences: tuple[str, ...] = field(default=(), metadata=_NAMES)
    unknown_preferences: Literal["keep", "drop"] | None = None

    def __post_init__(self) -> None:
        """Checks the values."""
        check_types(self)
        object.__setattr__(self, "respect_preferences", _preferences(self.respect_preferences))
        if self.unknown_preferences and not self.respect_preferences:
            raise ConfigError("--unknown-preferences needs --respect-preferences")


def _preferences(given: tuple[str, ...]) -> tuple[str, ...]:
    """Gives what pages may ask for, in the order of `PREFERENCES`.

    Raises:
        ConfigError: If a name is unknown, or none is given where the option is.
    """
    names = {name.strip().lower() for item in given for name in item.split(",")} - {""}
    if given and not names:
        raise ConfigError(f"--respect-preferences names none: give some of {','.join(PREFERENCES)}")
    unknown = sorted(names.difference(PREFERENCES))
    if unknown:
        near = meant_by(unknown[0], PREFERENCES)
        advice = f"did you mean {near}?" if near else f"give some of {','.join(PREFERENCES)}"
        raise ConfigError(f"--respect-preferences {brief(unknown[0])[1:-1]}: there is no such preference; {advice}")
    return tuple(name for name in PREFERENCES if name in names)
