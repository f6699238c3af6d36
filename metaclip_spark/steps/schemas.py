"""Spark types of the schemas in `udfs.schemas`, and the check of a table's columns."""

from collections.abc import Sequence

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StructType

from metaclip_spark.errors import SchemaMismatchError
from udfs.schemas import ELIGIBLE, LATER_COLUMNS, MATCHED


def spark_schema(schema: pa.Schema) -> StructType:
    """Converts a schema of `udfs.schemas`; the columns keep their order."""
    return from_arrow_schema(schema)


def with_first_draw(table: DataFrame, names: Sequence[str]) -> list[str]:
    """Adds the column of the first draw to columns that a step reads, where the table has it."""
    return [*names, *(name for name in table.columns if name == "first_keep_probability")]


def matched_columns(table: DataFrame) -> DataFrame:
    """Selects the columns of matched pairs, and of eligible ones where the table tells of a first draw.

    Raises:
        SchemaMismatchError: If a column is missing or has another type.
    """
    return require_columns(table, ELIGIBLE if "first_keep_probability" in table.columns else MATCHED)


def require_columns(table: DataFrame, schema: pa.Schema) -> DataFrame:
    """Selects a schema's columns in its order (`mapInArrow` takes columns by position) and drops all others.

    A missing one of `udfs.schemas.LATER_COLUMNS` is null.

    Raises:
        SchemaMismatchError: If another column is missing, or a column has another type.
    """
    wanted = spark_schema(schema)
    present = {field.name: field.dataType for field in table.schema}
    missing = {field.name: field.dataType for field in wanted if field.name not in present}
    wrong = [
        f"{field.name} {field.dataType.simpleString()}"
        for field in wanted
        if (field.name in missing and field.name not in LATER_COLUMNS)
        or (field.name in present and present[field.name].simpleString() != field.dataType.simpleString())
    ]
    if wrong:
        raise SchemaMismatchError(f"the table {table.schema.simpleString()} lacks the columns {', '.join(wrong)}")
    null = {name: F.lit(None).cast(kind).alias(name) for name, kind in missing.items()}
    return table.select(*(null.get(name, F.col(name)) for name in schema.names))
