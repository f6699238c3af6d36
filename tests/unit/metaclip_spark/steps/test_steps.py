"""The Spark functions of each step, on small tables."""

import hashlib
from dataclasses import replace
from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest
from pyspark import SparkFiles
from pyspark.sql import functions as F

from metaclip_spark import balance
from metaclip_spark.entries import Metadata, MetadataList
from metaclip_spark.errors import SchemaMismatchError
from metaclip_spark.inputs.archive_path import ArchivePath
from metaclip_spark.steps import extract
from metaclip_spark.steps.automaton import broadcast_automaton
from metaclip_spark.steps.count import count_entries
from metaclip_spark.steps.deduplicate import deduplicate_pairs
from metaclip_spark.steps.language_filter import filter_languages
from metaclip_spark.steps.match import entry_ids_udf, match_pairs
from metaclip_spark.steps.sample import draw_pairs, expect, group_by_image, sample_pairs
from metaclip_spark.steps.schemas import require_columns, spark_schema
from tests.support.counting import count_entries_in_sql
from udfs.balancing.entry_blocks import BLOCK_SIZE
from udfs.matching.engine import ENGINES, load_list_engines
from udfs.matching.entries import entries_as_json
from udfs.matching.spacing import matches_entry, spacing
from udfs.pairs.rules import pair_id
from udfs.schemas import ARCHIVE_PATHS, CURATED, CURATED_IMAGES, DRAWN, MATCHED, PAIRS

ENTRIES = ("a", "dog", "A", "new york", "york", "!", "東京", "St . Louis", "never met")
TEXTS = (
    "a dog",
    "A dog!",
    "new york",
    "New York",
    "york , a",
    "東京 tower",
    "St.Louis",
    "nothing",
    "dog dog dog",
    "cat",
)


def metadata() -> Metadata:
    return Metadata(entries=ENTRIES, digest=hashlib.sha256(entries_as_json(ENTRIES)).hexdigest())


def pair_row(number: int, text: str, archive: str = "a.warc.gz", source: str = "alt") -> tuple:
    url = f"https://example.org/{number}.jpg"
    return pair_id(url, text), url, text, source, "https://example.org/", archive, number, 0, "en", number % 3


def rows_of(table) -> list[tuple]:
    return sorted(tuple(row) for row in table.collect())


@pytest.mark.parametrize("most_in_plan", [4, 5])
@pytest.mark.parametrize(("at_once", "partitions"), [(0, [0, 1, 2, 3, 4]), (2, [0, 0, 1, 1, 1]), (9, [0, 1, 2, 3, 4])])
def test_each_archive_has_a_partition_or_some_share_one(spark, monkeypatch, at_once, partitions, most_in_plan):
    monkeypatch.setattr(extract, "MOST_IN_PLAN", most_in_plan)
    paths = [ArchivePath(f"{name}.warc.gz", f"s3://bucket/{name}") for name in ("a", 'b"\\', "ü ${x}", "🐕\n", "c,d")]
    placed = extract.archive_paths(spark, paths, at_once)
    found = placed.withColumn("partition", F.spark_partition_id()).collect()
    assert [(row.archive, row.path) for row in found] == [(each.archive, each.path) for each in paths]
    assert [row.partition for row in found] == partitions
    assert placed.schema.simpleString() == spark_schema(ARCHIVE_PATHS).simpleString()


@pytest.fixture(scope="module")
def pool(spark):
    rows = [pair_row(number, TEXTS[number % len(TEXTS)]) for number in range(400)]
    return spark.createDataFrame(rows, spark_schema(PAIRS)).repartition(5).cache()


@pytest.fixture(scope="module")
def matched(pool):
    return match_pairs(pool, metadata()).cache()


