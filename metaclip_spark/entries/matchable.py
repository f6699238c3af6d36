"""Entries that no text can match: a few of them are a warning, most of a list is a file of another kind."""

import logging
import re
from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path

from metaclip_spark.config.curation import MatchConfig
from metaclip_spark.entries.lists import OTHER
from metaclip_spark.entries.messages import MOST_SHOWN, brief
from metaclip_spark.entries.metadata import Metadata, load_metadata
from metaclip_spark.errors import ConfigError, MetadataError, counted, said_of
from udfs.matching.spacing import SEPARATOR_MARKS, matches_entry, spacing
from udfs.pairs.rules import clean_text
from udfs.sources.credentials import without_credentials

log = logging.getLogger(__name__)

_MODEL_START = (793_712_314).to_bytes(4, "little")
"""What a file of fastText begins with."""

_MARKS = re.escape(SEPARATOR_MARKS)
_MARK_AND_NEIGHBOURS = re.compile(f" ?([{_MARKS}]) ?")
_PLAIN = re.compile(rf"[^\s{_MARKS}\ud800-\udfff]+(?: [^\s{_MARKS}\ud800-\udfff]+)*")
"""Words between single spaces, which spacing and cleaning leave as they are."""

_SEPARATED = {",": ("CSV", "a comma"), "\t": ("tab-separated values", "a tab"), ";": ("CSV", "a semicolon")}


def can_match(entry: str) -> bool:
    """Tells whether any alternative text can match an entry, by asking the reference matcher.

    The text is built from the entry itself: spacing puts a space on both sides of a mark, so the witness leaves one out
    on either side, and has a word before and behind, since cleaning strips a text's ends. No other text would do where
    this one does not: each mark in a spaced text has two spaces of its own.
    """
    if _PLAIN.fullmatch(entry):
        return True
    witness = f"a {_MARK_AND_NEIGHBOURS.sub(lambda found: found[1], entry)} a"
    return matches_entry(spacing(clean_text(witness)), entry)


def load_to_match(match: MatchConfig) -> Metadata:
    """Reads the list that --metadata names, or the lists, and refuses what cannot match.

    Raises:
        MetadataError: If it cannot be read or used, or most of its entries can never match.
        ConfigError: If it is a single list, and an option says which of several ones a text is matched against.
    """
    with said_of("--metadata"):
        metadata = load_metadata(match.metadata, match.word_borders)
        check_matchable(metadata, without_credentials(match.metadata))
        _warn_of_unreached(metadata, without_credentials(match.metadata))
    if match.for_lists and not metadata.lists:
        raise ConfigError(
            f"{match.for_lists[0]} is for one list per language, and --metadata {without_credentials(match.metadata)} "
            "is a single list: give a folder of lists, or leave the option out"
        )
    if match.language_model is not None:
        _check_model(match.language_model)
    return metadata


def _check_model(path: str) -> None:
    """Refuses a language model that workers could not load, by the first bytes of its file."""
    if not Path(path).is_file():
        raise ConfigError(f"--language-model {path}: no such file on this machine")
    with Path(path).open("rb") as file:
        if file.read(len(_MODEL_START)) != _MODEL_START:
            raise ConfigError(f"--language-model {path} is no model of fastText (.bin or .ftz)")


def _warn_of_unreached(metadata: Metadata, named: str) -> None:
    """Warns of lists that no label of language identification leads to."""
    reached = {*metadata.labels.values(), OTHER}
    left = [each.code for each in metadata.lists if each.code not in reached]
    if left:
        more = f" and {len(left) - MOST_SHOWN:,} more" if len(left) > MOST_SHOWN else ""
        log.warning(
            f"{named}: no label of languages.json leads to {counted(len(left), 'list')}, {', '.join(left[:MOST_SHOWN])}"
            f"{more}: no text is matched against {'it' if len(left) == 1 else 'them'}"
        )


def check_matchable(metadata: Metadata, named: str) -> None:
    """Refuses a list of which most entries can never match, and warns of any that cannot.

    Args:
        metadata: The list.
        named: How messages name it.

    Raises:
        MetadataError: If more than half of the entries can never match.
    """
    entries = metadata.entries
    never = [place for place, entry in enumerate(entries) if not can_match(entry)]
    if not never:
        return
    for each in metadata.parts:
        start, end = each.first_id, each.first_id + each.size
        its_never = bisect_left(never, end) - bisect_left(never, start)
        if 2 * its_never > end - start:
            share = f"{its_never:,} of {counted(end - start, 'entry', 'entries')} can never match"
            of_list = f"the list {each.code} " if each.code else ""
            kind = _kind_of(entries[start:end], share)
            raise MetadataError(f"{named}: {of_list}{kind}; give a list with one entry a line")
    share = f"{len(never):,} of {counted(len(entries), 'entry', 'entries')} can never match"
    first = ", ".join(f"#{place} {brief(entries[place])}" for place in never[:MOST_SHOWN])
    log.warning(f"{named}: {share}, such as {first}; metaclip-spark lint-metadata names them all")


def _kind_of(entries: Sequence[str], share: str) -> str:
    for mark, (kind, name) in _SEPARATED.items():
        if all(mark in entry for entry in entries):
            return f"looks like {kind} (every line has {name}; {share})"
    return share
