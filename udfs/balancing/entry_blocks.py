"""Numbers per metadata entry, cut into blocks keyed by their place: what workers send to be added up."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from udfs.arrow import arrow_contents, arrow_numbers
from udfs.schemas import PARTIAL_COUNTS

BLOCK_SIZE = 512
"""Entry ids per block; the last block may be shorter.

Spark hands a worker batches of `spark.sql.execution.arrow.maxRecordsPerBatch` rows: 64 MiB for 16,384 blocks of 4 KiB.
"""


def partial_batch(sums: Mapping[int, npt.NDArray[np.int64]]) -> pa.RecordBatch:
    """Puts numbers by block into a batch of schema `PARTIAL_COUNTS`."""
    columns = [arrow_numbers(np.fromiter(sums, np.int32, len(sums))), arrow_contents(list(sums.values()))]
    return pa.RecordBatch.from_arrays(columns, schema=PARTIAL_COUNTS)


def nonzero_blocks(numbers: npt.NDArray[np.int64]) -> dict[int, npt.NDArray[np.int64]]:
    """Cuts one number per metadata entry into blocks, as views, and keeps those with a number other than zero."""
    cut = (numbers[start : start + BLOCK_SIZE] for start in range(0, numbers.size, BLOCK_SIZE))
    return {block: content for block, content in enumerate(cut) if content.any()}
