"""From configuration dataclasses to a command line, a YAML file and `--help`.

A field `rows_per_file` becomes the option `--rows-per-file` and the YAML key `rows_per_file`; its help is its line in
the class's "Attributes:" section. A field that several classes have is one option.
"""

import re
import sys
from argparse import Action
from collections.abc import Sequence
from dataclasses import MISSING, Field, fields
from itertools import pairwise
from pathlib import Path
from typing import Any, cast, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

import docstring_parser
from jsonargparse import ArgumentError, ArgumentParser, DefaultHelpFormatter

from metaclip_spark import __version__
from metaclip_spark.config.fields import limit_of, option_of, parser_type, path_text, refusal, values_of
from metaclip_spark.errors import ConfigError
from udfs.sources.credentials import without_credentials

_WEB_SCHEMES = ("http", "https", "ftp")
_BUCKET_SCHEMES = ("s3", "s3a", "s3n", "gs")

_REFUSED_NAME = re.compile(r'Parser key "(\w+)"')
_REFUSED_VALUE = re.compile(
    r"(?:Got|Given) value: (.*)$|: (\S*) does not (?:conform|match)"
    r"|base 10: '(.*)'$|to float: '(.*)'$|: (\S*) not an? \w+$"
)
"""Where jsonargparse's messages hold the option and the value that its type refused."""


class _HelpFormatter(DefaultHelpFormatter):
    """Shows the help of our options as it is, without the names of types."""

    def _get_help_string(self, action: Action) -> str:
        own = action.dest not in {"help", "version", "config", "print_config"}
        return action.help or "" if own else super()._get_help_string(action)


def parse_configs(
    argv: Sequence[str] | None, description: str, *config_classes: type, program: str | None = None
) -> tuple[Any, ...]:
    """Reads one instance of each configuration class from a command line and, with `--config`, a YAML file."""
    parser = ArgumentParser(
        prog=program,
        description=description,
        exit_on_error=False,
        print_config="--print-config",
        formatter_class=_HelpFormatter,
    )
    parser.add_argument(
        "--version", action="version", version=f"metaclip-spark {__version__}", help="show the version and exit"
    )
    parser.add_argument("--config", action="config", help="YAML file with any of these options")
    for name, (config_class, field) in _distinct_fields(config_classes).items():
        _add_option(parser, config_class, field, name)
    arguments = list(sys.argv[1:] if argv is None else argv)
    for file in _config_files(arguments):
        _check_config_file(file)
    try:
        values = parser.parse_args(arguments).as_dict()
    except (ArgumentError, TypeError, ValueError, RuntimeError) as error:
        raise ConfigError(f"{_explained(error, config_classes)} (see --help)") from None
    return tuple(config_class(**_values_of(config_class, values)) for config_class in config_classes)


def _distinct_fields(config_classes: tuple[type, ...]) -> dict[str, tuple[type, Field[Any]]]:
    return {field.name: (config_class, field) for config_class in config_classes for field in fields(config_class)}


def _config_files(arguments: Sequence[str]) -> list[str]:
    """Finds what --config names."""
    option = "--config"
    apart = [value for name, value in pairwise(arguments) if name == option]
    return apart + [item.removeprefix(f"{option}=") for item in arguments if item.startswith(f"{option}=")]


def _check_config_file(file: str) -> None:
    """Refuses what the parser of options stumbles over; the rest of the faults it names itself."""
    path = Path(_checked_path("--config", _checked_text("--config", file)))
    try:
        path.read_text(encoding="utf-8")
    except OSError:
        return
    except UnicodeDecodeError as error:
        raise ConfigError(f"--config {file} is not UTF-8 at byte {error.start}: convert it to UTF-8") from None


def _values_of(config_class: type, values: dict[str, Any]) -> dict[str, Any]:
    return {field.name: _checked(field, values[field.name]) for field in fields(config_class)}


def _checked(field: Field[Any], value: Any) -> Any:
    """Checks the texts of an option, whether they come from the command line or a file."""
    if value is None and isinstance(field.default, tuple):
        # A file may say so of an option that is left out.
        return field.default
    if isinstance(value, list):
        return tuple(_checked(field, item) for item in value)
    if not isinstance(value, str):
        return value
    option = _shown_name(field)
    text = _checked_text(option, value)
    # What is empty by default is left out by an empty text, as a printed configuration says it.
    is_path = field.metadata.get("path") and not text == field.default == ""
    return _checked_path(option, text) if is_path else text


