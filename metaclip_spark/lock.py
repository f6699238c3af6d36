"""The lock that keeps two runs out of one output."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from metaclip_spark.errors import OutputExistsError
from metaclip_spark.storage import LOCK, Storage


@contextmanager
def locked(storage: Storage, owner: str) -> Iterator[None]:
    """Holds a run's lock while the block runs. A lock whose process on this host is dead is taken over.

    Args:
        storage: The run.
        owner: Who holds it, for the message to the other.

    Yields:
        Nothing.

    Raises:
        OutputExistsError: If another run holds the lock.
    """
    mine = {"owner": owner, "host": socket.gethostname(), "pid": os.getpid()}
    if not storage.create_json(LOCK, mine):
        _take_over(storage, mine)
    try:
        yield
    finally:
        if storage.read_json(LOCK) == mine:
            storage.delete(LOCK)


def _take_over(storage: Storage, mine: dict[str, object]) -> None:
    held = storage.read_json(LOCK) or {}
    if not _is_dead(held, str(mine["host"])):
        raise OutputExistsError(
            f"{storage.root} is in use by {held.get('owner')} (process {held.get('pid')} on {held.get('host')}): "
            f"wait for it, or delete {storage.root / LOCK} if that process is gone"
        )
    storage.delete(LOCK)
    if not storage.create_json(LOCK, mine):
        raise OutputExistsError(f"{storage.root} was taken by another run a moment ago: wait for it")


def _is_dead(held: dict[str, object], host: str) -> bool:
    if held.get("host") != host or not isinstance(held.get("pid"), int):
        return False
    try:
        os.kill(int(str(held["pid"])), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    # A killed run's number may be this process's own.
    return held["pid"] == os.getpid()
