"""Values of a list as parts of one-line messages."""

MOST_SHOWN = 5
"""How many faulty values a message shows."""

_SHOWN_CHARACTERS = 40


def brief(value: object) -> str:
    """Gives a value as part of a one-line message."""
    text = ascii(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."
