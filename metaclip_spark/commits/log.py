"""A folder's log: entries under the numbers from 1 without a gap, each created once, never changed or deleted."""

import threading
from concurrent.futures import ThreadPoolExecutor

from metaclip_spark.commits.entries import COMMITS, AnyEntry, Open, check_layout, decode, encode, entry_name
from metaclip_spark.commits.state import State
from metaclip_spark.errors import InputError, OutputExistsError
from metaclip_spark.stores.storage import Storage

_READS_AT_ONCE = 32
SECONDS_OF_A_LOOK = 10.0


class Log:
    """The log of a folder, as far as it has been read.

    Attributes:
        state: What counts by it.
    """

    def __init__(self, storage: Storage, state: State | None = None) -> None:
        """Reads nothing yet; `state` is what counts before the first entry."""
        self._storage = storage
        self._lock = threading.Lock()
        self.state = state or State()

    def read_all(self) -> State:
        """Reads all entries that are there, several at once.

        Raises:
            InputError: If one is missing, not whole, or of a newer layout.
        """
        numbers = sorted(int(name[:8]) for name in self._storage.names(COMMITS) if _is_entry(name))
        unread = [number for number in numbers if number > self.state.number]
        for number, listed in enumerate(unread, self.state.number + 1):
            # A listing may be behind: a second look tells.
            if number != listed and self._content(number) is None:
                self._take(number, None)
        with ThreadPoolExecutor(_READS_AT_ONCE) as pool:
            whole = range(self.state.number + 1, max(unread, default=0) + 1)
            for number, content in zip(whole, pool.map(self._content, whole), strict=True):
                self._take(number, content or self._content(number))
        return self.read_on()

    def read_on(self) -> State:
        """Reads the entries after the last one read, one by one, until there is none."""
        with self._lock:
            while (content := self._content(self.state.number + 1)) is not None:
                self._take(self.state.number + 1, content)
            return self.state

    def append(self, entry: AnyEntry) -> int:
        """Creates the next entry.

        Returns:
            Its number.

        Raises:
            OutputExistsError: If another driver has created an entry under that number.
            OSError: If the store cannot be reached.
        """
        content = encode(entry)
        with self._lock:
            if not isinstance(entry, Open) and self.state.owner and self.state.owner.owner != entry.owner:
                # It would not count, and take the number that the rightful owner needs.
                raise OutputExistsError(taken_over(self._storage))
            while not self._storage.create_bytes(entry_name(self.state.number + 1), content):
                number = self.state.number + 1
                found = self._content(number)
                if found is None:
                    raise OSError(f"{self._storage.root}/{entry_name(number)} is taken, but cannot be read")
                self._take(number, found)
                # An earlier try of this entry, or of the one before it, may have arrived although its answer was lost.
                if found == content:
                    return number
                if decode(found, entry_name(number)).owner != entry.owner:
                    raise OutputExistsError(taken_over(self._storage))
            self.state.take(self.state.number + 1, entry)
            return self.state.number

    def accepts_a_second(self, number: int, entry: AnyEntry) -> bool:
        """Creates an entry once more, as it is; True where the store does not refuse that."""
        return self._storage.create_bytes(entry_name(number), encode(entry))

    def is_followed(self, owner: str) -> bool:
        """Tells whether another driver than `owner` has created the next entry."""
        # Without the lock, which a commit may hold: what it creates meanwhile is its own.
        name = entry_name(self.state.number + 1)
        content = self._storage.read_once(name, SECONDS_OF_A_LOOK)
        # An entry of its own is there where the answer to its creation was lost.
        return content is not None and decode(content, f"{self._storage.root}/{name}").owner != owner

    def _content(self, number: int) -> bytes | None:
        return self._storage.read_object(entry_name(number))

    def _take(self, number: int, content: bytes | None) -> None:
        shown = f"{self._storage.root}/{entry_name(number)}"
        if content is None:
            raise InputError(
                f"{shown} is missing although later entries are there: something has deleted it (a lifecycle rule?); "
                "restore it, or give another --output"
            )
        entry = decode(content, shown)
        if isinstance(entry, Open):
            check_layout(entry, shown)
        self.state.take(number, entry)


def taken_over(storage: Storage) -> str:
    """Says that another driver has taken the folder."""
    return (
        f"{storage.root}: another driver has taken the run over while this one was silent: this one stops; what it had "
        "committed stays"
    )


def has_log(storage: Storage) -> bool:
    """Tells whether a folder has a log."""
    return storage.read_object(entry_name(1)) is not None


def _is_entry(name: str) -> bool:
    return name.endswith(".json") and name[:-5].isdecimal() and len(name) == len("00000000.json")
