"""What a page asks of those who use it, as bits in the order of `preferences.PREFERENCES`.

A header or a `<meta>` may hold several directives, in letters of any case. What it says to one agent by name is not
heard: `somebot: noai` is no word to others.
"""

from udfs.preferences import PREFERENCES

NOAI, NOIMAGEAI, NOINDEX, NOIMAGEINDEX, TDM_RESERVATION, NO_TRAINING = (1 << bit for bit in range(len(PREFERENCES)))

DIRECTIVES = {
    "noai": NOAI,
    "noimageai": NOIMAGEAI,
    "noindex": NOINDEX,
    "none": NOINDEX,
    "noimageindex": NOIMAGEINDEX,
}
"""Directives to robots that count; the others, such as nofollow, say nothing about use."""

VALUED_DIRECTIVES = ("max-image-preview", "max-snippet", "max-video-preview", "unavailable_after")
"""Directives to robots with a colon behind their name, as it stands behind that of an agent."""

RESERVED, TRAINING_REFUSED = "1", "train-ai=n"

HEADERS = ("x-robots-tag", "tdm-reservation", "content-usage")
METAS = ("robots", "tdm-reservation")
"""The names that are read; a meta's has the place of the header that says the same."""

_ROBOTS_HEADER, _RESERVATION, _USAGE = HEADERS

_SPACE = " \t\n\r\f\v"


def header_preferences(name: str, value: str) -> int:
    """Reads one header of a response; those of one name are read one by one."""
    named = name.lower()
    if named == _ROBOTS_HEADER:
        return _robots(value)
    return _usage(value) if named == _USAGE else _reservation(named, value)


def meta_preferences(name: str, content: str) -> int:
    """Reads a `<meta>`; as the name of an agent, such as googlebot, its own says nothing to others."""
    named = name.strip(_SPACE).lower()
    return _robots(content) if named == METAS[0] else _reservation(named, content)


def _reservation(name: str, value: str) -> int:
    return TDM_RESERVATION if name == _RESERVATION and value.strip(_SPACE) == RESERVED else 0


def _usage(value: str) -> int:
    members = (member.partition(";")[0].strip(_SPACE).lower() for member in value.split(","))
    return NO_TRAINING if TRAINING_REFUSED in members else 0


def _robots(value: str) -> int:
    found, is_for_all = 0, True
    for part in value.lower().split(","):
        before, colon, behind = part.partition(":")
        directive, agent = part.strip(_SPACE), before.strip(_SPACE)
        if colon and _is_agent(agent):
            directive, is_for_all = behind.strip(_SPACE), agent == "*"
        if is_for_all:
            found |= DIRECTIVES.get(directive, 0)
    return found


def _is_agent(name: str) -> bool:
    return name != "" and name not in VALUED_DIRECTIVES and not any(space in name for space in _SPACE)
