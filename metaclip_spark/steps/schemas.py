"""Spark types derived from `udfs.schemas`, and the check that opens each library function."""

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StructType

from metaclip_spark.errors import SchemaMismatchError


def spark_schema(schema: pa.Schema) -> StructType:
    """Gives the Spark type of an Arrow schema of `udfs.schemas`.

    Args:
        schema: An Arrow schema.

    Returns:
        The same columns, in the same order, as Spark types.
    """
    return from_arrow_schema(schema)


def require_columns(table: DataFrame, schema: pa.Schema) -> DataFrame:
    """Checks that a table has a schema's columns, and puts them in the schema's order.

    Args:
        table: Any DataFrame; further columns are dropped.
        schema: One of `udfs.schemas`.

    Returns:
        The columns of `schema`, in its order, since `mapInArrow` takes columns by position.

    Raises:
        SchemaMismatchError: If a column is missing or has another type.
    """
    wanted = spark_schema(schema)
    present = {field.name: field.dataType for field in table.schema}
    wrong = [
        f"{field.name} {field.dataType.simpleString()}"
        for field in wanted
        if field.name not in present or present[field.name].simpleString() != field.dataType.simpleString()
    ]
    if wrong:
        raise SchemaMismatchError(f"the table {table.schema.simpleString()} lacks the columns {', '.join(wrong)}")
    return table.select(*schema.names)
