"""The plan of a folder of lists: a YAML file that names the wikis and what each of them is built from."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml  # type: ignore[import-untyped, unused-ignore]

from metaclip_spark.config.command_line import parse_configs
from metaclip_spark.config.fields import option_of
from metaclip_spark.config.metadata import ENGLISH, MetadataSources, MetadataThresholds, check_code
from metaclip_spark.entries.lists import OTHER, first_of
from metaclip_spark.errors import ConfigError, joined, meant_by
from metaclip_spark.metadata_builder.worldwide.labels import LABELS, MERGED, list_of

OPTION = "--plan"
WIKI = "{wiki}"
"""Stands for a wiki's code in the values of the defaults."""

_KEYS = ("anchor", "defaults", "wikis", "merged", "labels")
_FLAGS = frozenset({"include_mobile"})
_DEEPEST = 4
"""Keys, wikis, options and lists of values: aliases in deeper ones could multiply without end."""

_FALSE, _TRUE = ("false", "no", "off"), ("true", "yes", "on")

Value = str | list[str]


@dataclass(frozen=True)
class WikiPlan:
    """What the entries of one wiki are built from."""

    code: str
    sources: MetadataSources
    thresholds: MetadataThresholds


@dataclass(frozen=True)
class Plan:
    """A plan that was checked.

    Attributes:
        anchor: The code of the list whose threshold is given; None where there is no English list.
        lists: Code of each list -> its wikis, the one of its own name first; other last.
        labels: Label of language identification -> list, whether that is there or not.
    """

    anchor: str | None
    lists: dict[str, tuple[WikiPlan, ...]]
    labels: dict[str, str]


def read_plan(file: str) -> Plan:
    """Reads and checks a plan.

    Args:
        file: YAML with `wikis` (code: options of build-metadata; or a list of codes), and where wanted `defaults`
            (options for all, in whose values {wiki} stands for the code), `anchor`, `merged` (wiki: list) and `labels`
            (label: list), which add to those that the builder knows.

    Raises:
        ConfigError: If it cannot be read, has an unknown key, option, wiki or list, or a value that cannot be used.
    """
    shown = f"{OPTION} {file}"
    found = _read(file, shown)
    for key in found:
        if key not in _KEYS:
            near = meant_by(key, _KEYS)
            advice = f"did you mean {near}?" if near else f"its keys are {', '.join(_KEYS)}"
            raise ConfigError(f"{shown} has no key {key!r}: {advice}")
    defaults = _options_of(found.get("defaults", {}), f"{shown}, defaults")
    own_labels = _texts_of(found.get("labels", {}), f"{shown}, labels")
    own_merged = _texts_of(found.get("merged", {}), f"{shown}, merged")
    labels, merged = LABELS | own_labels, MERGED | own_merged
    wikis = {wiki.code: wiki for wiki in _wikis_of(found.get("wikis", {}), defaults, shown)}
    if not wikis:
        raise ConfigError(f"{shown} names no wikis: write each under wikis, such as ja, with its options")
    of_themselves = {list_of(code, MERGED, labels) for code in wikis}
    _refuse_unknown(own_merged, wikis, wikis, f"{shown}, merged", "no wiki of the plan")
    led_to = of_themselves | {*own_labels.values(), OTHER}
    _refuse_unknown(own_merged.values(), led_to, wikis, f"{shown}, merged", "no list of the plan")
    lists: dict[str, list[WikiPlan]] = {}
    for code in sorted(wikis):
        lists.setdefault(list_of(code, merged, labels), []).append(wikis[code])
    ordered = sorted(lists, key=lambda code: (code == OTHER, code.encode()))
    by_list = {code: tuple(sorted(lists[code], key=lambda wiki: wiki.code != code)) for code in ordered}
    _refuse_unknown(own_labels.values(), {*by_list, OTHER}, wikis, f"{shown}, labels", "no list of the plan")
    anchor = found.get("anchor", ENGLISH if ENGLISH in by_list else None)
    if anchor is not None and anchor not in [*by_list]:
        raise ConfigError(f"{shown}: the anchor {anchor!r} is none of its lists {joined(list(by_list))}")
    return Plan(str(anchor) if anchor else None, by_list, labels)


