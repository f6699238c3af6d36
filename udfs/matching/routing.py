"""Routing: which of several metadata lists each text is matched against, by its language.

Source: "MetaCLIP 2: A Worldwide Scaling Recipe", arXiv 2507.22062, section 3, whose rule is `TEXT`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

TEXT, PAGE, COLUMN = "text", "page", "column"
"""What says the language of a text: the text alone, the text and its page, or a column of the pool."""


@dataclass(frozen=True)
class Routing:
    """How texts find their list.

    Attributes:
        lists: Each known label -> the code of its list; None where that is `other`, and there is none.
        other: The code of the list for all others; None where there is none.
        language_from: `TEXT`, `PAGE` or `COLUMN`.
        page_language_probability: The least probability, as a label of the text, of a page's language that counts.
        min_list_probability: Texts whose label has a smaller probability go to `other`.
        model_file: A model of fastText; None for the bundled one.
    """

    lists: Mapping[str, str | None]
    other: str | None
    language_from: str = TEXT
    page_language_probability: float = 0.0
    min_list_probability: float = 0.0
    model_file: str | None = None

    def list_of(self, label: str | None, probability: float) -> str | None:
        """Gives the code of the list of a label, None where it has none."""
        if label is None or probability < self.min_list_probability:
            return self.other
        return self.lists.get(label, self.other)
