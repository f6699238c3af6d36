"""From the arguments of a library function to configurations, and messages that name arguments as they were typed."""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import PathLike, fspath
from typing import Any, get_origin, get_type_hints

from pyspark.sql import DataFrame

from metaclip_spark.config.fields import several
from metaclip_spark.errors import ConfigError, CurationError, SchemaMismatchError, meant_by, wrong_type

_OPTION = re.compile(r"--([a-z][a-z0-9]*(?:-[a-z0-9]+)*)")


def configurations(function: str, given: Mapping[str, Any], *classes: type) -> tuple[Any, ...]:
    """Makes one instance of each configuration class from keyword arguments; None stands for one that is not given.

    Raises:
        ConfigError: If no class has such an argument, or a class refuses a value.
    """
    known = {field.name for kind in classes for field in dataclasses.fields(kind)}
    for name in given:
        if name not in known:
            near = meant_by(name, sorted(known))
            advice = f"did you mean {near}?" if near else "see the configuration page for those that it has"
            raise ConfigError(f"{function} has no argument {name!r}: {advice}")
    return tuple(_configuration(function, kind, given) for kind in classes)


def check_table(name: str, table: object) -> None:
    """Refuses what is not a DataFrame of Spark.

    Raises:
        SchemaMismatchError: If it is none.
    """
    if not isinstance(table, DataFrame):
        raise SchemaMismatchError(wrong_type(name, table, "a DataFrame of Spark, such as spark.createDataFrame gives"))


@contextmanager
def arguments_named(*classes: type) -> Iterator[None]:
    """Names arguments in error messages as Python does: max_rejects, not --max-rejects; resume=True, not --resume.

    Raises:
        CurationError: The same error, with those names.
    """
    flags = {field.name for kind in classes for field in dataclasses.fields(kind) if field.type is bool}
    try:
        yield
    except CurationError as error:
        text = _OPTION.sub(lambda option: _as_argument(option[1], flags), str(error))
        if text == str(error):
            raise
        raise type(error)(text) from None


def _as_argument(option: str, flags: set[str]) -> str:
    name = option.replace("-", "_")
    return f"{name}=True" if name in flags else name


def _configuration(function: str, kind: type, given: Mapping[str, Any]) -> Any:
    types = get_type_hints(kind)
    for field in dataclasses.fields(kind):
        if given.get(field.name) is None and field.default is dataclasses.MISSING:
            raise ConfigError(f"{field.name} is not given: {function} needs it")
    values = {
        name: _as_tuple(given[name]) if get_origin(types[name]) is tuple else _as_text(given[name])
        for name in (field.name for field in dataclasses.fields(kind))
        if given.get(name) is not None
    }
    return kind(**values)


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return tuple(_as_text(item) for item in several(value))


def _as_text(value: Any) -> Any:
    return fspath(value) if isinstance(value, PathLike) else value
