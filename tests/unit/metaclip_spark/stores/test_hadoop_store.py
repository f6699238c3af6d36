"""What is Hadoop's own: sessions, threads, errors of Java, places, and stores that show a file when it is closed."""

import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pyspark
import pytest
from py4j.protocol import Py4JNetworkError

from metaclip_spark.errors import ConfigError, InputError
from metaclip_spark.stores import hadoop_store
from metaclip_spark.stores.hadoop_store import HadoopStore
from metaclip_spark.stores.storage import Storage
from tests.support.jobs import CHECKOUT, call

METHODS = {
    "put": lambda store: store.put("a/x", b"1"),
    "put_once": lambda store: store.put_once("a/x", b"1", 1.0),
    "create": lambda store: store.create("a/x", b"1"),
    "read": lambda store: store.read("a/x"),
    "read_tail": lambda store: store.read_tail("a/x", 10, 5),
    "names": lambda store: store.names("a"),
    "files": lambda store: store.files("a"),
    "delete": lambda store: store.delete("a"),
}


@pytest.fixture
def on_hdfs(spark, hdfs):
    assert spark
    return HadoopStore(hdfs.new_folder())


def test_an_unfinished_put_is_hidden(spark, tmp_path, monkeypatch):
    store = HadoopStore(f"file://{tmp_path}")
    names = []
    monkeypatch.setattr(
        hadoop_store._Hadoop, "write", lambda _self, path, _content, **_how: names.append(path.getName())
    )
    with pytest.raises(FileNotFoundError):
        store.put("expected_kept/part-00000.parquet", b"x")
    assert spark
    assert names[0].startswith(".part-00000")


def test_an_index_of_runs_is_written_where_hadoop_alone_reaches_it(on_hdfs, tmp_path, capsys):
    for name in ("finished", "stopped"):
        shutil.copytree(CHECKOUT / "tests/data/stored_run" / name, tmp_path / "runs" / name)
    for path in (tmp_path / "runs").rglob("*"):
        if path.is_file() and path.suffix != ".parquet":
            on_hdfs.put(str(path.relative_to(tmp_path)), path.read_bytes())
    # The third puts its page over the second's.
    for root in (str(tmp_path), on_hdfs.place, on_hdfs.place):
        assert call("report_curation", "--index", f"{root}/runs") == 0
        assert capsys.readouterr().out == f"2 runs: 1 done, 1 stopped\nIndex: {root}/runs/index.html\n"
    page = on_hdfs.read("runs/index.html").decode()
    assert page.replace(on_hdfs.place, str(tmp_path)) == (tmp_path / "runs" / "index.html").read_text()


@pytest.mark.parametrize("method", ["put", "create"])
def test_a_put_that_failed_leaves_nothing_behind(on_hdfs, monkeypatch, method):
    on_hdfs.put("run.json", b"before")

    def broken(*_arguments, **_keywords):
        raise OSError("the network is gone")

    monkeypatch.setattr(hadoop_store._Hadoop, "rename", broken)
    if method == "put":
        with pytest.raises(OSError, match="the network is gone"):
            on_hdfs.put("run.json", b"after")
    with pytest.raises(OSError, match="the network is gone"):
        on_hdfs.create("other.json", b"after")
    assert on_hdfs.files("") == {"run.json": 6}


def test_a_file_system_that_shows_files_when_they_are_closed_is_written_without_a_rename(on_hdfs, monkeypatch):
    """As on gs; that HDFS shows an empty file meanwhile does not matter here."""
    monkeypatch.setattr(hadoop_store, "_WHOLE_AT_CLOSE", {"hdfs"})
    monkeypatch.setattr(hadoop_store._Hadoop, "rename", None)
    assert on_hdfs.create("commits/1", b"me")
    assert not on_hdfs.create("commits/1", b"you")
    assert on_hdfs.read("commits/1") == b"me"
    on_hdfs.put("run.json", b"1")
    on_hdfs.put("run.json", b"22")
    assert on_hdfs.read("run.json") == b"22"
    with ThreadPoolExecutor(16) as pool:
        told = list(pool.map(lambda number: on_hdfs.create("commits/2", bytes([number])), range(16)))
    assert told.count(True) == 1
    assert on_hdfs.read("commits/2") == bytes([told.index(True)])


def test_a_store_is_first_used_in_a_thread_that_has_no_session(spark, hdfs):
    store = HadoopStore(hdfs.new_folder())
    found = []
    thread = threading.Thread(target=lambda: found.append(store.create("commits/1", b"x")))
    thread.start()
    thread.join()
    assert spark
    assert found == [True]


def test_a_store_holds_what_it_was_made_with(on_hdfs, hdfs, monkeypatch):
    on_hdfs.put("run.json", b"1")
    monkeypatch.setattr(pyspark.SparkContext, "_active_spark_context", None)
    assert on_hdfs.read("run.json") == b"1"
    with pytest.raises(OSError, match="reached through Spark, which has not been started"):
        HadoopStore(hdfs.new_folder()).read("run.json")


@pytest.mark.parametrize("method", ["put", "put_once", "create", "delete"])
def test_a_denied_write_is_a_permission_error(on_hdfs, method):
    on_hdfs.put("a/y", b"mine")
    as_another = on_hdfs._hadoop.classes.FileSystem.get(
        on_hdfs._hadoop.filesystem.getUri(), on_hdfs._hadoop.filesystem.getConf(), "somebody else"
    )
    theirs = HadoopStore(on_hdfs.place)
    theirs.__dict__["_hadoop"] = replace(on_hdfs._hadoop, filesystem=as_another)
    said = rf"^{on_hdfs.place}/a\S*: Permission denied: user=somebody else.* \(AccessControlException\)$"
    with pytest.raises(PermissionError, match=said):
        METHODS[method](theirs)
    assert on_hdfs.files("") == {"a/y": 4}


