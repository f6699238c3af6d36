"""Which tars a folder holds, on this machine or in a store."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from metaclip_spark.clip_benchmark.dependencies import require_packages
from metaclip_spark.clip_benchmark.reading.samples import INDEX_FILE
from metaclip_spark.clip_benchmark.settings.training_config import is_remote
from metaclip_spark.errors import ConfigError, InputError, said_of
from udfs.sources.credentials import without_credentials
from udfs.sources.options import environment_options

_HIDDEN = "._"
_CLIENTS = ("boto3", "fastwarc", "fsspec", "tenacity", "zstandard")
"""What reading from a store needs."""
_OPTION = "--train-shards"
_READ_BYTES = 1 << 20


@dataclass(frozen=True)
class Shard:
    """A tar.

    Attributes:
        path: A local path or a URL.
        samples: How many samples were written to it; None where nothing says so.
    """

    path: str
    samples: int | None = None

    @property
    def shown(self) -> str:
        """The path as messages show it."""
        return without_credentials(self.path)


def find_shards(folder: str) -> tuple[Shard, ...]:
    """Finds the tars in a folder and in the folders below it, as img2dataset and make-shards leave them.

    Args:
        folder: A local folder, or a URL of S3, of the web (one tar) or of a store that fsspec has a package for.

    Returns:
        Those that shards.json in the folder names, in its order; without one all, in the order of their paths.

    Raises:
        ConfigError: If there are none.
        InputError: If shards.json is damaged, or the store cannot be listed.
    """
    described = read_beside(folder, INDEX_FILE)
    if described is not None:
        return _described(folder, described)
    found = _remote_tars(folder) if is_remote(folder) else _local_tars(Path(folder))
    if not found:
        raise ConfigError(f"{_OPTION} {folder} holds no tars: make them by metaclip-spark make-shards")
    return tuple(map(Shard, found))


def read_beside(folder: str, name: str) -> bytes | None:
    """Reads a small file of a folder; None where there is none.

    Raises:
        ConfigError: If a package that reads from stores is missing.
        InputError: If it cannot be read.
    """
    if not is_remote(folder):
        path = Path(folder) / name
        return path.read_bytes() if path.is_file() else None
    require_packages(f"{_OPTION} {without_credentials(folder)}", *_CLIENTS)
    if folder.lower().endswith(".tar"):
        return None
    try:
        with opened(_joined(folder, name)) as file:
            return file.read()
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InputError(f"{_OPTION} {error}") from None


@contextmanager
def opened(path: str) -> Iterator[BinaryIO]:
    """Opens a local file or an object of a store, which is asked again where it breaks off.

    Raises:
        OSError: If it cannot be opened.
        ValueError: If no package opens the URL's scheme.
    """
    if not is_remote(path):
        with Path(path).open("rb", buffering=_READ_BYTES) as file:
            yield file
        return
    from udfs.sources import open_archive  # noqa: PLC0415 - training needs no client of a store

    with open_archive(path, environment_options()) as stream:
        yield cast("BinaryIO", stream)


def forget_clients() -> None:
    """Drops the connections that a process has from the one that it was forked from: two must not read of one."""
    if "udfs.sources.s3" in sys.modules:
        sys.modules["udfs.sources.s3"].forget_client(environment_options())


def _described(folder: str, content: bytes) -> tuple[Shard, ...]:
    try:
        shards = json.loads(content)["shards"]
        found = tuple(Shard(_joined(folder, str(shard["name"])), int(shard["samples"])) for shard in shards)
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise InputError(
            f"{_joined(without_credentials(folder), INDEX_FILE)} does not describe shards ({error!r}): make it again"
        ) from None
    if not sum(shard.samples or 0 for shard in found):
        raise ConfigError(f"{_OPTION} {folder} holds no samples: make them by metaclip-spark make-shards")
    return found


def _local_tars(folder: Path) -> list[str]:
    below = (path.relative_to(folder) for path in folder.rglob("*.tar"))
    shown = (path for path in below if not any(part[0] in _HIDDEN for part in path.parts))
    return [str(folder / path) for path in sorted(shown, key=lambda path: path.as_posix())]


def _remote_tars(folder: str) -> list[str]:
    from metaclip_spark.inputs.remote import files_of_url  # noqa: PLC0415 - training needs no client of a store

    with said_of(_OPTION):
        found = files_of_url(folder, (".tar",), environment_options())
    return [path for _, path in sorted(found, key=lambda each: each.archive)]


def _joined(folder: str, name: str) -> str:
    return f"{folder.rstrip('/')}/{name}" if is_remote(folder) else str(Path(folder) / name)
