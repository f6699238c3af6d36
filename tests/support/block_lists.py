"""Block lists once more, in plain Python: a set of keys for each kind."""

from collections.abc import Collection, Mapping

from udfs.exclusion.kinds import COLUMNS, KINDS, reason_of
from udfs.exclusion.url_key import url_key


def expected_reason(row: Mapping[str, str | None], listed: Mapping[str, Collection[str]]) -> str | None:
    """Gives the first reason for which a row is listed, by kind and keys."""
    return next((reason_of(kind) for kind in KINDS if kind in listed and _is_listed(row, kind, listed[kind])), None)


def _is_listed(row: Mapping[str, str | None], kind: str, keys: Collection[str]) -> bool:
    value = row.get(COLUMNS[kind])
    if value is None:
        return False
    if kind in {"pair", "text", "image"}:
        return value in keys
    key, host_length = url_key(value)
    if kind.endswith("domain"):
        labels = key[:host_length].split(".") if host_length else []
        return any(".".join(labels[place:]) in keys for place in range(len(labels)))
    if kind == "prefix":
        return any(key[: place + 1] in keys for place, character in enumerate(key) if character == "/")
    return key in keys
