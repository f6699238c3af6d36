"""Downloaded pictures, found by URL or pair: img2dataset's output, or a folder with a mapping.

The index holds a place per URL in memory: for millions of pictures, not for billions.
"""

import json
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
_PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")


@dataclass(frozen=True)
class Place:
    """Where a picture's bytes lie: a file, or a part of a tar."""

    path: Path
    offset: int = 0
    size: int = -1


@dataclass
class PictureIndex:
    """Where the pictures are.

    Attributes:
        places: URL or pair_id -> place.
        failed: URLs whose download failed.
        missing: URLs that were downloaded, but whose picture is not where it should be.
    """

    places: dict[str, Place] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)

    def read(self, pair_id: str, url: str) -> bytes | str:
        """Reads the picture of a pair.

        Args:
            pair_id: The pair.
            url: Its picture's URL.

        Returns:
            The encoded picture; or why there is none: download_failed, image_missing or not_downloaded.
        """
        place = self.places.get(pair_id) or self.places.get(url)
        if place is None:
            if url in self.missing:
                return "image_missing"
            return "download_failed" if url in self.failed else "not_downloaded"
        try:
            with place.path.open("rb") as file:
                file.seek(place.offset)
                content = file.read(place.size)
        except OSError:
            return "image_missing"
        return content if content else "image_corrupt"


def find_pictures(folder: Path) -> PictureIndex:
    """Finds out where pictures are.

    Args:
        folder: With any of: img2dataset's tars (and their Parquet lists), its folders of files with their Parquet
            lists, Parquet files with image_path (relative to the folder) and image_url, url or pair_id.

    Returns:
        The index; of several pictures of one URL the first by file name.

    Raises:
        InputError: If there is nothing of that kind.
    """
    if not folder.is_dir():
        raise InputError(f"--images {folder} is no folder: give img2dataset's output or a folder with a mapping")
    index = PictureIndex()
    known = 0
    for tar in sorted(folder.rglob("*.tar")):
        _index_tar(tar, index)
        known += 1
    for parquet in sorted(folder.rglob("*.parquet")):
        known += _index_parquet(parquet, index)
    if not known:
        raise InputError(
            f"--images {folder} holds neither img2dataset's output nor a Parquet mapping with image_url and {_MAPPING}"
        )
    index.failed -= index.places.keys()
    index.missing -= index.places.keys()
    return index


def _index_tar(path: Path, index: PictureIndex) -> None:
    """Notes the pictures of one tar by the URL in their JSON member; a damaged end loses what lies behind it."""
    pictures: dict[str, Place] = {}
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                key, _, extension = member.name.rpartition(".")
                if f".{extension.lower()}" in _PICTURES:
                    pictures[key] = Place(path, member.offset_data, member.size)
                elif extension == "json" and (content := tar.extractfile(member)) is not None:
                    _note(index, json.loads(content.read()), pictures.get(key))
    except (tarfile.TarError, ValueError, EOFError):
        # The pictures that could not be reached are in the list beside the tar, and count as missing.
        return


def _index_parquet(path: Path, index: PictureIndex) -> int:
    try:
        names = set(pq.read_schema(path).names)
        by = [name for name in ("pair_id", "image_url", "url") if name in names]
        if _MAPPING in names and by:
            for row in pq.read_table(path, columns=[*by, _MAPPING]).to_pylist():
                for name in by:
                    if row[name] and row[_MAPPING]:
                        index.places.setdefault(row[name], Place(path.parent / row[_MAPPING]))
            return 1
        if names >= _SIDECAR:
            for row in pq.read_table(path, columns=sorted(_SIDECAR)).to_pylist():
                _note(index, row, _picture_file(path.with_suffix("") / str(row["key"])))
            return 1
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} cannot be read as Parquet: {error}") from None
    return 0


def _note(index: PictureIndex, row: dict[str, Any], place: Place | None) -> None:
    url = row.get("url")
    if not isinstance(url, str):
        return
    if row.get("status", _SUCCESS) != _SUCCESS:
        index.failed.add(url)
    elif place is None:
        index.missing.add(url)
    else:
        index.places.setdefault(url, place)


def _picture_file(stem: Path) -> Place | None:
    found = (stem.with_name(stem.name + extension) for extension in _PICTURES)
    return next((Place(path) for path in found if path.is_file()), None)
