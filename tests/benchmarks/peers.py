"""The environment of the peers, and contestants that run in turns."""

import json
import os
import statistics
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]
REQUIREMENTS = HERE / "requirements.txt"
PEERS = CHECKOUT / "build" / "benchmark-peers"


def peers_python() -> str:
    """Installs the peers where they are not, and gives their interpreter."""
    python, mark = PEERS / "bin" / "python", PEERS / "requirements.txt"
    wanted = REQUIREMENTS.read_text("utf-8")
    if not mark.exists() or mark.read_text("utf-8") != wanted:
        venv.create(PEERS, with_pip=True, clear=True)
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        install = [python, "-m", "pip", "install", "--quiet", "--requirement", REQUIREMENTS]
        subprocess.run(install, check=True, env=clean)
        mark.write_text(wanted, "utf-8")
    return str(python)


@contextmanager
def started(python: str, script: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Starts one contestant; it ends when its input does."""
    command = [python, str(HERE / "contestants" / script), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT) if python == sys.executable else ""}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as process:
        yield process
        process.communicate()


def ask(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Has a contestant work once."""
    assert process.stdin is not None
    assert process.stdout is not None
    with suppress(BrokenPipeError):
        process.stdin.write("go\n")
        process.stdin.flush()
    answer = process.stdout.readline()
    if not answer:
        raise RuntimeError(f"{process.args} ended with {process.wait()}")
    return dict(json.loads(answer))


def compare(contestants: Mapping[str, Sequence[str]], repeats: int) -> dict[str, dict[str, Any]]:
    """Lets contestants work in turns on one core each.

    Args:
        contestants: By name: interpreter, script, arguments.
        repeats: Rounds.

    Returns:
        By name: the medians of their seconds (`processor`, `wall`), every round's processor seconds, what they found.
    """
    with ExitStack() as stack:
        processes = {name: stack.enter_context(started(*command)) for name, command in contestants.items()}
        rounds = [{name: ask(process) for name, process in processes.items()} for _ in range(repeats)]
    report = {}
    for name in contestants:
        answers = [answers[name] for answers in rounds]
        medians = {
            clock: statistics.median(answer["seconds"][clock] for answer in answers) for clock in ("processor", "wall")
        }
        every = [answer["seconds"]["processor"] for answer in answers]
        report[name] = {**medians, "rounds": every, "found": answers[0]["found"]}
    return report
