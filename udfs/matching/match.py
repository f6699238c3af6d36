"""The match step in the workers: pairs in, the pairs with at least one metadata entry out."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from udfs.matching.engine import MatchEngine, load_engine
from udfs.matching.language import identify_languages
from udfs.schemas import MATCHED, PAIRS


def match_batches(
    batches: Iterator[pa.RecordBatch], *, engine: str, path: str, metadata_digest: str, identify_language: bool
) -> Iterator[pa.RecordBatch]:
    """Matches batches of pairs against the metadata entries (the paper, section 3.1).

    Args:
        batches: Batches of schema `PAIRS`.
        engine: One of `udfs.matching.engine.ENGINES`.
        path: The engine's file on this executor.
        metadata_digest: The digest of the list that the job works with.
        identify_language: Whether to fill the language columns, of matched pairs only.

    Yields:
        Batches of schema `MATCHED`, without the pairs that match no entry; never an empty one.

    Raises:
        ValueError: If there is no such engine, or its file holds another list.
        OSError: If its file or the language model cannot be read.
    """
    loaded = load_engine(engine, path, metadata_digest)
    for batch in batches:
        matched = _match_batch(batch, loaded, identify_language=identify_language)
        if matched.num_rows:
            yield matched


def match_texts(texts: pa.Array, *, engine: str, path: str, metadata_digest: str) -> pa.Array:
    """Matches texts against the metadata entries, without the rows that they stand in.

    Args:
        texts: Alternative texts, shape (rows,).
        engine: One of `udfs.matching.engine.ENGINES`.
        path: The engine's file on this executor.
        metadata_digest: The digest of the list that the job works with.

    Returns:
        Shape (rows,): the sorted, distinct entry ids of each text.

    Raises:
        ValueError: If there is no such engine, or its file holds another list.
        OSError: If its file cannot be read.
    """
    return load_engine(engine, path, metadata_digest).match(texts)


def _match_batch(batch: pa.RecordBatch, engine: MatchEngine, *, identify_language: bool) -> pa.RecordBatch:
    """Gives the matched pairs of one batch."""
    entry_ids = engine.match(batch.column("alt_text"))
    with_ids = batch.select(PAIRS.names).append_column("entry_ids", entry_ids)
    matched = with_ids.filter(pc.greater(pc.list_value_length(entry_ids), 0))
    language, probability = _languages(matched.column("alt_text"), identify_language=identify_language)
    pairs = [matched.column(name) for name in PAIRS.names]
    return pa.RecordBatch.from_arrays([*pairs, language, probability, matched.column("entry_ids")], schema=MATCHED)


def _languages(texts: pa.Array, *, identify_language: bool) -> tuple[pa.Array, pa.Array]:
    """Gives the language columns, null where nobody asked."""
    language_type = MATCHED.field("language").type
    probability_type = MATCHED.field("language_probability").type
    if not identify_language:
        return pa.nulls(len(texts), language_type), pa.nulls(len(texts), probability_type)
    labels, probabilities = identify_languages(texts.to_pylist())
    return pa.array(labels, language_type), pa.array(probabilities, probability_type)
