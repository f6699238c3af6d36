"""What the fields of all configurations share: types, marks, how they are checked, saved and compared.

`attempts: Attempts` is an int to a type checker. jsonargparse checks it on the command line and shows its range in
`--help`; `check_types` checks it in a configuration that is made in Python, so that both say the same of a bad value.
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from functools import partial
from numbers import Real
from os import PathLike, fspath
from pathlib import Path
from reprlib import Repr
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from jsonargparse import typing as checked
from jsonargparse.typing import restricted_number_type, restricted_string_type

from metaclip_spark.errors import ConfigError, CurationError, OutputExistsError, brief, wrong_type
from metaclip_spark.thresholds import LARGEST_COUNT
from udfs.sources.credentials import without_credentials

Config = TypeVar("Config")

OPERATIONAL = {"operational": True}
"""Marks a field that changes how a run goes but not its result: it stays out of the configuration's digest."""

BY_ITSELF = OPERATIONAL | {"by_itself": True}
"""Marks a field that a step's settings tell of by itself, and only where it says something: the digest of a
configuration stays what it was before there was the field."""

PATH = {"path": True}
"""Marks a field of paths or URLs: "~" is the home folder, and on the command line an empty one is refused."""

PRIVATE = {"private": True}
"""Marks a field whose value stays out of the command that reports show."""

POSITIONAL = {"positional": True}
"""Marks a field that is given by its place on the command line, without its name."""

BY_PLACE = {"by_place": True}
"""Marks a field that may also be given by its place, without the name of its option."""

_BRIEFLY = Repr()
_BRIEFLY.maxstring = 80
_LONGEST_PAGE_SECONDS = 86_400
_LIMITS: dict[Any, str] = {
    int: "an integer",
    float: "a number",
    checked.PositiveInt: "an integer of at least 1",
    checked.NonNegativeInt: "an integer of at least 0",
    checked.PositiveFloat: "a number above 0",
    checked.NonNegativeFloat: "a number of at least 0",
    checked.ClosedUnitInterval: "a number from 0 to 1",
    checked.OpenUnitInterval: "a number between 0 and 1",
}
"""What a value must be, by the type that checks it."""
_PLAIN: dict[Any, str] = {bool: "true or false, without quotes", str: "a text"}


def _restricted(base: type, limit: str, *restrictions: tuple[str, float]) -> Any:
    """A type of jsonargparse for a range that it has no name for; `--help` shows the limit."""
    made: Any = restricted_number_type(limit, base, list(restrictions))
    _LIMITS[made] = f"{'an' if limit[0] in 'aeiou' else 'a'} {limit}"
    return made


def _hex_digits(number: int) -> Any:
    limit = f"{number} hex digits 0-9 and a-f"
    made: Any = restricted_string_type(limit, rf"^[0-9a-f]{{{number}}}\Z")
    _LIMITS[made] = limit
    return made


def integers(least: int, most: int | None = None, most_shown: str = "") -> Any:
    """The type of the integers from `least` to `most`, for `Annotated`."""
    if most is None:
        return _restricted(int, f"integer of at least {least}", (">=", least))
    return _restricted(int, f"integer from {least} to {most_shown or f'{most:,}'}", (">=", least), ("<=", most))


def numbers(least: float, most: float, *, below: bool = False) -> Any:
    """The type of the numbers from `least` to `most`, for `Annotated`; `below` leaves `most` out."""
    upper = f"at least {least} and below {most}" if below else f"from {least} to {most}"
    return _restricted(float, f"number {upper}", (">=", least), ("<" if below else "<=", most))


PositiveInt = Annotated[int, checked.PositiveInt]
NonNegativeInt = Annotated[int, checked.NonNegativeInt]
PositiveFloat = Annotated[float, checked.PositiveFloat]
NonNegativeFloat = Annotated[float, checked.NonNegativeFloat]
ClosedUnitInterval = Annotated[float, checked.ClosedUnitInterval]
OpenUnitInterval = Annotated[float, checked.OpenUnitInterval]
FinitePositive = Annotated[float, _restricted(float, "finite number above 0", (">", 0), ("<", math.inf))]
FiniteNonNegative = Annotated[float, _restricted(float, "finite number of at least 0", (">=", 0), ("<", math.inf))]
Attempts = Annotated[int, integers(1, 1000)]
Buckets = Annotated[int, integers(0, 256)]
Count = Annotated[int, integers(1, LARGEST_COUNT, "2^63 - 1")]
Seed = Annotated[int, integers(0, 2**64 - 1, "2^64 - 1")]
PageSeconds = Annotated[
    float, _restricted(float, "number above 0 and at most 86,400 (a day)", (">", 0), ("<=", _LONGEST_PAGE_SECONDS))
]
Shown = Annotated[int, integers(1, 1000)]
PairId = Annotated[str, _hex_digits(32)]
Engine = Literal["token", "pyahocorasick"]
S3Access = Literal["signed", "anonymous", "requester-pays"]


