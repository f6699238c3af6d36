"""Tars are found at any depth, on this machine, on S3 and in whatever fsspec has a package for."""

import importlib.util
import json
from dataclasses import replace

import fsspec
import pytest

from metaclip_spark.clip_benchmark.loading.load import open_batches
from metaclip_spark.clip_benchmark.reading.listing import find_shards
from metaclip_spark.clip_benchmark.reading.random_access import ShardFolder, read_protected_words
from metaclip_spark.clip_benchmark.settings.training_config import TrainingConfig
from metaclip_spark.errors import ConfigError, CurationError
from tests.support.clip_benchmark.small_shards import members, write_tar
from tests.support.s3_server import new_bucket, s3_server

# img2dataset's own names, in folders as deep as a user likes.
TARS = ("00000.tar", "part=0/00001.tar", "part=0/deep/er/00000.tar", "part=1/00000.tar")
OTHERS = ("00000.parquet", "00000_stats.json", "_tmp/00009.tar", "part=0/.00008.tar", "notes.tar.txt")


@pytest.fixture
def folder(tmp_path):
    for place, name in enumerate(TARS):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write_tar(tmp_path / name, [members(3 * place + number) for number in range(3)])
    for name in OTHERS:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    return tmp_path


@pytest.fixture(scope="module")
def s3():
    with s3_server() as endpoint, pytest.MonkeyPatch.context() as patch:
        patch.setenv("METACLIP_S3_ENDPOINT", endpoint)
        yield new_bucket(endpoint)


def test_a_local_folder_is_searched_at_any_depth(folder):
    assert [shard.path for shard in find_shards(str(folder))] == [str(folder / name) for name in TARS]
    samples = ShardFolder(str(folder))
    assert len(samples) == 12
    captions = [samples.read(number).caption for number in range(12)]
    assert captions == [members(number)["txt"].decode() for number in range(12)]


def test_what_shards_json_names_is_all_that_counts(folder):
    described = {"shards": [{"name": TARS[3], "samples": 3}, {"name": TARS[0], "samples": 2}]}
    (folder / "shards.json").write_text(json.dumps(described))
    found = find_shards(str(folder))
    assert [(shard.path, shard.samples) for shard in found] == [(str(folder / TARS[3]), 3), (str(folder / TARS[0]), 2)]
    assert len(ShardFolder(str(folder))) == 5


def test_s3_and_fsspec_stores_are_searched_alike(folder, s3):
    memory = fsspec.filesystem("memory")
    for name in (*TARS, *OTHERS):
        s3.put(f"images/{name}", (folder / name).read_bytes())
        memory.pipe(f"/shards-test/{name}", (folder / name).read_bytes())
    for url in (f"s3://{s3.name}/images", f"s3://{s3.name}/images/", "memory://shards-test"):
        assert [shard.path for shard in find_shards(url)] == [f"{url.rstrip('/')}/{name}" for name in TARS]
        assert read_protected_words(url) is None
    assert [shard.path for shard in find_shards(f"s3://{s3.name}/images/*/*.tar")] == [
        f"s3://{s3.name}/images/{name}" for name in TARS if name.count("/") == 1
    ]
    s3.put("images/protected_words.txt", b"Red\nblue\n")
    s3.put("images/shards.json", json.dumps({"shards": [{"name": TARS[1], "samples": 3}]}).encode())
    assert [(shard.path, shard.samples) for shard in find_shards(f"s3://{s3.name}/images")] == [
        (f"s3://{s3.name}/images/{TARS[1]}", 3)
    ]
    assert read_protected_words(f"s3://{s3.name}/images") == {"red", "blue"}


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("s3://{bucket}/empty", "--train-shards s3://{bucket}/empty names no file that ends with one of .tar"),
        ("s3://no-such-bucket-at-all/x", "--train-shards s3://no-such-bucket-at-all/x: there is no such bucket"),
        ("memory://nothing-there", "--train-shards memory://nothing-there names no file"),
        ("sftq://host/x", "--train-shards cannot open 'sftq://host/x/shards.json': sftq:// is unknown"),
    ],
)  # fmt: skip
def test_a_place_without_tars_is_told_in_one_line(s3, url, message):
    with pytest.raises(CurationError) as refused:
        find_shards(url.format(bucket=s3.name))
    assert str(refused.value).startswith(message.format(bucket=s3.name))
    assert "\n" not in str(refused.value)


def test_a_store_is_read_in_sequence_only():
    stored = {"variant": "clip", "train_shards": "s3://bucket/x", "output": "out"}
    assert TrainingConfig(**stored).reads_in_sequence
    assert not TrainingConfig(**stored | {"train_shards": "x"}).reads_in_sequence
    assert TrainingConfig(**stored | {"train_shards": "x"}, read_order="sequential").reads_in_sequence
    with pytest.raises(ConfigError, match="--read-order is random: s3://bucket/x can only be read in sequence"):
        TrainingConfig(**stored, read_order="random")


def without(monkeypatch, package):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else found(name))


def test_a_package_that_only_some_trainings_need_is_named_where_it_is_missing(folder, monkeypatch, config):
    with monkeypatch.context() as patch:
        without(patch, "boto3")
        assert len(find_shards(str(folder))) == 4
        with pytest.raises(ConfigError, match=r"^--train-shards s3://bucket/x needs boto3 here: pip install boto3$"):
            find_shards("s3://bucket/x")
    for package, option in (
        ("webdataset", {"read_order": "sequential"}),
        ("pyarrow", {"online_curation": True, "read_order": "sequential"}),
        ("pyarrow", {"online_curation": True}),
    ):
        with monkeypatch.context() as patch:
            without(patch, package)
            asked = "--online-curation" if package == "pyarrow" else "reading in sequence"
            with pytest.raises(ConfigError, match=f"^{asked} needs {package} here: pip install {package}$"):
                open_batches(replace(config(), train_shards=str(folder), **option), 0, "cpu")
