"""The loop of every contestant: for each line on standard input it works once and answers with one line of JSON.

Runs in environments that have not this project, so it imports nothing but the standard library.
"""

import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

Pair = tuple[str, str]
"""(image URL, alternative text)."""


def digest(pairs: Iterable[Pair]) -> str:
    """Names a set of pairs, whatever their order and however often each comes."""
    lines = (json.dumps(pair) for pair in sorted(set(pairs)))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def compete(work: Callable[[str], Any], pairs_of: Callable[[Any], list[Pair]] = list) -> None:
    """Times `work` on the first argument, once for each line of input; one untimed run comes first.

    Args:
        work: Takes the input's path and returns what it found; None where it only reads.
        pairs_of: Makes pairs of it. This and the digest are not timed.
    """
    path = sys.argv[1]
    work(path)
    for _ in sys.stdin:
        begin, begin_processor = time.perf_counter(), time.process_time()
        result = work(path)
        seconds = {"wall": time.perf_counter() - begin, "processor": time.process_time() - begin_processor}
        pairs = None if result is None else pairs_of(result)
        found = None if pairs is None else {"pairs": len(pairs), "digest": digest(pairs)}
        print(json.dumps({"seconds": seconds, "found": found}), flush=True)
