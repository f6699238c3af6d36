"""Pairs and pictures become shards; every pair that does not is counted with its reason."""

import importlib.util
import io
import json
import shutil
import tarfile
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from metaclip_spark import keeps_in_epoch
from metaclip_spark.clip_benchmark.data.make_shards import make_shards, read_image_text_pairs
from metaclip_spark.clip_benchmark.data.shards import read_index, read_samples
from metaclip_spark.clip_benchmark.settings.data_config import ShardsConfig
from metaclip_spark.clip_benchmark.settings.training_config import TrainingConfig
from metaclip_spark.config.command_line import parse_configs
from metaclip_spark.errors import ConfigError, InputError, OutputExistsError
from metaclip_spark.reports.explain.curation import Curation
from metaclip_spark.runs.paths import find_run
from metaclip_spark.runs.records import Gate
from tests.support.paths import CHECKOUT
from udfs.pairs.rules import pair_id


def picture(colour, form="PNG", side=8):
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(buffer, form)
    return buffer.getvalue()


def write_pairs(folder, rows):
    folder.mkdir(parents=True, exist_ok=True)
    table = [{"pair_id": pair_id(url, text), "image_url": url, "alt_text": text} for url, text in rows]
    pq.write_table(pa.Table.from_pylist(table[:2]), folder / "part-0.parquet")
    pq.write_table(pa.Table.from_pylist(table[2:]), folder / "part-1.parquet")


@pytest.fixture(scope="module")
def huge_picture():
    return picture("red", side=9000)


@pytest.fixture
def mapped(tmp_path, huge_picture):
    """Seven pairs over a folder with a mapping: three good, one of each loss but download_failed."""
    images = tmp_path / "images"
    images.mkdir()
    (images / "a.png").write_bytes(picture("red"))
    (images / "b.jpg").write_bytes(picture("blue", "JPEG"))
    (images / "c.gif").write_bytes(picture("green", "GIF"))
    (images / "cut.png").write_bytes(picture("red", side=64)[:-40])
    (images / "huge.png").write_bytes(huge_picture)
    rows = [("u/a", "a.png"), ("u/b", "b.jpg"), ("u/c", "c.gif"), ("u/cut", "cut.png"), ("u/huge", "huge.png")]
    rows.append(("u/gone", "gone.png"))
    pq.write_table(pa.Table.from_pylist([{"image_url": u, "image_path": p} for u, p in rows]), images / "map.parquet")
    pairs = tmp_path / "curated"
    write_pairs(
        pairs,
        [
            ("u/a", "one"),
            ("u/a", "the same picture, another text"),
            ("u/b", "two"),
            ("u/c", "three"),
            ("u/cut", "cut"),
            ("u/huge", "huge"),
            ("u/gone", "gone"),
            ("u/never", "never downloaded"),
            ("u/b", "  "),
            ("u/a", "one"),
        ],
    )
    return pairs, images, tmp_path / "shards"


def members(tar):
    with tarfile.open(tar) as opened:
        return {member.name: opened.extractfile(member).read() for member in opened}


def test_every_pair_is_a_sample_or_has_a_reason(mapped):
    pairs, images, output = mapped
    made = make_shards(ShardsConfig(str(pairs), str(images), str(output), samples_per_shard=3))
    assert made.lost == {
        "caption_empty": 1,
        "duplicate_pair": 1,
        "image_corrupt": 1,
        "image_missing": 1,
        "image_too_large": 1,
        "not_downloaded": 1,
    }
    assert (made.pairs, made.samples) == (10, 4)
    assert made.pairs == made.samples + sum(made.lost.values())
    index = read_index(output)
    assert index == {
        "samples": 4,
        "shards": [{"name": "00000.tar", "samples": 3}, {"name": "00001.tar", "samples": 1}],
        "lost": made.lost,
    }