def _refuse_unknown(
    codes: Iterable[str], known: Collection[str], wikis: Collection[str], place: str, fault: str
) -> None:
    """Refuses a code that is not known: a misspelt one would send texts or entries to the list other.

    Raises:
        ConfigError: If there is one; the message names the code that may have been meant.
    """
    for code in codes:
        if code not in known:
            # A wiki whose own label is misspelt has no list, but is meant all the same.
            near = meant_by(code, sorted({*known, *wikis} - {code}))
            advice = f"did you mean {near}?" if near else f"there are {first_of(known)}"
            raise ConfigError(f"{place}: {code!r} is {fault}: {advice}")


def _wikis_of(given: object, defaults: Mapping[str, Value], shown: str) -> Iterator[WikiPlan]:
    if isinstance(given, list) and all(isinstance(code, str) for code in given):
        given = dict.fromkeys(given, "")
    if not isinstance(given, dict):
        raise ConfigError(f"{shown}: wikis must be a list of codes, or codes with options")
    for code, own in given.items():
        place = f"{shown}, wiki {code}"
        check_code(place, code)
        options = {**defaults, **_options_of(own or {}, place)}
        filled = {name: _with_wiki(value, code) for name, value in options.items()}
        try:
            sources, thresholds = parse_configs(
                _arguments(filled, place), "", MetadataSources, MetadataThresholds, program="plan"
            )
        except ConfigError as error:
            raise ConfigError(f"{place}: {str(error).removesuffix(' (see --help)')}") from None
        yield WikiPlan(code, sources, thresholds)


def _with_wiki(value: Value, code: str) -> Value:
    return [each.replace(WIKI, code) for each in value] if isinstance(value, list) else value.replace(WIKI, code)


def _arguments(options: Mapping[str, Value], place: str) -> list[str]:
    """Gives options as they would be typed for build-metadata."""
    arguments: list[str] = []
    for name, value in options.items():
        if name in _FLAGS:
            if value not in (*_TRUE, *_FALSE):
                raise ConfigError(f"{place}: {name} is {value!r}: it must be true or false")
            arguments += [option_of(name)] if value in _TRUE else []
        elif isinstance(value, list):
            arguments += [option_of(name), *value]
        else:
            arguments.append(f"{option_of(name)}={value}")
    return arguments


def _options_of(given: object, place: str) -> dict[str, Value]:
    """Checks the form of options; which of them there are is told by the options' own parser."""
    if not isinstance(given, dict):
        raise ConfigError(f"{place} must be options of build-metadata, such as articles: dumps/jawiki-*")
    for name, value in given.items():
        if name in {"config", "language"}:
            raise ConfigError(f"{place}: {name} cannot be given here")
        if not isinstance(value, str | list) or not all(isinstance(each, str) for each in value):
            raise ConfigError(f"{place}: {name} must be a value or a list of values")
    return {name.replace("-", "_"): value for name, value in given.items()}


def _texts_of(given: object, place: str) -> dict[str, str]:
    if not isinstance(given, dict) or not all(isinstance(value, str) and value for value in given.values()):
        raise ConfigError(f"{place} must be codes with the code of a list each, such as yue: zh_yue")
    return dict(given)


def _read(file: str, shown: str) -> dict[str, object]:
    try:
        text = Path(file).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"{shown}: no such file") from None
    except OSError as error:
        raise ConfigError(f"{shown} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{shown} is not UTF-8 at byte {error.start}: convert it to UTF-8") from None
    try:
        # Every value stays the text that it is: to YAML `no`, the code of Norwegian, is false.
        node = yaml.compose(text, Loader=yaml.BaseLoader)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{shown}{line} is not YAML: {getattr(error, 'problem', None) or error}") from None
    found = _value(node, shown) if node else {}
    if not isinstance(found, dict):
        raise ConfigError(f"{shown} is no plan: write keys and values, such as wikis: [ja, de]")
    return found


def _value(node: yaml.Node, shown: str, within: tuple[yaml.Node, ...] = ()) -> object:
    if isinstance(node, yaml.ScalarNode):
        return node.value
    if node in within:
        raise ConfigError(f"{shown}, line {node.start_mark.line + 1}: this holds an alias of itself: write it out")
    if len(within) == _DEEPEST:
        raise ConfigError(f"{shown}, line {node.start_mark.line + 1}: a plan has no lists or keys so deep")
    inside = (*within, node)
    if isinstance(node, yaml.SequenceNode):
        return [_value(each, shown, inside) for each in node.value]
    values: dict[str, object] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise ConfigError(f"{shown}, line {key.start_mark.line + 1}: a key must be a word")
        if key.value in values:
            raise ConfigError(f"{shown}, line {key.start_mark.line + 1}: {key.value} is there already: give it once")
        values[key.value] = _value(value, shown, inside)
    return values
