"""The figures that settings are compared by, and how a setting is named."""

from collections.abc import Mapping
from typing import Any

LOG_ODDS = "top1_log_odds"
METRICS = {
    "top1": "zero-shot top-1",
    "macro_head": "head classes",
    "macro_tail": "tail classes",
    "held_out_top1": "top-1 of held-out classes",
}
"""Figures in per cent that are asked about -> their names; a test split without held-out classes lacks the last."""

UNITS = {LOG_ODDS: "log-odds"}
"""Figures that are not in per cent -> what they are in."""

NAMES = {**METRICS, LOG_ODDS: "zero-shot top-1, log-odds"}


def setting_label(setting: Mapping[str, Any]) -> str:
    """Names a setting, such as "clip, vit, all, v2, clean, tiny"; without what is the size's own."""
    said = {"text_depth": "text depth {}", "pixels": "{} pixels"}
    return ", ".join(said.get(name, "{}").format(value) for name, value in setting.items() if value)
