"""What the benchmark's tests import as wandb: the package itself brings forty others."""

import json
from pathlib import Path


class errors:  # noqa: N801 - a module of the package
    class Error(Exception):
        pass


class _Run:
    def __init__(self, given):
        folder = Path(given["dir"]) / "wandb"
        folder.mkdir(exist_ok=True)
        self._file = (folder / "told").open("a")
        self._file.write(json.dumps(given, default=str) + "\n")

    def log(self, values, step):
        self._file.write(json.dumps([step, values]) + "\n")

    def finish(self):
        self._file.close()


def init(**given):
    if not given["project"]:
        raise errors.Error("no project")
    return _Run(given)
