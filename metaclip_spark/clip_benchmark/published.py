"""The published run at full size: its recipe, and the figures it reached, to stand beside ours."""

import json
from dataclasses import dataclass
from pathlib import Path

RECIPES = Path(__file__).with_name("recipes")
YFCC15M_RECIPE = RECIPES / "yfcc15m_vit_b32.yaml"
"""For `--config`: 128,001 steps of 4,096 pairs in 32 processes."""


@dataclass(frozen=True)
class PublishedTable:
    """Figures of a paper, with all that they must be read with.

    Attributes:
        source: The paper.
        image_tower: The image encoder.
        data: What was trained on.
        evaluation: What was measured.
        preset: The preset whose recipe it was.
        steps: Length of each run.
        note: What the figures are not.
        top1_percent: Variant -> zero-shot top-1 in percent.
    """

    source: str
    image_tower: str
    data: str
    evaluation: str
    preset: str
    steps: int
    note: str
    top1_percent: dict[str, float]


def published_table() -> PublishedTable:
    """Reads the published figures of the recipe."""
    path = RECIPES / "yfcc15m_vit_b32_published.json"
    return PublishedTable(**json.loads(path.read_text(encoding="utf-8")))
