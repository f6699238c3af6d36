"""What a pool's folder holds for the benchmark, whoever made it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from metaclip_spark.clip_benchmark.reading.samples import PROTECTED_FILE
from metaclip_spark.errors import ConfigError

PAIRS_FILE = "pairs.parquet"
METADATA_FILE = "metadata.json"
POOL_FILE = "pool.json"
"""Written last by those who make a pool: it is finished."""
TEST_FOLDER = "test"
FOLDER = "folder"
"""The kind of a pool whose folder the user gave: one for all seeds."""


@dataclass(frozen=True)
class DataFolder:
    """A pool of pairs with images, a metadata list and a test split.

    The folder has pairs.parquet (image_url, alt_text, image_path), the images, metadata.json, test/, and where there is
    one protected_words.txt: words that edited captions must keep.
    """

    folder: Path

    def __post_init__(self) -> None:
        """Checks that everything is there."""
        for path in (self.pairs_file, self.metadata_file, self.test_shards / "shards.json"):
            if not path.is_file():
                raise ConfigError(
                    f"--data {self.folder} lacks {path.relative_to(self.folder)}: give shapes, shape-pairs, drawings, "
                    f"or the folder of a pool with {PAIRS_FILE}, {METADATA_FILE} and {TEST_FOLDER}/"
                )

    @property
    def pairs_file(self) -> Path:
        """The pairs, as `--pool` of the curation reads them and as the mapping from URL to image."""
        return self.folder / PAIRS_FILE

    @property
    def metadata_file(self) -> Path:
        """The metadata list."""
        return self.folder / METADATA_FILE

    @property
    def protected_file(self) -> Path:
        """Words that edited captions must keep, one a line; need not be there."""
        return self.folder / PROTECTED_FILE

    @property
    def test_shards(self) -> Path:
        """The test split."""
        return self.folder / TEST_FOLDER

    @cached_property
    def digest(self) -> str:
        """A sha256 over the names and contents of all files but hidden ones, in hex."""
        whole = hashlib.sha256()
        names = {path: path.relative_to(self.folder) for path in self.folder.rglob("*") if path.is_file()}
        for path, name in sorted(names.items()):
            if not any(part.startswith(".") for part in name.parts):
                with path.open("rb") as file:
                    whole.update(f"{name.as_posix()}\0{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
        return whole.hexdigest()


@dataclass(frozen=True)
class SeededPools:
    """The pool and the test split of each seed.

    Attributes:
        kind: shapes, shape-pairs, drawings or `FOLDER`.
        by_seed: Those of seed 0, 1, ...; the same for all seeds where a folder was given.
    """

    kind: str
    by_seed: Sequence[DataFolder]

    @property
    def are_drawn(self) -> bool:
        """Whether the seeds differ in pool and test split, so that figures are not those of one draw of them."""
        return self.kind != FOLDER

    def label(self, seed: int) -> str:
        """A name for what is made of a seed's pool; the same where the pool is."""
        return f"pool{seed}" if self.are_drawn else "pool"

    @property
    def digest(self) -> str:
        """A sha256 over all pools, in hex."""
        digests = {data.folder: data.digest for data in self.by_seed}
        return hashlib.sha256("".join(digests[data.folder] for data in self.by_seed).encode()).hexdigest()
