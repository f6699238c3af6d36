"""The ledger of extraction: which attempts at which archives count.

A wave's rows count once its ledger entry has been put, which happens after its write returned. Entries with status
`failed` never count. Among the others of one archive the smallest entry name wins, since a paused driver may wake up
and put a second one.
"""

import secrets
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec
from msgspec import UNSET

from metaclip_spark.config.fields import digest
from metaclip_spark.errors import ConfigError
from metaclip_spark.inputs.archive_path import ArchivePath
from metaclip_spark.runs.layout import LEDGER, wave_folder
from metaclip_spark.runs.records import (
    ArchiveSummary,
    ExtractionSettings,
    LedgerEntry,
    Superseded,
    put_record,
    read_ledger_entry,
)
from metaclip_spark.stores.storage import Storage
from udfs.sources import FetchOptions, tag_like
from udfs.sources.credentials import without_credentials

FAILED = "failed"
_LOOKS_AT_ONCE = 32

Attempts = dict[str, tuple[str, ArchiveSummary]]
"""Archive -> (entry name, what that attempt gave)."""


@dataclass(frozen=True)
class Ledger:
    """All ledger entries of a run: entry name (NNNNN-<nonce>) -> entry, in the order of names."""

    entries: dict[str, LedgerEntry]

    def accepted(self) -> Attempts:
        """Gives the attempt that counts for each archive; archives whose every attempt failed are absent."""
        chosen: Attempts = {}
        replaced = self._replaced()
        for name, entry in self.entries.items():
            for summary in entry.archives:
                if summary.status != FAILED and (name, summary.archive) not in replaced:
                    chosen.setdefault(summary.archive, (name, summary))
        return dict(sorted(chosen.items(), key=lambda item: item[0].encode()))

    def failed(self) -> Attempts:
        """Gives the last attempt at each archive that has failed every time."""
        accepted = self.accepted()
        replaced = self._replaced()
        last = {
            summary.archive: (name, summary)
            for name, entry in self.entries.items()
            for summary in entry.archives
            if (name, summary.archive) not in replaced
        }
        return {archive: attempt for archive, attempt in sorted(last.items()) if archive not in accepted}

    def _replaced(self) -> set[tuple[str, str]]:
        """(entry name, archive) of attempts whose archive has changed since, which the user accepted."""
        return {
            (item.entry, item.archive)
            for entry in self.entries.values()
            if entry.superseded is not UNSET
            for item in entry.superseded
        }

    def superseded(self, counted: Mapping[str, tuple[str, Any]]) -> list[tuple[str, str]]:
        """Lists (entry name, archive) of the attempts that are in a ledgered wave and not among those that count."""
        names = {archive: name for archive, (name, _) in counted.items()}
        return [
            (name, summary.archive)
            for name, entry in self.entries.items()
            for summary in entry.archives
            if names.get(summary.archive) != name
        ]

    def files(self, kind: str) -> list[str]:
        """Lists the data files of one of `udfs.schemas.KINDS` in all ledgered waves, sorted."""
        return sorted(file for entry in self.entries.values() for file in entry.files if f"/kind={kind}/" in file)

    def digest(self) -> str:
        """Digests what extraction gave: the accepted archives with their ETags and numbers, and the failed ones."""
        accepted = [msgspec.to_builtins(summary) for _, summary in self.accepted().values()]
        return digest([accepted, sorted(self.failed())])

    def next_wave(self) -> int:
        """Gives the number of the next wave."""
        return 1 + max((entry.wave for entry in self.entries.values()), default=-1)


def read_ledger(storage: Storage) -> Ledger:
    """Reads a run's ledger, which is empty where extraction has not begun.

    Raises:
        InputError: If one of its files is no ledger entry.
    """
    names = [name for name in storage.names(LEDGER) if name.endswith(".json")]
    return Ledger({name.removesuffix(".json"): read_ledger_entry(storage, f"{LEDGER}/{name}") for name in names})


def delete_unledgered_waves(storage: Storage, ledger: Ledger) -> None:
    """Deletes the folders of attempts that were killed before their ledger entry was put."""
    for folder in storage.names("extracted"):
        name = folder.removeprefix("wave=")
        if name not in ledger.entries:
            storage.delete(wave_folder(name))


def check_same_extraction(ledger: Ledger, settings: ExtractionSettings) -> None:
    """Refuses to mix waves of two configurations in one pool; all differences are named.

    Raises:
        ConfigError: If an entry was made with other settings.
    """
    now = msgspec.to_builtins(settings)
    for name, entry in ledger.entries.items():
        before = msgspec.to_builtins(entry.config)
        differences = [
            f"{key} was {before.get(key)!r} and is now {now.get(key)!r}"
            for key in sorted({*before, *now})
            if before.get(key) != now.get(key)
        ]
        if differences:
            raise ConfigError(
                f"the output was extracted with other settings (ledger entry {name}): {'; '.join(differences)}. "
                "Give the old settings, another --output, or --overwrite"
            )


def check_unchanged(
    storage: Storage,
    ledger: Ledger,
    paths: list[ArchivePath],
    *,
    options: FetchOptions | None = None,
    accept: bool = False,
) -> Ledger:
    """Refuses to go on where an archive is no longer what it was when its pairs were extracted.

    Args:
        storage: The run, whose lock the caller holds.
        ledger: The run's ledger.
        paths: The archives that are there now.
        options: How remote stores are reached.
        accept: Put a ledger entry instead that takes the changed archives' old attempts out of the count.

    Returns:
        The ledger, in which accepted changes are archives that are still to be extracted.

    Raises:
        ConfigError: If an archive's size or ETag differs from the ledger's.
    """
    accepted = ledger.accepted()
    known = [(archive, path) for archive, path in paths if archive in accepted]
    with ThreadPoolExecutor(_LOOKS_AT_ONCE) as pool:
        tags = pool.map(
            partial(_tag_now, options=options or FetchOptions()),
            [path for _, path in known],
            [accepted[archive][1].etag for archive, _ in known],
        )
    changed = [
        (archive, path, tag)
        for (archive, path), tag in zip(known, tags, strict=True)
        if tag is not None and tag != accepted[archive][1].etag
    ]
    if not changed:
        return ledger
    if not accept:
        archive, path, tag = changed[0]
        name, summary = accepted[archive]
        more = f" ({len(changed) - 1} more archives have changed too)" if len(changed) > 1 else ""
        raise ConfigError(
            f"{without_credentials(path)} has changed since its pairs were extracted (ETag {summary.etag} in ledger "
            f"entry {name}, now {tag}){more}: give --accept-changed to extract it again, another --output, or "
            "--overwrite"
        )
    gone = [
        Superseded(archive=archive, entry=accepted[archive][0], etag=accepted[archive][1].etag)
        for archive, _, _ in changed
    ]
    wave, settings = ledger.next_wave(), ledger.entries[gone[0].entry].config
    entry = LedgerEntry(wave=wave, config=settings, files=[], archives=[], superseded=gone)
    put_record(storage, f"{LEDGER}/{wave:05d}-{secrets.token_hex(4)}.json", entry)
    return read_ledger(storage)


def _tag_now(path: str, before: str, options: FetchOptions) -> str | None:
    try:
        return tag_like(before, path, options)
    except (OSError, ValueError):
        # Its pairs are stored already: an archive that is gone or out of reach is no reason to stop.
        return None
