"""The same objects on three stores: a local folder, S3, and what Hadoop reaches."""

import threading
import uuid

import pytest

from metaclip_spark.config.curation import OutputConfig
from metaclip_spark.errors import ConfigError, InputError
from metaclip_spark.runs.layout import check_usable, mark_as_run
from metaclip_spark.runs.lock import locked
from metaclip_spark.runs.open import prepare_output, session_settings
from metaclip_spark.runs.records import read_object
from metaclip_spark.stores.hadoop_store import HadoopStore
from metaclip_spark.stores.local_store import LocalStore
from metaclip_spark.stores.s3_store import S3Store
from metaclip_spark.stores.storage import Storage
from tests.support.fault_server import FaultProxy
from tests.support.s3_server import new_bucket, s3_server
from udfs.sources import FetchOptions


@pytest.fixture(scope="module")
def bucket():
    with s3_server() as endpoint:
        yield new_bucket(endpoint)


@pytest.fixture(params=["local", "s3", pytest.param("hadoop", marks=pytest.mark.spark)])
def store(request, tmp_path):
    if request.param == "local":
        return LocalStore(tmp_path)
    if request.param == "hadoop":
        request.getfixturevalue("spark")
        return HadoopStore(f"file://{tmp_path}")
    bucket = request.getfixturevalue("bucket")
    return S3Store(f"s3://{bucket.name}/runs/{uuid.uuid4().hex}", FetchOptions(s3_endpoint=bucket.endpoint))


def test_objects_are_put_read_listed_and_deleted(store):
    assert store.read("a/x.json") is None
    assert store.names("a") == []
    assert store.files("a") == {}
    store.put("a/x.json", b"1")
    store.put("a/x.json", b"22")
    store.put("a/b=1/part 0+ü.parquet", b"3")
    store.put("ab", b"4")
    assert store.read("a/x.json") == b"22"
    assert store.read("a/b=1/part 0+ü.parquet") == b"3"
    assert store.names("a") == ["b=1", "x.json"]
    assert store.names("") == ["a", "ab"]
    found = [(name, size) for name, size in store.files("a").items() if ".crc" not in name]
    assert found == [("a/b=1/part 0+ü.parquet", 1), ("a/x.json", 2)]
    store.delete("a")
    store.delete("a")
    assert store.names("") == ["ab"]


