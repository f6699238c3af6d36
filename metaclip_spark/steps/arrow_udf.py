"""Column functions over Arrow arrays, where the running Spark has them (4.1 and newer).

`mapInArrow` sends whole rows to Python and back; a column function sends the columns that it reads and takes one back.
"""

from collections.abc import Callable
from typing import Any

from pyspark.sql import Column, functions
from pyspark.sql.types import DataType


def make_arrow_udf(work: Callable[..., Any], result_type: DataType) -> Callable[..., Column] | None:
    """Makes a column function of Arrow arrays; Spark reads its kind off the annotations. None before Spark 4.1."""
    make: Any = getattr(functions, "arrow_udf", None)
    if make is None:
        return None
    # For a filter on its result Spark would call a deterministic function a second time.
    made: Callable[..., Column] = make(work, result_type).asNondeterministic()
    return made
