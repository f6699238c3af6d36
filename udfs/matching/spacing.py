"""How a text is set apart into words, and the reference matcher that this defines.

Source: "Demystifying CLIP Data", section 3.1 (sub-string matching) and the behaviour of the published code.
"""

import re

SEPARATOR_MARKS = ",.;:?!`"
"""The seven marks that `spacing` sets apart. No other character separates words, and case is kept."""

_MARK = re.compile(f"([{re.escape(SEPARATOR_MARKS)}])")
_LINE_WHITE_SPACE = str.maketrans("\t\n\r", "   ")


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
