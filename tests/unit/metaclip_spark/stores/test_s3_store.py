"""What is S3's own: keys that end with a slash, uploads, lost and refused answers, conditions that servers refuse."""

import socket
import threading
import time
from contextlib import ExitStack

import pytest

from metaclip_spark.commits.entries import Reset
from metaclip_spark.commits.log import Log
from metaclip_spark.commits.owner import Applicant, check_free
from metaclip_spark.config.curation import OutputConfig
from metaclip_spark.errors import ConfigError, InputError, OutputExistsError
from metaclip_spark.runs.layout import check_usable, mark_as_run
from metaclip_spark.runs.layout_1 import delete_layout_1
from metaclip_spark.runs.open import session_settings
from metaclip_spark.stores.s3_store import S3Store
from metaclip_spark.stores.storage import Storage
from tests.support.fault_server import FaultProxy, ScriptedServer
from tests.support.runs import take_folder
from tests.support.s3_server import CREDENTIALS, new_bucket, s3_server
from udfs.sources import FetchOptions

QUICK = {"first_delay_seconds": 0.001, "longest_delay_seconds": 0.01}
PLACES = ("s3://bucket/a/b", "s3a://bucket/a/b/", "s3n://bucket//a//b")


@pytest.fixture(scope="module")
def bucket():
    with s3_server() as endpoint:
        yield new_bucket(endpoint)


@pytest.fixture
def credentials(monkeypatch):
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)


def test_a_run_on_s3_is_owned_listed_and_emptied(bucket):
    options = FetchOptions(s3_endpoint=bucket.endpoint)
    storage = Storage(f"s3://{bucket.name}/some/run/", options)
    assert storage.location("pool") == f"s3a://{bucket.name}/some/run/pool"
    check_usable(storage)
    owner = take_folder(storage, "first")
    mark_as_run(storage)
    second = Log(storage)
    second.read_all()
    with pytest.raises(OutputExistsError, match="in use by first"):
        check_free(second, storage, Applicant("second"), wait=False)
    storage.put_json("ledger/00000-aa.json", {})
    bucket.put("some/run/pool/", b"")
    bucket.put("some/run/pool/_temporary/0/part-0.parquet", b"")
    bucket.put("some/run/pool/__magic_job-1/part-0.parquet", b"")
    bucket.put("some/run/pool/part-0.parquet", b"")
    bucket.put("some/runaway", b"mine")
    assert storage.data_files("pool") == {"pool/part-0.parquet": 0}
    owner.commit(Reset(owner=owner.nonce))
    delete_layout_1(storage)
    owner.leave()
    # What marks the folder as a run stays, and so does what only begins like its name, and a key that is a folder's.
    log = [f"some/run/commits/0000000{number}.json" for number in (1, 2, 3)]
    assert bucket.keys("some/") == [
        *log,
        "some/run/lock.json",
        "some/run/output.json",
        "some/run/pool/",
        "some/runaway",
    ]


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
        options = FetchOptions(s3_endpoint=proxy.url, **QUICK)
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
        options = FetchOptions(s3_endpoint=proxy.url, **QUICK)
        store = S3Store(f"s3://{bucket.name}/pages", options)
        store.put("run.json", b"{}")
        assert [store.read("run.json") for _ in range(10)] == [b"{}"] * 10
        assert [store.names("") for _ in range(10)] == [["run.json"]] * 10
        assert proxy.counts["page_with_200"] > 5


def test_a_missing_bucket_is_named(bucket):
    storage = Storage("s3://no-such-bucket-anywhere/run", FetchOptions(s3_endpoint=bucket.endpoint))
    with pytest.raises(InputError, match=r"s3://no-such-bucket-anywhere/run.*NoSuchBucket"):
        check_usable(storage)


def test_a_broken_object_on_s3_is_named(bucket):
    storage = Storage(f"s3://{bucket.name}/broken", FetchOptions(s3_endpoint=bucket.endpoint))
    bucket.put("broken/run.json", b'{"a": ')
    with pytest.raises(InputError, match=r"broken/run\.json is not JSON"):
        storage.read_json("run.json")


def test_packages_are_refused_under_spark_submit_with_the_line_to_give(monkeypatch):
    asked = OutputConfig(output="s3://bucket/run", s3_packages=True)
    assert session_settings(asked)["spark.jars.packages"].startswith("org.apache.hadoop:hadoop-aws:3.")
    assert session_settings(OutputConfig(output="s3://bucket/run")) == {}
    monkeypatch.setenv("PYSPARK_GATEWAY_PORT", "1")
    with pytest.raises(
        ConfigError, match=r"give spark-submit itself --packages org\.apache\.hadoop:hadoop-aws:3\.\S+ "
    ):
        session_settings(asked)


def test_a_creation_whose_answer_was_lost_is_told_as_taken(bucket):
    with FaultProxy(bucket.endpoint, lost_puts=1) as proxy:
        store = S3Store(f"s3://{bucket.name}/lost", FetchOptions(s3_endpoint=proxy.url, **QUICK))
        assert not store.create("commits/1", b"mine")
        assert store.read("commits/1") == b"mine"
        assert store.create("commits/2", b"mine")
        assert proxy.counts["lost"] == 1


