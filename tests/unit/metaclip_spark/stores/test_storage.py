"""A folder of objects that are put whole, and what is refused as one."""

from types import SimpleNamespace

import pytest

from metaclip_spark.errors import ConfigError
from metaclip_spark.stores.spark_io import prepare_compression
from metaclip_spark.stores.storage import Storage


def test_an_object_is_put_whole_and_read_back(storage):
    assert storage.read_json("a/b.json") is None
    storage.put_json("a/b.json", {"text": "東京"})
    storage.put_json("a/b.json", {"text": "x"})
    assert storage.read_json("a/b.json") == {"text": "x"}
    assert storage.names("a") == ["b.json"]
    assert not storage.create_bytes("a/b.json", b"{}")
    assert storage.read_json("a/b.json") == {"text": "x"}


def test_bytes_are_created_and_read_or_there_are_none(storage):
    assert storage.read_object("commits/1") is None
    assert storage.create_bytes("commits/1", b"me")
    assert not storage.create_bytes("commits/1", b"me")
    assert storage.read_object("commits/1") == b"me"


def test_a_put_of_one_request_is_a_put(storage):
    storage.put_once("beats/1", b"1", 10.0)
    storage.put_once("beats/1", b"2", 10.0)
    assert storage.read_object("beats/1") == b"2"


def test_data_files_are_listed_with_their_bytes_and_without_what_is_hidden(storage):
    for name in ("b/part-1.parquet", "a/part-0.parquet", "_temporary/0/part.parquet", "a/.part.parquet", "_SUCCESS"):
        storage.put_bytes(f"pool/{name}", b"x" * len(name))
    assert list(storage.data_files("pool").items()) == [("pool/a/part-0.parquet", 16), ("pool/b/part-1.parquet", 16)]
    assert storage.data_files("matched") == {}


@pytest.mark.parametrize("output", ["s3://", "s3:///x", "file://host/x", "file://", "http://x/y", "https://x/y"])
def test_a_url_that_names_no_folder_is_no_output(output):
    with pytest.raises(ConfigError) as refused:
        Storage(output)
    assert output in str(refused.value)


@pytest.mark.parametrize(
    ("output", "found"),
    [("s3://bucket/a/../b", ".."), ("s3a://bucket/./b", "."), ("s3://bucket/a/..", "..")],
)
def test_a_url_that_clients_of_a_store_read_differently_is_no_output(output, found):
    with pytest.raises(ConfigError) as refused:
        Storage(output)
    assert str(refused.value) == f"--output {output} holds {found!r}: write the path without it"


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
