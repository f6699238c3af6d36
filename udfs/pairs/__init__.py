"""The images of a page to image-text pairs, as columns."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ExtractOptions:
    """Limits of extraction, and whose directives count.

    Attributes:
        max_page_bytes: Cap for one page after its encodings are removed; a larger one is `record.page_too_large`.
        max_record_bytes: Cap for the part of a record's block that is read into memory.
        page_timeout_seconds: Longest time of a processor for one page; a longer one is `record.parser_timeout`.
        preference_agents: Agents whose directives count beside those for all, in small letters.
    """

    max_page_bytes: int = 32 << 20
    max_record_bytes: int = 64 << 20
    page_timeout_seconds: float = 60.0
    preference_agents: tuple[str, ...] = ()