def test_duplicates_keep_the_smallest_provenance(spark):
    url, text = "https://example.org/x.jpg", "x"
    identity = pair_id(url, text)
    rows = [
        (identity, url, text, "title", "p1", "b.warc", 5, 0, "en", None),
        (identity, url, text, "data-image-title", "p2", "a.warc", 7, 2, None, None),
        (identity, url, text, "title", "p3", "a.warc", 7, 2, "de", None),
        (identity, url, text, "alt", "p4", "a.warc", 10, 0, "ab", None),
        (identity, url, text, "alt", "p5", "\u00e9.warc", 1, 0, "ab", None),
    ]
    for shuffled in (rows, rows[::-1]):
        table = spark.createDataFrame(shuffled, spark_schema(PAIRS))
        assert rows_of(deduplicate_pairs(table, 2)) == [rows[2]]


def test_duplicates_keep_the_preferences_of_all_their_pages(spark):
    read = {"a": [4, 1, 4], "b": [None, 2], "c": [None, None], "d": [0, None], "e": [0]}
    rows = [
        (pair_id(url, "x"), url, "x", "alt", "p", f"{number}.warc", 0, 0, str(number), preferences)
        for url, each in read.items()
        for number, preferences in enumerate(each)
    ]
    for shuffled in (rows, rows[::-1]):
        pool = deduplicate_pairs(spark.createDataFrame(shuffled, spark_schema(PAIRS)), 2)
        kept = {row.image_url: (row.page_language, row.page_preferences) for row in pool.collect()}
        assert kept == {"a": ("0", 5), "b": ("0", 2), "c": ("0", None), "d": ("0", 0), "e": ("0", 0)}


def test_each_part_of_the_provenance_decides_before_those_after_it(spark):
    smaller, larger = ("a.warc", 3, 0, "alt"), ("b.warc", 4, 1, "title")
    winners, losers = [], []
    for decides, comes_after in combinations(range(4), 2):
        winners.append(tuple((larger if part == comes_after else smaller)[part] for part in range(4)))
        losers.append(tuple((larger if part == decides else smaller)[part] for part in range(4)))
    for before, after in combinations(("alt", "title", "data-image-title"), 2):
        winners.append((*smaller[:3], before))
        losers.append((*smaller[:3], after))

    def rows(provenances):
        urls = [f"https://example.org/{number}.jpg" for number in range(len(provenances))]
        return [
            (pair_id(url, "x"), url, "x", source, "https://example.org/", archive, offset, index, None, None)
            for url, (archive, offset, index, source) in zip(urls, provenances, strict=True)
        ]

    table = spark.createDataFrame(rows(losers) + rows(winners) + rows(losers), spark_schema(PAIRS))
    assert rows_of(deduplicate_pairs(table, 2)) == sorted(rows(winners))


def test_distinct_pairs_are_sorted_in_each_partition(pool):
    twice = pool.union(pool)
    parts = deduplicate_pairs(twice, 3).rdd.glom().collect()
    assert sum(map(len, parts)) == 400
    assert all([row.pair_id for row in part] == sorted(row.pair_id for row in part) for part in parts)


@pytest.mark.parametrize("engine", ["token", "pyahocorasick"])
def test_match_equals_the_naive_scan(pool, engine):
    found = match_pairs(pool, metadata(), engine=engine)
    expected = []
    for row in pool.collect():
        spaced = spacing(row.alt_text)
        ids = [place for place, entry in enumerate(ENTRIES) if matches_entry(spaced, entry)]
        if ids:
            expected.append((*row, None, None, None, ids))
    assert rows_of(found) == sorted(expected)
    assert found.schema.simpleString() == spark_schema(MATCHED).simpleString()


def python_nodes(table):
    plan = table._jdf.queryExecution().optimizedPlan().toString()
    return {name: plan.count(name) for name in ("MapInArrow", "ArrowEvalPython") if name in plan}