def test_a_shard_holds_what_the_contract_says_in_the_order_of_pair_ids(mapped):
    pairs, images, output = mapped
    make_shards(ShardsConfig(str(pairs), str(images), str(output)))
    found = members(output / "00000.tar")
    named = [json.loads(content)["pair_id"] for name, content in found.items() if name.endswith(".json")]
    assert named == sorted(named)
    assert len(named) == 4
    by_text = {found[f"{key:09d}.txt"].decode(): key for key in range(4)}
    assert set(by_text) == {"one", "the same picture, another text", "two", "three"}
    assert found[f"{by_text['one']:09d}.png"] == (images / "a.png").read_bytes()
    assert found[f"{by_text['two']:09d}.jpg"] == (images / "b.jpg").read_bytes()
    # A format that is none of a shard's becomes PNG without loss.
    with Image.open(io.BytesIO(found[f"{by_text['three']:09d}.png"])) as opened:
        assert opened.format == "PNG"
        assert opened.convert("RGB").getpixel((0, 0)) == (0, 128, 0)


def test_the_same_input_gives_the_same_bytes(mapped, tmp_path):
    pairs, images, output = mapped
    make_shards(ShardsConfig(str(pairs), str(images), str(output)))
    before = (output / "00000.tar").read_bytes()
    merged = tmp_path / "merged.parquet"
    rows = [row for file in sorted(pairs.glob("*.parquet")) for row in pq.read_table(file).to_pylist()]
    pq.write_table(pa.Table.from_pylist(rows[::-1]), merged)
    make_shards(ShardsConfig(str(merged), str(images), str(tmp_path / "again")))
    assert (tmp_path / "again" / "00000.tar").read_bytes() == before


def img2dataset_list(folder, stem, rows):
    table = [{"url": url, "key": key, "status": status, "caption": ""} for url, key, status in rows]
    pq.write_table(pa.Table.from_pylist(table), folder / f"{stem}.parquet")


def test_img2dataset_tars(tmp_path):
    images = tmp_path / "download"
    images.mkdir()
    rows = [("u/a", "000000000", "success"), ("u/b", "000000001", "failed_to_download")]
    rows.append(("u/c", "000000002", "success"))
    img2dataset_list(images, "00000", rows)
    with tarfile.open(images / "00000.tar", "w") as tar:
        for name, content in {
            "000000000.jpg": picture("red", "JPEG"),
            "000000000.txt": b"x",
            "000000000.json": json.dumps({"url": "u/a", "status": "success"}).encode(),
            # The picture of 000000002 is missing from its tar.
            "000000002.json": json.dumps({"url": "u/c", "status": "success"}).encode(),
        }.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    pairs = tmp_path / "curated"
    write_pairs(pairs, [("u/a", "one"), ("u/a", "other"), ("u/b", "two"), ("u/c", "three"), ("u/d", "four")])
    made = make_shards(ShardsConfig(str(pairs), str(images), str(tmp_path / "shards")))
    assert made.samples == 2
    assert made.lost == {"download_failed": 1, "image_missing": 1, "not_downloaded": 1}
    whole = (images / "00000.tar").read_bytes()
    (images / "00000.tar").write_bytes(whole[:700])
    write_pairs(pairs, [("u/a", "one"), ("u/a", "other"), ("u/c", "three")])
    with pytest.raises(ConfigError, match=r"holds no image of .*3 - image_missing"):
        make_shards(ShardsConfig(str(pairs), str(images), str(tmp_path / "cut")))


def test_img2dataset_files(tmp_path):
    images = tmp_path / "download"
    (images / "00000").mkdir(parents=True)
    (images / "00000" / "000000000.webp").write_bytes(picture("red", "WEBP"))
    rows = [("u/a", "000000000", "success"), ("u/b", "000000001", "success"), ("u/c", "000000002", "failed_to_resize")]
    img2dataset_list(images, "00000", rows)
    pairs = tmp_path / "curated"
    write_pairs(pairs, [("u/a", "one"), ("u/b", "two"), ("u/c", "three")])
    made = make_shards(ShardsConfig(str(pairs), str(images), str(tmp_path / "shards")))
    assert made.samples == 1
    assert made.lost == {"download_failed": 1, "image_missing": 1}
    assert "000000000.webp" in members(tmp_path / "shards" / "00000.tar")


