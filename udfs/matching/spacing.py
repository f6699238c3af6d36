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

    One space stands at each end and on both sides of each of `SEPARATOR_MARKS`, and in place of tab, LF and CR. Double
    spaces, case and all other characters stay: "A dog." gives " A dog .  ".
    """
    set_apart = _MARK.sub(r" \1 ", text).translate(_LINE_WHITE_SPACE)
    return f" {set_apart} "


def matches_entry(spaced_text: str, entry_text: str) -> bool:
    """Tells whether an entry between spaces is a sub-string of a spaced text: the reference for every engine."""
    return f" {entry_text} " in spaced_text
