"""Was this done with the same settings? One answer for runs, pools, arms, grids and checkpoints."""

from collections.abc import Mapping
from typing import Any

from metaclip_spark.errors import OutputExistsError


def differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Names the settings that differ, or that one side lacks, sorted."""
    return sorted(name for name in {*before, *now} if before.get(name) != now.get(name))


def in_words(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Tells of each setting that differs what it was and what it is now; empty where all are the same."""
    return "; ".join(f"{name} was {before.get(name)!r} and is now {now.get(name)!r}" for name in differing(before, now))


def check_made_with(before: Mapping[str, Any], now: Mapping[str, Any], shown: object) -> None:
    """Refuses to go on with what was made with other settings; messages call it `shown`.

    Raises:
        OutputExistsError: If a setting differs.
    """
    told = in_words(before, now)
    if told:
        raise OutputExistsError(
            f"{shown} was made with other settings ({told}): give another --output, or the same settings"
        )
