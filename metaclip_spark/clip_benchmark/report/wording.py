"""Numbers and settings in words, for the page and the console."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from metaclip_spark.clip_benchmark.evaluation.figures import UNITS, setting_label
from metaclip_spark.errors import percent

if TYPE_CHECKING:
    from metaclip_spark.clip_benchmark.evaluation.significance import Comparison

_SMALLEST_P = 0.001


def setting_name(setting: Mapping[str, Any]) -> str:
    """Names a setting by what differs from the usual: neither the preset clean nor the size is said."""
    said = {name: value for name, value in setting.items() if name != "model_size" and value != "clean"}
    return setting_label(said)


def points(share: float | None) -> str:
    """A share in per cent."""
    if share is None or math.isnan(share):
        return "–"
    return "−∞" if share == -math.inf else percent(share)


def signed(share: float) -> str:
    """A difference of shares in percentage points."""
    return _signed(100 * share, 1)


def difference(asked: "Comparison", value: float) -> str:
    """The mean or an end of the interval of a comparison, in its unit."""
    return in_unit(asked.metric, value)


def in_unit(metric: str, value: float) -> str:
    """A difference of a metric, in its unit: points or log-odds."""
    return _signed(value, 2) if metric in UNITS else signed(value)


def p_value(p: float) -> str:
    """A p-value to three digits."""
    return f"<\u00a0{_SMALLEST_P}" if p < _SMALLEST_P else f"{p:.3f}"


def correlation(value: float | None) -> str:
    """A correlation to two digits, or a dash where there is none."""
    return "–" if value is None else _signed(value, 2)


def plain(value: Any) -> str:
    """Any value of a row."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(plain, value))
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}" if isinstance(value, float) else str(value)


def _signed(value: float, digits: int) -> str:
    if math.isinf(value):
        return "−∞" if value < 0 else "∞"
    # Adding 0.0 turns -0.0, which rounding leaves, into 0.0.
    return f"{round(value, digits) + 0.0:+.{digits}f}".replace("-", "−")