def test_a_creation_that_nobody_answers_is_an_error(bucket):
    with FaultProxy(bucket.endpoint, lost_puts=100) as proxy:
        store = S3Store(f"s3://{bucket.name}/silent", FetchOptions(s3_endpoint=proxy.url, attempts=3, **QUICK))
        with pytest.raises(OSError, match="given up after 3 attempts"):
            store.create("commits/1", b"mine")
        assert store.read("commits/1") == b"mine"


def answer(status, code):
    body = f"<Error><Code>{code}</Code><Message>said</Message></Error>".encode()
    return status, {"Content-Type": "application/xml"}, body


@pytest.mark.usefixtures("credentials")
def test_creations_at_the_same_time_are_tried_again_and_not_for_ever():
    conflict = answer(409, "ConditionalRequestConflict")
    with ScriptedServer(lambda n, *_request: conflict if n < 3 else (200, {"ETag": '"1"'}, b"")) as server:
        assert S3Store("s3://bucket/run", FetchOptions(s3_endpoint=server.url, **QUICK)).create("commits/1", b"x")
        assert [(method, headers["if-none-match"]) for method, _, headers in server.seen] == [("PUT", "*")] * 3
    with ScriptedServer(lambda *_request: conflict) as server:
        store = S3Store("s3://bucket/run", FetchOptions(s3_endpoint=server.url, attempts=4, **QUICK))
        with pytest.raises(OSError, match=r"s3://bucket/run/commits/1: another creates it .*after 4 attempts"):
            store.create("commits/1", b"x")
        assert len(server.seen) == 4


@pytest.mark.usefixtures("credentials")
def test_a_server_that_knows_no_conditions_is_refused_at_once():
    with ScriptedServer(lambda *_request: answer(501, "NotImplemented")) as server:
        store = S3Store("s3://bucket/run", FetchOptions(s3_endpoint=server.url, **QUICK))
        with pytest.raises(OSError, match=r"cannot create an object once .*give another --output"):
            store.create("commits/1", b"x")
        assert len(server.seen) == 1


@pytest.mark.usefixtures("credentials")
def test_a_denied_creation_is_a_permission_error():
    with ScriptedServer(lambda *_request: answer(403, "AccessDenied")) as server:
        store = S3Store("s3://bucket/run", FetchOptions(s3_endpoint=server.url, **QUICK))
        for request in (store.create, store.put):
            with pytest.raises(PermissionError, match="s3://bucket/run/commits/1: AccessDenied"):
                request("commits/1", b"x")


@pytest.mark.usefixtures("credentials")
def test_a_put_of_one_request_waits_for_a_silent_server_no_longer_than_told():
    with ExitStack() as held:
        listening = held.enter_context(socket.create_server(("127.0.0.1", 0)))
        taken = []

        def accept():
            while True:
                try:
                    taken.append(held.enter_context(listening.accept()[0]))
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        options = FetchOptions(s3_endpoint=f"http://127.0.0.1:{listening.getsockname()[1]}")
        begun = time.monotonic()
        with pytest.raises(OSError, match="s3://bucket/run/beats/1"):
            S3Store("s3://bucket/run", options).put_once("beats/1", b"1", 0.5)
        assert time.monotonic() - begun < 5
        assert len(taken) == 1
        listening.shutdown(socket.SHUT_RDWR)


def test_a_tail_is_one_request_and_its_answer_the_part(bucket):
    with FaultProxy(bucket.endpoint) as proxy:
        store = S3Store(f"s3://{bucket.name}/tails", FetchOptions(s3_endpoint=proxy.url, **QUICK))
        store.put("part", b"0123456789")
        before = proxy.counts["requests"]
        assert store.read_tail("part", 10, 4) == b"6789"
        assert proxy.counts["requests"] == before + 1
    with FaultProxy(bucket.endpoint, refused=0.2, cut=0.3, page_with_200=0.2, seed=1) as proxy:
        store = S3Store(f"s3://{bucket.name}/tails", FetchOptions(s3_endpoint=proxy.url, **QUICK))
        assert [store.read_tail("part", 10, 4) for _ in range(20)] == [b"6789"] * 20
        assert proxy.counts["cut"]
        assert proxy.counts["page_with_200"]


@pytest.mark.usefixtures("credentials")
def test_a_server_that_ignores_ranges_is_told():
    with ScriptedServer(lambda *_request: (200, {"ETag": '"1"'}, b"0123456789")) as server:
        store = S3Store("s3://bucket/run", FetchOptions(s3_endpoint=server.url, **QUICK))
        with pytest.raises(OSError, match="ignores Range requests"):
            store.read_tail("part", 10, 4)


@pytest.mark.parametrize("url", PLACES)
def test_one_place_has_many_urls(url):
    assert Storage(url).place == "s3://bucket/a/b"


def test_a_whole_bucket_is_a_place():
    assert Storage("s3a://bucket").place == Storage("s3://bucket/").place == "s3://bucket"


def test_a_store_that_refuses_is_told_with_the_option():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{free.getsockname()[1]}"
    storage = Storage("s3://bucket/run", FetchOptions("anonymous", f"http://{host}", first_delay_seconds=0.001))
    with pytest.raises(InputError, match="refused") as told:
        check_usable(storage)
    assert str(told.value) == (
        f"--output s3://bucket/run: cannot connect to {host} (connection refused) (given up after 5 attempts): "
        "check the URL, and whether its server is up"
    )
