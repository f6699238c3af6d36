"""The count of the entries."""

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame

from metaclip_spark.config.curation import LanguageConfig
from metaclip_spark.config.fields import as_dict
from metaclip_spark.entries import Metadata, texts_of
from metaclip_spark.errors import ConfigError
from metaclip_spark.pipeline.balancing.eligible import are_survivors, eligible_manifest
from metaclip_spark.pipeline.first_run import begun_by_rebalance
from metaclip_spark.runs.entry_tables import lists_of, with_lists
from metaclip_spark.runs.records import CountManifest, CountNumbers, CountSettings, Gate
from metaclip_spark.runs.run import Run, check_number, entry_table
from metaclip_spark.runs.step import COUNT, Attempt
from metaclip_spark.steps.count import count_entries, estimate_counts, estimate_pairs
from udfs.arrow import numpy_numbers
from udfs.schemas import ENTRY_COUNTS, ESTIMATED_COUNTS


def run_count(
    run: Run, language: LanguageConfig, metadata: Metadata, first_counts: NDArray[np.int64] | None = None
) -> CountManifest:
    """Counts the entries of the eligible pairs that pass the language filter.

    Args:
        run: The run.
        language: The language filter.
        metadata: The list that the pairs were matched with.
        first_counts: Where the pairs are the survivors of another run's draw, the counts that it balanced with.

    Raises:
        InputError: If there are no matched pairs.
        ConfigError: If the pairs are another run's survivors, and `first_counts` is None.
        MetadataError: If they were matched with another metadata list, or without the languages that the filter needs.
    """
    eligible = eligible_manifest(run, language, metadata.digest)
    gate = Gate.of(language)

    def work(attempt: Attempt) -> CountNumbers:
        passed = run.passed_pairs(gate)
        texts, is_estimated = texts_of(metadata.entries), are_survivors(eligible)
        table = _count_table(run, passed, texts, first_counts, is_estimated=is_estimated)
        counts = numpy_numbers(table["entry_count"].combine_chunks())
        attempt.write_rows(with_lists(table, lists_of(metadata)), "entry_counts")
        before = eligible.numbers.pairs
        check_number(run.eligible().count(), before, "matched pairs")
        after = passed.count() if gate.languages else before
        return CountNumbers(
            pairs_in=before,
            gated_out=before - after,
            pairs=after,
            matches=int(counts.sum()),
            entries=len(counts),
            entries_matched=int(np.count_nonzero(counts)),
            estimated_pairs=estimate_pairs(passed) if is_estimated else msgspec.UNSET,
        )

    return run.do(
        COUNT,
        config=CountSettings(
            gate=gate, metadata_digest=metadata.digest, anchor=metadata.anchor if metadata.anchor else msgspec.UNSET
        ),
        settings=as_dict(language),
        input_digest=eligible.digest,
        work=work,
    )


def _count_table(
    run: Run,
    passed: DataFrame,
    entries: pa.Array,
    first_counts: NDArray[np.int64] | None,
    *,
    is_estimated: bool,
) -> pa.Table:
    """Counts entries; where a first draw has thinned the pairs, estimates what the counts were without it."""
    if not is_estimated:
        return entry_table(ENTRY_COUNTS, entries, count_entries(passed, len(entries)))
    if first_counts is None:
        raise ConfigError(begun_by_rebalance(run))
    estimates = estimate_counts(passed, len(entries))
    return entry_table(ESTIMATED_COUNTS, entries, estimates.counts, estimates.errors, first_counts)
