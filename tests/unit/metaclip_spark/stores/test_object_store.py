"""What every store promises, on a local folder, S3, Hadoop's local file system, a real HDFS and gs://."""

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metaclip_spark.errors import InputError
from metaclip_spark.stores.hadoop_store import HadoopStore
from metaclip_spark.stores.local_store import LocalStore
from metaclip_spark.stores.parquet_footers import parquet_rows
from metaclip_spark.stores.s3_store import S3Store
from tests.support.s3_server import new_bucket, s3_server
from udfs.sources import FetchOptions

KINDS = [
    "local",
    "s3",
    pytest.param("file", marks=pytest.mark.spark),
    pytest.param("hdfs", marks=pytest.mark.spark),
    # Its server takes minutes to build: run by `make test-gcs`.
    pytest.param("gs", marks=[pytest.mark.spark, pytest.mark.slow]),
]
MANY = 32


@pytest.fixture(scope="module")
def bucket():
    with s3_server() as endpoint:
        yield new_bucket(endpoint)


@pytest.fixture(params=KINDS)
def opened(request, tmp_path):
    """Opens a store of one new folder, each time anew, as another process would."""
    if request.param == "local":
        return partial(LocalStore, tmp_path)
    if request.param == "s3":
        bucket = request.getfixturevalue("bucket")
        options = FetchOptions(s3_endpoint=bucket.endpoint)
        return partial(S3Store, f"s3://{bucket.name}/runs/{uuid.uuid4().hex}", options)
    request.getfixturevalue("spark")
    if request.param == "file":
        return partial(HadoopStore, f"file://{tmp_path}")
    if request.param == "gs":
        return partial(HadoopStore, f"{request.getfixturevalue('gcs').new_bucket()}/run")
    return partial(HadoopStore, request.getfixturevalue("hdfs").new_folder())


@pytest.fixture
def store(opened):
    return opened()


def at_once(function, arguments):
    """Calls a function in as many threads as it has arguments, all of which wait for the last one."""
    gate = threading.Barrier(len(arguments))

    def call(argument):
        gate.wait(60)
        return function(argument)

    with ThreadPoolExecutor(len(arguments)) as pool:
        return list(pool.map(call, arguments))


def files(store, folder=""):
    """All files but the checksums that Hadoop keeps beside those of a local file system."""
    return {name: size for name, size in store.files(folder).items() if not name.endswith(".crc")}


def test_objects_are_put_read_listed_and_deleted(store):
    assert store.read("a/x.json") is None
    assert store.names("a") == []
    assert store.files("a") == {}
    store.put("a/x.json", b"1")
    store.put("a/x.json", b"22")
    store.put("a/b=1/part 0+ü.parquet", b"333")
    store.put("ab", b"")
    assert store.read("a/x.json") == b"22"
    assert store.read("a/b=1/part 0+ü.parquet") == b"333"
    assert store.read("ab") == b""
    assert store.names("a") == ["b=1", "x.json"]
    assert store.names("") == ["a", "ab"]
    assert [store.folders(folder) for folder in ("", "a", "ab", "none")] == [["a"], ["b=1"], [], []]
    assert list(files(store, "a").items()) == [("a/b=1/part 0+ü.parquet", 3), ("a/x.json", 2)]
    assert list(files(store).items()) == [("a/b=1/part 0+ü.parquet", 3), ("a/x.json", 2), ("ab", 0)]
    store.delete("a")
    store.delete("a")
    assert store.names("") == ["ab"]


def test_a_name_is_created_once_whatever_it_holds(store):
    assert store.create("commits/1", b"me")
    assert not store.create("commits/1", b"me")
    assert not store.create("commits/1", b"you")
    assert store.read("commits/1") == b"me"
    assert files(store) == {"commits/1": 2}
    store.put("commits/2", b"put")
    assert not store.create("commits/2", b"created")
    assert store.read("commits/2") == b"put"


def test_of_many_who_create_one_succeeds(opened, request):
    if request.node.callspec.params["opened"] == "file":
        pytest.skip("Hadoop's local file system looks before it renames; runs on local disk do without it")
    stores = [opened() for _ in range(MANY)]
    for turn in range(3):
        name = f"commits/{turn}"
        told = at_once(lambda number, name=name: stores[number].create(name, str(number).encode()), range(MANY))
        assert sorted(told) == [False] * (MANY - 1) + [True]
        winner = str(told.index(True)).encode()
        assert stores[0].read(name) == winner
        assert files(stores[0], "commits")[name] == len(winner)
    assert len(files(stores[0])) == 3


def test_many_put_one_object(opened, request):
    if request.node.callspec.params["opened"] == "file":
        pytest.skip("Hadoop's local file system deletes before it renames; runs on local disk do without it")
    stores = [opened() for _ in range(8)]
    for _ in range(3):
        at_once(lambda number: stores[number].put("output.json", bytes([number]) * 100), range(8))
        found = stores[0].read("output.json")
        assert found in [bytes([number]) * 100 for number in range(8)]
    assert files(stores[0]) == {"output.json": 100}


