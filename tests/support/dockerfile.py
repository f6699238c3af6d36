"""Runs the instructions of a Dockerfile in a root, where no container engine can be had. Used by the tests."""

import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from string import Template

from tests.support.debian_root import DebianRoot


@dataclass(frozen=True)
class Image:
    """What a Dockerfile says of the containers.

    Attributes:
        user: The user, and perhaps a group, that they run as.
        environment: Their environment.
    """

    user: str
    environment: dict[str, str]


def instructions(text: str) -> list[tuple[str, str]]:
    """Gives each instruction and what it says."""
    lines = "".join(line for line in text.splitlines(keepends=True) if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n\s*", " ", lines).splitlines()
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in joined if line.strip())]


def build(root: DebianRoot, text: str, context: Path, **given: str) -> Image:
    """Follows a Dockerfile whose base is a root.

    Args:
        root: It is changed.
        text: The Dockerfile.
        context: The folder that files are copied from.
        given: The values that `docker build` has by `--build-arg`.

    Returns:
        What it says of the containers.
    """
    user, arguments, environment = "root", {}, {}
    for name, said in instructions(text):
        words = Template(said).safe_substitute({**arguments, **environment}).split()
        match name:
            case "ARG":
                key, _, default = "".join(shlex.split(said)).partition("=")
                arguments[key] = given.get(key, default)
            case "ENV":
                environment |= dict(word.split("=", 1) for word in words)
            case "USER":
                user = words[0]
            case "COPY":
                _copy(root, [context / word for word in words[:-1]], words[-1])
            case "RUN":
                root.run("/bin/sh", "-c", said, user=user, environment={**arguments, **environment})
            case "FROM":
                pass  # it is the root
            case _:
                raise ValueError(f"{name} is not known here: {said}")
    return Image(user, environment)


def _copy(root: DebianRoot, sources: list[Path], inside: str) -> None:
    target = root.path(inside)
    for source in sources:
        if source.is_dir():
            # The contents of a folder, as Docker has it.
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
