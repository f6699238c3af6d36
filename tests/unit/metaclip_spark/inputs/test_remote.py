"""Archives named by S3 URLs, and Common Crawl's own lists."""

import gzip
import io
import json
from typing import ClassVar

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from metaclip_spark.config.curation import ExtractConfig
from metaclip_spark.entries import load_entry_counts, load_metadata
from metaclip_spark.errors import ConfigError, InputError, MetadataError, SchemaMismatchError
from metaclip_spark.inputs.files import check_pool_files, resolve_archives, resolve_pool
from metaclip_spark.inputs.remote import region_warning, resolve_crawl
from tests.support.fault_server import ScriptedServer
from tests.support.s3_server import new_bucket, s3_server
from udfs.sources import FetchOptions, open_archive

KEYS = (
    "c/a/one.warc.gz",
    "c/b/two +%20ü東.wat.gz",
    "c/b/.hidden.warc.gz",
    "c/notes.txt",
    "c/_tmp/x.warc.gz",
    "cc/y.warc",
    "upper/A.WARC.GZ",
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
        ("upper", {"A.WARC.GZ": KEYS[6]}),
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
    with pytest.raises(InputError, match="--offset 9 leaves none of the 9 lines of "):
        resolve_crawl(ExtractConfig(crawl="CC-MAIN-2024-10", archives_prefix=base, offset=9), options)
    with pytest.raises(InputError, match="CC-MAIN-2024-99/wat"):
        resolve_crawl(ExtractConfig(crawl="CC-MAIN-2024-99", archives_prefix=base), options)
    with pytest.raises(InputError, match="not a crawl of Common Crawl"):
        resolve_crawl(ExtractConfig(crawl="../x", archives_prefix=base), options)


def test_a_crawl_is_resolved_over_https_too():
    lines = gzip.compress(b"crawl-data/a.warc.gz\n")
    with ScriptedServer(lambda *_request: (200, {}, lines)) as server:
        config = ExtractConfig(crawl="CC-MAIN-2013-20", archive_type="warc", archives_prefix=server.url)
        assert resolve_crawl(config, FetchOptions()) == [("crawl-data/a.warc.gz", f"{server.url}/crawl-data/a.warc.gz")]
        assert server.seen[0][1] == "/crawl-data/CC-MAIN-2013-20/warc.paths.gz"


def parquet(**columns):
    content = io.BytesIO()
    pq.write_table(pa.table(columns), content)
    return content.getvalue()


def test_footers_of_remote_files_are_checked_as_those_of_local_ones(bucket, options):
    good = parquet(url=["u"], text=["t"], more=[1])
    for name, content in {
        "good.parquet": good,
        "renamed.parquet": parquet(url=["u"], caption=["t"]),
        "typed.Parquet": parquet(url=["u"], text=[b"bytes"]),
        "half.parquet": good[:-20],
        "empty.parquet": b"",
        "lines.jsonl": b"{}",
    }.items():
        bucket.put(f"pool/{name}", content)
    paths = [*resolve_pool([f"s3://{bucket.name}/pool"], options), ("gone", f"s3://{bucket.name}/gone.parquet")]
    with pytest.raises(SchemaMismatchError) as refused:
        check_pool_files(paths, url_column="url", text_column="text", options=options)
    message = str(refused.value)
    assert message.startswith("--pool: 5 of 7 files")
    for said in (
        "renamed.parquet (no column text; it has url, caption)",
        "typed.Parquet (text is binary, not a string)",
        "half.parquet (no Parquet footer: empty or half-written)",
        "empty.parquet (no Parquet footer: empty or half-written)",
        "gone.parquet (no such file)",
    ):
        assert f"s3://{bucket.name}" in message
        assert said in message


def test_a_signed_pool_url_is_known_by_its_path_and_shown_without_its_signature():
    content = parquet(url=["u"], caption=["t"])

    def script(_number, _method, path, headers):
        if path.startswith("/down"):
            return 503, {}, b""
        start = int(headers.get("range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        part = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
        return 206 if start else 200, {"ETag": '"a"', **part}, content[start:]

    with ScriptedServer(script) as server:
        options = FetchOptions(attempts=1)
        paths = resolve_pool([f"{server.url}/a.PARQUET?X-Amz-Signature=secret"], options)
        assert paths == [("a.PARQUET", f"{server.url}/a.PARQUET?X-Amz-Signature=secret")]
        check_pool_files(paths, url_column="url", text_column="caption", options=options)
        with pytest.raises(SchemaMismatchError, match=r"/a\.PARQUET\?\.\.\. \(no column text") as refused:
            check_pool_files(paths, url_column="url", text_column="text", options=options)
        assert "secret" not in str(refused.value)
        # A store that does not answer is left to the worker, which fails the file by name.
        down = [("down", f"{server.url}/down.parquet")]
        check_pool_files(down, url_column="url", text_column="text", options=options)
        with pytest.raises(InputError, match=r"get\?\.\.\. does not end with \.parquet, ") as refused:
            resolve_pool([f"{server.url}/get?file=secret.parquet"], options)
        assert "secret" not in str(refused.value)


def test_a_signed_path_list_is_known_by_its_path():
    def script(_number, _method, path, _headers):
        return (200, {}, b"a.warc.gz\n") if path.startswith("/LIST.paths?") else (404, {}, b"")

    with ScriptedServer(script) as server:
        found = resolve_archives([f"{server.url}/LIST.paths?token=secret"], "/data")
        assert found == [("a.warc.gz", "/data/a.warc.gz")]
        with pytest.raises(InputError, match=r"/lost\.paths\?\.\.\. cannot be read") as refused:
            resolve_archives([f"{server.url}/lost.paths?token=secret"], "")
        assert "secret" not in str(refused.value)
        config = ExtractConfig(
            crawl="CC-MAIN-2013-20", archives_prefix=f"{server.url}/LIST.paths?token=secret", offset=9
        )
        with pytest.raises(InputError, match="--offset 9 leaves none") as refused:
            resolve_crawl(config, FetchOptions())
        assert "secret" not in str(refused.value)


class Server(MemoryFileSystem):
    """A store whose URLs name user and host, as SFTP's do."""

    store: ClassVar[dict] = {}
    pseudo_dirs: ClassVar[list] = [""]

    @classmethod
    def _strip_protocol(cls, path):
        path = f"/{path.partition('://')[2].partition('/')[2]}" if "://" in path else path
        return path.rstrip("/")


@pytest.mark.parametrize("item", ["d", "d/", "d/*/*.gz", "**/*.gz"])
def test_files_that_fsspec_lists_are_reached_as_their_folder_is(item):
    fsspec.register_implementation("server", Server, clobber=True)
    fsspec.filesystem("server").pipe_file("/d/e/a.WARC.gz", b"0123")
    ((archive, path),) = resolve_archives([f"server://user:pw@host/{item}"])
    assert path == "server://user:pw@host/d/e/a.WARC.gz"
    assert archive == ("d/e/a.WARC.gz" if item.startswith("*") else "e/a.WARC.gz")
    with open_archive(path) as stream:
        assert stream.read() == b"0123"


def test_one_kind_of_input_is_given():
    with pytest.raises(ConfigError, match="give exactly one of --archives"):
        ExtractConfig(crawl="CC-MAIN-2024-10", archives=("x",))
    with pytest.raises(ConfigError, match="are for --crawl"):
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
    with pytest.raises(MetadataError, match=f"s3://{bucket.name}/lists/lost.json: no such file"):
        load_metadata(f"s3://{bucket.name}/lists/lost.json")
    with pytest.raises(InputError, match="names no file"):
        load_entry_counts(f"s3://{bucket.name}/lost/entry_counts", metadata)
