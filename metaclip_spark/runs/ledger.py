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

from metaclip_spark.config.fields import digest
from metaclip_spark.errors import ConfigError, InputError
from metaclip_spark.stores.storage import LEDGER, Storage
from udfs.sources.credentials import without_credentials
from udfs.sources.fetch import tag_like
from udfs.sources.resume import FetchOptions

FAILED = "failed"
_LOOKS_AT_ONCE = 32
_KEYS_OF_ENTRY = {"wave": int, "config": dict, "files": list, "archives": list}
_KEYS_OF_ROW = {"archive", "status", "etag", "pairs"}


@dataclass(frozen=True)
class Ledger:
    """All ledger entries of a run.

    Attributes:
        entries: Entry name (NNNNN-<nonce>) -> entry, in the order of names.
    """

    entries: dict[str, dict[str, Any]]

    def accepted(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """Gives the attempt that counts for each archive.

        Returns:
            Archive -> (entry name, the archive's row); archives whose every attempt failed are absent.
        """
        chosen: dict[str, tuple[str, dict[str, Any]]] = {}
        replaced = self._replaced()
        for name, entry in self.entries.items():
            for row in entry["archives"]:
                if row["status"] != FAILED and (name, row["archive"]) not in replaced:
                    chosen.setdefault(row["archive"], (name, row))
        return dict(sorted(chosen.items(), key=lambda item: item[0].encode()))

    def failed(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """Gives the last attempt at each archive that has failed every time.

        Returns:
            Archive -> (entry name, the archive's row).
        """
        accepted = self.accepted()
        replaced = self._replaced()
        last = {
            row["archive"]: (name, row)
            for name, entry in self.entries.items()
            for row in entry["archives"]
            if (name, row["archive"]) not in replaced
        }
        return {archive: attempt for archive, attempt in sorted(last.items()) if archive not in accepted}

    def _replaced(self) -> set[tuple[str, str]]:
        """(entry name, archive) of attempts whose archive has changed since, which the user accepted."""
        return {
            (item["entry"], item["archive"]) for entry in self.entries.values() for item in entry.get("superseded", ())
        }

    def superseded(self, counted: Mapping[str, tuple[str, Any]]) -> list[tuple[str, str]]:
        """Lists the attempts whose rows lie in a ledgered wave but do not count.

        Args:
            counted: Archive -> (entry name, anything): the attempts that count.

        Returns:
            (entry name, archive).
        """
        names = {archive: name for archive, (name, _) in counted.items()}
        return [
            (name, row["archive"])
            for name, entry in self.entries.items()
            for row in entry["archives"]
            if names.get(row["archive"]) != name
        ]

    def files(self, kind: str) -> list[str]:
        """Lists the data files of one kind of rows in all ledgered waves.

        Args:
            kind: One of `udfs.schemas.KINDS`.

        Returns:
            Paths relative to the run's folder, sorted.
        """
        return sorted(file for entry in self.entries.values() for file in entry["files"] if f"/kind={kind}/" in file)

    def digest(self) -> str:
        """Digests what extraction gave: the accepted archives with their ETags and numbers, and the failed ones."""
        return digest([[row for _, row in self.accepted().values()], sorted(self.failed())])

    def next_wave(self) -> int:
        """Gives the number of the next wave."""
        return 1 + max((entry["wave"] for entry in self.entries.values()), default=-1)


def read_ledger(storage: Storage) -> Ledger:
    """Reads a run's ledger.

    Args:
        storage: The run.

    Returns:
        Its entries; none where extraction has not begun.

    Raises:
        InputError: If one is no ledger entry.
    """
    names = [name for name in storage.names(LEDGER) if name.endswith(".json")]
    return Ledger({name.removesuffix(".json"): _read_entry(storage, f"{LEDGER}/{name}") for name in names})


def _read_entry(storage: Storage, name: str) -> dict[str, Any]:
    entry = storage.read_json(name) or {}
    wrong = [key for key, kind in _KEYS_OF_ENTRY.items() if not isinstance(entry.get(key), kind)]
    if wrong or not _has_whole_rows(entry):
        raise InputError(
            f"{storage.root}/{name} is no ledger entry (it lacks {', '.join(wrong) or 'what its archives gave'}): "
            "restore it, or delete it, and --resume extracts its archives again"
        )
    return entry


def _has_whole_rows(entry: dict[str, Any]) -> bool:
    rows, gone = entry["archives"], entry.get("superseded", [])
    return (
        all(isinstance(row, dict) and row.keys() >= _KEYS_OF_ROW and isinstance(row["archive"], str) for row in rows)
        and all(isinstance(row.get("rejected", {}), dict) for row in rows)
        and all(isinstance(file, str) for file in entry["files"])
        and isinstance(gone, list)
        and all(isinstance(item, dict) and item.keys() >= {"archive", "entry"} for item in gone)
    )


def wave_folder(entry_name: str) -> str:
    """Names the folder of one attempt at one wave.

    Args:
        entry_name: NNNNN-<nonce>.

    Returns:
        A path relative to the run's folder.
    """
    return f"extracted/wave={entry_name}"


def delete_unledgered_waves(storage: Storage, ledger: Ledger) -> None:
    """Deletes the folders of attempts that were killed before their ledger entry was put.

    Args:
        storage: The run, whose lock the caller holds.
        ledger: The run's ledger.
    """
    for folder in storage.names("extracted"):
        if folder.removeprefix("wave=") not in ledger.entries:
            storage.delete(f"extracted/{folder}")


def check_same_extraction(ledger: Ledger, settings: dict[str, Any]) -> None:
    """Refuses to mix waves of two configurations in one pool.

    Args:
        ledger: The run's ledger.
        settings: The result fields of the extraction that is to go on.

    Raises:
        ConfigError: If an entry was made with other settings; all differences are named.
    """
    for name, entry in ledger.entries.items():
        differences = [
            f"{key} was {entry['config'].get(key)!r} and is now {settings.get(key)!r}"
            for key in sorted({*entry["config"], *settings})
            if entry["config"].get(key) != settings.get(key)
        ]
        if differences:
            raise ConfigError(
                f"the output was extracted with other settings (ledger entry {name}): {'; '.join(differences)}. "
                "Give the old settings, another --output, or --overwrite"
            )


def check_unchanged(
    storage: Storage,
    ledger: Ledger,
    paths: list[tuple[str, str]],
    *,
    options: FetchOptions | None = None,
    accept: bool = False,
) -> Ledger:
    """Refuses to go on where an archive is no longer what it was when its pairs were extracted.

    Args:
        storage: The run, whose lock the caller holds.
        ledger: The run's ledger.
        paths: (archive, path) of the archives that are there now.
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
            [accepted[archive][1]["etag"] for archive, _ in known],
        )
    changed = [
        (archive, path, tag)
        for (archive, path), tag in zip(known, tags, strict=True)
        if tag is not None and tag != accepted[archive][1]["etag"]
    ]
    if not changed:
        return ledger
    if not accept:
        archive, path, tag = changed[0]
        name, row = accepted[archive]
        more = f" ({len(changed) - 1} more archives have changed too)" if len(changed) > 1 else ""
        raise ConfigError(
            f"{without_credentials(path)} has changed since its pairs were extracted (ETag {row['etag']} in ledger "
            f"entry {name}, now {tag}){more}: give --accept-changed to extract it again, another --output, or "
            "--overwrite"
        )
    gone = [{"archive": archive, "entry": accepted[archive][0], "etag": accepted[archive][1]["etag"]}
            for archive, _, _ in changed]  # fmt: skip
    settings = ledger.entries[gone[0]["entry"]]["config"]
    wave = ledger.next_wave()
    content = {"wave": wave, "config": settings, "files": [], "archives": [], "superseded": gone}
    storage.put_json(f"{LEDGER}/{wave:05d}-{secrets.token_hex(4)}.json", content)
    return read_ledger(storage)


def _tag_now(path: str, before: str, options: FetchOptions) -> str | None:
    try:
        return tag_like(before, path, options)
    except (OSError, ValueError):
        # Its pairs are stored already: an archive that is gone or out of reach is no reason to stop.
        return None
