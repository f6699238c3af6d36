"""The figures that the paper's runs reached, to stand beside ours."""

import json
from dataclasses import dataclass
from pathlib import Path

RECIPES = Path(__file__).parents[1] / "recipes"


@dataclass(frozen=True)
class PublishedTable:
    """Figures of a paper, with all that they must be read with."""

    source: str
    image_tower: str
    data: str
    evaluation: str
    preset: str
    steps: int
    note: str
    top1_percent: dict[str, float]

    @property
    def label(self) -> str:
        """The conditions in one line, as the page shows them."""
        conditions = f"{self.image_tower} on {self.data}, {self.evaluation}, preset {self.preset}, {self.steps:,} steps"
        return f"{conditions}: {self.note}"


def published_tables() -> dict[str, PublishedTable]:
    """Reads the published figures: image tower of ours -> those of the tower that stands for it."""
    return {
        tower: PublishedTable(**json.loads((RECIPES / f"{recipe}_published.json").read_text(encoding="utf-8")))
        for tower, recipe in (("vit", "yfcc15m_vit_b32"), ("resnet", "yfcc15m_r50"))
    }
