"""`run.json` tells people that a run is finished; the log decides.

It names the number of the `Finish` that it tells of. It is deleted before the first entry that changes anything, and
created without overwriting, so that a driver that wakes up late may leave none, and seldom an older one.
"""

import json

from metaclip_spark.stores.storage import JsonObject, Storage

RUN = "run.json"


def retract_run_file(storage: Storage, opened: int) -> None:
    """Deletes a `run.json` that tells of work before this driver's `Open`."""
    number = _number(storage)
    if number is not None and number < opened:
        storage.delete(RUN)


def publish_run_file(storage: Storage, number: int, summary: JsonObject) -> None:
    """Creates `run.json` for the `Finish` of that number, unless it tells of that or of a later one."""
    content = json.dumps({**summary, "commit": number}, indent=1, ensure_ascii=False, allow_nan=False).encode()
    while not storage.create_bytes(RUN, content):
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
