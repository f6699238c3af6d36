"""Shards with one sample per image: its captions, and what a reader draws from them."""

import io
import itertools
import json
import math
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from metaclip_spark.clip_benchmark.data.make_shards import make_shards
from metaclip_spark.clip_benchmark.data.shards import CAPTION_FIELDS, read_index, read_samples
from metaclip_spark.clip_benchmark.reading.random_access import ShardFolder
from metaclip_spark.clip_benchmark.settings.data_config import ShardsConfig
from metaclip_spark.errors import ConfigError
from tests.support.jobs import call
from tests.support.paths import CHECKOUT
from tests.support.unpacked import samples_of
from udfs.pairs.rules import pair_id

TEXTS = {
    "u/three": ["a red square", "red", "square"],
    "u/one": ["a blue square"],
    "u/many": [f"caption {number}" for number in range(CAPTION_FIELDS + 2)],
    "u/empty": [" ", "not empty"],
    "u/cut": ["cut", "cut in two"],
    "u/never": ["never downloaded", "never"],
}


def picture(colour):
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def made(tmp_path):
    """The shards, and what came of the pairs."""
    images = tmp_path / "images"
    images.mkdir()
    colours = {"u/three": "red", "u/one": "blue", "u/many": "green", "u/empty": "black"}
    contents = {url: picture(colour) for url, colour in colours.items()} | {"u/cut": picture("red")[:-30]}
    for url, content in contents.items():
        (images / f"{url[2:]}.png").write_bytes(content)
    mapping = [{"image_url": url, "image_path": f"{url[2:]}.png"} for url in contents]
    pq.write_table(pa.Table.from_pylist(mapping), images / "map.parquet")
    rows = [
        {"pair_id": pair_id(url, text), "image_url": url, "alt_text": text, "keep_probability": 0.5}
        for url, texts in TEXTS.items()
        for text in texts
    ]
    pq.write_table(pa.Table.from_pylist([*rows, rows[0]]), tmp_path / "pairs.parquet")
    config = ShardsConfig(
        str(tmp_path / "pairs.parquet"), str(images), str(tmp_path / "shards"), one_sample_per_image=True
    )
    return tmp_path / "shards", make_shards(config)


def caption_in_order(meta, fields):
    """What open_clip 4 takes as the caption: the first of its fields that is a text and not empty."""
    texts = (meta.get(field) for field in fields)
    return next((text.strip() for text in texts if isinstance(text, str) and text.strip()), "")


def test_every_pair_is_a_caption_or_has_a_reason(made):
    folder, numbers = made
    assert numbers.lost == {"caption_empty": 1, "duplicate_pair": 1, "image_corrupt": 2, "not_downloaded": 2}
    assert (numbers.samples, numbers.captions) == (4, 3 + 1 + CAPTION_FIELDS + 2 + 1)
    assert numbers.pairs == numbers.captions + sum(numbers.lost.values())
    assert numbers.lines()[0] == f"{numbers.pairs} pairs -> 4 samples with {numbers.captions} captions"
    index = read_index(folder)
    assert (index["samples"], index["captions"], index["lost"]) == (4, numbers.captions, numbers.lost)


def test_a_sample_holds_its_image_once_and_all_of_its_captions(made):
    folder, _ = made
    found = samples_of(folder)
    first = [json.loads(sample["json"])["pair_id"] for sample in found]
    assert first == sorted(first)
    for sample in found:
        meta = json.loads(sample["json"])
        (url,) = [url for url, texts in TEXTS.items() if meta["texts"][0] in texts]
        assert set(meta["texts"]) == {text for text in TEXTS[url] if text.strip()}
        assert meta["pair_ids"] == [pair_id(url, text) for text in meta["texts"]] == sorted(meta["pair_ids"])
        assert meta["pair_id"] == meta["pair_ids"][0]
        assert "keep_probability" not in meta
        assert len(meta["text_probs"]) == len(meta["texts"])
        assert math.fsum(meta["text_probs"]) == pytest.approx(1)
        assert sample["txt"].decode() == meta["texts"][0]


def test_open_clip_draws_each_caption_with_its_probability(made):
    """With equal weights open_clip tries the fields in any order, each as likely as the others."""
    folder, _ = made
    fields = [f"text_{place}" for place in range(CAPTION_FIELDS)]
    for sample in samples_of(folder):
        meta = json.loads(sample["json"])
        drawn = Counter(caption_in_order(meta, order) for order in itertools.permutations(fields))
        texts = meta["texts"][:CAPTION_FIELDS]
        assert drawn == dict.fromkeys(texts, math.factorial(CAPTION_FIELDS) // len(texts))
        if len(texts) == len(meta["texts"]):
            assert meta["text_probs"] == [number / drawn.total() for number in drawn.values()]
        # The list itself is no caption to it, and the sample would be left out.
        assert caption_in_order(meta, ["texts"]) == ""


def test_trainers_that_know_one_caption_read_the_first(made):
    folder, numbers = made
    read = list(read_samples(folder))
    assert [sample.caption for sample in read] == [sample["txt"].decode() for sample in samples_of(folder)]
    assert len(ShardFolder(str(folder))) == numbers.samples
    with pytest.raises(ConfigError, match="has no pair_id and keep_probability in its JSON"):
        ShardFolder(str(folder)).keep_probabilities()


def test_pairs_that_no_draw_has_thinned_are_refused(tmp_path, capfd):
    matched = CHECKOUT / "tests/data/stored_run/finished/matched"
    options = ("--pairs", matched, "--images", tmp_path, "--output", tmp_path / "out")
    assert call("make_shards", *options, "--one-sample-per-image") == 2
    assert f"--pairs {matched} are matched pairs: give the run's folder" in capfd.readouterr().err
    assert call("make_shards", *options) == 2
    assert "neither img2dataset's output nor a Parquet mapping" in capfd.readouterr().err