def check_types(config: Any) -> None:
    """Checks a configuration's values against the types of its fields, with the types' own checks."""
    hints = get_type_hints(type(config), include_extras=True)
    for field in dataclasses.fields(config):
        try:
            value = _checked(hints[field.name], getattr(config, field.name))
        except _RefusedError as refused:
            raise ConfigError(refusal(field.name, refused.value, hints[field.name])) from None
        if field.metadata.get("path") and value is not None:
            at_home = partial(path_text, named=option_of(field.name))
            value = tuple(map(at_home, value)) if isinstance(value, tuple) else at_home(value)
        object.__setattr__(config, field.name, value)


def refusal(name: str, value: object, hint: Any, shown_name: str | None = None) -> str:
    """What is said of a value that a field cannot have."""
    kind = parser_type(_element(hint) or hint)
    kinds = get_args(kind) if _has_word(kind) else (kind,)
    wants_number = any(isinstance(each, type) and issubclass(each, int | float) for each in kinds)
    return (
        f"{shown_name or option_of(name)} is {_shown(value, wants_number=wants_number)}: it must be "
        f"{limit_of(hint) or _PLAIN[kind]}"
    )


def _shown(value: object, *, wants_number: bool) -> str:
    try:
        text = str(value)
    except ValueError:
        # What Python says of an integer of too many digits to write.
        return "a number of thousands of digits"
    if wants_number and len(text) <= _BRIEFLY.maxstring and _is_number(text):
        return text
    return _BRIEFLY.repr(without_credentials(text))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def limit_of(hint: Any) -> str:
    """What a field's values must be, in words; empty where any value will do."""
    kind = parser_type(_element(hint) or hint)
    if _has_word(kind):
        return " or ".join(filter(None, map(limit_of, get_args(kind))))
    if get_origin(kind) is Literal:
        first, *others = get_args(kind)
        return f"one of {', '.join([first, *others])}" if others else str(first)
    return _LIMITS.get(kind, "")


def values_of(field: dataclasses.Field[Any], hint: Any) -> str:
    """What an option takes, in plain words, for `--help` and the documentation; empty for a flag."""
    if "values" in field.metadata:
        return str(field.metadata["values"])
    element = _element(hint)
    kind = parser_type(element or hint)
    if kind is bool:
        return ""
    several_of = "one or more of " if element is not None else ""
    if kind is str:
        noun = "path" if field.metadata.get("path") else "text"
        return f"one or more {noun}s" if several_of else f"a {noun}"
    limit = limit_of(hint)
    if get_origin(kind) is not Literal:
        return f"{several_of}{limit}"
    return several_of + limit.removeprefix("one of ") if several_of else limit


def parser_type(hint: Any) -> Any:
    """The type that jsonargparse checks a field with: None, which says "not given", needs no word in `--help`."""
    if get_origin(hint) in {Union, UnionType}:
        kinds = [kind for kind in get_args(hint) if kind is not NoneType]
        if len(kinds) == 1:
            return parser_type(kinds[0])
        return Union[tuple(map(parser_type, kinds))] if _has_word(hint) else hint  # noqa: UP007 - of a tuple of types
    return get_args(hint)[1] if get_origin(hint) is Annotated else hint


def _has_word(hint: Any) -> bool:
    """Whether a type is one of several, among them words such as `none` in place of a number."""
    is_union = get_origin(hint) in {Union, UnionType}
    return is_union and any(get_origin(kind) is Literal for kind in get_args(hint))


def option_of(name: str) -> str:
    """A field's option on the command line."""
    return "--" + name.replace("_", "-")


def as_dict(config: Any) -> dict[str, Any]:
    """A configuration as JSON-ready values: infinity as "inf", URLs without the credentials that they may hold."""
    return {name: _json_ready(value) for name, value in dataclasses.asdict(config).items()}


def from_saved(kind: type[Config], saved: Mapping[str, Any], *, without: Collection[str] = ()) -> Config:
    """A configuration again from what `as_dict` gave of it, perhaps beside other values, without some of its fields."""
    names = {item.name for item in dataclasses.fields(kind)}.difference(without)  # type: ignore[arg-type]
    return kind(**{name: value for name, value in saved.items() if name in names})


def result_fields(config: Any) -> dict[str, Any]:
    """The fields that change results, JSON-ready: all but the operational ones."""
    operational = {item.name for item in dataclasses.fields(config) if item.metadata.get("operational")}
    return {name: value for name, value in as_dict(config).items() if name not in operational}


