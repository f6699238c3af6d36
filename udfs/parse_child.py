"""The child process of `isolation.IsolatedPages`: reads records from standard input, writes their pages to its output.

Both sides are this project's own, on one machine, with one Python: pickle is safe and exact here.
"""

import os
import pickle
import struct
import sys
from typing import BinaryIO

from udfs.page_pairs import LostRecordError
from udfs.record_page import page_in

LENGTH = struct.Struct(">Q")


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answers each record with ("page", page), ("lost", reason, example) or ("error", repr), until the input ends.

    Args:
        requests: Pickled (record, max_page_bytes), each behind its length.
        answers: Where the pickled answers go, each behind its length; first a length of 0, which says that all is
            imported.
    """
    answers.write(LENGTH.pack(0))
    answers.flush()
    while head := requests.read(LENGTH.size):
        record, max_page_bytes = pickle.loads(requests.read(LENGTH.unpack(head)[0]))  # noqa: S301 - see the top
        answer: tuple[object, ...]
        try:
            answer = ("page", page_in(record, max_page_bytes))
        except LostRecordError as lost:
            answer = ("lost", lost.reason, lost.example)
        except Exception as error:  # the parent counts it as it would its own
            answer = ("error", repr(error))
        content = pickle.dumps(answer, pickle.HIGHEST_PROTOCOL)
        answers.write(LENGTH.pack(len(content)) + content)
        answers.flush()


if __name__ == "__main__":
    # What a library prints must not come between the answers.
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(sys.stdin.buffer, output)
