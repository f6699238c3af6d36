"""Rules for one alternative text: cleaning, spacing, identity, and the reference matcher that they define.

Source: "Demystifying CLIP Data", section 3.1 (sub-string matching) and the behaviour of the published code.
"""

import hashlib
import re

SEPARATOR_MARKS = ",.;:?!`"
"""The seven marks that `spacing` sets apart. No other character separates words, and case is kept."""

_MARK = re.compile(f"([{re.escape(SEPARATOR_MARKS)}])")
_LINE_WHITE_SPACE = str.maketrans("\t\n\r", "   ")
_LINE_BREAKS = str.maketrans("\n\r", "  ")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def replace_lone_surrogates(text: str) -> str:
    """Puts U+FFFD in place of each lone surrogate, which UTF-8 and Arrow cannot hold.

    Args:
        text: Any string, such as one decoded from JSON with cut UTF-16 escapes.

    Returns:
        A string that can be encoded as UTF-8.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return _LONE_SURROGATE.sub("\ufffd", text)
    return text


def clean_text(text: str) -> str:
    """Cleans an attribute's value into an alternative text.

    Args:
        text: The value of an attribute, entities decoded.

    Returns:
        The text without white space at its ends, each CR or LF replaced by one space, lone surrogates by U+FFFD;
        nothing else changes. Empty where nothing is left.
    """
    text = text.strip()
    if "\n" in text or "\r" in text:
        text = text.translate(_LINE_BREAKS)
    return replace_lone_surrogates(text)


def pair_id(image_url: str, alt_text: str) -> str:
    """Names a pair by its content, as Spark SQL's `md5` over URL, NUL and text does.

    Args:
        image_url: The image's URL.
        alt_text: The cleaned text.

    Returns:
        32 hex digits.
    """
    return hashlib.md5(f"{image_url}\0{alt_text}".encode(), usedforsecurity=False).hexdigest()


def spacing(text: str) -> str:
    """Sets a text apart into words, as the paper's matching does before it looks for sub-strings.

    Args:
        text: An alternative text.

    Returns:
        The text with one space at each end and on both sides of each of `SEPARATOR_MARKS`, and with tab, LF and CR
        replaced by a space. Double spaces, case and all other characters stay: "A dog." gives " A dog .  ".
    """
    set_apart = _MARK.sub(r" \1 ", text).translate(_LINE_WHITE_SPACE)
    return f" {set_apart} "


def matches_entry(spaced_text: str, entry_text: str) -> bool:
    """Tells whether a metadata entry occurs in a text: the reference for every engine.

    Args:
        spaced_text: What `spacing` returned.
        entry_text: A metadata entry.

    Returns:
        True where the entry with one space at each end is a sub-string of the spaced text.
    """
    return f" {entry_text} " in spaced_text
