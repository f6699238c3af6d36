"""The entry counts that the user gives to balance with, in place of the run's own."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from metaclip_spark.config.curation import SampleConfig
from metaclip_spark.entries import Metadata, load_summed_counts, load_summed_list_counts, texts_of
from metaclip_spark.errors import said_of
from metaclip_spark.list_thresholds import EntryLists
from metaclip_spark.runs.entry_tables import languages_of, lists_of, read_texts
from metaclip_spark.runs.paths import counts_in_run
from metaclip_spark.runs.records import CountManifest
from metaclip_spark.runs.run import Run


def load_given_counts(config: SampleConfig, metadata: Metadata) -> NDArray[np.int64]:
    """Reads and adds up the counts of --entry-counts, of another run what counts there.

    Args:
        config: Names them.
        metadata: The list that they must belong to, or the lists.

    Raises:
        MetadataError: If they cannot be used.
        InputError: If a path leads into a run whose log does not name it.
    """
    lists = lists_of(metadata)
    if lists is not None:
        return _given_list_counts(config, texts_of(metadata.entries), lists, metadata.digest)
    with said_of("--entry-counts"):
        return load_summed_counts([counts_in_run(path) for path in config.entry_counts], metadata)


def _given_list_counts(config: SampleConfig, texts: pa.Array, lists: EntryLists, digest: str) -> NDArray[np.int64]:
    with said_of("--entry-counts"):
        sources = [counts_in_run(path) for path in config.entry_counts]
        return load_summed_list_counts(sources, texts, languages_of(lists), digest)


def counts_to_balance_with(
    run: Run,
    config: SampleConfig,
    counted: CountManifest,
    own_counts: NDArray[np.int64],
    lists: EntryLists | None,
) -> NDArray[np.int64]:
    """Gives the counts to balance with: the run's own where the user gives none."""
    if not config.entry_counts:
        return own_counts
    texts, metadata_digest = read_texts(run), counted.config.metadata_digest
    if lists is not None:
        return _given_list_counts(config, texts, lists, metadata_digest)
    return load_given_counts(config, Metadata(entries=tuple(texts.to_pylist()), digest=metadata_digest))
