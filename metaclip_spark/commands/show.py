"""Results go to standard output; what is logged goes to standard error (`config.logs`)."""

import sys
from collections.abc import Iterable


def show(lines: Iterable[str]) -> None:
    """Writes a command's result."""
    sys.stdout.write("\n".join([*lines, ""]))
    sys.stdout.flush()