@pytest.mark.parametrize("method", METHODS)
def test_a_name_node_out_of_reach_is_an_oserror_that_shows_no_credentials(spark, method):
    hadoop = spark.sparkContext._jsc.hadoopConfiguration()
    hadoop.set("ipc.client.connect.max.retries", "0")
    try:
        store = HadoopStore("hdfs://somebody:never-to-be-shown@127.0.0.1:1/run")
        with pytest.raises(OSError, match=r"^hdfs://127\.0\.0\.1:1/run/a.*Connection refused") as told:
            METHODS[method](store)
    finally:
        hadoop.unset("ipc.client.connect.max.retries")
    assert "never-to-be-shown" not in str(told.value)
    assert "\n" not in str(told.value)


def test_a_file_system_that_is_unknown_is_told_without_credentials(spark):
    with pytest.raises(ConfigError, match=r"foo://host/run cannot be reached through Hadoop .*No FileSystem") as told:
        HadoopStore("foo://somebody:never-to-be-shown@host/run").names("")
    assert spark
    assert "never-to-be-shown" not in str(told.value)


@pytest.mark.parametrize("method", METHODS)
def test_a_jvm_that_has_gone_is_an_oserror(method):
    def gone(*_arguments):
        raise Py4JNetworkError("Answer from Java side is empty")

    store = HadoopStore("hdfs://host/run")
    store.__dict__["_hadoop"] = SimpleNamespace(classes=SimpleNamespace(Path=gone))
    with pytest.raises(OSError, match=r"hdfs://host/run/a.*: Spark's JVM does not answer"):
        METHODS[method](store)


def test_what_is_no_folder_is_told(on_hdfs):
    on_hdfs.put("a", b"1")
    for method in ("put", "create"):
        with pytest.raises(OSError, match=r"/a/x"):
            METHODS[method](on_hdfs)
    on_hdfs.put("folder/part", b"1")
    with pytest.raises(OSError, match=r"/folder"):
        on_hdfs.put("folder", b"1")
    assert not on_hdfs.create("folder", b"1")
    assert on_hdfs.files("") == {"a": 1, "folder/part": 1}


def test_nothing_stays_open(spark, hdfs):
    def use(store, turn):
        store.put(f"a/{turn}", b"x" * 100)
        store.create(f"a/{turn}", b"x")
        store.read(f"a/{turn}")
        store.read_tail(f"a/{turn}", 1000, 5)
        store.read("gone")
        store.files("")

    def used_by_threads():
        store = HadoopStore(hdfs.new_folder())
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda turn: use(store, turn), range(8)))

    java = spark.sparkContext._jvm.java.lang.ProcessHandle.current().pid()
    used_by_threads()
    before = open_files(os.getpid()), open_files(java)
    for _ in range(4):
        used_by_threads()
    after = open_files(os.getpid()), open_files(java)
    # Threads of the pool that Hadoop keeps may come and go; 32 turns with a leak each would leave 32.
    assert after[0] - before[0] < 10
    assert after[1] - before[1] < 10


def open_files(process):
    return len(list(Path(f"/proc/{process}/fd").iterdir()))


def test_one_place_has_many_urls(spark, hdfs):
    hadoop = spark.sparkContext._jsc.hadoopConfiguration()
    folder = f"{hdfs.url}/run"
    urls = [folder, f"{folder}/", f"{hdfs.url}//./run", f"{hdfs.url}/other/../run", "hdfs:///run"]
    before = hadoop.get("fs.defaultFS")
    hadoop.set("fs.defaultFS", hdfs.url)
    try:
        assert {Storage(url).place for url in urls} == {folder}
    finally:
        hadoop.set("fs.defaultFS", before)


def test_a_place_is_named_without_a_session(monkeypatch):
    monkeypatch.setattr(pyspark.SparkContext, "_active_spark_context", None)
    for url in ("hdfs://Name-Node:8020/a/b", "HDFS://name-node:8020//a/./b/", "hdfs://u:p@name-node:8020/a/c/../b"):
        assert Storage(url).place == "hdfs://name-node:8020/a/b"
    assert Storage("hdfs://name-node").place == "hdfs://name-node/"
    assert Storage("abfs://box@account.host/a").place == "abfs://box@account.host/a"


def test_what_spark_wrote_is_counted_by_footers(spark, hdfs):
    storage = Storage(hdfs.new_folder())
    spark.range(1000).repartition(5).write.parquet(storage.location("pool/1"))
    files = storage.data_files("pool")
    assert len(files) == 5
    assert sum(storage.parquet_rows(files).values()) == 1000
    lost = next(iter(files))
    storage.delete(lost)
    with pytest.raises(InputError, match=f"{lost} is gone"):
        storage.parquet_rows(files)


def test_a_scheme_that_may_create_a_name_twice_is_refused_before_it_is_reached():
    with pytest.raises(OSError, match=r"wasb:// is not known to create a name only once, which a run's log needs"):
        HadoopStore("wasb://container@account.example.org/run").create("commits/00000001.json", b"{}")
