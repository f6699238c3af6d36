"""The file that says which metadata lists a folder has, one per language: `languages.json`."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from metaclip_spark.entries.files import JsonObject, decode, parse_json, read_file
from metaclip_spark.entries.messages import brief
from metaclip_spark.errors import MetadataError
from udfs.sources import local_path, scheme_of
from udfs.sources.credentials import without_credentials

LANGUAGES_FILE = "languages.json"
FORMAT = 1
OTHER = "other"
"""The code of the list for texts whose language has none."""

_CODE = re.compile("[A-Za-z0-9_-]+")
_LABEL = re.compile("[^\\s\\x00-\\x1f\\x7f\\ud800-\\udfff]+")
_KEYS = {"format": int, "anchor": str, "lists": JsonObject, "labels": JsonObject}


@dataclass(frozen=True)
class ListsFile:
    """What `languages.json` says.

    Attributes:
        anchor: The code of the list whose threshold is given; None where it names none.
        files: The code of each list -> its file, sorted by code.
        labels: A label of language identification -> the code of its list.
    """

    anchor: str | None
    files: dict[str, str]
    labels: dict[str, str]


def names_lists(path: str) -> bool:
    """Tells whether a path names a folder of lists, and not one list; in a store, by the slash at its end."""
    return Path(local_path(path)).is_dir() if scheme_of(path) == "file" else path.endswith("/")


def read_lists_file(folder: str) -> ListsFile:
    """Reads which lists a folder has.

    Raises:
        MetadataError: If the file is missing or has another form, names a label or a list twice, an anchor without a
            list, or a label's list that is not among the lists.
    """
    path = _below(folder, LANGUAGES_FILE)
    shown = without_credentials(path)
    try:
        content = read_file(path)
    except MetadataError as error:
        raise MetadataError(f"{error}: a folder of metadata lists has one, which names its lists") from None
    found = _object(parse_json(decode(content, shown), shown), shown, "the file")
    _check_keys(found, shown)
    _check_texts(found["lists"], shown)
    files = {code: _file_of(code, value, shown) for code, value in _object(found["lists"], shown, "lists").items()}
    if not files:
        raise MetadataError(f"{shown}: lists is empty: name one file for each language")
    labels = _labels_of(_object(found.get("labels", JsonObject()), shown, "labels"), files, shown)
    if not any(code in files and code != OTHER for code in labels.values()) and set(files) != {OTHER}:
        raise MetadataError(f"{shown}: labels leads to none of its lists: name the list of each label, such as en")
    anchor = found.get("anchor")
    if anchor is not None and anchor not in files:
        raise MetadataError(f"{shown}: the anchor {brief(anchor)} has no list: name one of {first_of(files)}")
    # As UTF-8: not as code points above U+FFFF would have it elsewhere.
    in_order = sorted(files, key=str.encode)
    return ListsFile(anchor, {code: _below(folder, files[code]) for code in in_order}, dict(sorted(labels.items())))


def digest_of_lists(digests: Iterable[tuple[str, str]], labels: Mapping[str, str], word_borders: str) -> str:
    """Makes the digest of several lists: of their codes and digests, the labels and the word borders."""
    content = [[list(each) for each in digests], dict(labels), word_borders]
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _below(folder: str, file: str) -> str:
    return f"{folder.rstrip('/')}/{file}"


def _object(value: object, path: str, name: str) -> dict[str, object]:
    if not isinstance(value, JsonObject):
        raise MetadataError(f"{path}: {name} must be a JSON object")
    found: dict[str, object] = {}
    for key, content in value:
        if key in found:
            raise MetadataError(f"{path}: {name} has {brief(key)} twice: leave one of them out")
        found[key] = content
    return found


def _check_keys(found: Mapping[str, object], path: str) -> None:
    unknown = [key for key in found if key not in _KEYS]
    if unknown:
        raise MetadataError(f"{path}: there is no key {brief(unknown[0])}: its keys are {', '.join(_KEYS)}")
    for key in ("format", "lists"):
        if key not in found:
            raise MetadataError(f"{path} has no key {key}: its keys are {', '.join(_KEYS)}")
    if found["format"] != FORMAT or type(found["format"]) is not int:
        raise MetadataError(f"{path}: format is {brief(found['format'])}: this version reads {FORMAT}")
    if not isinstance(found.get("anchor"), str | None):
        raise MetadataError(f"{path}: anchor must be the code of a list, such as en")


def _check_texts(lists: object, path: str) -> None:
    """Refuses codes that a command line, a table or a page could not name."""
    codes = [code for code, _ in lists] if isinstance(lists, JsonObject) else []
    wrong = next((code for code in codes if not _CODE.fullmatch(code)), None)
    if wrong is not None:
        raise MetadataError(
            f"{path}: the code {brief(wrong)} of a list must be of letters, digits, - and _ only, such as zh_yue"
        )


def _file_of(code: str, value: object, path: str) -> str:
    named = _object(value, path, f"the list {brief(code)}")
    file = named.get("file")
    if named.keys() != {"file"} or not isinstance(file, str) or not file:
        raise MetadataError(
            f'{path}: the list {brief(code)} must name its file, and nothing else: {{"file": "ja/metadata.json"}}'
        )
    if file.startswith("/") or ".." in file.split("/") or "://" in file:
        raise MetadataError(f"{path}: the file {brief(file)} of the list {brief(code)} must lie below the folder")
    return file


def _labels_of(given: Mapping[str, object], files: Mapping[str, str], path: str) -> dict[str, str]:
    labels: dict[str, str] = {}
    for label, code in given.items():
        if not _LABEL.fullmatch(label):
            raise MetadataError(f"{path}: the label {brief(label)} must be printable, without spaces")
        if not isinstance(code, str):
            raise MetadataError(f"{path}: the label {brief(label)} must have the code of a list")
        if code not in files and code != OTHER:
            raise MetadataError(
                f"{path}: the label {brief(label)} has the list {brief(code)}, which is none of {first_of(files)}"
            )
        labels[label] = code
    return labels


def first_of(files: Iterable[str]) -> str:
    """Names the first of some lists by their codes."""
    shown = 8
    codes = sorted(files)
    more = f" and {len(codes) - shown} more" if len(codes) > shown else ""
    return ", ".join(brief(code) for code in codes[:shown]) + more
