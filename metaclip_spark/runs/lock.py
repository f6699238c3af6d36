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

import msgspec

from metaclip_spark.errors import OutputExistsError
from metaclip_spark.runs.layout import LOCK
from metaclip_spark.runs.records import LockHolder, read_record
from metaclip_spark.stores.storage import Storage

HEARTBEAT_SECONDS = 20.0
STALE_SECONDS = 120.0
SECONDS_BETWEEN_CHECKS = 5.0


class _Holder:
    """One run's hold on its output."""

    def __init__(self, storage: Storage, owner: str) -> None:
        self._storage = storage
        self._checked = 0.0
        self.mine = LockHolder(
            owner=owner,
            host=socket.gethostname(),
            pid=os.getpid(),
            nonce=secrets.token_hex(8),
            heartbeat=time.time(),
        )
        self.lost = False

    def acquire(self) -> None:
        try:
            created = self._create()
        except OSError as error:
            raise OutputExistsError(f"--output {self._storage.root} cannot be written to: {error}") from None
        if created:
            return
        held = self._held()
        if not (_is_dead(held, self.mine.host) or self._is_silent(held)):
            raise OutputExistsError(
                f"{self._storage.root} is in use by {held.owner} (process {held.pid} on {held.host}): wait for it, or "
                f"delete {self._storage.root}/{LOCK} if that process is gone"
            )
        self._storage.delete(LOCK)
        if not self._create() or not self._holds():
            raise OutputExistsError(f"{self._storage.root} was taken by another run a moment ago: wait for it")

    def _create(self) -> bool:
        return self._storage.create_json(LOCK, msgspec.to_builtins(self.mine))

    def _held(self) -> LockHolder:
        return read_record(self._storage, LOCK, LockHolder) or LockHolder()

    def _is_silent(self, held: LockHolder) -> bool:
        if held.heartbeat is None or time.time() - held.heartbeat < STALE_SECONDS:
            return False
        # This machine's clock may be ahead of the other's: a living run moves its heartbeat meanwhile.
        time.sleep(1.5 * HEARTBEAT_SECONDS)
        return self._held().heartbeat == held.heartbeat

    def _holds(self) -> bool:
        return self._held().nonce == self.mine.nonce

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
                self.mine = msgspec.structs.replace(self.mine, heartbeat=time.time())
                # Past the guard, which looks at this very object.
                self._storage.put_unguarded(LOCK, msgspec.to_builtins(self.mine))
            except OSError:
                continue

    def release(self) -> None:
        if self._holds():
            self._storage.delete(LOCK)


@contextmanager
def locked(storage: Storage, owner: str) -> Iterator[None]:
    """Holds a run's lock while the block runs; `owner` is told to who asks for it meanwhile.

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
        storage.guard = None
        stop.set()
        thread.join()
        holder.release()


def _is_dead(held: LockHolder, host: str | None) -> bool:
    if held.host != host or held.pid is None:
        return False
    try:
        os.kill(held.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    # A killed run's number may be this process's own.
    return held.pid == os.getpid()
