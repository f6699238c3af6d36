"""The end that Ctrl-C (SIGINT) and SIGTERM ask for: an exception in the main thread, then an exit code."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

EXIT_TERMINATED = 128 + signal.SIGTERM
EXIT_INTERRUPTED = 128 + signal.SIGINT


class StoppedError(BaseException):
    """A signal arrived.

    Neither an Exception, which py4j would take for a fault of its connection, nor a KeyboardInterrupt, for which it
    prints a traceback.

    Attributes:
        number: The signal.
    """

    def __init__(self, number: int) -> None:
        """Takes the signal."""
        super().__init__(number)
        self.number = number


@contextmanager
def ended_by_signals(last_words: Callable[[], str]) -> Iterator[Callable[[], StoppedError | None]]:
    """Lets a signal end the block by StoppedError, and a second one the process at once.

    The caller's own handlers are given back afterwards.

    Args:
        last_words: Gives what the second signal leaves on standard error.

    Yields:
        A function that gives the exception of the signal that arrived; None before one did.
    """
    arrived: list[StoppedError] = []

    def end(number: int, _frame: object) -> None:
        if arrived:
            os.write(2, f"{last_words()}\n".encode())
            os._exit(128 + number)
        arrived.append(StoppedError(number))
        raise arrived[0]

    def asked_to_end() -> StoppedError | None:
        return arrived[0] if arrived else None

    if threading.current_thread() is not threading.main_thread():
        # Only the main thread may set a handler.
        yield asked_to_end
        return
    # A shell's background job is started deaf to Ctrl-C, and stays so.
    heard = [signal.SIGTERM] if signal.getsignal(signal.SIGINT) == signal.SIG_IGN else [signal.SIGTERM, signal.SIGINT]
    before = {number: signal.signal(number, end) for number in heard}
    try:
        yield asked_to_end
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def leave_at_once_from_now_on(code: int) -> int:
    """Lets Ctrl-C end a program whose work is over with its exit code, in place of a traceback from the shutdown."""
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        sys.stdout.flush()
        signal.signal(signal.SIGINT, lambda *_: os._exit(code))
    return code
