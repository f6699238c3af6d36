"""Scores that models of the user's gave to pairs or images, and the conditions for what is kept."""

import re
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa

from metaclip_spark.errors import ConfigError, SchemaMismatchError, brief, joined, said_of
from metaclip_spark.inputs.downloads import HASH_COLUMNS, URL_COLUMNS
from metaclip_spark.inputs.parquet_files import ParquetFile, UserTable, find_parquet_files, refuse, twice
from udfs.sources import DEFAULT_OPTIONS, FetchOptions

OPTION, RULE_OPTION = "--scores", "--keep-where"

KEY_COLUMNS = ("pair_id", *URL_COLUMNS, *HASH_COLUMNS)
"""The columns that may say whose scores they are; the first that all files have does."""

_NAME = re.compile("[a-z0-9_]+")
_in_messages = reprlib.Repr()
_in_messages.maxstring = 120

_AS_READ = {
    pa.large_string(): pa.string(),
    pa.string_view(): pa.string(),
    pa.uint8(): pa.int16(),
    pa.uint16(): pa.int32(),
    pa.uint32(): pa.int64(),
    pa.uint64(): pa.decimal128(20, 0),
    pa.float16(): pa.float32(),
    pa.date64(): pa.date32(),
}
"""The types that Spark has none for, and those that hold their values."""


class KeepRule(NamedTuple):
    """A condition for what is kept.

    Attributes:
        name: Pairs for which it is not true leave as `filter.<name>`.
        expression: In Spark's SQL, over the columns of the scores.
    """

    name: str
    expression: str

    @property
    def reason(self) -> str:
        """The reason of pairs that leave by it."""
        return f"filter.{self.name}"

    @property
    def shown(self) -> str:
        """The rule as messages have it."""
        return f"{RULE_OPTION} {_in_messages.repr(f'{self.name}: {self.expression}')}"


@dataclass(frozen=True)
class Scores:
    """Files with scores.

    Attributes:
        table: The columns that all files have with one type that Spark can read.
        key: The one that says whose scores they are, one of `KEY_COLUMNS`.
    """

    table: UserTable
    key: str


def parse_keep_rules(given: Sequence[str]) -> tuple[KeepRule, ...]:
    """Reads what `--keep-where` says.

    Args:
        given: Such as `safe: nsfw < 0.2`.

    Returns:
        The rules, in this order.

    Raises:
        ConfigError: If one has no name or no expression, or two have one name.
    """
    rules = [_parsed(text) for text in given]
    names = [rule.name for rule in rules]
    again = next((name for name in names if names.count(name) > 1), None)
    if again is not None:
        raise ConfigError(f"{RULE_OPTION}: two rules are called {again}: give each a name of its own")
    return tuple(rules)


def _parsed(text: str) -> KeepRule:
    name, colon, expression = (part.strip() for part in text.partition(":"))
    if not (colon and expression and _NAME.fullmatch(name)):
        raise ConfigError(
            f"{RULE_OPTION} {brief(text)} is no rule: give a name of lower-case letters, digits and _, a colon and "
            "an expression, such as 'safe: nsfw < 0.2'"
        )
    return KeepRule(name, expression)


def find_scores(named: Sequence[str], options: FetchOptions = DEFAULT_OPTIONS) -> Scores:
    """Finds and checks the files that `--scores` names.

    Args:
        named: Parquet files, globs, folders or URLs.
        options: How remote stores are reached.

    Returns:
        The files and what can be read of them.

    Raises:
        InputError: If something named is not there.
        SchemaMismatchError: If no key is in all files as a string.
    """
    with said_of(OPTION):
        files = find_parquet_files(named, options)
        problems = [f"{file.shown} ({problem})" for file in files if (problem := twice(file.schema, file.schema.names))]
        refuse(problems, len(files), "rename one of them")
        fields = _common_fields(files)
        keys = [name for name in KEY_COLUMNS if fields.get(name) == pa.string()]
        if not keys:
            raise SchemaMismatchError(
                f"has no column of strings {joined(KEY_COLUMNS, 'or')} in all of its files; it has "
                f"{', '.join(files[0].schema.names)}: add the column that says whose scores they are"
            )
    names = tuple(fields)
    return Scores(UserTable(pa.schema(list(fields.items())), tuple(files), (names,) * len(files)), keys[0])


def _common_fields(files: Sequence[ParquetFile]) -> dict[str, pa.DataType]:
    """Gives the columns that all files have with one type that can be read."""
    typed = [{field.name: kind for field in file.schema if (kind := _as_read(field.type)) is not None}
             for file in files]  # fmt: skip
    return {name: kind for name, kind in typed[0].items() if all(each.get(name) == kind for each in typed)}


def _as_read(kind: pa.DataType) -> pa.DataType | None:
    """Gives the type that a column is read as; None for what is not one value, or none that Spark has."""
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    known = _AS_READ.get(value, value)
    if pa.types.is_timestamp(known):
        return pa.timestamp("us", None if known.tz is None else "UTC")
    tests = (
        pa.types.is_boolean,
        pa.types.is_signed_integer,
        pa.types.is_floating,
        pa.types.is_decimal128,
        pa.types.is_string,
        pa.types.is_date32,
    )
    return known if any(test(known) for test in tests) else None
