"""The one driver that owns a folder: how it takes it, shows that it lives, and leaves it.

It owns the folder from its `Open` until another `Open` follows. Taking it too early costs the old owner its work, never
rows: what counts is decided by the log's next number alone.
"""

import logging
import math
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from metaclip_spark.commits.attempts import attempt_name
from metaclip_spark.commits.entries import AnyEntry, End, Open
from metaclip_spark.commits.log import Log, taken_over
from metaclip_spark.commits.process import is_gone, this_process
from metaclip_spark.commits.run_file import retract_run_file
from metaclip_spark.commits.state import State
from metaclip_spark.errors import ConfigError, OutputExistsError
from metaclip_spark.stores.storage import Storage

SECONDS_BETWEEN_BEATS = 20.0
SECONDS_OF_A_BEAT = 10.0
SECONDS_OF_SILENCE = 120.0
SECONDS_BETWEEN_LOOKS = 5.0
SECONDS_BETWEEN_WARNINGS = 60.0
BEATS = "beats"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Applicant:
    """A driver that wants a folder.

    Attributes:
        name: The job, for messages.
        application: The id of its Spark application; None before there is one.
        attempt: Which attempt of the application it is, where the cluster manager counts them.
        command: The command as it was typed, without credentials; empty for a program that uses the library.
    """

    name: str
    application: str | None = None
    attempt: str | None = None
    command: str = ""

    def follows(self, owner: Open) -> bool:
        """Tells whether it is a later attempt of the owner's Spark application, so that the owner is gone."""
        if None in {self.application, self.attempt, owner.attempt} or self.application != owner.application:
            return False
        return int(self.attempt or 0) > int(owner.attempt or 0)


@dataclass
class Owner:
    """A driver that has taken a folder.

    Attributes:
        storage: The folder.
        log: Its log.
        nonce: What its entries bear.
        opened: The number of its `Open`.
        restarted: Whether it is a later attempt of the Spark application that owned the folder before.
        when_lost: Called once, from another thread, when another driver has taken the folder.
    """

    storage: Storage
    log: Log
    nonce: str
    opened: int
    restarted: bool = False
    when_lost: Callable[[], None] = lambda: None
    lost: bool = False
    _changed: bool = False
    _stop: threading.Event = field(default_factory=threading.Event)

    @property
    def tag(self) -> str:
        """What its Spark jobs are tagged with."""
        return f"metaclip-spark-{self.nonce}"

    @property
    def state(self) -> State:
        """What counts."""
        return self.log.state

    def new_folder(self, place: str) -> str:
        """Names a folder for one attempt: below `place`, or beginning with it where that ends in "-" or "="."""
        return f"{place}{'' if place.endswith(('-', '=')) else '/'}{attempt_name(self.opened)}"

    def commit(self, entry: AnyEntry) -> int:
        """Creates an entry; before the first one, a `run.json` that tells of earlier work is deleted.

        Raises:
            OutputExistsError: If another driver has taken the folder.
        """
        if not self._changed:
            retract_run_file(self.storage, self.opened)
            self._changed = True
        try:
            return self.log.append(msgspec.structs.replace(entry, at=_now()))
        except OutputExistsError:
            self.lost = True
            raise

    def check(self) -> None:
        """Looks whether another driver has taken the folder, before a write to a place that all drivers share.

        Raises:
            OutputExistsError: If so.
        """
        self.lost = self.lost or self.log.is_followed(self.nonce)
        if self.lost:
            raise OutputExistsError(taken_over(self.storage))

    def beat(self) -> None:
        """Shows that the owner lives until it stops; an error is told and forgotten."""
        count = 0
        while not self._stop.wait(SECONDS_BETWEEN_BEATS):
            count += 1
            try:
                self.storage.put_once(_beat_name(self.opened), str(count).encode(), SECONDS_OF_A_BEAT)
                followed = self.lost or self.log.is_followed(self.nonce)
            except Exception as error:
                logger.warning(f"{self.storage.root}: a sign of life failed: {error}")
                continue
            if followed:
                self.lost = True
                # Spark may have been stopped.
                with suppress(Exception):
                    self.when_lost()
                return

    def leave(self) -> None:
        """Ends the ownership.

        Raises:
            OutputExistsError: If another driver has taken the folder, even after all of the work was done.
        """
        self._stop.set()
        if self.lost:
            raise OutputExistsError(taken_over(self.storage))
        try:
            self.log.append(End(owner=self.nonce, at=_now()))
        except OSError as error:
            # The next driver takes over all the same, later.
            logger.warning(f"{self.storage.root}: the end of this driver's work could not be written: {error}")


