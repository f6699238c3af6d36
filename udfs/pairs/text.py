"""Rules for one alternative text: how it is cleaned, and the name of the pair that it makes with an image."""

import hashlib

from udfs.arrow import replace_lone_surrogates

_LINE_BREAKS = str.maketrans("\n\r", "  ")


def clean_text(text: str) -> str:
    """Strips an attribute's value and puts a space for each CR or LF, U+FFFD for lone surrogates; all else stays."""
    text = text.strip()
    if "\n" in text or "\r" in text:
        text = text.translate(_LINE_BREAKS)
    return replace_lone_surrogates(text)


def pair_id(image_url: str, alt_text: str) -> str:
    """Names a pair by its content, as Spark SQL's `md5` over URL, NUL and text does: 32 hex digits."""
    return hashlib.md5(f"{image_url}\0{alt_text}".encode(), usedforsecurity=False).hexdigest()