def test_bad_input_is_told_in_one_line(mapped, tmp_path):
    pairs, images, output = mapped
    with pytest.raises(InputError, match="neither img2dataset's output nor a Parquet mapping"):
        make_shards(ShardsConfig(str(pairs), str(pairs), str(output)))
    with pytest.raises(InputError, match="holds no Parquet file"):
        read_image_text_pairs(output)
    with pytest.raises(InputError, match="lacks the column alt_text"):
        read_image_text_pairs(images / "map.parquet")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        read_image_text_pairs(tmp_path / "bad.parquet")
    make_shards(ShardsConfig(str(pairs), str(images), str(output)))
    with pytest.raises(OutputExistsError, match="give --overwrite"):
        make_shards(ShardsConfig(str(pairs), str(images), str(output)))
    make_shards(ShardsConfig(str(pairs), str(images), str(output), overwrite=True))
    with pytest.raises(InputError, match="is not a folder"):
        make_shards(ShardsConfig(str(pairs), str(tmp_path / "none"), str(output), overwrite=True))
    assert read_index(output)["samples"] == 4
    for inside in (images, images.parent):
        with pytest.raises(OutputExistsError, match="holds the input"):
            make_shards(ShardsConfig(str(pairs), str(images), str(inside), overwrite=True))
    (output / "mine.doc").write_text("mine")
    with pytest.raises(OutputExistsError, match=r"holds mine\.doc"):
        make_shards(ShardsConfig(str(pairs), str(images), str(output), overwrite=True))
    with pytest.raises(InputError, match="no finished shards"):
        read_index(tmp_path)


ONE_PICTURE = [("u/a", "one"), ("u/a", "two"), ("u/a", "three")]
OUTSIDE = {
    "absolute": "{outside}/secret.png",
    "above": "../outside/secret.png",
    "there and back": "deep/../../outside/secret.png",
    "link": "link.png",
    "linked folder": "linked/secret.png",
    "link to a link": "second.png",
    "nul": "a.png\0",
    "number": 5,
}


@pytest.mark.parametrize("named", OUTSIDE.values(), ids=OUTSIDE)
def test_a_picture_outside_its_folder_is_refused_with_its_row(tmp_path, named):
    images, outside = tmp_path / "images", tmp_path / "outside"
    (images / "deep").mkdir(parents=True)
    outside.mkdir()
    (outside / "secret.png").write_bytes(picture("red"))
    (images / "link.png").symlink_to(outside / "secret.png")
    (images / "second.png").symlink_to("link.png")
    (images / "linked").symlink_to(outside)
    named = named.format(outside=outside) if isinstance(named, str) else named
    # A null names no picture; the row behind it does.
    pq.write_table(pa.table({"image_url": ["u/b", "u/a"], "image_path": [None, named]}), images / "map.parquet")
    write_pairs(tmp_path / "curated", ONE_PICTURE)
    with pytest.raises(InputError, match=r"map\.parquet: row 2 names the picture") as refused:
        make_shards(ShardsConfig(str(tmp_path / "curated"), str(images), str(tmp_path / "shards")))
    assert "\n" not in str(refused.value)
    assert repr(named) in str(refused.value)
    assert not (tmp_path / "shards").exists()


@pytest.mark.parametrize("named", ["deep/../a.png", "./a.png", "inner.png", "inner/a.png", "~/a.png"])
def test_a_picture_inside_its_folder_is_found_by_any_way(tmp_path, named):
    images = tmp_path / "images"
    for folder in ("deep", "~"):
        (images / folder).mkdir(parents=True)
        (images / folder / "a.png").write_bytes(picture("red"))
    (images / "a.png").write_bytes(picture("red"))
    (images / "inner.png").symlink_to("deep/a.png")
    (images / "inner").symlink_to("deep")
    pq.write_table(pa.table({"image_url": ["u/a"], "image_path": [named]}), images / "map.parquet")
    write_pairs(tmp_path / "curated", ONE_PICTURE)
    # The folder may itself be a link.
    (tmp_path / "here").symlink_to(images)
    made = make_shards(ShardsConfig(str(tmp_path / "curated"), str(tmp_path / "here"), str(tmp_path / "shards")))
    assert made.samples == 3


