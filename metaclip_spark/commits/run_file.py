"""`run.json` tells people that a run is finished; the log decides.

It names the number of the `Finish` that it tells of. It is deleted before the first entry that changes anything, and
created without overwriting, while no other driver is seen: one that wakes up late may leave none, but not its own in
place of a later one.
"""

import json

from metaclip_spark.commits.entries import entry_name
from metaclip_spark.stores.storage import JsonObject, Storage

RUN = "run.json"


def retract_run_file(storage: Storage, opened: int) -> None:
    """Deletes a `run.json` that tells of work before this driver's `Open`."""
    number = _number(storage)
    if number is not None and number < opened:
        storage.delete(RUN)


def publish_run_file(storage: Storage, number: int, summary: JsonObject) -> None:
    """Creates `run.json` for the last `Finish`, of that number, unless another driver has opened the run since."""
    content = json.dumps({**summary, "commit": number}, indent=1, ensure_ascii=False, allow_nan=False).encode()
    follower = entry_name(number + 1)
    # Each time anew: what was deleted may have been a later driver's, where this one slept since it had looked.
    while storage.read_object(follower) is None and not storage.create_bytes(RUN, content):
        found = _number(storage)
        if found is not None and found >= number:
            return
        storage.delete(RUN)


def _number(storage: Storage) -> int | None:
    """Reads the number that it tells of: 0 where it has none; None where there is no such file."""
    content = storage.read_object(RUN)
    if content is None:
        return None
    try:
        number = json.loads(content).get("commit", 0)
    except (ValueError, AttributeError, RecursionError):
        return 0
    return number if isinstance(number, int) else 0