def check_free(log: Log, storage: Storage, applicant: Applicant, *, wait: bool) -> None:
    """Returns once nobody owns the folder any more as far as anybody can tell.

    Args:
        log: The folder's log, read to its end.
        storage: The folder.
        applicant: Who wants it.
        wait: Wait for an owner that may be gone until it has been silent long enough.

    Raises:
        OutputExistsError: If it is owned.
    """
    owner = _owner_of(log, applicant)
    if owner is None:
        return
    who = f"{owner.name} (process {owner.process.pid} on {owner.process.host})"
    if not wait:
        raise OutputExistsError(
            f"--output {storage.root} is in use by {who}: wait for it; if that process is gone, give --resume (or "
            f"--overwrite), which takes the run over after {SECONDS_OF_SILENCE:.0f} seconds without a sign of it"
        )
    logger.info(f"{storage.root}: waiting up to {SECONDS_OF_SILENCE:.0f} s for a sign of {who} before taking over")
    seen, since = _sign_of_life(log, storage), time.monotonic()
    warned = -math.inf
    while time.monotonic() - since < SECONDS_OF_SILENCE:
        time.sleep(SECONDS_BETWEEN_LOOKS)
        now = _sign_of_life(log, storage)
        if _owner_of(log, applicant) is None:
            return
        if isinstance(now, OSError) or isinstance(seen, OSError):
            # A store that is out of reach says nothing about the owner: the watch starts anew.
            seen, since = now, time.monotonic()
            if isinstance(now, OSError) and since - warned >= SECONDS_BETWEEN_WARNINGS:
                logger.warning(f"{storage.root}: no sign of {who} can be read, so the wait begins anew: {now}")
                warned = since
        elif now != seen:
            raise OutputExistsError(f"--output {storage.root} is in use by {who}, which is at work: wait for it")


def _owner_of(log: Log, applicant: Applicant) -> Open | None:
    """Gives the owner of a folder; None where it is free, or its owner is gone for certain."""
    owner = log.state.owner
    if owner is None or log.state.ended or is_gone(owner.process) or applicant.follows(owner):
        return None
    return owner


def _sign_of_life(log: Log, storage: Storage) -> tuple[int, bytes | None] | OSError:
    """Reads the log's end and the owner's beat; the error where they cannot be read."""
    try:
        state = log.read_on()
        return state.number, storage.read_object(_beat_name(state.opened))
    except OSError as error:
        return error


def take(log: Log, storage: Storage, applicant: Applicant) -> Owner:
    """Takes a folder that is free.

    Raises:
        OutputExistsError: If another driver takes it at the same time, or it cannot be written to.
        ConfigError: If the store does not refuse to create a name a second time.
    """
    nonce = secrets.token_hex(8)
    before = log.state.owner
    restarted = before is not None and applicant.follows(before)
    entry = Open(
        owner=nonce,
        name=applicant.name,
        process=this_process(),
        application=applicant.application,
        attempt=applicant.attempt,
        at=_now(),
        command=applicant.command,
        folder=str(Path.cwd()),
    )
    try:
        number = log.append(entry)
        owner = Owner(storage, log, nonce, number, restarted)
        refused = _refuses_a_second(owner, entry)
    except OutputExistsError:
        raise OutputExistsError(
            f"--output {storage.root} was taken by another driver a moment ago: wait for it"
        ) from None
    except OSError as error:
        raise OutputExistsError(f"--output {storage.root} cannot be written to: {error.strerror or error}") from None
    if not refused:
        raise ConfigError(
            f"--output {storage.root} lies in a store that creates a name twice, so that two runs could not be told "
            "apart: conditional writes (If-None-Match) are ignored there; give another --output"
        )
    return owner


def _refuses_a_second(owner: Owner, entry: Open) -> bool:
    """Tells whether the store refuses to create the owner's `Open` once more; where it cannot say, the owner leaves."""
    try:
        return not owner.log.accepts_a_second(owner.opened, entry)
    except OSError:
        owner.leave()
        raise


@contextmanager
def owning(
    log: Log, storage: Storage, applicant: Applicant, *, wait: bool, check: Callable[[State], None] = lambda _: None
) -> Iterator[Owner]:
    """Owns a folder while the block runs.

    Args:
        log: The folder's log, read to its end.
        storage: The folder.
        applicant: Who wants it.
        wait: Wait for an owner that may be gone until it has been silent long enough.
        check: Called once the folder is free, before it is taken; raises to refuse it.

    Yields:
        The owner.

    Raises:
        OutputExistsError: If another driver owns it.
        ConfigError: If the store does not refuse to create a name a second time.
    """
    check_free(log, storage, applicant, wait=wait)
    check(log.state)
    owner = take(log, storage, applicant)
    try:
        threading.Thread(target=owner.beat, name="beat", daemon=True).start()
        yield owner
    except BaseException:
        # A signal may have cut a call into the JVM short, whose answer this thread would take for that of its next one.
        with ThreadPoolExecutor(1) as other:
            failure = other.submit(owner.leave).exception()
        if failure and not isinstance(failure, OutputExistsError):
            logger.warning(f"{storage.root}: the end of this driver's work could not be written: {failure}")
        raise
    owner.leave()


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time()))


def _beat_name(opened: int) -> str:
    return f"{BEATS}/{opened:08d}.json"
