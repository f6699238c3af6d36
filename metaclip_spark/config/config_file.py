"""The YAML file of `--config`: each key an option, each value one value or a list of them."""

import json
import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped, unused-ignore]

from metaclip_spark.errors import ConfigError, meant_by
from udfs.sources.credentials import without_credentials

OPTION = "--config"


@dataclass(frozen=True)
class ConfigFile:
    """What a file says.

    Attributes:
        name: The file, as the user named it.
        values: Key to value.
        lines: Key to the number of its line.
    """

    name: str
    values: dict[str, Any]
    lines: dict[str, int]

    def as_text(self) -> str:
        """The same options in one line, for the parser of options."""
        return json.dumps(self.values, ensure_ascii=False)

    def place_of(self, key: str) -> str:
        """Where a key stands, as messages name it."""
        return f"{OPTION} {self.name}, line {self.lines[key]}"


class _Loader(yaml.SafeLoader):  # type: ignore[misc, unused-ignore]
    """Reads 1e6 as a number, as the options' own parser does; YAML 1.1 wants it as 1.0e+6."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d[\d_]*(\.\d*)?[eE][-+]?\d+\Z"), list("-+0123456789")
)


def read_config_file(file: str, several: Collection[str], known: Sequence[str]) -> ConfigFile:
    """Reads a file of options; one value of an option that takes several is a list of one.

    Args:
        file: The file, a path that has been checked.
        several: Options that take several values.
        known: All options.

    Raises:
        ConfigError: If it is missing, is not UTF-8 or YAML, holds no options, or one that does not exist.
    """
    shown = f"{OPTION} {without_credentials(file)}"
    no_options = ConfigError(f"{shown} holds no options: write lines of them, such as output: folder")
    loader = _Loader(_text_of(file, shown))
    try:
        root = loader.get_single_node()
        if not isinstance(root, yaml.MappingNode) or not root.value:
            raise no_options
        values: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key_node, node in root.value:
            key, line = str(key_node.value), key_node.start_mark.line + 1
            place = f"{shown}, line {line}"
            _check_key(key, place, known, lines)
            values[key], lines[key] = _value_of(loader, node, f"{place}: {key}"), line
            if key in several and values[key] is not None and not isinstance(values[key], list):
                values[key] = [values[key]]
    except RecursionError:
        raise no_options from None
    except yaml.YAMLError as error:
        raise ConfigError(_in_words(error, shown)) from None
    finally:
        loader.dispose()
    return ConfigFile(without_credentials(file), values, lines)


def _text_of(file: str, shown: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{shown}: no such file") from None
    except OSError as error:
        raise ConfigError(f"{shown} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{shown} is not UTF-8 at byte {error.start}: convert it to UTF-8") from None


def _check_key(key: str, place: str, known: Sequence[str], lines: dict[str, int]) -> None:
    if key in lines:
        raise ConfigError(f"{place}: {key} is in line {lines[key]} already: give it once")
    if key not in known:
        near = meant_by(key.lstrip("-").replace("-", "_"), known)
        advice = f"; did you mean {near}?" if near else ""
        raise ConfigError(f"{place}: no option is called {key}{advice}")


def _value_of(loader: _Loader, node: yaml.Node, shown: str) -> Any:
    nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
    if not all(isinstance(each, yaml.ScalarNode) for each in nodes):
        raise ConfigError(f"{shown} must be a value or a list of values, such as [x.warc.gz]")
    values = [_scalar(loader, each, shown) for each in nodes]
    return values if isinstance(node, yaml.SequenceNode) else values[0]


def _scalar(loader: _Loader, node: yaml.Node, shown: str) -> Any:
    try:
        value = loader.construct_object(node)
    except ValueError as error:
        raise ConfigError(f"{shown} cannot be read: {error}") from None
    is_finite = not isinstance(value, float) or math.isfinite(value)
    # JSON knows neither dates nor infinity.
    return value if is_finite and isinstance(value, str | int | float | bool | None) else str(node.value).lstrip(".")


def _in_words(error: yaml.YAMLError, shown: str) -> str:
    mark = getattr(error, "problem_mark", None)
    place = f"{shown}, line {mark.line + 1}" if mark else shown
    problem = str(getattr(error, "problem", None) or error)
    if "'\\t'" in problem or "tab" in problem:
        return f"{place}: tabs are not allowed in YAML: use spaces"
    return f"{place} is not YAML: {problem}"
