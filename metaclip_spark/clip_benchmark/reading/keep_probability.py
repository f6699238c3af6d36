"""What online curation draws with: the pair_id and the keep probability in a sample's JSON."""

import json
import re
from array import array
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

import metaclip_spark
from metaclip_spark.errors import ConfigError
from udfs.sources.credentials import without_credentials

DRAWS_WITH = ("pyarrow",)
"""Packages that the draw needs."""

_PAIR_ID = re.compile("[0-9a-f]{32}")


class KeptPair(NamedTuple):
    """A pair and its keep probability."""

    pair_id: str
    keep_probability: float


@dataclass
class KeepProbabilities:
    """The pairs of a folder.

    Attributes:
        indexes: Of the samples that have their members.
        pair_ids: Of each of them.
        probabilities: Of each of them.
    """

    indexes: "array[int]" = field(default_factory=lambda: array("q"))
    pair_ids: list[str] = field(default_factory=list)
    probabilities: "array[float]" = field(default_factory=lambda: array("d"))

    def add(self, index: int, pair: KeptPair) -> None:
        """Takes in a sample."""
        self.indexes.append(index)
        self.pair_ids.append(pair.pair_id)
        self.probabilities.append(pair.keep_probability)


class EpochSamples:
    """The samples of a folder that each epoch keeps."""

    def __init__(self, pairs: KeepProbabilities, seed: int) -> None:
        """Takes the pairs of a folder, and the seed of their curated set.

        Raises:
            ConfigError: If no epoch could keep a sample.
        """
        self._indexes = np.frombuffer(pairs.indexes, np.int64)
        self._pair_ids = pairs.pair_ids
        self._probabilities = np.frombuffer(pairs.probabilities, np.float64)
        self._seed = seed
        if not (self._probabilities > 0).any():
            raise ConfigError("--online-curation: every keep probability of --train-shards is 0, so no sample is kept")

    def __len__(self) -> int:
        """The number of all samples."""
        return len(self._indexes)

    def kept(self, epoch: int) -> NDArray[np.int64]:
        """The indexes of the samples that an epoch keeps, ascending."""
        # Loaded when it is first used, and with it pyarrow.
        kept = metaclip_spark.keeps_in_epoch(self._pair_ids, self._probabilities, self._seed, epoch)
        return self._indexes[kept]


def read_keep_probability(content: bytes, tar: str, key: str) -> KeptPair:
    """Reads a sample's JSON.

    Args:
        content: The JSON; empty where there is none.
        tar: The tar that it is from, for messages.
        key: The sample, for messages.

    Returns:
        The pair.

    Raises:
        ConfigError: If it has no pair_id of 32 hex digits, or no keep probability from 0 to 1.
    """
    try:
        row = json.loads(content)
        pair = KeptPair(row["pair_id"], float(row["keep_probability"]))
        is_one = bool(_PAIR_ID.fullmatch(pair.pair_id)) and 0 <= pair.keep_probability <= 1
    except (ValueError, TypeError, LookupError, RecursionError):
        is_one = False
    if not is_one:
        raise ConfigError(
            f"--online-curation: the sample {key} of {without_credentials(tar)} has no pair_id and keep_probability in "
            "its JSON: make the shards from RUN/matched of a finished run by metaclip-spark make-shards"
        )
    return pair
