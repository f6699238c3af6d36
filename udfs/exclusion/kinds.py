"""What block lists may name, and the reasons that follow."""

KINDS = ("pair", "url", "prefix", "image_domain", "page_domain", "page", "text", "image")
"""What a list may name, in the order in which the first reason counts."""

PAGE_KINDS = ("page_domain", "page")

PLAIN_KINDS = ("url", "prefix", "image_domain", "page_domain", "page")
"""The kinds whose values can be plainly their own keys: `udfs.exclusion.plain_values`."""

COLUMNS = {
    "pair": "pair_id",
    "url": "image_url",
    "prefix": "image_url",
    "image_domain": "image_url",
    "page_domain": "page_url",
    "page": "page_url",
    "text": "alt_text",
    "image": "image_hash",
}
"""Kind -> the column that it is compared with."""


def reason_of(kind: str) -> str:
    """Names the reason that a pair is listed."""
    return f"removed.{kind}"


REASONS = tuple(map(reason_of, KINDS))
