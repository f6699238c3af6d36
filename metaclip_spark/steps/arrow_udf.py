"""Functions over Arrow columns, where the running Spark has them (4.1 and newer).

`mapInArrow` sends whole rows to Python and back; such a function sends the columns that it names and takes one back.
Over 2 million pairs and 500,000 entries the match step took 1.24 times as long with `mapInArrow`, the draw 1.30 times
(medians of three in turns, reading and writing included; `tests/benchmarks/bench_choices.py`).
"""

from collections.abc import Callable
from typing import Any

from pyspark.sql import Column, functions
from pyspark.sql.types import DataType


def arrow_function(work: Callable[..., Any], result_type: DataType) -> Callable[..., Column] | None:
    """Makes a function of columns.

    Args:
        work: Takes Arrow arrays and returns one of the same length; Spark chooses the kind of call by its annotations.
        result_type: Spark type of the result.

    Returns:
        Takes the names of columns and gives the new one; None where Spark is older.
    """
    make: Any = getattr(functions, "arrow_udf", None)
    if make is None:
        return None
    # For a filter on its result Spark would call a deterministic function a second time.
    made: Callable[..., Column] = make(work, result_type).asNondeterministic()
    return made