def test_of_many_who_create_one_succeeds(store):
    if isinstance(store, HadoopStore):
        # Hadoop's local file system, unlike HDFS and GCS, does not create atomically.
        assert [store.create("lock.json", b"me"), store.create("lock.json", b"you")] == [True, False]
        assert store.read("lock.json") == b"me"
        return
    won = []

    def create(number):
        if store.create("lock.json", str(number).encode()):
            won.append(number)

    threads = [threading.Thread(target=create, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert store.read("lock.json") == str(won[0]).encode()
    assert not store.create("lock.json", b"late")


def test_a_run_on_s3_is_locked_listed_and_emptied(bucket):
    options = FetchOptions(s3_endpoint=bucket.endpoint)
    storage = Storage(f"s3://{bucket.name}/some/run/", options)
    assert storage.location("pool") == f"s3a://{bucket.name}/some/run/pool"
    check_usable(storage)
    with locked(storage, "first"):
        mark_as_run(storage)
        storage.put_json("ledger/00000-aa.json", {})
        bucket.put("some/run/pool/", b"")
        bucket.put("some/run/pool/_temporary/0/part-0.parquet", b"")
        bucket.put("some/run/pool/__magic_job-1/part-0.parquet", b"")
        bucket.put("some/run/pool/part-0.parquet", b"")
        bucket.put("some/runaway", b"mine")
        assert storage.data_files("pool") == {"pool/part-0.parquet": 0}
    prepare_output(storage, OutputConfig(output="x", overwrite=True))
    # What marks the folder as a run stays, and so does what only begins like its name.
    assert bucket.keys("some/") == ["some/run/output.json", "some/runaway"]


def test_folders_go_after_what_they_hold_with_their_keys(bucket, monkeypatch):
    store = S3Store(f"s3://{bucket.name}/nested", FetchOptions(s3_endpoint=bucket.endpoint))
    for key in ("matched/", "matched/bucket=0/", "matched/bucket=0/part-0.parquet", "matched/bucket=1/", "matchedness"):
        bucket.put(f"nested/{key}", b"")
    asked = []
    call = store._call

    def noting(name, method, **arguments):
        if method == "delete_objects":
            asked.extend(item["Key"] for item in arguments["Delete"]["Objects"])
        return call(name, method, **arguments)

    monkeypatch.setattr(store, "_call", noting)
    store.delete("matched")
    assert bucket.keys("nested/") == ["nested/matchedness"]
    below = ("/bucket=1/", "/bucket=0/part-0.parquet", "/bucket=0/", "/", "")
    assert asked == [f"nested/matched{name}" for name in below]


def test_unfinished_uploads_below_the_run_are_found_and_aborted(bucket):
    store = S3Store(f"s3://{bucket.name}/uploads", FetchOptions(s3_endpoint=bucket.endpoint))
    for key in ("uploads/pool/part-0", "elsewhere/part-0"):
        bucket.client.create_multipart_upload(Bucket=bucket.name, Key=key)
    found = store.unfinished_uploads()
    assert [key for key, _ in found] == ["uploads/pool/part-0"]
    store.abort_uploads(found)
    left = bucket.client.list_multipart_uploads(Bucket=bucket.name)["Uploads"]
    assert [upload["Key"] for upload in left] == ["elsewhere/part-0"]


def test_refusals_and_cut_answers_change_nothing(bucket):
    with FaultProxy(bucket.endpoint, refused=0.2, cut=0.3, seed=5) as proxy:
        options = FetchOptions(s3_endpoint=proxy.url, first_delay_seconds=0.001, longest_delay_seconds=0.01)
        store = S3Store(f"s3://{bucket.name}/faults", options)
        assert store.create("lock.json", b"me")
        assert not store.create("lock.json", b"you")
        for number in range(30):
            store.put(f"a/{number:02d}", b"x" * number)
        assert [store.read(f"a/{number:02d}") for number in range(30)] == [b"x" * number for number in range(30)]
        assert len(store.names("a")) == 30
        assert proxy.counts["refused"]
        assert proxy.counts["cut"]


def test_an_error_page_with_status_200_is_no_object(bucket):
    with FaultProxy(bucket.endpoint, page_with_200=0.4, seed=2) as proxy:
        options = FetchOptions(s3_endpoint=proxy.url, first_delay_seconds=0.001, longest_delay_seconds=0.01)
        store = S3Store(f"s3://{bucket.name}/pages", options)
        store.put("run.json", b"{}")
        assert [store.read("run.json") for _ in range(10)] == [b"{}"] * 10
        assert [store.names("") for _ in range(10)] == [["run.json"]] * 10
        assert proxy.counts["page_with_200"] > 5


def test_a_missing_bucket_is_named(bucket):
    storage = Storage("s3://no-such-bucket-anywhere/run", FetchOptions(s3_endpoint=bucket.endpoint))
    with pytest.raises(FileNotFoundError, match=r"s3://no-such-bucket-anywhere/run.*NoSuchBucket"):
        check_usable(storage)


def test_a_broken_object_on_s3_is_named(bucket):
    storage = Storage(f"s3://{bucket.name}/broken", FetchOptions(s3_endpoint=bucket.endpoint))
    bucket.put("broken/run.json", b'{"a": ')
    with pytest.raises(InputError, match=r"broken/run\.json is not JSON"):
        read_object(storage, "run.json")


def test_packages_are_refused_under_spark_submit_with_the_line_to_give(monkeypatch):
    asked = OutputConfig(output="s3://bucket/run", s3_packages=True)
    assert session_settings(asked)["spark.jars.packages"].startswith("org.apache.hadoop:hadoop-aws:3.")
    assert session_settings(OutputConfig(output="s3://bucket/run")) == {}
    monkeypatch.setenv("PYSPARK_GATEWAY_PORT", "1")
    with pytest.raises(
        ConfigError, match=r"give spark-submit itself --packages org\.apache\.hadoop:hadoop-aws:3\.\S+ "
    ):
        session_settings(asked)
