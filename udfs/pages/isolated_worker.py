"""The child process of `isolation.IsolatedParser`: reads arguments from standard input, writes results to its output.

Both sides are this project's own, on one machine, with one Python: pickle is safe and exact here.
"""

import importlib
import os
import pickle
import signal
import struct
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

LENGTH = struct.Struct(">Q")


def limited(parse: Callable[..., Any], cpu_seconds: float, *arguments: Any) -> Any:
    """Calls a parser; SIGPROF ends this process once that has cost the processor time. For the main thread only.

    The signal's default action ends the process even within native code that never returns to Python. Processor time,
    since a pause of the process or its machine is no page's fault.
    """
    signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
    try:
        return parse(*arguments)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def serve(parse: Callable[..., Any], requests: BinaryIO, answers: BinaryIO) -> None:
    """Answers calls with ("result", result) or ("error", repr), until the input ends.

    Requests are pickled tuples of the call's processor seconds and its arguments; they and the answers stand behind
    their lengths. A first answer, of length 0, says that all is imported.
    """
    answers.write(LENGTH.pack(0))
    answers.flush()
    while head := requests.read(LENGTH.size):
        cpu_seconds, arguments = pickle.loads(requests.read(LENGTH.unpack(head)[0]))  # noqa: S301 - see the top
        answer: tuple[object, ...]
        try:
            answer = ("result", limited(parse, cpu_seconds, *arguments))
        except Exception as error:  # the parent counts it as it would its own
            answer = ("error", repr(error))
        content = pickle.dumps(answer, pickle.HIGHEST_PROTOCOL)
        answers.write(LENGTH.pack(len(content)) + content)
        answers.flush()


if __name__ == "__main__":
    # It may be ignored where the worker was started, which a child takes over.
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    # What a library prints must not come between the answers.
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    name, function = sys.argv[1:]
    module = importlib.import_module(name)
    getattr(module, "load_kernels", lambda: None)()
    serve(getattr(module, function), sys.stdin.buffer, output)
