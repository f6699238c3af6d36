"""Servers that are programs of their own, written in Go: the tests find and run what the Makefile's targets build."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

SECONDS_TO_START = 30
SECONDS_TO_END = 10


def find_program(name: str, target: str) -> str:
    """Finds a program on the path, or where Go installs what it builds.

    Args:
        name: Its name.
        target: The target of the Makefile that builds it.

    Raises:
        FileNotFoundError: It is in neither.
    """
    folder = _go_folder()
    found = shutil.which(name) or (folder and shutil.which(name, path=folder))
    if not found:
        raise FileNotFoundError(f"{name} is neither on the PATH nor among Go's programs: {target} builds it")
    return found


def _go_folder() -> str | None:
    try:
        told = subprocess.run(["go", "env", "GOBIN", "GOPATH"], capture_output=True, text=True, check=True).stdout
    except FileNotFoundError:
        return None
    own, paths = told.split("\n")[:2]
    return own or str(Path(paths.split(os.pathsep)[0], "bin"))


@contextmanager
def program(
    command: Sequence[str], log: Path, is_up: Callable[[], bool], environment: Mapping[str, str] | None = None
) -> Iterator[None]:
    """Runs a program once it is up, with its output in a file, and ends it by its id.

    Args:
        command: Its command line.
        log: The file.
        is_up: Tells whether it can be used.
        environment: Variables of its own.

    Raises:
        RuntimeError: It does not come up.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, env={**os.environ, **(environment or {})}, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        deadline = time.monotonic() + SECONDS_TO_START
        while not is_up():
            if time.monotonic() > deadline or process.poll() is not None:
                raise RuntimeError(f"{command[0]} did not come up: {log.read_text()[-2000:]}")
            time.sleep(0.05)
        yield
    finally:
        end(process)


def end(process: subprocess.Popen) -> None:
    """Ends a process by its id, and kills it where it does not end in time."""
    process.terminate()
    try:
        process.wait(SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
