"""Reading and writing of records, of which unknown keys and layouts are refused by name."""

from types import UnionType
from typing import Any, TypeVar, get_args, get_origin

import msgspec

from metaclip_spark.errors import InputError
from metaclip_spark.runs.records.manifests import Config, Manifest, Numbers
from metaclip_spark.stores.storage import JsonObject, Storage

REPORT_LAYOUT = 1
"""The version of a report. A change that an older reader would misread raises it."""

RESTORE = "restore it, or use --overwrite to start anew"
"""The advice on a file of a run that is not whole."""

REPORT_AGAIN = "run metaclip-spark report on that folder again"
"""The advice on a report that is not whole."""

UNKNOWN_KEY = "unknown field"
"""What an error says of a key that a record does not have."""

Kind = TypeVar("Kind", bound=msgspec.Struct)


def put_record(storage: Storage, name: str, record: msgspec.Struct) -> None:
    """Puts a record whole or not at all, over one that is there."""
    storage.put_json(name, msgspec.to_builtins(record))


def read_report(storage: Storage, name: str, kind: type[Kind]) -> Kind | None:
    """Reads the record of a report; None where there is none.

    Raises:
        InputError: If it was written in another layout, or is not what this version writes.
    """
    found = storage.read_json(name, REPORT_AGAIN)
    if found is None:
        return None
    shown = f"{storage.root}/{name}"
    layout = found.get("layout", REPORT_LAYOUT)
    if layout != REPORT_LAYOUT:
        raise InputError(
            f"{shown} was written by another version of metaclip-spark in layout {layout}; this version reads layout "
            f"{REPORT_LAYOUT}: use that version, or {REPORT_AGAIN}"
        )
    return known(found, kind, shown, REPORT_AGAIN)


def manifest_of(told: JsonObject, config: type[Config], numbers: type[Numbers], shown: str) -> Any:
    """Takes what an entry tells of a step as a `Manifest[config, numbers]`.

    Args:
        told: The manifest as JSON.
        config: The record of the step's settings.
        numbers: The record of its numbers.
        shown: What messages call it.

    Raises:
        InputError: If it is no manifest of the step, or lacks numbers, which another version did not count.
    """
    counted = told.get("numbers")
    missing = _wrong_keys(counted, numbers, missing_only=True) if isinstance(counted, dict) else []
    if missing and isinstance(told.get("step"), str):
        raise InputError(
            f"the manifest of the step '{told['step']}' lacks {', '.join(missing)}: it was done by another version of "
            "metaclip-spark; run the step again with --overwrite"
        )
    return known(told, Manifest[config, numbers], shown, RESTORE)  # type: ignore[valid-type]


def known(found: JsonObject, kind: type[Kind], shown: str, advice: str) -> Kind:
    """Takes a JSON object as a record; messages call it `shown` and end in `advice`.

    Raises:
        InputError: If it lacks a key, or is not one.
    """
    wrong = _wrong_keys(found, kind)
    if wrong:
        raise InputError(f"{shown} lacks {', '.join(wrong)}, or has another kind of it: {advice}")
    try:
        return msgspec.convert(found, kind)
    except msgspec.ValidationError as error:
        if UNKNOWN_KEY in str(error):
            advice = f"use the version that wrote it, or {advice}"
        raise InputError(f"{shown} is not what this version of metaclip-spark writes ({error}): {advice}") from None


def _wrong_keys(found: JsonObject, kind: type[msgspec.Struct], *, missing_only: bool = False) -> list[str]:
    """Names the keys that a JSON object must have and lacks, or holds another kind of value at."""
    return [
        field.encode_name
        for field in msgspec.structs.fields(kind)
        if field.required
        and (field.encode_name not in found or not (missing_only or _is_of(found[field.encode_name], field.type)))
    ]


def _is_of(value: object, declared: Any) -> bool:
    """Looks at the outermost type only."""
    origin = get_origin(declared) or declared
    if origin is UnionType or not isinstance(origin, type):
        return any(_is_of(value, each) for each in get_args(declared)) if get_args(declared) else True
    if issubclass(origin, msgspec.Struct):
        return isinstance(value, dict)
    if isinstance(value, bool):
        return origin is bool
    return isinstance(value, int | float) if origin is float else isinstance(value, origin)
