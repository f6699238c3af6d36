"""What a page declares, as the record of its capture in a WAT archive has it: headers and metas in JSON.

What has another form than that of a header or a meta declares nothing.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from udfs.pages.declared.language import page_language
from udfs.pages.declared.preferences import header_preferences, meta_preferences
from udfs.pages.image_table import Declared

LANGUAGE_NAME, LANGUAGE_PRAGMA = "html@/lang", "content-language"
"""What stands for the `lang` of a page's `<html>` among its metas, and the `http-equiv` of another that names one."""

_ANYTHING = msgspec.json.Decoder(Any)
_DECODE_ERRORS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class _Repeating(dict[str, object]):
    """An object of JSON with repeated names: the last value of each, and all of them as pairs."""

    def __init__(self, pairs: Sequence[tuple[str, object]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs


def load_json(text: str) -> Any:
    """Reads any JSON that Python can, lone surrogates and control characters, too; of repeated names the last counts.

    Raises:
        ValueError: It is no JSON.
        RecursionError: It is nested too deeply.
    """
    return json.loads(text, strict=False, parse_int=_number, object_pairs_hook=_object)


def _number(digits: str) -> int | float:
    try:
        return int(digits)
    except ValueError:
        return float(digits)  # `int` takes some thousand digits, JSON any number of them


def _object(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else _Repeating(pairs)


def read_declared(metas: object, headers: object, agents: tuple[str, ...]) -> Declared:
    """Reads what a page declares.

    Args:
        metas: Those of its head, decoded by `load_json` or raw.
        headers: Those of the response, likewise. All values of a repeated header count.
        agents: Whose directives count, too, as for `preferences.meta_preferences`.
    """
    items = _decoded(metas)
    named = [meta for meta in items if isinstance(meta, dict)] if isinstance(items, list) else []
    preferences = 0
    for header, value in _texts_by_name(_loaded(headers)):
        preferences |= header_preferences(header, value, agents)
    for meta in named:
        name, content = meta.get("name"), meta.get("content")
        if isinstance(name, str) and isinstance(content, str):
            preferences |= meta_preferences(name, content, agents)
    return Declared(_language(named), preferences)


def _language(metas: Sequence[dict[str, object]]) -> str | None:
    """Finds the language of a page among its metas: what its `<html>` says, and that alone, if it says anything."""
    of_html = _first_content(metas, "name", LANGUAGE_NAME)
    return page_language(_first_content(metas, "http-equiv", LANGUAGE_PRAGMA) if of_html is None else of_html)


def _first_content(metas: Sequence[dict[str, object]], key: str, wanted: str) -> str | None:
    """Finds the content of the first meta that a key names, in letters of any case."""
    for meta in metas:
        name, content = meta.get(key), meta.get("content")
        if isinstance(name, str) and name.lower() == wanted and isinstance(content, str):
            return content
    return None


def _texts_by_name(headers: object) -> Iterator[tuple[str, str]]:
    """Yields name and value of each header; one that was sent several times is repeated, or has a list of values."""
    if not isinstance(headers, dict):
        return
    for name, value in headers.pairs if isinstance(headers, _Repeating) else headers.items():
        yield from ((name, text) for text in (value if isinstance(value, list) else [value]) if isinstance(text, str))


def _decoded(content: object) -> object:
    """Decodes raw JSON fast; of repeated names the last counts."""
    try:
        return _ANYTHING.decode(content) if isinstance(content, msgspec.Raw) else content
    except _DECODE_ERRORS:
        return _loaded(content)


def _loaded(content: object) -> object:
    """Decodes raw JSON as `load_json` does; what that cannot read is nothing."""
    try:
        return load_json(bytes(content).decode("utf-8", "replace")) if isinstance(content, msgspec.Raw) else content
    except (ValueError, RecursionError):
        return None