def digest(content: Any) -> str:
    """The sha256, in hex, of JSON-ready content in its canonical form (sorted keys, compact, UTF-8)."""
    canonical = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Names the settings that differ, or that one side lacks, sorted."""
    return sorted(name for name in {*before, *now} if before.get(name) != now.get(name))


def in_words(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Tells of each setting that differs what it was and what it is now; empty where all are the same."""
    return "; ".join(f"{name} was {before.get(name)!r} and is now {now.get(name)!r}" for name in differing(before, now))


def check_made_with(before: Mapping[str, Any], now: Mapping[str, Any], shown: object) -> None:
    """Refuses to go on with what was made with other settings; messages call it `shown`.

    Raises:
        OutputExistsError: If a setting differs.
    """
    told = in_words(before, now)
    if told:
        raise OutputExistsError(
            f"{shown} was made with other settings ({told}): give another --output, or the same settings"
        )


def path_text(path: str | PathLike[str], *, named: str = "the path") -> str:
    """A path or URL as text, with the home folder where it begins with "~".

    Raises:
        ConfigError: If it is no path, or there is no such home folder; the message begins with what it is `named`.
    """
    if not isinstance(path, str | PathLike) or not isinstance(text := fspath(path), str):
        raise ConfigError(wrong_type(named, path, "a path or URL, as a text or a pathlib.Path"))
    try:
        return str(Path(text).expanduser()) if text.startswith("~") else text
    except RuntimeError:
        raise ConfigError(
            f"{named} is {text!r}, but there is no such home folder: write the path in full, or ./{text} for a name "
            "that begins with ~"
        ) from None


def check_engine(engine: str) -> None:
    """Refuses the name of no engine.

    Raises:
        ConfigError: If it is one.
    """
    if not isinstance(engine, str) or engine not in get_args(Engine):
        raise ConfigError(f"engine is {brief(engine)}: it must be {limit_of(Engine)}")


def several(value: Any) -> tuple[Any, ...]:
    """The values of a list or of anything else that can be iterated; any other value stands for itself alone."""
    values = _values(value)
    return (value,) if values is None else tuple(values)


def listed(name: str, values: Any, wanted: str, error: type[CurationError] = ConfigError) -> list[Any]:
    """The values of a list, an array or a column.

    Raises:
        CurationError: If it is none of these; of the class `error`.
    """
    if isinstance(values, str):
        raise error(f"{name} is the single string {values[:40]!r}: pass {wanted}")
    found = _values(values)
    if found is None:
        raise error(wrong_type(name, values, wanted))
    return list(found)


def _values(value: Any) -> Iterable[Any] | None:
    """What can be iterated; not the letters of a text, and not the names of a table's columns."""
    is_table = hasattr(value, "columns")
    if is_table or isinstance(value, str | bytes | bytearray | PathLike) or not isinstance(value, Iterable):
        return None
    plain: Iterable[Any] = value.to_pylist() if hasattr(value, "to_pylist") else value
    return plain


class _RefusedError(Exception):
    def __init__(self, value: object) -> None:
        super().__init__(value)
        self.value = value


def _element(hint: Any) -> Any:
    """What a tuple of any length holds; None for any other type."""
    return get_args(hint)[0] if get_origin(hint) is tuple else None


def _checked(hint: Any, value: Any) -> Any:
    if value is None:
        if NoneType not in get_args(hint):
            raise _RefusedError(value)
        return value
    if (element := _element(hint)) is None:
        kind = parser_type(hint)
        return _checked_word_or_number(kind, value) if _has_word(kind) else _checked_one(kind, value)
    return tuple(_checked(element, item) for item in several(value))


def _checked_word_or_number(kind: Any, value: Any) -> Any:
    for each in get_args(kind):
        with suppress(_RefusedError):
            return _checked_one(each, value)
    raise _RefusedError(value)


def _checked_one(kind: Any, value: Any) -> Any:
    """Gives back the value, a number as the plain one that json and msgspec know."""
    if kind is str and isinstance(value, PathLike):
        return fspath(value)
    if kind in _PLAIN and not isinstance(value, kind):
        raise _RefusedError(value)
    if kind is str:
        return str(value)
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise _RefusedError(value)
    elif kind in _LIMITS and kind not in {int, float}:
        base = next(plain for plain in (int, float, str) if issubclass(kind, plain))
        if not isinstance(value, str if base is str else Real):
            raise _RefusedError(value)
        try:
            plain = base(kind(value))
        except (TypeError, ValueError, OverflowError):
            raise _RefusedError(value) from None
        return value if base is float and type(value) in {int, float} else plain
    return value


def _json_ready(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_json_ready(item) for item in value]
    if isinstance(value, str):
        return without_credentials(value)
    return "inf" if value == float("inf") else value
