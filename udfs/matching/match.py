"""The match step in the workers: pairs in, the pairs with at least one metadata entry out."""

from collections import Counter
from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from udfs.arrow import arrow_numbers, numpy_numbers
from udfs.matching.engine import MatchEngine, load_engine, load_list_engines
from udfs.matching.language import identify_languages, route
from udfs.matching.routing import Routing
from udfs.schemas import LIST_MATCHES, MATCHED, PAIRS


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


def match_list_batches(
    batches: Iterator[pa.RecordBatch], *, engine: str, path: str, metadata_digest: str, routing: Routing
) -> Iterator[pa.RecordBatch]:
    """Matches each text of batches of pairs against the metadata list of its language.

    Args:
        batches: Batches of schema `PAIRS`.
        engine: One of `udfs.matching.engine.ENGINES`.
        path: The file of the lists on this executor.
        metadata_digest: The digest of all lists together.
        routing: Which list each text is matched against.

    Yields:
        Batches of schema `LIST_MATCHES`: pairs with an entry, and at the end how many texts each list had; never an
        empty batch.

    Raises:
        ValueError: If there is no such engine, its file holds other lists, or the language model's file is none.
        OSError: If its file or the language model cannot be read.
    """
    engines = load_list_engines(engine, path, metadata_digest)
    texts_of: Counter[str | None] = Counter()
    for batch in batches:
        texts = batch.column("alt_text")
        routed = route(texts, batch.column("page_language"), routing)
        texts_of.update(routed.codes.to_pylist())
        entry_ids = _match_by_list(texts, routed.codes, engines)
        pairs = [batch.column(name) for name in PAIRS.names]
        found = [routed.languages, routed.probabilities, routed.codes, entry_ids]
        not_told = pa.nulls(batch.num_rows, pa.int64())
        rows = pa.RecordBatch.from_arrays([*pairs, *found, not_told], schema=LIST_MATCHES)
        matched = rows.filter(pc.greater(pc.list_value_length(entry_ids), 0))
        if matched.num_rows:
            yield matched
    if texts_of:
        yield _texts_of_lists(texts_of)


def _texts_of_lists(texts_of: Mapping[str | None, int]) -> pa.RecordBatch:
    told = {"metadata_language": list(texts_of), "texts": list(texts_of.values())}
    columns = [pa.array(told.get(field.name, [None] * len(texts_of)), field.type) for field in LIST_MATCHES]
    return pa.RecordBatch.from_arrays(columns, schema=LIST_MATCHES)


def _match_by_list(texts: pa.Array, codes: pa.Array, engines: Mapping[str, MatchEngine]) -> pa.ListArray:
    """Matches n texts against the lists of n codes, in their order; a text without a code has no entry."""
    by_code = codes.dictionary_encode()
    lists = by_code.dictionary.to_pylist()
    places = numpy_numbers(by_code.indices.fill_null(len(lists)))
    # Texts of one list stand together, and then go back to where they came from.
    order = np.argsort(places, kind="stable")
    sizes = np.bincount(places, minlength=len(lists) + 1)
    grouped = texts.take(arrow_numbers(order))
    found = []
    for code, end, size in zip([*lists, None], np.cumsum(sizes).tolist(), sizes.tolist(), strict=True):
        its_texts = grouped.slice(end - size, size)
        found.append(_no_entries(size) if code is None else engines[code].match(its_texts))
    back = np.empty_like(order)
    back[order] = np.arange(order.size)
    return pa.concat_arrays(found).take(arrow_numbers(back))


def _no_entries(texts: int) -> pa.ListArray:
    return pa.ListArray.from_arrays(arrow_numbers(np.zeros(texts + 1, np.int32)), arrow_numbers(np.zeros(0, np.int32)))


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
    no_list = pa.nulls(matched.num_rows, MATCHED.field("metadata_language").type)
    columns = [*pairs, language, probability, no_list, matched.column("entry_ids")]
    return pa.RecordBatch.from_arrays(columns, schema=MATCHED)


def _languages(texts: pa.Array, *, identify_language: bool) -> tuple[pa.Array, pa.Array]:
    """Gives the language columns, null where nobody asked."""
    language_type = MATCHED.field("language").type
    probability_type = MATCHED.field("language_probability").type
    if not identify_language:
        return pa.nulls(len(texts), language_type), pa.nulls(len(texts), probability_type)
    labels, probabilities = identify_languages(texts.to_pylist())
    return pa.array(labels, language_type), pa.array(probabilities, probability_type)
