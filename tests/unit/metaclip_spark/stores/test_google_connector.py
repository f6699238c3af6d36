"""What is Google's connector's own: its class, its settings, and what the store's answers are told as."""

from types import SimpleNamespace

import pytest

from metaclip_spark.stores.hadoop_store import HadoopStore
from metaclip_spark.stores.spark_io import prepare_tables
from metaclip_spark.stores.storage import Storage
from tests.support.fault_server import ScriptedServer

# Its server takes minutes to build: run by `make test-gcs`.
pytestmark = [pytest.mark.slow, pytest.mark.spark]

VECTORED = "parquet.hadoop.vectored.io.enabled"
CLASS = "fs.gs.impl"


@pytest.fixture
def hadoop(spark, gcs):
    """Hadoop's settings of the session, as they were before the test once it is over."""
    settings = spark.sparkContext._jsc.hadoopConfiguration()
    names = (CLASS, VECTORED, *gcs.hadoop_settings(), "fs.gs.http.max.retry", "fs.gs.impl.disable.cache")
    before = {name: settings.get(name) for name in names}
    yield settings
    for name, value in before.items():
        settings.unset(name) if value is None else settings.set(name, value)


def test_hadoop_is_told_the_class_unless_somebody_has(hadoop, gcs):
    hadoop.unset(CLASS)
    assert HadoopStore(gcs.new_bucket()).names("") == []
    assert hadoop.get(CLASS) == "com.google.cloud.hadoop.fs.gcs.GoogleHadoopFileSystem"
    hadoop.set(CLASS, "org.apache.hadoop.fs.RawLocalFileSystem")
    assert HadoopStore(gcs.new_bucket())._hadoop.filesystem.getClass().getSimpleName() == "RawLocalFileSystem"
    assert hadoop.get(CLASS) == "org.apache.hadoop.fs.RawLocalFileSystem"


def test_tables_are_read_without_vectored_reads_unless_the_user_says_otherwise(spark, hadoop, gcs, monkeypatch):
    storage = Storage(f"{gcs.new_bucket()}/run")
    hadoop.unset(VECTORED)
    assert "GoogleHadoopFileSystem" in prepare_tables(spark, storage, allow_rename_committer=False)
    assert hadoop.get(VECTORED) == "false"
    hadoop.set(VECTORED, "true")
    given = SimpleNamespace(getAll=lambda: [(f"spark.hadoop.{VECTORED}", "true")])
    monkeypatch.setattr(type(spark.sparkContext), "getConf", lambda _context: given)
    prepare_tables(spark, storage, allow_rename_committer=False)
    assert hadoop.get(VECTORED) == "true"


@pytest.mark.parametrize("status", [401, 403])
def test_a_denied_request_is_a_permission_error(hadoop, status):
    denied = b'{"error": {"code": %d, "message": "somebody does not have storage.objects access"}}' % status
    with ScriptedServer(lambda *_request: (status, {"Content-Type": "application/json"}, denied)) as server:
        hadoop.set("fs.gs.storage.root.url", f"{server.url}/")
        hadoop.set("fs.gs.impl.disable.cache", "true")
        store = HadoopStore("gs://somebody-elses/run")
        for request in (lambda: store.names(""), lambda: store.create("commits/1", b"x")):
            with pytest.raises(PermissionError, match=rf"^gs://somebody-elses/run.*: {status} ") as told:
                request()
            assert "\n" not in str(told.value)