def _checked_text(option: str, text: str) -> str:
    """Refuses texts that no file name can be, and no UTF-8 file can hold."""
    if "\0" in text:
        raise ConfigError(f"{option} is {_shown(text)}, which holds a NUL character: take it out")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ConfigError(
            f"{option} is {_shown(text)}, which is not UTF-8: rename the file, or correct the value"
        ) from None
    return text


def _checked_path(option: str, text: str) -> str:
    """Checks a path or URL, and puts the home folder where a path begins with "~"."""
    if not text.strip():
        raise ConfigError(f"{option} is empty: name a path (an unset variable in the command?)")
    scheme, separator, rest = text.partition("://")
    if separator:
        if scheme.lower() in _WEB_SCHEMES and not _is_url(text):
            raise ConfigError(f"{option} begins with {scheme}://, but is no valid URL: correct what follows")
        if not rest or (rest.startswith("/") and scheme.lower() in _BUCKET_SCHEMES):
            raise ConfigError(f"{option} is {_shown(text)}, which names no bucket or folder: write it in full")
        return text
    return path_text(text, named=option)


def _shown(text: str) -> str:
    return repr(without_credentials(text))


def _is_url(text: str) -> bool:
    try:
        urlsplit(text)
    except ValueError:
        return False
    return True


def _explained(error: Exception, config_classes: tuple[type, ...]) -> str:
    """What the parser of options found wrong, in the words of `check_types` where one value is out of its range."""
    message = one_line(str(error))
    if "Unexpected config" in message or isinstance(error, RecursionError):
        return "the file of --config holds no options: write lines of them, such as output: folder"
    if "item assignment" in message or "changed size" in message:
        # What jsonargparse says of one value, or of keys, where an option takes several values.
        return "the file of --config gives no list where one is wanted: write a list, such as [x.warc.gz]"
    name, value = _REFUSED_NAME.match(message), _REFUSED_VALUE.search(message)
    found = _distinct_fields(config_classes).get(name[1]) if name else None
    if name is None or value is None or found is None:
        return message
    hint = get_type_hints(found[0], include_extras=True)[name[1]]
    text = value[value.lastindex or 0]
    if not limit_of(hint):
        return message
    return refusal(name[1], text, hint, _shown_name(found[1]))


def _shown_name(field: Field[Any]) -> str:
    """Names a field as it is typed, or as `--help` shows its place."""
    return field.name.upper() if field.metadata.get("positional") else option_of(field.name)


def _add_option(parser: ArgumentParser, config_class: type, field: Field[Any], name: str) -> None:
    option = option_of(name)
    hint = get_type_hints(config_class, include_extras=True)[name]
    described = _help_line(help_of(config_class).get(name, ""), field, hint)
    if field.metadata.get("positional"):
        parser.add_argument(name, metavar=_shown_name(field), type=parser_type(hint), help=described)
    elif hint is bool:
        parser.add_argument(option, action="store_true", help=described)
    elif get_origin(hint) is tuple:
        kind = parser_type(get_args(hint)[0])
        parser.add_argument(
            option, type=kind, nargs="+", default=list(cast(tuple[Any, ...], field.default)), help=described
        )
    elif field.default is MISSING:
        parser.add_argument(option, type=parser_type(hint), required=True, help=described)
    else:
        parser.add_argument(option, type=parser_type(hint), default=field.default, help=described)


def _help_line(meaning: str, field: Field[Any], hint: Any) -> str:
    """An option's meaning, then its values in plain words and its default, where it has one that says something."""
    default = "required" if field.default is MISSING else _default_shown(field.default)
    notes = "; ".join(note for note in (values_of(field, hint), default) if note)
    return f"{meaning} ({notes})" if notes else meaning


def _default_shown(default: Any) -> str:
    values = default if isinstance(default, tuple) else (default,)
    shown = [f"{value:,}" if isinstance(value, int) else str(value) for value in values if value not in {None, ""}]
    return f"default: {' '.join(shown)}" if shown and not isinstance(default, bool) else ""


def help_of(config_class: type) -> dict[str, str]:
    """Each field's meaning, from the class's "Attributes:" section."""
    parsed = docstring_parser.parse(config_class.__doc__ or "", docstring_parser.DocstringStyle.GOOGLE)
    return {entry.arg_name: " ".join((entry.description or "").split()) for entry in parsed.params}


def one_line(text: str) -> str:
    """The text with each run of white space as one space."""
    return " ".join(text.split())
