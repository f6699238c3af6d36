"""Archives named by S3 URLs, and Common Crawl's own lists."""

import gzip
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metaclip_spark.config import ExtractConfig
from metaclip_spark.errors import ConfigError, InputError, MetadataError
from metaclip_spark.inputs import resolve_archives
from metaclip_spark.metadata import load_entry_counts, load_metadata
from metaclip_spark.remote_inputs import region_warning, resolve_crawl
from tests.fault_server import ScriptedServer
from tests.s3_server import new_bucket, s3_server
from udfs.fetch_remote import FetchOptions

KEYS = (
    "c/a/one.warc.gz",
    "c/b/two +%20ü東.wat.gz",
    "c/b/.hidden.warc.gz",
    "c/notes.txt",
    "c/_tmp/x.warc.gz",
    "cc/y.warc",
)


@pytest.fixture(scope="module")
def bucket():
    with s3_server() as endpoint:
        made = new_bucket(endpoint)
        for key in KEYS:
            made.put(key, b"")
        yield made


@pytest.fixture
def options(bucket):
    return FetchOptions(s3_endpoint=bucket.endpoint)


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ("c/", {"a/one.warc.gz": KEYS[0], "b/two +%20ü東.wat.gz": KEYS[1]}),
        ("c", {"a/one.warc.gz": KEYS[0], "b/two +%20ü東.wat.gz": KEYS[1]}),
        ("c/*/*.warc.gz", {"a/one.warc.gz": KEYS[0]}),
        ("c/?/*", {"a/one.warc.gz": KEYS[0], "b/two +%20ü東.wat.gz": KEYS[1]}),
        ("c/a/one.warc.gz", {"one.warc.gz": KEYS[0]}),
        ("**/*.warc*", {KEYS[0]: KEYS[0], KEYS[5]: KEYS[5]}),
    ],
)
def test_files_folders_and_globs_on_s3(bucket, options, item, expected):
    found = dict(resolve_archives([f"s3://{bucket.name}/{item}"], "", options))
    assert found == {name: f"s3://{bucket.name}/{key}" for name, key in expected.items()}


@pytest.mark.parametrize(
    ("item", "message"),
    [("nothing/", "names no file"), ("c/*.warc", "names no file"), ("lost.paths.gz", "there is no such key")],
)
def test_what_is_not_there_is_refused_by_name(bucket, options, item, message):
    with pytest.raises(InputError, match=message) as refusal:
        resolve_archives([f"s3://{bucket.name}/{item}"], "", options)
    assert f"s3://{bucket.name}/{item}" in str(refusal.value)


def test_a_wrong_bucket_is_refused_by_name(options):
    with pytest.raises(InputError, match=r"s3://no-such-bucket-anywhere/x.*no such bucket"):
        resolve_archives(["s3://no-such-bucket-anywhere/x/"], "", options)


def test_a_crawl_is_resolved_by_its_list(bucket, options):
    lines = [f"crawl-data/CC-MAIN-2024-10/segments/{number}/wat/x.warc.wat.gz" for number in range(9)]
    path = bucket.put("crawl-data/CC-MAIN-2024-10/wat.paths.gz", gzip.compress("\n".join(lines).encode()))
    base = path.partition("/crawl-data")[0]
    config = ExtractConfig(crawl="CC-MAIN-2024-10", archives_prefix=base, limit=3, offset=4)
    assert resolve_crawl(config, options) == [(line, f"{base}/{line}") for line in lines[4:7]]
    assert resolve_archives([path], base, options) == [(line, f"{base}/{line}") for line in lines]
    with pytest.raises(InputError, match="has 9 lines: --offset 9 leaves none"):
        resolve_crawl(ExtractConfig(crawl="CC-MAIN-2024-10", archives_prefix=base, offset=9), options)
    with pytest.raises(InputError, match="CC-MAIN-2024-99/wat"):
        resolve_crawl(ExtractConfig(crawl="CC-MAIN-2024-99", archives_prefix=base), options)
    with pytest.raises(InputError, match="no crawl of Common Crawl"):
        resolve_crawl(ExtractConfig(crawl="../x", archives_prefix=base), options)


def test_a_crawl_is_resolved_over_https_too():
    lines = gzip.compress(b"crawl-data/a.warc.gz\n")
    with ScriptedServer(lambda *_request: (200, {}, lines)) as server:
        config = ExtractConfig(crawl="CC-MAIN-2013-20", archive_type="warc", archives_prefix=server.url)
        assert resolve_crawl(config, FetchOptions()) == [("crawl-data/a.warc.gz", f"{server.url}/crawl-data/a.warc.gz")]
        assert server.seen[0][1] == "/crawl-data/CC-MAIN-2013-20/warc.paths.gz"


def test_one_kind_of_input_is_given():
    with pytest.raises(ConfigError, match="exactly one of them"):
        ExtractConfig(crawl="CC-MAIN-2024-10", archives=("x",))
    with pytest.raises(ConfigError, match="belong to --crawl"):
        ExtractConfig(archives=("x",), limit=3)


def test_another_region_is_warned_of(monkeypatch):
    paths = [("a", "s3://commoncrawl/a")]
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    assert "Common Crawl lies in us-east-1, this machine in eu-central-1" in region_warning(paths)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    assert region_warning(paths) is None


def test_metadata_and_entry_counts_lie_on_s3(bucket, monkeypatch):
    monkeypatch.setenv("METACLIP_S3_ENDPOINT", bucket.endpoint)
    metadata = load_metadata(bucket.put("lists/m.json.gz", gzip.compress(b'["a dog", "cat"]')))
    assert metadata.entries == ("a dog", "cat")
    counts = bucket.put("lists/counts.json", json.dumps({"cat": 2, "a dog": 3}).encode())
    assert list(load_entry_counts(counts, metadata)) == [3, 2]
    for entry in range(2):
        rows = pa.table({"entry_id": pa.array([entry], "int32"), "entry_text": [metadata.entries[entry]]})
        part = io.BytesIO()
        pq.write_table(rows.append_column("entry_count", pa.array([entry + 5])), part)
        bucket.put(f"run/entry_counts/part-{entry}.parquet", part.getvalue())
    bucket.put("run/entry_counts/_SUCCESS", b"{}")
    assert list(load_entry_counts(f"s3://{bucket.name}/run/entry_counts", metadata)) == [5, 6]
    with pytest.raises(MetadataError, match=f"s3://{bucket.name}/lists/lost.json does not exist"):
        load_metadata(f"s3://{bucket.name}/lists/lost.json")
    with pytest.raises(InputError, match="names no file"):
        load_entry_counts(f"s3://{bucket.name}/lost/entry_counts", metadata)
