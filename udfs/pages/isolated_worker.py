"""The child process of `isolation.IsolatedParser`: reads arguments from standard input, writes results to its output.

Both sides are this project's own, on one machine, with one Python: pickle is safe and exact here.
"""

import importlib
import os
import pickle
import struct
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

LENGTH = struct.Struct(">Q")


def serve(parse: Callable[..., Any], requests: BinaryIO, answers: BinaryIO) -> None:
    """Answers calls with ("result", result) or ("error", repr), until the input ends.

    Requests are pickled tuples of arguments; they and the answers stand behind their lengths. A first answer, of
    length 0, says that all is imported.
    """
    answers.write(LENGTH.pack(0))
    answers.flush()
    while head := requests.read(LENGTH.size):
        arguments = pickle.loads(requests.read(LENGTH.unpack(head)[0]))  # noqa: S301 - see the top
        answer: tuple[object, ...]
        try:
            answer = ("result", parse(*arguments))
        except Exception as error:  # the parent counts it as it would its own
            answer = ("error", repr(error))
        content = pickle.dumps(answer, pickle.HIGHEST_PROTOCOL)
        answers.write(LENGTH.pack(len(content)) + content)
        answers.flush()


if __name__ == "__main__":
    # What a library prints must not come between the answers.
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    name, function = sys.argv[1:]
    module = importlib.import_module(name)
    getattr(module, "load_kernels", lambda: None)()
    serve(getattr(module, function), sys.stdin.buffer, output)
