"""What a page asks of those who use it, as bits in the order of `preferences.PREFERENCES`.

A header or a `<meta>` may hold several directives, in letters of any case. What it says to one agent by name counts
only where that agent was asked for: `somebot: noai` is no word to others.
"""

from collections.abc import Collection

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


def header_preferences(name: str, value: str, agents: Collection[str] = ()) -> int:
    """Reads one header of a response; those of one name are read one by one.

    Args:
        name: Its name.
        value: Its value.
        agents: Names in small letters, whose directives count beside those for all agents.
    """
    named = name.lower()
    if named == _ROBOTS_HEADER:
        return _robots(value, agents)
    return _usage(value) if named == _USAGE else _reservation(named, value)


def meta_preferences(name: str, content: str, agents: Collection[str] = ()) -> int:
    """Reads a `<meta>`; its name may be that of an agent, such as googlebot. `agents` as for `header_preferences`."""
    stripped = name.strip(_SPACE)
    named = stripped.lower()
    is_heard = named == METAS[0] or _is_one_of(stripped, agents)
    return _robots(content, agents) if is_heard else _reservation(named, content)


def _reservation(name: str, value: str) -> int:
    return TDM_RESERVATION if name == _RESERVATION and value.strip(_SPACE) == RESERVED else 0


def _usage(value: str) -> int:
    members = (member.partition(";")[0].strip(_SPACE).lower() for member in value.split(","))
    return NO_TRAINING if TRAINING_REFUSED in members else 0


def _robots(value: str, agents: Collection[str]) -> int:
    found, is_heard = 0, True
    for part in value.split(","):
        before, colon, behind = part.partition(":")
        directive, agent = part.strip(_SPACE), before.strip(_SPACE)
        if colon and _is_agent(agent):
            directive, is_heard = behind.strip(_SPACE), agent == "*" or _is_one_of(agent, agents)
        if is_heard:
            found |= DIRECTIVES.get(directive.lower(), 0)
    return found


def _is_agent(name: str) -> bool:
    return name != "" and name.lower() not in VALUED_DIRECTIVES and not any(space in name for space in _SPACE)


def _is_one_of(name: str, agents: Collection[str]) -> bool:
    # Python has a letter beyond ASCII whose small one is "k".
    return name.isascii() and name.lower() in agents
