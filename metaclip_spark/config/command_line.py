"""From configuration dataclasses to a command line, a YAML file and `--help`.

A field `rows_per_file` becomes the option `--rows-per-file` and the YAML key `rows_per_file`; its help is its line in
the class's "Attributes:" section. A field that several classes have is one option.
"""

import re
import sys
from argparse import Action
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from itertools import chain, pairwise
from typing import Any, cast, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

import docstring_parser
from jsonargparse import ArgumentError, ArgumentParser, DefaultHelpFormatter

from metaclip_spark import __version__
from metaclip_spark.config.config_file import OPTION as CONFIG
from metaclip_spark.config.config_file import ConfigFile, read_config_file
from metaclip_spark.config.fields import limit_of, option_of, parser_type, path_text, refusal, values_of
from metaclip_spark.errors import ConfigError, joined, meant_by
from udfs.sources.credentials import without_credentials

_WEB_SCHEMES = ("http", "https", "ftp")
_BUCKET_SCHEMES = ("s3", "s3a", "s3n", "gs")

_OPTION = re.compile(r"-(?!\d+\Z|\d*\.\d+\Z)[^\s=]+(=|\Z)")
"""How an argument begins that is an option, and neither a value nor a negative number."""

_UNKNOWN = re.compile(r"unrecognized arguments: (.*)")
_MISSING = re.compile(r"the following arguments are required: (.*)")
_WITHOUT_VALUE = re.compile(r"argument (--\S+): expected (?:one|at least one) argument")
_REFUSED_NAME = re.compile(r'Parser key "(\w+)"')
_REFUSED_VALUE = re.compile(
    r"(?:Got|Given) value: (.*)$|: (\S*) does not (?:conform|match)"
    r"|base 10: '(.*)'$|to float: '(.*)'$|: (\S*) not an? \w+$"
)
"""Where jsonargparse's messages hold the option and the value that its type refused."""


_OF_SPARK_SUBMIT = {
    *("--conf", "--deploy-mode", "--driver-cores", "--driver-memory", "--executor-cores", "--executor-memory"),
    *("--files", "--jars", "--master", "--num-executors", "--packages", "--properties-file", "--py-files", "--queue"),
}


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
        # spark-submit's --conf is none of --config.
        allow_abbrev=False,
        print_config="--print-config",
        formatter_class=_HelpFormatter,
    )
    parser.add_argument(
        "--version", action="version", version=f"metaclip-spark {__version__}", help="show the version and exit"
    )
    parser.add_argument("--config", action="config", help="YAML file with any of these options")
    known: dict[str, Field[Any]] = {}
    for name, (config_class, field) in _distinct_fields(config_classes).items():
        _add_option(parser, config_class, field, name)
        known[name] = field
    given = _gathered(_named(list(sys.argv[1:] if argv is None else argv), known), known)
    arguments, files = _with_read_files(given, known)
    try:
        values = parser.parse_args(arguments).as_dict()
    except (ArgumentError, TypeError, ValueError, RuntimeError) as error:
        raise ConfigError(f"{_explained(error, config_classes, files, arguments)} (see --help)") from None
    return tuple(config_class(**_values_of(config_class, values)) for config_class in config_classes)


def _distinct_fields(config_classes: tuple[type, ...]) -> dict[str, tuple[type, Field[Any]]]:
    return {field.name: (config_class, field) for config_class in config_classes for field in fields(config_class)}


def _named(arguments: list[str], known: Mapping[str, Field[Any]]) -> list[str]:
    """Puts the option before each value that is given by its place instead, such as `diff-metadata A B`."""
    by_place = [name for name, field in known.items() if field.metadata.get("by_place")]
    if not by_place:
        return arguments
    flags = {option_of(name) for name, field in known.items() if field.type is bool} | {"--help", "-h"}
    left = [option_of(name) for name in by_place if option_of(name) not in arguments]
    named: list[str] = []
    takes_value = False
    for argument in arguments:
        if takes_value or argument.startswith("-"):
            is_open = not takes_value and "=" not in argument and argument not in flags
            takes_value = is_open and not argument.startswith("--print-config")
            named.append(argument)
        else:
            named += [left.pop(0), argument] if left else [argument]
    return named


