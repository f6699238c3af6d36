"""Ledger entries and manifests of runs that no Spark wrote. Used by the tests."""

import msgspec

from metaclip_spark.runs.records import ArchiveSummary, DeduplicateNumbers, ExtractionSettings, Manifest, NoSettings

ARCHIVES = ExtractionSettings(input="archives", max_page_bytes=5)


def archive_row(name: str, status: str = "ok", etag: str = "e") -> dict:
    """What an attempt at an archive gave, as the ledger holds it."""
    numbers = dict.fromkeys(("bytes_read", "records", "pages", "images", "images_kept", "texts"), 0)
    summary = ArchiveSummary(archive=name, status=status, size=1, etag=etag, **numbers, pairs=1, rejected={})
    return msgspec.to_builtins(summary)


def put_entry(storage, name: str, *rows: dict, config: ExtractionSettings = ARCHIVES) -> None:
    """Puts a ledger entry as version 0.1.0 does."""
    entry = {"wave": int(name[:5]), "config": msgspec.to_builtins(config), "files": [], "archives": list(rows)}
    storage.put_json(f"ledger/{name}.json", entry)


def manifest(step: str = "deduplicate", **changed) -> Manifest:
    """The manifest of a step without settings."""
    facts = {
        "step": step,
        "config": NoSettings(),
        "input": "before",
        "numbers": DeduplicateNumbers(pairs_in=1, duplicates=0, pairs=1),
        "settings": {},
        "files": {},
        "seconds": 1.0,
    }
    return Manifest(**{**facts, **changed})


class Kill(BaseException):
    """In place of a signal: nothing catches it."""
