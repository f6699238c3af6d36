"""A curation by library functions alone, against the oracle."""

import numpy as np
import pytest

from metaclip_spark import (
    ConfigError,
    InputError,
    Metadata,
    MetadataError,
    SchemaMismatchError,
    count_entries,
    deduplicate_pairs,
    entry_ids_udf,
    expected_sizes,
    extract_archives,
    filter_languages,
    match_pairs,
    sample_pairs,
)
from tests.support import oracle
from tests.support.jobs import METADATA
from tests.support.paths import SAMPLE_FOLDER

ARCHIVES = [SAMPLE_FOLDER / "sample-00001.warc.gz", SAMPLE_FOLDER / "sample-00002.warc.wat.gz"]
THRESHOLD = 20
SEED = 3


@pytest.fixture(scope="module")
def metadata():
    return Metadata.load(METADATA)


@pytest.fixture(scope="module")
def extracted(spark):
    found = extract_archives(ARCHIVES, spark=spark)
    found.rows.cache()
    return found


@pytest.fixture(scope="module")
def pool(extracted):
    return deduplicate_pairs(extracted.pairs).cache()


@pytest.fixture(scope="module")
def matched(pool, metadata):
    return match_pairs(pool, metadata).cache()


@pytest.fixture(scope="module")
def expected():
    """What the oracle makes of the same archives."""
    raw = oracle.oracle_pairs(ARCHIVES)
    entries = oracle.read_entries(METADATA)
    matched = oracle.match(oracle.pool(raw), entries)
    counts = oracle.count(matched, entries)
    kept = oracle.keep(matched, counts, THRESHOLD, SEED)
    return {"raw": raw, "pool": oracle.pool(raw), "matched": matched, "counts": counts, "curated": kept}


def test_every_pair_is_extracted(extracted, expected):
    assert extracted.pairs.count() == len(expected["raw"]) > 1000
    assert {row.archive: row.pairs for row in extracted.archives.collect()} == {
        path.name: sum(row["archive"] == path.name for row in expected["raw"]) for path in ARCHIVES
    }
    rejected = {row.reason for row in extracted.rejects.collect()}
    counted = {reason for row in extracted.archives.collect() for reason in row.rejected}
    assert rejected <= counted


def test_the_pool_has_each_pair_once(pool, expected):
    assert [row.asDict() for row in pool.orderBy("pair_id").collect()] == expected["pool"]


def test_the_pool_has_as_many_partitions_as_asked_for(extracted):
    assert deduplicate_pairs(extracted.pairs, partitions=5).rdd.getNumPartitions() == 5


def test_pairs_have_the_ids_of_their_entries(matched, expected):
    found = {row.pair_id: row.entry_ids for row in matched.select("pair_id", "entry_ids").collect()}
    assert found == {row["pair_id"]: row["entry_ids"] for row in expected["matched"]}


def test_both_engines_and_several_lists_work_in_one_session(pool, matched, metadata):
    small = Metadata.from_entries(["dog", "New York", "a"])
    both = [match_pairs(pool, small, engine=engine) for engine in ("token", "pyahocorasick")]
    first, second = ({row.pair_id: row.entry_ids for row in table.collect()} for table in both)
    assert first == second
    assert first
    assert match_pairs(pool, metadata).count() == matched.count()


def test_entries_are_counted(matched, metadata, expected):
    counts = count_entries(matched, metadata)
    assert counts.entries == metadata.entries
    assert counts.counts.tolist() == expected["counts"]


def test_the_curated_pairs_are_those_of_the_oracle(matched, metadata, expected):
    probabilities = count_entries(matched, metadata).probabilities(THRESHOLD)
    curated = sample_pairs(matched, probabilities, seed=SEED)
    found = {row.pair_id: row.keep_probability for row in curated.collect()}
    assert found == {row["pair_id"]: pytest.approx(row["keep_probability"]) for row in expected["curated"]}


def test_expected_sizes_are_those_of_the_oracle(matched, metadata, expected):
    sizes = expected_sizes(matched, count_entries(matched, metadata), [THRESHOLD, 1, 10**6])
    assert list(sizes) == [1, THRESHOLD, 10**6]
    assert sizes[10**6].size == len(expected["matched"])
    wanted = oracle.expected_size(expected["matched"], expected["counts"], THRESHOLD)
    assert sizes[THRESHOLD].size == pytest.approx(wanted, abs=0.01)


