"""What a count and a threshold t may be; plain Python, for options."""

import math
from decimal import Decimal, InvalidOperation, Overflow

from metaclip_spark.errors import ConfigError, brief

LARGEST_COUNT = 2**63 - 1
"""What a 64-bit count can be; sums of counts are Python integers, which never wrap around."""

LARGEST_THRESHOLD = LARGEST_COUNT + 1
"""Above the largest count: at it every entry belongs to the tail, as at any larger one."""


_FACTORS = {"K": 10**3, "M": 10**6, "G": 10**9, "B": 10**9}


def read_number(text: str) -> Decimal:
    """Reads a number as people write it: "20000", "20k", "10_000_000", "1e6", "1.5M", "inf"; NaN for anything else."""
    text = text.strip()
    factor = _FACTORS.get(text[-1:].upper(), 1)
    try:
        return Decimal(text[:-1] if factor > 1 else text) * factor
    except InvalidOperation:
        return Decimal("NaN")
    except Overflow:
        return Decimal("Infinity")


def check_threshold(value: object, named: str = "threshold_t") -> int | float:
    """Reads a threshold t as the user gave it.

    Args:
        value: A whole number from 1 to `LARGEST_THRESHOLD`, or infinity; as a number or as text ("20000", "20k",
            "inf").
        named: How messages name it.

    Returns:
        The threshold as an int, or `math.inf`, which keeps every matched pair.

    Raises:
        ConfigError: If it is anything else: below 1, too large, a fraction, NaN, another text or another type.
    """
    number = value
    if isinstance(value, str):
        read = read_number(value)
        # Decimals may have a billion digits: only small ones become integers.
        is_whole = read.is_finite() and read == read.to_integral_value() and read <= LARGEST_THRESHOLD
        number = int(read) if is_whole else float(read)
        if read.is_finite() and read > LARGEST_THRESHOLD:
            number = LARGEST_THRESHOLD + 1
    if type(number).__module__ == "numpy" and hasattr(number, "item"):
        # A scalar of numpy, which `--help` does without.
        number = number.item()
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if isinstance(number, float) and number == math.inf:
        return math.inf
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise ConfigError(f"{named} must be a whole number, 1 or more, or inf (got {brief(value)})")
    if number > LARGEST_THRESHOLD:
        raise ConfigError(
            f"{named} must be at most 2^63, which no count reaches (got {brief(value)}): give inf to keep every "
            "matched pair"
        )
    return number


def check_target(value: object) -> int:
    """The number of pairs that a number or text ("10M", "10_000_000", "1e6", "1.5k") says: 1 to 2^63 - 1."""
    number = read_number(str(value))
    if not number.is_nan() and number > LARGEST_COUNT:
        raise ConfigError(
            f"--target-pairs must be at most 2^63 - 1, more than any pool, such as 10M (got {brief(value)})"
        )
    if not (number.is_finite() and number >= 1 and number == number.to_integral_value()):
        raise ConfigError(f"--target-pairs must be a whole number, 1 or more, such as 10M (got {brief(value)})")
    return int(number)
