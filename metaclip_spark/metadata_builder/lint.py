"""Finds metadata entries that cannot match, repeat another, or deserve a look, and writes a cleaned list."""

import json
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from metaclip_spark.entries import read_unchecked_entries
from metaclip_spark.entries.lists import OTHER, read_lists_file
from metaclip_spark.entries.matchable import can_match
from metaclip_spark.errors import MetadataError, said_of
from metaclip_spark.metadata_builder.entry_list import digest_of
from metaclip_spark.stores.local_store import LocalStore
from udfs.matching.spacing import spacing
from udfs.wikipedia.ngrams import ENGLISH, STOPS
from udfs.wikipedia.words import has_break_character, is_han, lacks_spaces

NO_LABEL = "no label"
"""The finding of a list that no label of language identification leads to, so that no text reaches it."""

LONGEST_USUAL_ENTRY = 80
"""Characters above which an entry is called very long."""

_STOP_WORDS = (
    "a about after all also an and any are as at be because been before but by can could did do does down each "
    "every for from had has have he her here him his how i if in into is it its just may me more most my no nor "
    "not of off on one only or other our out over own same she should so some such than that the their them "
    "then there these they this those through to too under until up us very was we were what when where which "
    "while who why will with would you your"
)
STOP_WORDS = frozenset(_STOP_WORDS.split())


@dataclass(frozen=True)
class Finding:
    """Entries that share a trait, by their indices in the list, ascending.

    The severity is `error` (the entry is useless and `--fix` takes it away), `warning`, or `info` (by design in the
    published list, but good to know).

    Attributes:
        name: The trait, such as "can never match".
        severity: `error`, `warning` or `info`.
        ids: Indices of the entries.

    Example:
        >>> from metaclip_spark import lint_metadata
        >>> lint_metadata(["dog", "St. Louis", "axolotl"])
        [Finding(name='can never match', severity='error', ids=(1,))]
    """

    name: str
    severity: str
    ids: tuple[int, ...]


def lint_entries(entries: Sequence[object]) -> list[Finding]:
    """Looks at every entry of an unchecked list; the findings are errors first, then warnings, then infos."""
    texts = {index: entry for index, entry in enumerate(entries) if isinstance(entry, str)}
    findings = [
        Finding("not a string", "error", tuple(index for index in range(len(entries)) if index not in texts)),
        _entries_where("empty or white space only", "error", texts, lambda text: not text.strip()),
        Finding("repeats an earlier entry", "error", _repeated(texts)),
        _entries_where("can never match", "error", texts, lambda text: bool(text.strip()) and not can_match(text)),
        Finding("has the spaced form of an earlier entry", "warning", _repeated_after_spacing(texts)),
        _entries_where(
            "not in Unicode's form NFC", "warning", texts, lambda text: not unicodedata.is_normalized("NFC", text)
        ),
        _entries_where("very long", "warning", texts, lambda text: len(text) > LONGEST_USUAL_ENTRY),
        Finding("differs from an earlier entry in case only", "info", _case_twins(texts)),
        _entries_where("one character", "info", texts, lambda text: len(text) == 1 and not text.isspace()),
        _entries_where("stop word", "info", texts, lambda text: text.lower() in STOP_WORDS),
        _entries_where(
            "number", "info", texts, lambda text: text.replace(",", "").replace(".", "").strip().isdecimal()
        ),
    ]
    return [finding for finding in findings if finding.ids]


def lint_list(entries: Sequence[object], language: str) -> list[Finding]:
    """Looks at every entry of the list of a language, as `lint_entries` and with what only languages tell.

    Word borders where a script begins or goes on need no check of their own: what can match there can match between
    spaces, too.
    """
    texts = {index: entry for index, entry in enumerate(entries) if isinstance(entry, str)}
    is_english = language == ENGLISH
    findings = [finding for finding in lint_entries(entries) if is_english or finding.name != "stop word"]
    if not lacks_spaces(language) and language != OTHER:
        findings.append(_entries_where("written without spaces", "warning", texts, has_break_character))
    findings += [
        Finding("equal to an earlier entry in Unicode's form NFC", "warning", _nfc_twins(texts)),
        _entries_where("combining marks only", "warning", texts, _is_marks_only),
        _entries_where("a stop or comma of its script inside", "info", texts, lambda text: any(map(STOPS.count, text))),
        _entries_where("a single Han character", "info", texts, lambda text: len(text) == 1 and is_han(text)),
    ]
    order = ("error", "warning", "info")
    return sorted((finding for finding in findings if finding.ids), key=lambda finding: order.index(finding.severity))


