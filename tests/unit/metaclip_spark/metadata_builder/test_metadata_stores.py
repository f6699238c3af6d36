"""Building the list from and to S3, one build at a time, and from files that others made."""

import bz2
import io
import json
import os
import random
import socket
import tarfile
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metaclip_spark.entries import load_metadata
from metaclip_spark.runs.layout import LOCK
from tests.support.jobs import call
from tests.support.metadata_builds import FILES, build, described
from tests.support.s3_server import CREDENTIALS, new_bucket, s3_server

pytestmark = pytest.mark.usefixtures("spark")
COUNTS = {"word": ["new", "york", "the"], "count": [200, 150, 9000]}


@pytest.fixture(scope="module")
def bucket(metadata_sources):
    with s3_server() as endpoint:
        made = new_bucket(endpoint)
        for path in metadata_sources.rglob("*"):
            if path.is_file():
                made.put(f"dumps/{path.relative_to(metadata_sources)}", path.read_bytes())
        yield made


@pytest.fixture
def s3(bucket, spark, monkeypatch):
    monkeypatch.setenv("METACLIP_S3_ENDPOINT", bucket.endpoint)
    for name in CREDENTIALS:
        # What Spark hands to its workers, which began before there were any.
        monkeypatch.setitem(spark.sparkContext.environment, name, os.environ[name])
    return bucket


def test_a_list_from_dumps_on_s3_is_that_of_local_ones(s3, built_metadata, tmp_path):
    assert build(f"s3://{s3.name}/dumps", tmp_path / "list") == 0
    for name in ("metadata.json", "metadata.parquet"):
        assert (tmp_path / "list" / name).read_bytes() == (built_metadata / name).read_bytes(), name
    found, wanted = described(tmp_path / "list"), described(built_metadata)
    assert (found["inputs"], found["tally"]) == (wanted["inputs"], wanted["tally"])
    assert found["notes"] == wanted["notes"] == []


def write_ready_counts(s3, folder, metadata_sources):
    """Writes ready counts and WordNet as a tar to a local folder, and puts all of it on S3."""
    pq.write_table(pa.table(COUNTS), folder / "words.parquet")
    (folder / "pairs.tsv").write_text("new\tyork\t120\n")
    (folder / "titles.tsv").write_text("New_York\t100\n")
    with tarfile.open(folder / "wordnet.tar.gz", "w:gz") as archive:
        archive.add(metadata_sources / "dict", "dict")
    for path in folder.iterdir():
        s3.put(f"{folder.name}/{path.name}", path.read_bytes())


def build_from_counts(place, output, *options):
    return call(
        "build_metadata", "--unigram-counts", f"{place}/words.parquet", "--bigram-counts", f"{place}/pairs.tsv",
        "--title-views", f"{place}/titles.tsv", "--wordnet", f"{place}/wordnet.tar.gz", "--min-pmi", 1,
        "--output", output, *options,
    )  # fmt: skip


def keys_of_list(s3, prefix):
    """The keys of a list, without the log of its builds."""
    return [key for key in s3.keys(prefix) if "/build_log/" not in key]


def test_a_list_is_written_to_s3_without_spark(s3, metadata_sources, tmp_path, capsys):
    folder = tmp_path / "counts"
    folder.mkdir()
    write_ready_counts(s3, folder, metadata_sources)
    place, output = f"s3://{s3.name}/counts", f"s3://{s3.name}/lists/first"
    assert build_from_counts(place, output) == 0
    assert keys_of_list(s3, "lists/") == [f"lists/first/{name}" for name in FILES]
    bodies = [s3.client.get_object(Bucket=s3.name, Key=f"lists/first/{name}")["Body"].read() for name in FILES]
    entries = json.loads(bodies[0])
    assert entries[100:] == ["galore", "guide dog", "run", "u", "the", "new", "york", "new york", "New York"]
    assert pq.read_table(io.BytesIO(bodies[1]))["entry_text"].to_pylist() == entries
    assert json.loads(bodies[2])["entries"] == len(entries)
    assert build_from_counts(place, output) == 2
    assert f"{output} holds a metadata list" in capsys.readouterr().err
    assert call("build_metadata", "--wordnet", f"{place}/wordnet.tar.gz", "--output", output, "--overwrite") == 0
    body = s3.client.get_object(Bucket=s3.name, Key="lists/first/metadata.json")["Body"].read()
    assert json.loads(body) == entries[:104]


def test_what_s3_lacks_is_told_in_one_line(s3, tmp_path, capsys):
    assert build(f"s3://{s3.name}/nothing", tmp_path / "list") == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith(f"error: --wordnet: s3://{s3.name}/nothing/dict names no file that ends with one of")
    assert build(f"s3://{s3.name}/dumps", tmp_path / "list", "--s3-access", "anonymous") == 2
    assert "403" in capsys.readouterr().err
    # The tests' session has no S3A, which tables of counts need: said before a dump is read.
    assert build(f"s3://{s3.name}/dumps", f"s3://{s3.name}/lists/second") == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: Spark has no file system for s3a:// here: give spark-submit --packages")
    assert keys_of_list(s3, "lists/second") == []