def test_what_was_put_is_listed_at_once_by_others(opened):
    mine, other = opened(), opened()
    for number in range(20):
        (mine.put if number % 2 else mine.create)(f"commits/{number:08d}", b"x" * number)
        assert other.names("commits")[-1] == f"{number:08d}"
        assert files(other, "commits") == {f"commits/{n:08d}": n for n in range(number + 1)}


def test_nobody_sees_a_part_of_an_object(opened, request):
    if request.node.callspec.params["opened"] == "file":
        pytest.skip("Hadoop renames a local file and its checksum one after the other")
    mine, other = opened(), opened()
    contents = [letter * (1 << 20) for letter in (b"a", b"b")]
    done = threading.Event()
    seen = []

    def look():
        while not done.is_set():
            seen.extend([other.read("run.json"), other.read("created")])

    reader = threading.Thread(target=look)
    reader.start()
    try:
        for turn in range(6):
            mine.put("run.json", contents[turn % 2])
        mine.create("created", contents[0])
    finally:
        done.set()
        reader.join()
    assert set(seen) <= {None, *contents}
    assert len(set(seen)) > 1


def test_several_threads_use_one_store(store):
    def use(number):
        folder = f"thread {number}"
        for turn in range(4):
            store.put(f"{folder}/{turn}", bytes([number]) * turn)
            assert store.read(f"{folder}/{turn}") == bytes([number]) * turn
        assert store.create(f"{folder}/created", b"x")
        assert store.names(folder) == ["0", "1", "2", "3", "created"]
        assert store.read_tail(f"{folder}/3", 3, 2) == bytes([number]) * 2
        store.delete(f"{folder}/0")
        return files(store, folder)

    for number, found in enumerate(at_once(use, range(8))):
        assert list(found.values()) == [1, 2, 3, 1], number


def test_the_end_of_an_object_is_read(store):
    content = bytes(range(256)) * 1000
    store.put("a/part.parquet", content)
    size = len(content)
    assert store.read_tail("a/part.parquet", size, 8) == content[-8:]
    assert store.read_tail("a/part.parquet", size, size) == content
    assert store.read_tail("a/part.parquet", size, 10 * size) == content
    # It is shorter than the reader was told.
    assert store.read_tail("a/part.parquet", size + 3, 8) == content[-5:]
    assert store.read_tail("a/part.parquet", size + 8, 8) == b""
    assert store.read_tail("a/part.parquet", size + 1000, 8) == b""
    with pytest.raises(FileNotFoundError, match=r"a/gone\.parquet"):
        store.read_tail("a/gone.parquet", size, 8)


def test_deletion_spares_what_begins_with_the_same_letters(store):
    for name in ("a/b/x", "a/b/c/y", "a/bc", "a/b.json", "a/b=1/z", "ab"):
        store.put(name, b"1")
    store.delete("a/b")
    assert list(files(store)) == ["a/b.json", "a/b=1/z", "a/bc", "ab"]
    store.delete("a/b.json")
    assert list(files(store)) == ["a/b=1/z", "a/bc", "ab"]
    store.delete("a")
    assert list(files(store)) == ["ab"]


def test_many_delete_one_folder_at_once(opened):
    stores = [opened() for _ in range(8)]
    for number in range(60):
        stores[0].put(f"a/{number % 6}/{number}", b"x")
    stores[0].put("b", b"x")
    at_once(lambda store: store.delete("a"), stores)
    assert files(stores[0]) == {"b": 1}


def test_a_name_below_an_object_and_one_that_is_a_folder_are_refused(store):
    if isinstance(store, S3Store):
        pytest.skip("S3 has no folders: both names are free")
    store.put("a/b", b"1")
    for refused in (store.put, store.create):
        with pytest.raises(OSError, match="a/b"):
            refused("a/b/c", b"2")
    with pytest.raises(OSError, match="a"):
        store.put("a", b"2")
    assert not store.create("a", b"2")
    assert files(store) == {"a/b": 1}


def test_rows_are_counted_by_footers(store):
    packed = {f"pool/{rows:02d}.parquet": parquet_of(rows) for rows in range(40)}
    for name, content in packed.items():
        store.put(name, content)
    found = parquet_rows(store, "root", files(store, "pool"))
    assert list(found.items()) == [(name, rows) for rows, name in enumerate(packed)]
    store.delete("pool/07.parquet")
    with pytest.raises(InputError, match=r"root/pool/07\.parquet is gone"):
        parquet_rows(store, "root", {name: len(content) for name, content in packed.items()})


def parquet_of(rows):
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"number": list(range(rows))}), sink)
    return sink.getvalue().to_pybytes()


def test_a_put_of_one_request_puts(store):
    store.put_once("beats/1.json", b"1", 10.0)
    store.put_once("beats/1.json", b"22", 10.0)
    assert store.read("beats/1.json") == b"22"
    assert files(store) == {"beats/1.json": 2}


def test_stores_of_one_folder_have_one_place(opened):
    assert opened().place == opened().place
    assert "//" not in opened().place.partition("://")[2]
