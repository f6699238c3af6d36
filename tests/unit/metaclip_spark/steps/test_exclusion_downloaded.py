"""What a download and its hashes exclude, against plain Python, however the rows are split."""

from collections import Counter, defaultdict
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metaclip_spark.inputs.downloads import check_tally, find_downloads
from metaclip_spark.steps.exclusion import user_tables
from metaclip_spark.steps.exclusion.downloaded import (
    MOST_ERRORS,
    download_reasons,
    duplicate_images,
    pair_downloads,
    tally_downloads,
)
from metaclip_spark.steps.exclusion.user_tables import read_user_table, rows_digest
from tests.support.img2dataset_run import PATHS, RECORDED
from udfs.exclusion.url_key import url_key

SPLITS = (1, 7)
MESSAGES = {
    "HTTP Error 404: Not Found": "http_404",
    "HTTP Error 429: Too Many Requests": "http_429",
    "<urlopen error timed out>": "timeout",
    "Use of image disallowed by X-Robots-Tag directive": "opted_out",
    "Image decoding error": "not_an_image",
    "<urlopen error [Errno -2] Name or service not known>": "no_such_host",
    "<urlopen error [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed>": "certificate",
    "Remote end closed connection without response": "connection",
    "image too small": "unwanted_size",
    "hash mismatch": "other_content",
    "URL can't contain control characters. '/photos/a b.jpg' (found at least ' ')": "bad_url",
    "unknown url type: '/photos/a.jpg'": "bad_url",
    "'ascii' codec can't encode characters in position 5-8: ordinal not in range(128)": "bad_url",
    "failed: https://images.example/a.jpg": "other",
    "\x1b[31mred\u202e": "other",
    None: "failed_to_download",
}


def pairs_of(seed: int) -> list[dict[str, str]]:
    """Makes pairs, several of which share an image's URL, or have it with another scheme."""
    random = Random(seed)
    urls = [f"{random.choice(['http', 'https'])}://example.org/{random.randrange(60)}.jpg" for _ in range(200)]
    return [
        {"pair_id": f"{random.getrandbits(128):032x}", "image_url": url, "alt_text": f"a dog {random.randrange(3)}"}
        for url in urls
    ]


def downloads_of(pairs: list[dict[str, str]], seed: int) -> list[dict[str, str | None]]:
    """Makes rows for most of the pairs, for some of them several, and a few for nothing in the run."""
    random = Random(seed)
    asked = [pair for pair in pairs if random.random() < 0.6]
    asked += random.sample(asked, 30) + [{"pair_id": "unknown", "image_url": "http://other.example/a"}] * 3
    rows = []
    for pair in asked:
        is_success = random.random() < 0.6
        message = random.choice(list(MESSAGES))
        rows.append(
            {
                "pair_id": pair["pair_id"],
                "url": pair["image_url"],
                "status": "success" if is_success else "failed_to_download",
                "error_message": None if is_success else message,
                "sha256": f"{random.randrange(20):064X}" if is_success else None,
            }
        )
    random.shuffle(rows)
    return rows


def expected_of(pairs, rows, key):
    """Gives each pair's reason, hash and error from the description alone."""
    named = {"pair_id": lambda row: row["pair_id"], "image_url": lambda row: url_key(row["url"]).text}[key]
    of_key = defaultdict(list)
    for row in rows:
        of_key[named(row)].append(row)
    found = {}
    for pair in pairs:
        own = of_key.get(named({"pair_id": pair["pair_id"], "url": pair["image_url"]}), [])
        good = [row for row in own if row["status"] == "success"]
        reason = None if good else "image.download_failed" if own else "image.not_attempted"
        hashes = sorted(row["sha256"].lower() for row in good if row["sha256"])
        errors = sorted(MESSAGES[row["error_message"]] for row in own)
        found[pair["pair_id"]] = (reason, hashes[0] if hashes else None, None if good or not own else errors[0])
    return found


def write(folder: Path, rows, *, without=(), files: int = 2) -> Path:
    names = [name for name in ("pair_id", "url", "status", "error_message", "sha256") if name not in without]
    schema = pa.schema([(name, pa.string()) for name in names])
    folder.mkdir()
    for number in range(files):
        table = pa.Table.from_pylist([{name: row[name] for name in names} for row in rows[number::files]], schema)
        pq.write_table(table, folder / f"{number:05}.parquet", row_group_size=16)
    return folder


def matched_of(spark, pairs, split=3):
    return spark.createDataFrame(pairs, "pair_id string, image_url string, alt_text string").repartition(split)