def test_match_and_sample_are_planned_with_one_python_node_each(spark, pool, matched, monkeypatch):
    probability = np.full(len(ENTRIES), 0.4)
    one_function = {"ArrowEvalPython": 1} if hasattr(F, "arrow_udf") else {"MapInArrow": 1}
    # The plans of what is cached would be part of theirs.
    pool, matched = (spark.createDataFrame(table.collect(), table.schema) for table in (pool, matched))
    texts_alone = match_pairs(pool, metadata()), sample_pairs(matched, probability, seed=3)
    with_language = match_pairs(pool, metadata(), identify_language=True)
    monkeypatch.setattr(F, "arrow_udf", None, raising=False)
    whole_rows = match_pairs(pool, metadata()), sample_pairs(matched, probability, seed=3)
    assert [python_nodes(table) for table in texts_alone] == [one_function] * 2
    assert [python_nodes(table) for table in (*whole_rows, with_language)] == [{"MapInArrow": 1}] * 3
    for alone, whole in zip(texts_alone, whole_rows, strict=True):
        assert alone.schema == whole.schema
        assert rows_of(alone) == rows_of(whole)
    assert 0 < texts_alone[1].count() < matched.count()


def test_the_draws_of_all_pairs_tell_which_are_kept(matched, monkeypatch):
    probability = np.linspace(0.1, 0.9, len(ENTRIES))
    drawn = draw_pairs(matched, probability, seed=3)
    kept = {row.pair_id: row.keep_probability for row in sample_pairs(matched, probability, seed=3).collect()}
    found = {row.pair_id: row.keep_probability for row in drawn.where("draw < keep_probability").collect()}
    assert found == kept
    assert 0 < len(kept) < drawn.count() == matched.count()
    monkeypatch.setattr(F, "arrow_udf", None, raising=False)
    on_spark_35 = draw_pairs(matched, probability, seed=3)
    assert on_spark_35.schema.simpleString() == drawn.schema.simpleString() == spark_schema(DRAWN).simpleString()
    assert rows_of(on_spark_35) == rows_of(drawn)


def test_match_workers_are_sent_strings_and_no_object_of_the_driver(pool, monkeypatch):
    sent = []
    monkeypatch.setattr("metaclip_spark.steps.match.make_arrow_udf", lambda work, _result_type: sent.append(work))
    match_pairs(pool, metadata())
    assert [type(cell.cell_contents) for cell in sent[0].__closure__] == [str] * 3


@pytest.mark.parametrize("engine", ["token", "pyahocorasick"])
@pytest.mark.parametrize("on_spark_35", [False, True])
def test_the_udf_gives_the_ids_that_match_finds(pool, engine, on_spark_35, monkeypatch):
    if on_spark_35:
        monkeypatch.setattr(F, "arrow_udf", None, raising=False)
    found = pool.withColumn("entry_ids", entry_ids_udf(metadata(), engine=engine)("alt_text"))
    assert found.schema["entry_ids"].dataType.simpleString() == "array<int>"
    expected = {row.pair_id: row.entry_ids for row in match_pairs(pool, metadata(), engine=engine).collect()}
    ids = {row.pair_id: row.entry_ids for row in found.collect()}
    assert 0 < len(expected) < len(ids) == pool.count()
    assert {identity: each for identity, each in ids.items() if each} == expected


@pytest.mark.parametrize("on_spark_35", [False, True])
def test_the_udf_takes_any_column_of_strings_and_nulls(spark, on_spark_35, monkeypatch):
    if on_spark_35:
        monkeypatch.setattr(F, "arrow_udf", None, raising=False)
    texts = spark.createDataFrame([("x", "a dog"), ("y", None), ("z", "cat")], "name string, text string")
    ids = entry_ids_udf(metadata())
    for column in ("text", F.col("text"), texts.text):
        assert [row.ids for row in texts.sort("name").select(ids(column).alias("ids")).collect()] == [[0, 1], [], []]
    nothing = texts.where("text is null").select(ids("text").alias("ids"))
    assert [row.ids for row in nothing.collect()] == [[]]
    assert texts.where(F.size(ids(F.lower("text"))) > 0).count() == 1


