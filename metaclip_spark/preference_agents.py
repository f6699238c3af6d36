"""The names of agents whose directives count beside those for all; plain Python, for options."""

import re
from collections.abc import Iterable

from metaclip_spark.errors import ConfigError, brief
from udfs.pages.declared.preferences import DIRECTIVES, HEADERS, METAS, VALUED_DIRECTIVES

MOST_AGENTS = 20
LONGEST_AGENT = 64
"""The compiled loop compares the name of every meta with each of them."""

_TOKEN = re.compile(rf"[A-Za-z0-9._-]{{1,{LONGEST_AGENT}}}")
_NO_AGENTS = {*HEADERS, *METAS, *DIRECTIVES, *VALUED_DIRECTIVES} | {
    *("all", "index", "follow", "nofollow", "noarchive", "nocache", "nosnippet", "notranslate", "indexifembedded"),
    *("tdm-policy", "googleon", "googleoff"),
}
"""Words that stand where an agent's name may, and mean something else."""

_SUCH_AS = "such as CCBot"


def check_agents(given: Iterable[str], named: str = "preference_agent") -> tuple[str, ...]:
    """Reads agents as the user gave them.

    Args:
        given: Product tokens, or several with commas between them.
        named: How messages name them.

    Returns:
        The tokens in small letters, sorted, each once.

    Raises:
        ConfigError: If a name is none, or they are too many.
    """
    typed = [name.strip() for item in given for name in item.split(",")]
    agents = sorted({name.lower() for name in typed} - {""})
    if typed and not agents:
        raise ConfigError(f"{named} names no agent: give its product token, {_SUCH_AS}")
    for name in typed:
        if fault := _fault(name):
            raise ConfigError(f"{named} {brief(name)[1:-1]}: {fault}")
    if len(agents) > MOST_AGENTS:
        raise ConfigError(f"{named} names {len(agents)} agents, and {MOST_AGENTS} is the most: leave some out")
    return tuple(agents)


def _fault(name: str) -> str:
    """Says why a name cannot be an agent's; empty where it can, or there is none."""
    if name == "*":
        return f"directives for all agents count anyway: name an agent, {_SUCH_AS}, or leave the option out"
    if name.lower() in _NO_AGENTS:
        return f"it is a name or value of directives, and no agent's: give a product token, {_SUCH_AS}"
    if name and not _TOKEN.fullmatch(name):
        limit = f"letters, digits, -, _ and . alone, {LONGEST_AGENT} at most"
        return f"a product token is of {limit}: give it without version or comment, {_SUCH_AS}"
    return ""
