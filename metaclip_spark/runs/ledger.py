"""The waves of extraction that count, and which attempts at which archives do.

A wave's rows count once the log has its entry, which is created after its write returned. Attempts with status `failed`
never count. Among the others of one archive the first one wins.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec

from metaclip_spark.commits.entries import ArchiveSummary, Attempt, Wave
from metaclip_spark.commits.files import lost_of
from metaclip_spark.commits.state import State
from metaclip_spark.config.fields import digest, in_words
from metaclip_spark.errors import ConfigError
from metaclip_spark.inputs.archive_path import ArchivePath
from metaclip_spark.runs.records import ExtractionSettings
from metaclip_spark.stores.storage import Storage
from udfs.sources import FetchOptions, tag_like
from udfs.sources.credentials import without_credentials

FAILED = "failed"
_LOOKS_AT_ONCE = 32

Attempts = dict[str, tuple[str, ArchiveSummary]]
"""Archive -> (folder of the wave, what that attempt gave)."""


@dataclass(frozen=True)
class Ledger:
    """The waves of a run that count: folder -> wave, in the order of the log; and the attempts that count no more."""

    waves: dict[str, Wave]
    dropped: frozenset[tuple[str, str]] = frozenset()

    def accepted(self) -> Attempts:
        """Gives the attempt that counts for each archive; archives whose every attempt failed are absent."""
        chosen: Attempts = {}
        for folder, summary in self.attempts():
            if summary.status != FAILED:
                chosen.setdefault(summary.archive, (folder, summary))
        return dict(sorted(chosen.items(), key=lambda item: item[0].encode()))

    def failed(self) -> Attempts:
        """Gives the last attempt at each archive that has failed every time."""
        accepted = self.accepted()
        last = {summary.archive: (folder, summary) for folder, summary in self.attempts()}
        return {archive: attempt for archive, attempt in sorted(last.items()) if archive not in accepted}

    def attempts(self) -> Iterator[tuple[str, ArchiveSummary]]:
        """Yields folder and summary of each attempt that has not been dropped, in the order of the log."""
        for folder, wave in self.waves.items():
            for summary in wave.archives:
                if (folder, summary.archive) not in self.dropped:
                    yield folder, summary

    def superseded(self, counted: Mapping[str, tuple[str, Any]]) -> list[tuple[str, str]]:
        """Lists (folder, archive) of the attempts that are in a wave and not among those that count."""
        folders = {archive: folder for archive, (folder, _) in counted.items()}
        return [
            (folder, summary.archive)
            for folder, wave in self.waves.items()
            for summary in wave.archives
            if folders.get(summary.archive) != folder
        ]

    def written(self, kind: str, bucket: int | None = None) -> list[tuple[str, int]]:
        """Lists (file, rows) of one of `udfs.schemas.KINDS` in all waves, sorted, of one bucket or of all.

        A wave of which no attempt counts any more may be deleted by now.
        """
        inside = f"/kind={kind}/" if bucket is None else f"/kind={kind}/bucket={bucket}/"
        counting = {folder for folder, _ in self.attempts()}
        return sorted(
            (f"{folder}/{file.name}", file.rows)
            for folder, wave in self.waves.items()
            if folder in counting
            for file in wave.written.files
            if inside in f"/{file.name}"
        )

    def digest(self) -> str:
        """Digests what extraction gave: the accepted archives with their ETags and numbers, and the failed ones."""
        accepted = [msgspec.structs.asdict(summary) for _, summary in self.accepted().values()]
        return digest([accepted, sorted(self.failed())])

    def next_wave(self) -> int:
        """Gives the number of the next wave."""
        return 1 + max((wave.wave for wave in self.waves.values()), default=-1)


def ledger_of(state: State) -> Ledger:
    """Gives the waves that count, which are none where extraction has not begun."""
    return Ledger(dict(state.waves), frozenset(state.dropped))


def check_same_extraction(state: State, settings: ExtractionSettings, shown: object) -> None:
    """Refuses to mix waves of two configurations in one pool; all differences are named.

    Args:
        state: What counts in the output.
        settings: What the extraction's result depends on now.
        shown: The output, for messages.

    Raises:
        ConfigError: If it was extracted with other settings.
    """
    begun = state.begins.get("extract")
    if begun is None or not state.waves:
        return
    differences = in_words(begun[1].config, msgspec.to_builtins(settings))
    if differences:
        raise ConfigError(
            f"{shown} was extracted with other settings: {differences}. Give the old settings, another --output, or "
            "--overwrite"
        )


def changed_attempts(
    ledger: Ledger,
    paths: list[ArchivePath],
    *,
    options: FetchOptions | None = None,
    accept: bool = False,
) -> tuple[Attempt, ...]:
    """Refuses to go on where an archive is no longer what it was when its pairs were extracted.

    Args:
        ledger: The run's waves.
        paths: The archives that are there now.
        options: How remote stores are reached.
        accept: Do not refuse.

    Returns:
        Every attempt at the changed archives, which are to be dropped.

    Raises:
        ConfigError: If an archive's size or ETag differs from what the log says.
    """
    accepted = ledger.accepted()
    known = [(archive, path) for archive, path in paths if archive in accepted]
    with ThreadPoolExecutor(_LOOKS_AT_ONCE) as pool:
        tags = pool.map(
            partial(_tag_now, options=options or FetchOptions()),
            [path for _, path in known],
            [accepted[archive][1].etag for archive, _ in known],
        )
    changed = {
        archive: (path, tag)
        for (archive, path), tag in zip(known, tags, strict=True)
        if tag is not None and tag != accepted[archive][1].etag
    }
    if changed and not accept:
        archive, (path, tag) = next(iter(changed.items()))
        folder, summary = accepted[archive]
        more = f" ({len(changed) - 1} more archives have changed too)" if len(changed) > 1 else ""
        raise ConfigError(
            f"{without_credentials(path)} has changed since its pairs were extracted (ETag {summary.etag} in {folder}, "
            f"now {tag}){more}: give --accept-changed to extract it again, another --output, or --overwrite"
        )
    return tuple(
        Attempt(folder, summary.archive) for folder, summary in ledger.attempts() if summary.archive in changed
    )


def lost_attempts(storage: Storage, ledger: Ledger) -> tuple[Attempt, ...]:
    """Lists the attempts of waves whose files are gone or changed."""
    folders = dict.fromkeys(folder for folder, _ in ledger.attempts())
    lost = {folder for folder in folders if lost_of(storage, ledger.waves[folder].written)}
    return tuple(Attempt(folder, summary.archive) for folder, summary in ledger.attempts() if folder in lost)


def _tag_now(path: str, before: str, options: FetchOptions) -> str | None:
    try:
        return tag_like(before, path, options)
    except (OSError, ValueError):
        # Its pairs are stored already: an archive that is gone or out of reach is no reason to stop.
        return None


def reference_records(state: State) -> dict[str, int]:
    """Adds up the records that the reference reader has read, by reason.

    They are in no archive's row and no step's numbers, whose digests must not depend on the machines.
    """
    return added_up(wave.reference_records for wave in state.waves.values())


def added_up(numbers: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Adds numbers up by reason."""
    total: Counter[str] = Counter()
    for each in numbers:
        total.update(each)
    return dict(sorted(total.items()))
