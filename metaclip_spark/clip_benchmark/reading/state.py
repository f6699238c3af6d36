"""How far a process has read: all that a stopped run needs to go on."""

from typing import NamedTuple


class BlockStart(NamedTuple):
    """Where a block of a process begins.

    Attributes:
        block: Blocks of the run before it.
        epoch: The epoch.
        shard: Tars of the process before it in the epoch.
        sample: Samples before it in the tar.
    """

    block: int = 0
    epoch: int = 0
    shard: int = 0
    sample: int = 0


class ReadingState(NamedTuple):
    """How far a process has read.

    Attributes:
        start: Where the current block begins.
        emitted: Samples of the block that were trained on.
    """

    start: BlockStart = BlockStart()
    emitted: int = 0
