"""Downloaded images, found by URL or pair: img2dataset's output, or a folder with a mapping.

The index holds a location per URL in memory: for millions of images, not for billions.
"""

import json
import os
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from metaclip_spark.errors import InputError

_SUCCESS = "success"
_MAPPING = "image_path"
_SIDECAR = {"url", "key", "status"}
_EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")


@dataclass(frozen=True)
class ImageLocation:
    """Where an image's bytes lie: a file, or a part of a tar."""

    path: Path
    offset: int = 0
    size: int = -1


@dataclass
class ImageIndex:
    """Where the images are.

    Attributes:
        locations: URL or pair_id -> location.
        failed: URLs whose download failed.
        missing: URLs that were downloaded, but whose image is not where it should be.
    """

    locations: dict[str, ImageLocation] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)

    def read(self, pair_id: str, url: str) -> bytes | str:
        """The bytes of a pair's image, or why there are none."""
        location = self.locations.get(pair_id) or self.locations.get(url)
        if location is None:
            if url in self.missing:
                return "image_missing"
            return "download_failed" if url in self.failed else "not_downloaded"
        try:
            with location.path.open("rb") as file:
                file.seek(location.offset)
                content = file.read(location.size)
        except OSError:
            return "image_missing"
        return content if content else "image_corrupt"


def index_images(folder: Path) -> ImageIndex:
    """Finds out where images are.

    Args:
        folder: With any of: img2dataset's tars (and their Parquet lists), its folders of files with their Parquet
            lists, Parquet files with image_path (relative to the folder) and image_url, url or pair_id.

    Returns:
        The index; of several images of one URL the first by file name.

    Raises:
        InputError: If there is nothing of that kind, or a row names an image outside the folder.
    """
    if not folder.is_dir():
        raise InputError(f"--images {folder} is not a folder: give img2dataset's output or a folder with a mapping")
    index = ImageIndex()
    known = 0
    for tar in sorted(folder.rglob("*.tar")):
        _index_tar(tar, index)
        known += 1
    folders = _Folders(folder)
    for parquet in sorted(folder.rglob("*.parquet")):
        known += _index_parquet(parquet, index, folders)
    if not known:
        raise InputError(
            f"--images {folder} holds neither img2dataset's output nor a Parquet mapping with image_url and {_MAPPING}"
        )
    index.failed -= index.locations.keys()
    index.missing -= index.locations.keys()
    return index


def _index_tar(path: Path, index: ImageIndex) -> None:
    """Notes the images of one tar by the URL in their JSON member; a damaged end loses what is behind it."""
    images: dict[str, ImageLocation] = {}
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                key, _, extension = member.name.rpartition(".")
                if f".{extension.lower()}" in _EXTENSIONS:
                    images[key] = ImageLocation(path, member.offset_data, member.size)
                elif extension == "json" and (content := tar.extractfile(member)) is not None:
                    _note(index, _row_of_member(path, member.name, content.read()), images.get(key))
    except (tarfile.TarError, EOFError):
        # The images that could not be reached are in the list beside the tar, and count as missing.
        return


def _row_of_member(path: Path, name: str, content: bytes) -> dict[str, Any]:
    """Reads what a tar says of one image."""
    try:
        row = json.loads(content)
    except (ValueError, RecursionError):
        row = None
    if not isinstance(row, dict):
        raise InputError(f"{path}: its member {name} is not a JSON object: download that tar again, or take it out")
    return row


class _Folders:
    """Tells whether paths lie below a folder, links followed; each folder on the way is looked up once."""

    def __init__(self, root: Path) -> None:
        self._root = Path(os.path.realpath(root))
        self._within: dict[Path, bool] = {}

    def hold(self, path: Path) -> bool:
        try:
            if path.name == ".." or path.is_symlink():
                return self._real_is_within(path)
        except OSError:
            # Such as a name that is too long: nothing can be read there.
            return True
        if path.parent not in self._within:
            self._within[path.parent] = self._real_is_within(path.parent)
        return self._within[path.parent]

    def _real_is_within(self, path: Path) -> bool:
        return Path(os.path.realpath(path)).is_relative_to(self._root)


def _below(parquet: Path, number: int, named: object, folders: _Folders) -> Path:
    """Finds what a row of a table names, relative to the table."""
    if not isinstance(named, str) or "\0" in named:
        raise InputError(
            f"{parquet}: row {number} names the picture {named!r}: it must be a path relative to the table"
        )
    path = parquet.parent / named
    if Path(named).is_absolute() or not folders.hold(path):
        raise InputError(
            f"{parquet}: row {number} names the picture {named!r}, which lies outside the folder of --images: copy it "
            "there, and name it relative to the table"
        )
    return path


def _index_parquet(path: Path, index: ImageIndex, folders: _Folders) -> int:
    try:
        names = set(pq.read_schema(path).names)
        by = [name for name in ("pair_id", "image_url", "url") if name in names]
        columns = [*by, _MAPPING] if _MAPPING in names and by else sorted(_SIDECAR) if names >= _SIDECAR else []
        rows = pq.read_table(path, columns=columns).to_pylist() if columns else []
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} cannot be read as Parquet: {error}") from None
    for number, row in enumerate(rows, start=1):
        if _MAPPING in row:
            _note_mapped(index, path, number, row, folders)
        else:
            key = _below(path, number, str(Path(path.stem, str(row["key"]))), folders)
            found = _image_file(key)
            if found is not None:
                _below(path, number, str(found.path.relative_to(path.parent)), folders)
            _note(index, row, found)
    return 1 if columns else 0


def _note_mapped(index: ImageIndex, path: Path, number: int, row: dict[str, Any], folders: _Folders) -> None:
    if row[_MAPPING]:
        location = ImageLocation(_below(path, number, row[_MAPPING], folders))
        for name, value in row.items():
            if name != _MAPPING and value:
                index.locations.setdefault(value, location)


def _note(index: ImageIndex, row: dict[str, Any], location: ImageLocation | None) -> None:
    url = row.get("url")
    if not isinstance(url, str):
        return
    if row.get("status", _SUCCESS) != _SUCCESS:
        index.failed.add(url)
    elif location is None:
        index.missing.add(url)
    else:
        index.locations.setdefault(url, location)


def _image_file(stem: Path) -> ImageLocation | None:
    found = (stem.with_name(stem.name + extension) for extension in _EXTENSIONS)
    return next((ImageLocation(path) for path in found if path.is_file()), None)