def _gathered(arguments: list[str], known: Mapping[str, Field[Any]]) -> list[str]:
    """Puts all values of a list that is given several times where it is given last: the parser keeps only those."""
    groups: list[list[str]] = []
    for argument in arguments:
        if groups and not _OPTION.match(argument):
            groups[-1].append(argument)
        else:
            groups.append([argument])
    for option in (option_of(name) for name, field in known.items() if isinstance(field.default, tuple)):
        places = [place for place, group in enumerate(groups) if group and group[0].partition("=")[0] == option]
        values = [_values_in(groups[place]) for place in places]
        # One without a value is left for the parser to refuse.
        if len(places) > 1 and all(values):
            for place in places:
                groups[place] = []
            groups[places[-1]] = [option, *chain.from_iterable(values)]
    return list(chain.from_iterable(groups))


def _values_in(group: list[str]) -> list[str]:
    _, is_joined, value = group[0].partition("=")
    return [value, *group[1:]] if is_joined else group[1:]


def _with_read_files(arguments: list[str], known: Mapping[str, Field[Any]]) -> tuple[list[str], list[ConfigFile]]:
    """Puts what the files of --config say in their place."""
    several = {name for name, field in known.items() if isinstance(field.default, tuple)}
    read: list[str] = []
    files: list[ConfigFile] = []
    for before, argument in pairwise(["", *arguments]):
        has_value = argument.startswith(f"{CONFIG}=")
        if before != CONFIG and not has_value:
            read.append(argument)
            continue
        file = _checked_path(
            CONFIG, _checked_text(CONFIG, argument.removeprefix(f"{CONFIG}=") if has_value else argument)
        )
        files.append(read_config_file(file, several, list(known)))
        read.append(f"{CONFIG}={files[-1].as_text()}" if has_value else files[-1].as_text())
    return read, files


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
        raise ConfigError(f"{option} is empty: name a path (is a variable in the command unset?)")
    scheme, separator, rest = text.partition("://")
    if separator:
        if scheme.lower() in _WEB_SCHEMES and not _is_url(text):
            raise ConfigError(f"{option} begins with {scheme}://, but is not a valid URL: correct what follows")
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


def _explained(
    error: Exception, config_classes: tuple[type, ...], files: Sequence[ConfigFile], arguments: Sequence[str]
) -> str:
    """What the parser of options found wrong, in the words of `check_types` where one value is out of its range."""
    message = one_line(str(error))
    known = _distinct_fields(config_classes)
    if unknown := _UNKNOWN.match(message):
        return _unknown_option(unknown[1], known)
    if missing := _MISSING.match(message):
        return f"{joined([_shown_name(known[name][1]) for name in missing[1].split(', ')])} must be given"
    if without_value := _WITHOUT_VALUE.match(message):
        return f"{without_value[1]} needs a value"
    name, value = _REFUSED_NAME.match(message), _REFUSED_VALUE.search(message)
    found = known.get(name[1]) if name else None
    if name is None or value is None or found is None:
        return message
    hint = get_type_hints(found[0], include_extras=True)[name[1]]
    text = value[value.lastindex or 0]
    if not limit_of(hint):
        return message
    return _of_its_line(name[1], refusal(name[1], text, hint, _shown_name(found[1])), files, arguments)


def _unknown_option(rest: str, known: Mapping[str, tuple[type, Field[Any]]]) -> str:
    """Names what no option takes, and the option that was meant."""
    first = rest.split(maxsplit=1)[0]
    if not first.startswith("-"):
        return f"{first!r} belongs to no option"
    option = first.partition("=")[0]
    if option in _OF_SPARK_SUBMIT:
        return f"{option} is an option of spark-submit: give it before the script"
    near = meant_by(option, [CONFIG, *map(option_of, known)])
    return f"{option}: there is no such option" + (f"; did you mean {near}?" if near else "")


def _of_its_line(name: str, message: str, files: Sequence[ConfigFile], arguments: Sequence[str]) -> str:
    """Puts the line of a file before a message, where no option of the command line takes the file's place."""
    option = option_of(name)
    is_typed = any(argument == option or argument.startswith(f"{option}=") for argument in arguments)
    file = next((file for file in files if name in file.lines), None)
    return message if file is None or is_typed else f"{file.place_of(name)}: {name}{message.removeprefix(option)}"


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
    """Each field's meaning, from the "Attributes:" section of its class, or of one that this extends."""
    documented = [each.__doc__ or "" for each in reversed(config_class.__mro__) if is_dataclass(each)]
    parsed = [docstring_parser.parse(text, docstring_parser.DocstringStyle.GOOGLE) for text in documented]
    return {entry.arg_name: one_line(entry.description or "") for each in parsed for entry in each.params}


def one_line(text: str) -> str:
    """The text with each run of white space as one space."""
    return " ".join(text.split())