def lint_folder(folder: str) -> dict[str, tuple[list[object], list[Finding]]]:
    """Lints every list of a folder.

    Args:
        folder: A folder with `languages.json`.

    Returns:
        Code of each list -> its entries as they stand, and the findings. A list that no label leads to has a finding
        without ids.

    Raises:
        MetadataError: If languages.json or a list cannot be read.
    """
    with said_of("--metadata"):
        found = read_lists_file(folder)
        linted: dict[str, tuple[list[object], list[Finding]]] = {}
        reached = {*found.labels.values(), OTHER}
        for code, path in found.files.items():
            with said_of(f"the list {code}"):
                entries: list[object] = read_unchecked_entries(path)
            unreached = [] if code in reached else [Finding(NO_LABEL, "warning", ())]
            linted[code] = (entries, [*lint_list(entries, code), *unreached])
    return linted


def clean_entries(entries: Sequence[object], findings: Sequence[Finding]) -> tuple[list[str], list[int | None]]:
    """Takes the entries of severity error away.

    Returns:
        The list without them, and for each old id the new one: of the entry itself, for a repeated one of its first
        occurrence, and None for what is gone.
    """
    gone = {index for finding in findings if finding.severity == "error" for index in finding.ids}
    cleaned = [str(entry) for index, entry in enumerate(entries) if index not in gone]
    new_ids = {entry: index for index, entry in enumerate(cleaned)}
    return cleaned, [new_ids.get(entry) if isinstance(entry, str) else None for entry in entries]


def lint_file(path: str, fix: str | None = None) -> tuple[list[object], list[Finding], str]:
    """Lints a file, and writes a cleaned list where asked.

    Args:
        path: A metadata list in any form that `metaclip_spark.entries` reads.
        fix: Where the cleaned list goes; the id map goes beside it. None writes nothing.

    Returns:
        The entries as they stand in the file, the findings, and the digest of the cleaned list (empty without `fix`).

    Raises:
        MetadataError: If the file cannot be read, or nothing is left to write.
    """
    with said_of("--metadata"):
        entries: list[object] = read_unchecked_entries(path)
    findings = lint_entries(entries)
    if not fix:
        return entries, findings, ""
    cleaned, id_map = clean_entries(entries, findings)
    if not cleaned:
        raise MetadataError(f"no entry of {path} is left without errors: nothing was written to {fix}")
    target = Path(fix)
    folder = LocalStore(target.parent)
    folder.put(target.with_suffix(".id_map.json").name, json.dumps(id_map).encode())
    folder.put(target.name, json.dumps(cleaned, ensure_ascii=False, indent=0).encode() + b"\n")
    return entries, findings, digest_of(cleaned)


def _entries_where(name: str, severity: str, texts: dict[int, str], condition: Callable[[str], bool]) -> Finding:
    return Finding(name, severity, tuple(index for index, text in texts.items() if condition(text)))


def _is_marks_only(text: str) -> bool:
    return bool(text.strip()) and all(sign.isspace() or unicodedata.category(sign)[0] == "M" for sign in text)


def _nfc_twins(texts: dict[int, str]) -> tuple[int, ...]:
    pairs = _later_with_key(texts, lambda text: unicodedata.normalize("NFC", text))
    return tuple(index for index, first in pairs.items() if texts[index] != texts[first])


def _later_with_key(texts: dict[int, str], key: Callable[[str], str]) -> dict[int, int]:
    """For each text whose key an earlier one has, the index of the first."""
    first: dict[str, int] = {}
    return {index: first[key(text)] for index, text in texts.items() if first.setdefault(key(text), index) != index}


def _repeated(texts: dict[int, str]) -> tuple[int, ...]:
    return tuple(_later_with_key(texts, str))


def _repeated_after_spacing(texts: dict[int, str]) -> tuple[int, ...]:
    pairs = _later_with_key(texts, lambda text: " ".join(spacing(text).split()))
    return tuple(index for index, first in pairs.items() if texts[index] != texts[first])


def _case_twins(texts: dict[int, str]) -> tuple[int, ...]:
    pairs = _later_with_key(texts, str.casefold)
    return tuple(index for index, first in pairs.items() if texts[index] != texts[first])
