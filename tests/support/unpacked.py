"""What files hold, as their readers see it: to be searched. Used by the tests."""

import gzip
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq

Sample = dict[str, bytes]
"""Extension -> content of a member."""


def every_text(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yields the content of each file: tables decoded, other files unpacked."""
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".parquet":
            yield path, json.dumps(pq.read_table(path, partitioning=None).to_pylist(), default=str, ensure_ascii=False)
        elif path.is_file():
            raw = path.read_bytes()
            yield path, (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8", "replace")


def samples_of(folder: Path) -> list[Sample]:
    """Reads the tars of a folder by webdataset's rule alone: members with one key are a sample."""
    samples: dict[tuple[str, str], Sample] = {}
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                key, _, extension = member.name.partition(".")
                samples.setdefault((path.name, key), {})[extension] = tar.extractfile(member).read()
    return list(samples.values())