def test_languages_are_filtered(pool, metadata):
    matched = match_pairs(pool, metadata, identify_language=True).cache()
    languages = {row.language: row["count"] for row in matched.groupBy("language").count().collect()}
    assert len(languages) > 1
    assert filter_languages(matched, "de").count() == languages["de"]
    assert filter_languages(matched, ["en", "de"]).count() == languages["en"] + languages["de"]
    sure = filter_languages(matched, ["en"], min_language_probability=0.9)
    assert 0 < sure.count() < languages["en"]
    assert filter_languages(matched, []).count() == matched.count()


def test_a_list_of_strings_is_a_metadata_list_and_one_threshold_needs_no_list(pool):
    matched = match_pairs(pool, ["dog", "New York", "a"]).cache()
    counts = count_entries(matched, ("dog", "New York", "a"))
    assert counts.entries == ("dog", "New York", "a")
    assert counts.counts[0] > 0
    assert list(expected_sizes(matched, counts, "20")) == list(expected_sizes(matched, counts, np.int64(20))) == [20]
    (ids,) = pool.where("alt_text like '% dog %'").limit(1).select(entry_ids_udf(["dog"])("alt_text")).first()
    assert ids == [0]


def test_bad_arguments_get_one_clear_line(spark, pool, matched, metadata, tmp_path):
    refused = [
        (lambda: extract_archives(tmp_path / "none.warc.gz"), InputError, r"none\.warc\.gz"),
        (lambda: extract_archives([]), ConfigError, "give exactly one of archives, pool and crawl"),
        (lambda: extract_archives(ARCHIVES, max_page_bytes=0), ConfigError, "^max_page_bytes is 0: it must be "),
        (lambda: extract_archives(ARCHIVES, s3_access="x"), ConfigError, "^s3_access is 'x': it must be one of signed"),
        (lambda: deduplicate_pairs(pool, partitions=0), ConfigError, "partitions is 0"),
        (lambda: match_pairs(pool, metadata, engine="x"), ConfigError, "engine is 'x': it must be one of token"),
        (
            lambda: filter_languages(matched, ["english"]),
            ConfigError,
            "^languages english: fastText knows no such",
        ),
        (lambda: filter_languages(matched, "en", min_language_probability=2), ConfigError, "^min_language_probability"),
        (lambda: sample_pairs(matched, np.ones(3), seed=-1), ConfigError, "^seed is -1: it must be "),
        (lambda: sample_pairs(matched, np.array([2.0])), ConfigError, "one number from 0 to 1 for each entry"),
        (lambda: sample_pairs(matched, np.array([np.nan])), ConfigError, "one number from 0 to 1 for each entry"),
        (
            lambda: expected_sizes(matched, count_entries(matched, metadata), [0]),
            ConfigError,
            "thresholds must be a whole number",
        ),
        (
            lambda: expected_sizes(matched, count_entries(matched, metadata), [float("inf")]),
            ConfigError,
            "thresholds holds inf",
        ),
    ]
    counts = count_entries(matched, metadata)
    refused += [
        (lambda: deduplicate_pairs(pool, partitions="5"), ConfigError, "partitions is '5': it must be an integer"),
        (lambda: match_pairs(pool, None), MetadataError, "^metadata is None: pass a Metadata, a path, or a list"),
        (lambda: count_entries(matched, 5), MetadataError, "^metadata is int: pass a Metadata, a path, or a list"),
        (lambda: entry_ids_udf(5), MetadataError, "^metadata is int: pass a Metadata, a path, or a list"),
        (lambda: entry_ids_udf(metadata, engine="x"), ConfigError, "engine is 'x': it must be one of token"),
        (lambda: filter_languages(matched, 5), ConfigError, "^languages is '5': it must be a text"),
        (lambda: sample_pairs(matched, ["x"]), ConfigError, "one number from 0 to 1 for each entry"),
        (lambda: expected_sizes(matched, counts.counts, [1]), MetadataError, "^entry_counts is numpy.ndarray: pass an"),
        (lambda: expected_sizes(matched, counts, None), ConfigError, "thresholds must be a whole number"),
    ]
    for call, error, message in refused:
        with pytest.raises(error, match=message):
            call()
    for call in (
        deduplicate_pairs,
        lambda table: match_pairs(table, metadata),
        lambda table: filter_languages(table, "en"),
    ):
        with pytest.raises(SchemaMismatchError, match="lacks the columns"):
            call(spark.range(3))
    for call in (
        lambda table: count_entries(table, metadata),
        lambda table: sample_pairs(table, np.ones(3)),
    ):
        with pytest.raises(SchemaMismatchError, match="lacks the columns"):
            call(pool)
