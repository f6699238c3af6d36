"""Commands as the documentation has them, so that a test runs what a reader copies. Used by the tests."""

import re
import shlex
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

from tests.support.paths import CHECKOUT

DOCS = CHECKOUT / "docs"

_HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
_SCRIPT = re.compile(r"(?:.*/)?jobs/\w+\.py")


def blocks(text: str, language: str = "bash") -> list[str]:
    """Gives all code blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def indented_commands(text: str) -> str:
    """Gives the commands of ours in blocks that are only indented; a line with dots, which stands for many, is none."""
    found = re.findall(r"^    ((?:python jobs/|metaclip-spark |spark-submit )(?:.*\\\n)*.*\n)", text, re.MULTILINE)
    return "".join(command for command in found if "..." not in command)


def block_under(page: Path, heading: str, language: str = "bash") -> str:
    """Gives the first code block of a section of a page, whose own sections are a part of it.

    Raises:
        ValueError: If the page has no such heading, or no such block below it.
    """
    # A comment in a block looks like a heading.
    text = page.read_text("utf-8")
    places = [place for place in _HEADING.finditer(text) if text[: place.start()].count("```") % 2 == 0]
    names = [place[2] for place in places]
    if heading not in names:
        raise ValueError(f"{page} has no heading {heading!r}, but {names}")
    place = places[names.index(heading)]
    ends = [later.start() for later in places if later.start() > place.start() and len(later[1]) <= len(place[1])]
    found = blocks(text[place.end() : ends[0] if ends else None], language)
    if not found:
        raise ValueError(f"{page} has no block of {language} under {heading!r}")
    return found[0]


def commands_in(block: str, given: Mapping[str, str] | None = None) -> list[list[str]]:
    """Gives the words of each command of a block, with texts in it, such as `hdfs://NAMENODE`, replaced by others.

    Raises:
        ValueError: If one of these texts is not there: the page has changed. Or if a quotation is not closed.
    """
    for name, value in (given or {}).items():
        if name not in block:
            raise ValueError(f"{name!r} is not in the block:\n{block}")
        block = block.replace(name, value)
    # Python's shlex takes the number sign in `pack.tar.gz#environment` for the beginning of a comment; shells do not.
    commands, begun = [], ""
    for line in block.replace("\\\n", " ").splitlines(keepends=True):
        try:
            words = shlex.split(re.sub(r"(^|\s)#[^'\"]*$", "", begun + line))
        except ValueError:
            # A quotation that goes on in the next line.
            begun += line
            continue
        begun = ""
        if words:
            commands.append(words)
    if begun:
        raise ValueError(f"a quotation is not closed: {begun}")
    return commands


def with_settings(command: list[str], settings: Mapping[str, str]) -> list[str]:
    """Gives a spark-submit command with other values of Spark's settings, and with those that it lacks."""
    left = dict(settings)
    changed = list(command)
    for place, (option, setting) in enumerate(pairwise(command), 1):
        name = setting.partition("=")[0]
        if option == "--conf" and name in left:
            changed[place] = f"{name}={left.pop(name)}"
    further = [part for name, value in left.items() for part in ("--conf", f"{name}={value}")]
    return [changed[0], *further, *changed[1:]]


def job_in(command: list[str]) -> tuple[str, list[str]] | None:
    """Gives the script or the verb that a command runs, and its options; None where it is no command of ours."""
    if command[0] == "metaclip-spark":
        return command[1], command[2:]
    place = next((place for place, word in enumerate(command) if _SCRIPT.fullmatch(word)), None)
    if place is None:
        return None
    options = command[place + 1 :]
    if command[0] == "gcloud":
        # gcloud's own options stand before the two dashes.
        options = options[options.index("--") + 1 :]
    return Path(command[place]).stem, options