@pytest.mark.parametrize("key", ["pair_id", "image_url"])
@pytest.mark.parametrize("split", SPLITS)
def test_reasons_and_numbers_are_those_of_plain_python(spark, tmp_path, monkeypatch, key, split):
    monkeypatch.setattr(user_tables, "ROWS_OF_PART", {1: 10**6, 7: 40}[split])
    pairs = pairs_of(split)
    rows = downloads_of(pairs, split)
    found = find_downloads([str(write(tmp_path / "in", rows, without=() if key == "pair_id" else ("pair_id",)))])
    assert found.key == key
    downloads = read_user_table(spark, found.table)
    matched = matched_of(spark, pairs, split)
    expected = expected_of(pairs, rows, key)
    judged = download_reasons(matched, pair_downloads(matched, downloads, key)).collect()
    assert len(judged) == len(pairs)
    assert {row.pair_id: (row.download_reason, row.image_hash) for row in judged} == {
        pair_id: each[:2] for pair_id, each in expected.items()
    }
    tally = tally_downloads(matched, downloads, key)
    assert (tally.rows, tally.unknown) == (len(rows), 3)
    assert tally.pairs == sum(reason != "image.not_attempted" for reason, _, _ in expected.values())
    assert tally.failed == Counter(error for _, _, error in expected.values() if error)
    assert list(tally.failed.values()) == sorted(tally.failed.values(), reverse=True)
    assert tally.successes == sum(row["status"] == "success" for row in rows)
    assert tally.status == "failed_to_download"


@pytest.mark.parametrize("alike", ["text", "image"])
def test_of_equal_images_the_smallest_pair_stays(spark, alike):
    random = Random(5)
    pairs = [{**pair, "image_hash": random.choice([None, *"abcdefgh"])} for pair in pairs_of(5)]
    groups = defaultdict(set)
    for pair in pairs:
        if pair["image_hash"] is not None:
            groups[pair["image_hash"], pair["alt_text"] if alike == "text" else ""].add(pair["pair_id"])
    expected = {pair_id for group in groups.values() for pair_id in group - {min(group)}}
    table = spark.createDataFrame(pairs, "pair_id string, image_hash string, alt_text string").repartition(7)
    found = [row.pair_id for row in duplicate_images(table, alike).collect()]
    assert len(found) == len(expected) > 20
    assert set(found) == expected


def test_a_real_download_is_read_as_it_is(spark):
    found = find_downloads([str(RECORDED)])
    table = pq.read_table(RECORDED / "00000.parquet").to_pylist()
    pairs = [{"pair_id": row["pair_id"], "image_url": row["url"], "alt_text": row["caption"]} for row in table]
    pairs.append({"pair_id": "f" * 32, "image_url": "http://127.0.0.1/new.png", "alt_text": "a cat"})
    matched = matched_of(spark, pairs)
    downloads = read_user_table(spark, found.table)
    judged = download_reasons(matched, pair_downloads(matched, downloads, found.key))
    reasons = {row.pair_id: row.download_reason for row in judged.collect()}
    good = {f"{number:032x}" for number, path in enumerate(PATHS) if path.startswith("good")}
    assert {pair_id for pair_id, reason in reasons.items() if reason is None} == good
    assert [pair_id for pair_id, reason in reasons.items() if reason == "image.not_attempted"] == ["f" * 32]
    tally = tally_downloads(matched, downloads, found.key)
    check_tally(tally)
    assert tally.failed == {
        "http_404": 2, "not_an_image": 2, "opted_out": 2, "timeout": 2, "connection": 1, "no_such_host": 1,
    }  # fmt: skip
    assert (tally.rows, tally.unknown, tally.pairs, tally.successes) == (13, 0, 13, 3)
    # Two addresses with one image and different texts.
    kept = judged.where("download_reason is null")
    assert duplicate_images(kept, "text").count() == 0
    assert [row.pair_id for row in duplicate_images(kept, "image").collect()] == [f"{10:032x}"]


def test_many_kinds_of_errors_are_not_all_told(spark):
    pairs = [{"pair_id": f"{number:032x}", "image_url": "http://a/", "alt_text": "a"} for number in range(60)]
    rows = [
        (pair["pair_id"], None, "failed", f"HTTP Error {400 + min(number, 40)}:", None)
        for number, pair in enumerate(pairs)
    ]
    columns = "pair_id string, image_url string, status string, error_message string, image_hash string"
    tally = tally_downloads(matched_of(spark, pairs), spark.createDataFrame(rows, columns), "pair_id")
    assert sum(tally.failed.values()) == 60
    assert len(tally.failed) == MOST_ERRORS
    assert tally.failed["http_440"] == 20
    assert tally.failed["other"] == 41 - (MOST_ERRORS - 1)
    assert (tally.successes, tally.status) == (0, "failed")


def test_the_digest_is_that_of_the_rows(spark, tmp_path):
    rows = downloads_of(pairs_of(1), 1)

    def digest(name, rows, **options):
        found = find_downloads([str(write(tmp_path / name, rows, **options))])
        return rows_digest(read_user_table(spark, found.table))

    first = digest("a", rows)
    assert digest("b", rows[::-1], files=3) == first
    # Two rows that exchange their statuses, a row that is there twice, a null elsewhere.
    one = next(row for row in rows if row["status"] == "success")
    other = next(row for row in rows if row["status"] != "success" and row["pair_id"] != one["pair_id"])
    rest = [row for row in rows if row is not one and row is not other]
    exchanged = [{**one, "status": other["status"]}, {**other, "status": "success"}]
    assert digest("c", rest + exchanged) != first
    assert digest("d", [*rows, rows[0]]) != first
    assert (
        digest("e", [{**row, "error_message": row["sha256"], "sha256": row["error_message"]} for row in rows]) != first
    )