@pytest.mark.parametrize("key", ["../../outside/secret", "/etc/secret", "000000001"])
def test_a_key_that_leads_out_of_the_download_is_refused(tmp_path, key):
    images = tmp_path / "download"
    (images / "00000").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.png").write_bytes(picture("red"))
    (images / "00000" / "000000001.png").symlink_to(tmp_path / "outside" / "secret.png")
    img2dataset_list(images, "00000", [("u/a", key, "success")])
    write_pairs(tmp_path / "curated", ONE_PICTURE)
    with pytest.raises(InputError, match=r"00000\.parquet: row 1 names the picture .* outside the folder of --images"):
        make_shards(ShardsConfig(str(tmp_path / "curated"), str(images), str(tmp_path / "shards")))


NO_OBJECTS = [b"[1]", b"5", b"null", b'"u/a"', b'{"url": ', b'{"url": "caf\xe9"}', b"", b"[" * 100_000]
NO_OBJECT_IDS = ["list", "number", "null", "text", "cut", "latin", "empty", "deep"]


def write_tar(path, **contents):
    with tarfile.open(path, "w") as tar:
        for extension, content in contents.items():
            member = tarfile.TarInfo(f"000000000.{extension}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


@pytest.mark.parametrize("content", NO_OBJECTS, ids=NO_OBJECT_IDS)
def test_a_tar_whose_json_is_no_object_is_refused_by_name(tmp_path, content):
    images = tmp_path / "download"
    images.mkdir()
    write_tar(images / "00000.tar", jpg=picture("red", "JPEG"), json=content)
    write_pairs(tmp_path / "curated", ONE_PICTURE)
    with pytest.raises(InputError, match=r"00000\.tar: its member 000000000\.json is not a JSON object") as refused:
        make_shards(ShardsConfig(str(tmp_path / "curated"), str(images), str(tmp_path / "shards")))
    assert "\n" not in str(refused.value)


GOOD_MEMBERS = {"png": b"x", "txt": b"a dog", "json": b'{"pair_id": "p"}', "cls": b"3"}
BAD_MEMBERS = [("json", content) for content in NO_OBJECTS] + [("json", b"{}"), ("txt", b"caf\xe9"), ("cls", b"dog")]


@pytest.mark.parametrize(("member", "content"), BAD_MEMBERS)
def test_a_shard_with_an_unreadable_member_is_refused_by_name(tmp_path, member, content):
    (tmp_path / "shards.json").write_text('{"shards": [{"name": "00000.tar", "samples": 1}]}')
    write_tar(tmp_path / "00000.tar", **GOOD_MEMBERS)
    assert [sample.class_index for sample in read_samples(tmp_path)] == [3]
    write_tar(tmp_path / "00000.tar", **{**GOOD_MEMBERS, member: content})
    with pytest.raises(
        InputError, match=r"00000\.tar: the sample 000000000 has a member that cannot be read"
    ) as refused:
        list(read_samples(tmp_path))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", ["{}", "[]", "null", '{"shards": [{}]}', '{"shards": {"a": 1}}', '{"shards": ['])
def test_an_index_of_another_shape_is_no_index(tmp_path, content):
    (tmp_path / "shards.json").write_text(content)
    with pytest.raises(InputError, match=r"no finished shards \(no readable shards.json\)"):
        read_index(tmp_path)


@pytest.mark.parametrize("option", ["pairs", "images", "output"])
def test_shards_are_made_of_and_into_local_folders(option):
    with pytest.raises(ConfigError, match=f"--{option} s3://bucket/x must be a local path"):
        ShardsConfig(**{**dict.fromkeys(("pairs", "images", "output"), "here"), option: "s3://bucket/x"})


def test_the_job_prints_the_funnel_and_returns_exit_codes(mapped, capsys):
    pairs, images, output = mapped
    job = CHECKOUT / "jobs" / "make_shards.py"
    specification = importlib.util.spec_from_file_location("job_make_shards", job)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    options = ["--pairs", str(pairs), "--images", str(images), "--output", str(output)]
    assert module.main(options) == 0
    told = capsys.readouterr().out
    assert "10 pairs -> 4 samples\n  1 - caption_empty" in told
    _, following = told.splitlines()[-1].split(" -m metaclip_spark.clip_benchmark.training.train ")
    (config,) = parse_configs(following.split(), "", TrainingConfig)
    assert (config.train_shards, config.output) == (str(output), "CHECKPOINTS")
    assert module.main(options) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("error: --output")
    assert shown.count("\n") == 1


def test_shards_of_matched_pairs_carry_what_online_curation_draws_with(tmp_path):
    run = tmp_path / "run"
    shutil.copytree(CHECKOUT / "tests/data/stored_run/finished", run)
    state = find_run(str(run)).state
    matched, curated = (read_image_text_pairs(run / table) for table in ("matched", "curated"))
    probabilities = {}
    for written in state.samples[-1].tables["curated"].sizes:
        table = pq.ParquetFile(run / written).read(columns=["pair_id", "keep_probability"])
        probabilities |= dict(zip(*(column.to_pylist() for column in table.columns), strict=True))
    assert {pair.pair_id for pair in curated} == probabilities.keys()
    assert {pair.pair_id: pair.keep_probability for pair in matched}.items() >= probabilities.items()
    kept = keeps_in_epoch([pair.pair_id for pair in matched], [pair.keep_probability for pair in matched], 0, 0)
    assert [pair.pair_id for pair, is_kept in zip(matched, kept, strict=True) if is_kept] == sorted(probabilities)
    # What was drawn already, or was never matched, has none: no epoch could add what is missing there.
    for table in ("", "curated", "pool"):
        assert {pair.keep_probability for pair in read_image_text_pairs(run / table)} == {None}
    images = tmp_path / "images"
    images.mkdir()
    (images / "a.png").write_bytes(picture("red"))
    chosen = matched[:3]
    rows = [{"pair_id": pair.pair_id, "image_path": "a.png"} for pair in chosen]
    pq.write_table(pa.Table.from_pylist(rows), images / "map.parquet")
    make_shards(ShardsConfig(str(run / "matched"), str(images), str(tmp_path / "shards")))
    found = members(tmp_path / "shards" / "00000.tar")
    assert [json.loads(content) for name, content in found.items() if name.endswith(".json")] == [
        {"pair_id": pair.pair_id, "keep_probability": pair.keep_probability} for pair in chosen
    ]


def test_the_keep_probability_of_what_the_language_filter_drops_is_nought():
    gate = Gate(languages=["en", "de"], min_language_probability=0.5)
    curation = Curation([], {}, np.array([2, 40]), np.array([1.0, 0.25]), 0, 10, gate, 1)
    table = pa.table(
        {
            "entry_ids": pa.array([[0], [1], [0, 1], [1], [1]], pa.list_(pa.int32())),
            "language": ["en", "de", "fr", "en", None],
            "language_probability": pa.array([0.5, 0.9, 0.9, 0.49, None], pa.float32()),
        }
    )
    assert curation.keep_probabilities(table).tolist() == [1.0, 0.25, 0.0, 0.0, 0.0]
    all_pass = replace(curation, gate=Gate(languages=[], min_language_probability=0.0))
    assert all_pass.keep_probabilities(table).tolist() == [1.0, 0.25, 1.0, 0.25, 0.25]


def test_the_pairs_of_a_run_are_those_that_count(tmp_path):
    shutil.copytree(CHECKOUT / "tests/data/stored_run/finished", tmp_path / "run")
    pairs = read_image_text_pairs(tmp_path / "run")
    assert pairs == read_image_text_pairs(tmp_path / "run" / "curated")
    files = sorted((tmp_path / "run" / "curated").glob("*.parquet"))
    assert len(pairs) == sum(pq.read_metadata(file).num_rows for file in files) > 0
    # What an attempt has left there does not count.
    shutil.copy(files[0], tmp_path / "run" / "curated" / "part-9.parquet")
    assert read_image_text_pairs(tmp_path / "run") == pairs
    assert len(read_image_text_pairs(tmp_path / "run" / "pool")) > len(pairs)
    for path in (tmp_path, tmp_path / "run" / "curated" / "part-9.parquet"):
        with pytest.raises(InputError, match="does not name it"):
            read_image_text_pairs(path)
