"""Block lists over the pairs of the sample archives, against plain Python, however the pairs are split."""

from random import Random

import pytest
from pyspark.sql.types import StringType, StructField, StructType

from metaclip_spark import pairs_from_record, read_archive
from metaclip_spark.steps.exclusion import lists as lists_module
from metaclip_spark.steps.exclusion.lists import list_reason, pairs_of_pages, share_lists
from metaclip_spark.steps.schemas import spark_schema
from tests.support.block_lists import expected_reason
from tests.support.paths import CHECKOUT
from udfs.exclusion.digest_table import make_table, short_digest
from udfs.exclusion.kinds import KINDS, REASONS
from udfs.exclusion.url_key import url_key
from udfs.pairs.rules import pair_id
from udfs.schemas import MATCHED

ROW = StructType([*spark_schema(MATCHED), StructField("image_hash", StringType())])
EXTRACTED = StructType([StructField("pair_id", StringType()), StructField("page_url", StringType())])


def sample_rows() -> list[dict[str, str | None]]:
    """The raw pairs of two sample archives, every 97th of them on no page."""
    archives = sorted((CHECKOUT / "tests/data/sample").glob("*.warc.gz"))[:2]
    found = [
        (record.target_uri, pair)
        for path in archives
        for record in read_archive(path)
        for pair in pairs_from_record(record)
    ]
    return [
        {
            "pair_id": pair_id(pair.image_url, pair.alt_text),
            "image_url": pair.image_url,
            "page_url": None if number % 97 == 0 else page_url,
            "alt_text": pair.alt_text,
            "image_hash": f"{number % 50:064x}",
        }
        for number, (page_url, pair) in enumerate(found)
    ]


RAW = sample_rows()
POOL = list({row["pair_id"]: row for row in reversed(RAW)}.values())


def random_lists(seed: int) -> dict[str, set[str]]:
    random = Random(seed)
    images = [url_key(row["image_url"]) for row in POOL]
    pages = [url_key(row["page_url"]) for row in POOL if row["page_url"]]
    listed = {
        "pair": {row["pair_id"] for row in random.sample(POOL, 20)},
        "url": {key.text for key in random.sample(images, 20)},
        "prefix": {f"{key.text.rpartition('/')[0]}/" for key in random.sample(images, 2)},
        "image_domain": {key.text[: key.host_length] for key in random.sample(images, 1)},
        "page_domain": {key.text[: key.host_length] for key in random.sample(pages, 1)},
        "page": {key.text for key in random.sample(pages, 5)},
        "text": {row["alt_text"] for row in random.sample(POOL, 20)},
        "image": {row["image_hash"] for row in random.sample(POOL, 2)},
    }
    chosen = KINDS if seed == 0 else random.sample(KINDS, 4)
    return {kind: listed[kind] for kind in KINDS if kind in chosen}


def shared(spark, listed: dict[str, set[str]]):
    return share_lists(spark, {kind: make_table(b"".join(map(short_digest, keys))) for kind, keys in listed.items()})


def matched_table(spark, partitions: int):
    rows = [tuple(row.get(name) for name in ROW.names) for row in POOL]
    return spark.createDataFrame(rows, ROW).repartition(partitions)


@pytest.mark.parametrize(("seed", "partitions"), [(0, 1), (0, 7), (0, 64), (1, 7)])
def test_every_reason_is_that_of_plain_python(spark, seed, partitions):
    listed = random_lists(seed)
    found = list_reason(matched_table(spark, partitions), shared(spark, listed)).collect()
    assert {row.pair_id: row.reason for row in found} == {row["pair_id"]: expected_reason(row, listed) for row in POOL}
    assert len(found) == len(POOL)
    if seed == 0:
        assert {row.reason for row in found} == {None, *REASONS}


def test_whole_rows_have_the_same_reasons(spark, monkeypatch):
    listed = random_lists(0)
    table, lists = matched_table(spark, 3), shared(spark, listed)
    expected = sorted(map(tuple, list_reason(table, lists).select("pair_id", "reason").collect()))
    monkeypatch.setattr(lists_module, "make_arrow_udf", lambda *_: None)
    by_rows = list_reason(table, lists)
    assert by_rows.columns == [*table.columns, "reason"]
    assert sorted(map(tuple, by_rows.select("pair_id", "reason").collect())) == expected


def test_a_page_rule_acts_on_any_occurrence(spark):
    listed = {kind: keys for kind, keys in random_lists(0).items() if kind in {"page_domain", "page", "text"}}
    lists = shared(spark, listed)
    raw = spark.createDataFrame([(row["pair_id"], row["page_url"]) for row in RAW], EXTRACTED).repartition(3)
    pages = pairs_of_pages(raw, lists)
    expected_pages = {}
    for row in RAW:
        reason = expected_reason({"page_url": row["page_url"]}, listed)
        if reason:
            both = {reason, expected_pages.get(row["pair_id"], reason)}
            expected_pages[row["pair_id"]] = min(both, key=REASONS.index)
    assert dict(map(tuple, pages.collect())) == expected_pages
    assert pages.count() == len(expected_pages)

    table = matched_table(spark, 2)
    found = list_reason(table, lists, pages)
    assert found.columns == [*table.columns, "reason"]
    expected = {
        row["pair_id"]: min(
            filter(None, [expected_reason(row, listed), expected_pages.get(row["pair_id"])]),
            key=REASONS.index,
            default=None,
        )
        for row in POOL
    }
    assert {row.pair_id: row.reason for row in found.collect()} == expected
    surviving = {row["pair_id"] for row in POOL if (expected_reason(row, listed) or "").startswith("removed.page")}
    assert surviving < set(expected_pages)


def test_without_lists_nothing_is_listed(spark):
    found = list_reason(matched_table(spark, 1).limit(3), share_lists(spark, {"url": make_table(b"")}))
    assert [row.reason for row in found.collect()] == [None] * 3


def test_lists_are_sent_once(spark):
    tables = {"url": make_table(short_digest("example.org/"))}
    assert share_lists(spark, tables) is share_lists(spark, dict(tables))
