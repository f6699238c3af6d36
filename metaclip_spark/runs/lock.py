"""The lock that keeps two runs out of one output.

It is made by a conditional create and says who holds it and when that run was last alive. A dead process on this host,
or a run that has been silent for two minutes, is taken over. The holder looks at its lock before each commit, so that a
driver that was paused and lost it stops; what it wrote meanwhile lies in folders that no ledger entry names.
"""

import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from metaclip_spark.errors import OutputExistsError
from metaclip_spark.stores.storage import LOCK, Storage

HEARTBEAT_SECONDS = 20.0
STALE_SECONDS = 120.0
SECONDS_BETWEEN_CHECKS = 5.0


class _Holder:
    """One run's hold on its output."""

    def __init__(self, storage: Storage, owner: str) -> None:
        self._storage = storage
        self._checked = 0.0
        self.mine: dict[str, Any] = {
            "owner": owner,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "nonce": secrets.token_hex(8),
            "heartbeat": time.time(),
        }
        self.lost = False

    def acquire(self) -> None:
        try:
            created = self._storage.create_json(LOCK, self.mine)
        except OSError as error:
            raise OutputExistsError(f"--output {self._storage.root} cannot be written to: {error}") from None
        if created:
            return
        held = self._storage.read_json(LOCK) or {}
        if not (_is_dead(held, str(self.mine["host"])) or self._is_silent(held)):
            raise OutputExistsError(
                f"{self._storage.root} is in use by {held.get('owner')} (process {held.get('pid')} on "
                f"{held.get('host')}): wait for it, or delete {self._storage.root}/{LOCK} if that process is gone"
            )
        self._storage.delete(LOCK)
        if not self._storage.create_json(LOCK, self.mine) or not self._holds():
            raise OutputExistsError(f"{self._storage.root} was taken by another run a moment ago: wait for it")

    def _is_silent(self, held: dict[str, Any]) -> bool:
        beat = held.get("heartbeat")
        if not isinstance(beat, int | float) or time.time() - beat < STALE_SECONDS:
            return False
        # This machine's clock may be ahead of the other's: a living run moves its heartbeat meanwhile.
        time.sleep(1.5 * HEARTBEAT_SECONDS)
        return bool((self._storage.read_json(LOCK) or {}).get("heartbeat") == beat)

    def _holds(self) -> bool:
        return bool((self._storage.read_json(LOCK) or {}).get("nonce") == self.mine["nonce"])

    def check(self) -> None:
        if not self.lost and time.monotonic() - self._checked > SECONDS_BETWEEN_CHECKS:
            self._checked = time.monotonic()
            self.lost = not self._holds()
        if self.lost:
            raise OutputExistsError(
                f"{self._storage.root}: another run took the lock over while this one was silent: this one stops"
            )

    def beat(self, stop: threading.Event) -> None:
        while not stop.wait(HEARTBEAT_SECONDS):
            try:
                self.lost = self.lost or not self._holds()
                if self.lost:
                    return
                self.mine["heartbeat"] = time.time()
                # Past the guard, which looks at this very object.
                self._storage.put_unguarded(LOCK, self.mine)
            except OSError:
                continue

    def release(self) -> None:
        if self._holds():
            self._storage.delete(LOCK)


@contextmanager
def locked(storage: Storage, owner: str) -> Iterator[None]:
    """Holds a run's lock while the block runs.

    Args:
        storage: The run.
        owner: Who holds it, for the message to the other.

    Yields:
        Nothing.

    Raises:
        OutputExistsError: If another run holds the lock.
    """
    holder = _Holder(storage, owner)
    holder.acquire()
    stop = threading.Event()
    thread = threading.Thread(target=holder.beat, args=(stop,), daemon=True)
    thread.start()
    storage.guard = holder.check
    try:
        yield
    finally:
        storage.guard = _no_guard
        stop.set()
        thread.join()
        holder.release()


def _no_guard() -> None:
    pass


def _is_dead(held: dict[str, Any], host: str) -> bool:
    if held.get("host") != host or not isinstance(held.get("pid"), int):
        return False
    try:
        os.kill(int(held["pid"]), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    # A killed run's number may be this process's own.
    return bool(held["pid"] == os.getpid())
