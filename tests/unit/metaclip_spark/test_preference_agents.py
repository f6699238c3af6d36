"""Which names may be those of agents whose directives count."""

import pytest

from metaclip_spark.config.curation import ExtractConfig
from metaclip_spark.errors import ConfigError
from metaclip_spark.preference_agents import LONGEST_AGENT, MOST_AGENTS, check_agents


@pytest.mark.parametrize(
    ("given", "agents"),
    [
        ((), ()),
        (("CCBot",), ("ccbot",)),
        (("img2dataset, CCBot", "ccbot", "a.b_c-9"), ("a.b_c-9", "ccbot", "img2dataset")),
        (("x" * LONGEST_AGENT, ","), ("x" * LONGEST_AGENT,)),
        ((",".join(f"a{number}" for number in range(MOST_AGENTS)) + ",A1",), None),
    ],
)
def test_agents_are_compared_without_case_or_order(given, agents):
    checked = check_agents(given)
    assert checked == agents or (agents is None and len(checked) == MOST_AGENTS)
    assert check_agents(checked) == checked


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("",), "--preference-agent names no agent: give its product token, such as CCBot"),
        ((" , ",), "--preference-agent names no agent: give its product token, such as CCBot"),
        (
            ("CCBot,CCBot/2.0",),
            "--preference-agent CCBot/2.0: a product token is of letters, digits, -, _ and . alone, 64 at most: give "
            "it without version or comment, such as CCBot",
        ),
        (("two words",), "--preference-agent two words: a product token is of letters"),
        (("bücher",), "--preference-agent bücher: a product token is of letters"),
        (("\u212aBot",), "--preference-agent \u212aBot: a product token is of letters"),
        (("a:noai",), "--preference-agent a:noai: a product token is of letters"),
        (("x" * (LONGEST_AGENT + 1),), "--preference-agent xxxxxxxxxxxx...xxxxxxxxxxxxx: a product token is of"),
        (
            ("*",),
            "--preference-agent *: directives for all agents count anyway: name an agent, such as CCBot, or leave the "
            "option out",
        ),
        *(
            ((word,), f"--preference-agent {word}: it is a name or value of directives, and no agent's")
            for word in ("robots", "NoAI", "none", "all", "nofollow", "Unavailable_After", "X-Robots-Tag")
        ),
        ((",".join(f"a{number}" for number in range(21)),), "--preference-agent names 21 agents, and 20 is the most"),
    ],
)
def test_what_is_no_agent_is_refused_in_one_line(given, message):
    with pytest.raises(ConfigError) as refused:
        ExtractConfig(archives=("a.warc",), preference_agent=given)
    assert str(refused.value).startswith(message)
    assert "\n" not in str(refused.value)


def test_a_pool_has_been_read():
    with pytest.raises(ConfigError, match=r"^--preference-agent is for archives, and --pool has been read"):
        ExtractConfig(pool=("a.parquet",), preference_agent=("CCBot",))