def test_a_list_is_sent_to_the_executors_once(spark, pool, monkeypatch):
    sent = []
    monkeypatch.setattr(type(spark.sparkContext), "addFile", lambda _context, path: sent.append(path))
    entries = ("only", "here")
    other = Metadata(entries=entries, digest=hashlib.sha256(entries_as_json(entries)).hexdigest())
    for _ in range(2):
        match_pairs(pool, other)
        entry_ids_udf(other)
        assert broadcast_automaton(spark, other) == broadcast_automaton(spark, other, "token")
    match_pairs(pool, other, engine="pyahocorasick")
    assert [path.rpartition(".")[2] for path in sent] == ["token", "pyahocorasick"]


@pytest.mark.parametrize("engine", ENGINES)
def test_word_borders_of_a_script_without_spaces(spark, engine):
    japanese = Metadata(("東京", "京", "SONY"), f"borders-{engine}", word_borders="script")
    texts = spark.createDataFrame([("東京のSONY",), ("京都、SONYの",), ("a dog",)], ["text"])
    ids = entry_ids_udf(japanese, engine=engine)
    assert [row.ids for row in texts.select(ids("text").alias("ids")).collect()] == [[0, 1, 2], [1, 2], []]
    with pytest.raises(ValueError, match="token does not have the word borders metaclip2"):
        entry_ids_udf(replace(japanese, digest="other", word_borders="metaclip2"))


def test_lists_are_sent_with_the_ids_of_all_together(spark):
    lists = (MetadataList("de", 0, 1, "a"), MetadataList("en", 1, 2, "b"))
    metadata = Metadata(("Hund", "dog", "Hund"), "borders-lists", lists, word_borders="script")
    file = broadcast_automaton(spark, metadata)
    engines = load_list_engines("token", SparkFiles.get(file.file_name), file.metadata_digest)
    found = {code: engine.match(pa.array(["Hund dog"])).to_pylist() for code, engine in engines.items()}
    assert found == {"de": [[0]], "en": [[1, 2]]}


def test_language_is_of_matched_pairs_only_and_filters_alike(pool):
    found = match_pairs(pool, metadata(), identify_language=True)
    assert found.where("language is null or language_probability is null").count() == 0
    english = filter_languages(found, ["en"])
    assert 0 < english.count() < found.count()
    assert {row.language for row in english.collect()} == {"en"}
    assert filter_languages(found, []).count() == found.count()


def test_counts_equal_sql(matched):
    counts = count_entries(matched, len(ENTRIES))
    in_sql = {row.entry_id: row.entry_count for row in count_entries_in_sql(matched).collect()}
    assert counts.tolist() == [in_sql.get(entry, 0) for entry in range(len(ENTRIES))]
    assert counts[ENTRIES.index("never met")] == 0
    assert counts[ENTRIES.index("dog")] == 120


def test_blocks_are_added_up_by_key_without_adaptive_execution(spark):
    entries = 6 * BLOCK_SIZE - 5
    lists = [sorted({place % entries, place * 37 % entries, place * 101 % entries}) for place in range(2000)]
    ids = spark.createDataFrame([(ids,) for ids in lists], "entry_ids array<int>").repartition(5)
    probability = np.linspace(0, 1, entries)
    spark.conf.set("spark.sql.adaptive.enabled", "false")
    try:
        counts, (size, kept) = count_entries(ids, entries), expect(ids, probability)
    finally:
        spark.conf.set("spark.sql.adaptive.enabled", "true")
    assert counts.tolist() == np.bincount(np.concatenate(lists), minlength=entries).tolist()
    assert (counts > 0).sum() > 5 * BLOCK_SIZE
    chances = [1 - np.prod(1 - probability[ids]) for ids in lists]
    assert size.pairs == 2000
    assert size.size == pytest.approx(sum(chances))
    expected = np.zeros(entries)
    np.add.at(expected, np.concatenate(lists), np.repeat(chances, [len(ids) for ids in lists]))
    assert kept == pytest.approx(expected, abs=1e-3)


