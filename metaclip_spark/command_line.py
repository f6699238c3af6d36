"""From configuration dataclasses to a command line, a YAML file and `--help`, and from errors to exit codes."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import MISSING, Field, fields
from typing import Any, get_origin, get_type_hints

import docstring_parser
from jsonargparse import ArgumentError, ArgumentParser

from metaclip_spark.errors import (
    ConfigError,
    CurationError,
    InputError,
    MetadataError,
    OutputExistsError,
    SchemaMismatchError,
)

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USER_MUST_CHANGE = 2

_USER_MUST_CHANGE = (ConfigError, InputError, MetadataError, OutputExistsError, SchemaMismatchError)


def parse_configs(argv: Sequence[str] | None, description: str, *config_classes: type) -> tuple[Any, ...]:
    """Reads one instance of each configuration class from a command line and, with `--config`, a YAML file.

    A field `rows_per_file` becomes the option `--rows-per-file` and the YAML key `rows_per_file`; its help is its line
    in the class's "Attributes:" section.

    Args:
        argv: The arguments without the program's name; None reads `sys.argv`.
        description: What the job does, for `--help`.
        *config_classes: Dataclasses; a field that several of them have is one option.

    Returns:
        An instance of each class, in the order given.

    Raises:
        ConfigError: If an option is unknown, mistyped, missing or refused by its dataclass.
    """
    parser = ArgumentParser(description=description, exit_on_error=False, print_config="--print-config")
    parser.add_argument("--config", action="config", help="YAML file with any of these options")
    for name, (config_class, field) in _distinct_fields(config_classes).items():
        _add_option(parser, config_class, field, name)
    try:
        values = parser.parse_args(list(sys.argv[1:] if argv is None else argv)).as_dict()
    except (ArgumentError, TypeError) as error:
        raise ConfigError(f"{_one_line(str(error))} (see --help)") from None
    return tuple(config_class(**_values_of(config_class, values)) for config_class in config_classes)


def run_job(job: Callable[[], int | None]) -> int:
    """Runs a job and turns its errors into an exit code and one line.

    Args:
        job: What to run; may return an exit code.

    Returns:
        0 when done, 2 for what the user must change, 1 for any other error that this package raises on purpose.
    """
    try:
        return job() or EXIT_DONE
    except CurationError as error:
        sys.stderr.write(f"error: {_one_line(str(error))}\n")
        return EXIT_USER_MUST_CHANGE if isinstance(error, _USER_MUST_CHANGE) else EXIT_FAILED


def _distinct_fields(config_classes: tuple[type, ...]) -> dict[str, tuple[type, Field[Any]]]:
    return {field.name: (config_class, field) for config_class in config_classes for field in fields(config_class)}


def _values_of(config_class: type, values: dict[str, Any]) -> dict[str, Any]:
    return {
        field.name: tuple(values[field.name]) if isinstance(values[field.name], list) else values[field.name]
        for field in fields(config_class)
    }


def _add_option(parser: ArgumentParser, config_class: type, field: Field[Any], name: str) -> None:
    option = "--" + name.replace("_", "-")
    value_type = get_type_hints(config_class)[name]
    described = _help_of(config_class).get(name, "")
    if value_type is bool:
        parser.add_argument(option, action="store_true", help=described)
    elif get_origin(value_type) is tuple:
        parser.add_argument(option, type=str, nargs="+", default=[], help=described)
    elif field.default is MISSING:
        parser.add_argument(option, type=value_type, required=True, help=described)
    else:
        parser.add_argument(option, type=value_type, default=field.default, help=described)


def _help_of(config_class: type) -> dict[str, str]:
    parsed = docstring_parser.parse(config_class.__doc__ or "", docstring_parser.DocstringStyle.GOOGLE)
    return {entry.arg_name: " ".join((entry.description or "").split()) for entry in parsed.params}


def _one_line(text: str) -> str:
    return " ".join(text.split())
