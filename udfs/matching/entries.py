"""A metadata list as a file: its compact JSON, whose SHA-256 is the list's digest."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path


def entries_as_json(entries: Sequence[str]) -> bytes:
    """Returns the one form of a metadata list that its digest is made from: a compact JSON list in UTF-8.

    Raises:
        UnicodeEncodeError: If an entry holds a lone surrogate.
    """
    return json.dumps(list(entries), ensure_ascii=False, separators=(",", ":")).encode()


def write_entries(entries: Sequence[str], metadata_digest: str, path: str) -> None:
    """Writes a metadata list for the workers.

    Raises:
        ValueError: If the digest is another list's.
        OSError: If the file cannot be written.
    """
    content = entries_as_json(entries)
    _check_digest(content, metadata_digest, "the list to be written")
    Path(path).write_bytes(content)


def read_entries(path: str, metadata_digest: str) -> list[str]:
    """Reads a metadata list that `write_entries` wrote.

    Raises:
        ValueError: If the file holds another list.
        OSError: If the file cannot be read.
    """
    content = Path(path).read_bytes()
    _check_digest(content, metadata_digest, path)
    entries: list[str] = json.loads(content)
    return entries


def _check_digest(content: bytes, metadata_digest: str, name: str) -> None:
    """Compares digests.

    Raises:
        ValueError: If they differ.
    """
    digest = hashlib.sha256(content).hexdigest()
    if digest != metadata_digest:
        raise ValueError(f"{name} has the metadata digest {digest}, but this job works with {metadata_digest}")