def test_the_sums_are_the_same_in_any_order_and_partitioning(spark):
    entries = 3 * BLOCK_SIZE + 1
    lists = [[place % entries, place * 37 % entries] for place in range(1500)]
    ids = spark.createDataFrame([(ids,) for ids in lists], "entry_ids array<int>")
    expected = np.bincount(np.concatenate(lists), minlength=entries).tolist()
    for partitions in (1, 2, 9):
        assert count_entries(ids.repartition(partitions), entries).tolist() == expected
    assert count_entries(ids.limit(0), entries).tolist() == [0] * entries


@pytest.mark.parametrize("partitions", [1, 7, 16])
def test_sample_ignores_partitions_and_order(matched, partitions):
    counts = count_entries(matched, len(ENTRIES))
    probability = balance.entry_probabilities(counts, 20)
    expected = rows_of(sample_pairs(matched, probability, seed=3))
    assert 0 < len(expected) < matched.count()
    assert rows_of(sample_pairs(matched.repartition(partitions), probability, seed=3)) == expected
    expectations = [expect(table, probability) for table in (matched, matched.repartition(partitions))]
    assert expectations[0][0] == expectations[1][0]
    assert (expectations[0][1] == expectations[1][1]).all()
    assert expectations[0][0].is_plausible(len(expected))


@pytest.mark.parametrize("partitions", [1, 5])
def test_the_pairs_of_an_image_are_one_row_in_any_order_and_partitioning(matched, partitions):
    pairs = matched.withColumn("keep_probability", F.rand(3)).withColumn("image_url", F.substring("pair_id", 1, 1))
    curated = pairs.select(*CURATED.names).localCheckpoint()
    expected = {}
    for row in curated.orderBy("pair_id").collect():
        expected.setdefault(row.image_url, []).append((row.alt_text, row.pair_id, row.keep_probability))
    assert max(map(len, expected.values())) > 1
    shuffled = curated.repartition(partitions).orderBy(F.rand(partitions))
    images = group_by_image(shuffled, partitions)
    assert images.dtypes == [(field.name, field.dataType.simpleString()) for field in spark_schema(CURATED_IMAGES)]
    assert images.rdd.getNumPartitions() == partitions
    found = {row.image_url: list(zip(*row[1:], strict=True)) for row in images.collect()}
    assert found == expected
    for part in images.rdd.glom().collect():
        assert [row.pair_ids[0] for row in part] == sorted(row.pair_ids[0] for row in part)


def test_infinite_threshold_keeps_every_matched_pair(matched):
    probability = balance.entry_probabilities(count_entries(matched, len(ENTRIES)), float("inf"))
    kept = sample_pairs(matched, probability)
    assert kept.count() == matched.count()
    assert kept.schema.simpleString() == spark_schema(CURATED).simpleString()
    assert np.all([row.keep_probability == 1.0 for row in kept.collect()])


def test_columns_are_checked_and_put_in_order(pool):
    assert require_columns(pool.select(*reversed(PAIRS.names)), PAIRS).columns == PAIRS.names
    with pytest.raises(SchemaMismatchError, match="image_index int"):
        require_columns(pool.drop("image_index"), PAIRS)
    with pytest.raises(SchemaMismatchError, match="record_offset bigint"):
        require_columns(pool.withColumn("record_offset", pool.record_offset.cast("int")), PAIRS)
    earlier = require_columns(pool.drop("page_language", "page_preferences"), PAIRS)
    assert earlier.schema.simpleString() == spark_schema(PAIRS).simpleString()
    assert {(row.page_language, row.page_preferences) for row in earlier.collect()} == {(None, None)}
    with pytest.raises(SchemaMismatchError, match="page_preferences int"):
        require_columns(pool.withColumn("page_preferences", pool.page_preferences.cast("bigint")), PAIRS)
