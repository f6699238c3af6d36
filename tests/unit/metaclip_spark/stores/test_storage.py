"""A folder of objects that are put whole, and what is refused as one."""

from types import SimpleNamespace

import pytest

from metaclip_spark.errors import ConfigError
from metaclip_spark.stores.hadoop_store import HadoopStore
from metaclip_spark.stores.spark_io import prepare_compression
from metaclip_spark.stores.storage import Storage


def test_an_object_is_put_whole_and_read_back(storage):
    assert storage.read_json("a/b.json") is None
    storage.put_json("a/b.json", {"text": "東京"})
    storage.put_json("a/b.json", {"text": "x"})
    assert storage.read_json("a/b.json") == {"text": "x"}
    assert storage.names("a") == ["b.json"]
    assert not storage.create_json("a/b.json", {})
    assert storage.read_json("a/b.json") == {"text": "x"}


@pytest.mark.parametrize("output", ["s3://", "s3:///x", "file://host/x", "file://", "http://x/y", "https://x/y"])
def test_a_url_that_names_no_folder_is_no_output(output):
    with pytest.raises(ConfigError) as refused:
        Storage(output)
    assert output in str(refused.value)


def test_a_url_that_hadoop_knows_nothing_of_is_told_in_one_line(spark):
    for url, why in {"foo://x/y": 'No FileSystem for scheme "foo"', "hdfs:///y": "no host"}.items():
        with pytest.raises(ConfigError, match=f"{url} cannot be reached through Hadoop .*{why}") as refused:
            Storage(url).names("")
        assert "\n" not in str(refused.value)
    assert spark


def test_tables_are_packed_as_measured_unless_the_user_says_otherwise(spark, monkeypatch):
    name = "parquet.compression.codec.zstd.level"
    hadoop = spark.sparkContext._jsc.hadoopConfiguration()
    hadoop.unset(name)
    prepare_compression(spark)
    assert hadoop.get(name) == "1"
    hadoop.set(name, "9")
    given = SimpleNamespace(getAll=lambda: [(f"spark.hadoop.{name}", "9")])
    monkeypatch.setattr(type(spark.sparkContext), "getConf", lambda _context: given)
    prepare_compression(spark)
    assert hadoop.get(name) == "9"
    hadoop.unset(name)


def test_an_unfinished_put_through_hadoop_is_hidden(spark, tmp_path, monkeypatch):
    store = HadoopStore(f"file://{tmp_path}")
    names = []
    monkeypatch.setattr(HadoopStore, "_write", lambda _self, name, _content, **_how: names.append(name))
    with pytest.raises(FileNotFoundError):
        store.put("expected_kept/part-00000.parquet", b"x")
    assert spark
    assert names[0].startswith("expected_kept/.part-00000")
