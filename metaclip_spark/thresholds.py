"""What a count and a threshold t may be; plain Python, for options."""

import math

from metaclip_spark.errors import ConfigError, brief

LARGEST_COUNT = 2**63 - 1
"""What a 64-bit count can be; sums of counts are Python integers, which never wrap around."""

LARGEST_THRESHOLD = LARGEST_COUNT + 1
"""Above the largest count: at it every entry belongs to the tail, as at any larger one."""


def check_threshold(value: object) -> int | float:
    """Reads a threshold t as the user gave it.

    Args:
        value: A whole number from 1 to `LARGEST_THRESHOLD`, or infinity; as a number or as text ("20000", "inf").

    Returns:
        The threshold as an int, or `math.inf`, which keeps every matched pair.

    Raises:
        ConfigError: If it is anything else: below 1, too large, a fraction, NaN, another text or another type.
    """
    number = value
    if isinstance(value, str):
        try:
            number = math.inf if value.strip().lower() in {"inf", "infinity"} else int(value)
        except ValueError:
            number = None
    if type(number).__module__ == "numpy" and hasattr(number, "item"):
        # A scalar of numpy, which `--help` does without.
        number = number.item()
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if isinstance(number, float) and number == math.inf:
        return math.inf
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise ConfigError(f"threshold_t is {brief(value)}, but must be a whole number of at least 1, or inf")
    if number > LARGEST_THRESHOLD:
        raise ConfigError(
            f"threshold_t is {brief(value)}, but must be at most 2^63, which no count reaches: give inf to keep every "
            "matched pair"
        )
    return number