def test_two_builds_do_not_write_to_one_output(metadata_sources, tmp_path, capsys):
    (tmp_path / "list").mkdir()
    lock = tmp_path / "list" / LOCK
    # A living process other than this one holds it.
    lock.write_text(json.dumps({"owner": "the other", "host": socket.gethostname(), "pid": os.getppid()}))
    options = ("--wordnet", metadata_sources / "dict", "--output", tmp_path / "list")
    assert call("build_metadata", *options) == 2
    assert f"{tmp_path / 'list'} is in use by the other (process {os.getppid()}" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "list").iterdir()] == [LOCK]
    lock.unlink()
    assert call("build_metadata", *options) == 0
    assert not lock.exists()


def write_monthly_views(path, lines=5000):
    """Writes a complete dump of a month; gives the desktop views and all views of English titles."""
    generator = random.Random(11)
    titles = [f"Title_{number}" for number in range(300)] + ["Zürich", "100%_Hits", "Talk:Main", "AC/DC", "-"]
    desktop, every, written = Counter(), Counter(), []
    for _ in range(lines):
        wiki = generator.choice(["en.wikipedia", "en.wikipedia", "de.wikipedia", "en.wiktionary"])
        title, device = generator.choice(titles), generator.choice(["desktop", "mobile-web", "mobile-app"])
        days = {day: generator.randrange(1, 6) for day in generator.sample(range(31), 3)}
        # Each day that has views as a letter, A to _ for the first to the 31st, and their number.
        by_day = "".join(f"{chr(ord('A') + day)}{views}" for day, views in sorted(days.items()))
        page_id = generator.choice(["null", str(generator.randrange(10**7))])
        written.append(f"{wiki} {title} {page_id} {device} {sum(days.values())} {by_day}\n")
        if wiki == "en.wikipedia" and ":" not in title:
            every[title.replace("_", " ")] += sum(days.values())
            desktop[title.replace("_", " ")] += sum(days.values()) if device == "desktop" else 0
    path.write_bytes(bz2.compress("".join(written).encode()))
    return +desktop, every


def test_a_monthly_dump_gives_the_titles_of_an_independent_sum(tmp_path):
    dump = tmp_path / "pageviews-202601-user.bz2"
    desktop, every = write_monthly_views(dump)
    for name, views, options in (("desktop", desktop, ()), ("every", every, ("--include-mobile",))):
        output = tmp_path / name
        assert call("build_metadata", "--pageviews", dump, "--output", output, "--min-title-views", 40, *options) == 0
        rows = pq.read_table(output / "metadata.parquet").to_pylist()
        found = [(row["entry_text"], row["strength"]) for row in rows if row["source"] == "title"]
        wanted = [(title, count) for title, count in views.items() if count >= 40 and title != "-"]
        assert found == sorted(wanted, key=lambda item: (-item[1], item[0]))
        assert len(views) > len(found) > 20
        assert "does not apply to complete" in described(output)["notes"][0]


def test_ready_counts_that_others_made_in_parquet(tmp_path, capsys):
    pq.write_table(pa.table({**COUNTS, "rank": [2, 3, 1]}), tmp_path / "words.parquet")
    folder = tmp_path / "pairs"
    folder.mkdir()
    for number, count in enumerate((70, 50)):
        pairs = {"word": ["new"], "next_word": ["york"], "count": pa.array([count], pa.int32())}
        pq.write_table(pa.table(pairs), folder / f"part-{number}.parquet")
    pq.write_table(pa.table({"title": ["New_York", "Odd"], "views": [100, 3]}), tmp_path / "titles.parquet")
    counts = ("--unigram-counts", tmp_path / "words.parquet", "--bigram-counts", folder)
    options = (*counts, "--title-views", tmp_path / "titles.parquet", "--min-pmi", 1)
    assert call("build_metadata", *options, "--output", tmp_path / "list") == 0
    entries = load_metadata(str(tmp_path / "list" / "metadata.json")).entries
    assert entries[100:] == ("the", "new", "york", "new york", "New York")
    assert [item["name"] for item in described(tmp_path / "list")["inputs"]] == [
        "words.parquet", "part-0.parquet", "part-1.parquet", "titles.parquet"
    ]  # fmt: skip
    pq.write_table(pa.table({"word": ["a", "b"], "count": [3, -1]}), tmp_path / "bad.parquet")
    bad = ("--unigram-counts", tmp_path / "bad.parquet", "--output", tmp_path / "none")
    assert call("build_metadata", *bad) == 2
    assert "error: bad.parquet, row 2: ('b', -1): no word may be" in capsys.readouterr().err
