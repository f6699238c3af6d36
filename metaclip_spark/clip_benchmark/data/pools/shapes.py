"""The shapes pool: procedural images with captions, for judging curation without any download.

Like a crawl, it has few frequent classes and many rare ones (Zipf), and three captions of ten are corrupted. Unlike a
crawl, the truth is known: a test split with as many images of each class, drawn apart from the pool.
A class is an outline (`silhouettes.SILHOUETTES`): no colour, size, position or handedness, which the views change.
"""

import io
import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from metaclip_spark.clip_benchmark.data.pools.captions import (
    CORRUPTIONS,
    GROUND_WORDS,
    GROUNDS,
    TEMPLATES,
    clean_caption,
    corrupt_caption,
)
from metaclip_spark.clip_benchmark.data.pools.pool_folder import (
    METADATA_FILE,
    PAIRS_FILE,
    POOL_FILE,
    PROTECTED_FILE,
    TEST_FOLDER,
)
from metaclip_spark.clip_benchmark.data.pools.shape_pictures import draw_shape
from metaclip_spark.clip_benchmark.data.pools.silhouettes import SILHOUETTES
from metaclip_spark.clip_benchmark.data.pools.test_split import as_lines, head_and_tail, write_test_split
from metaclip_spark.clip_benchmark.data.shards import ShardSample
from metaclip_spark.clip_benchmark.settings.data_config import ShapesConfig
from metaclip_spark.config.made_with import check_made_with
from metaclip_spark.errors import ConfigError, OutputExistsError
from metaclip_spark.stores.storage import Storage
from udfs.pairs.rules import pair_id

IMAGES_FOLDER = "images"
_OURS = {PAIRS_FILE, IMAGES_FOLDER, TEST_FOLDER, POOL_FILE, METADATA_FILE, PROTECTED_FILE}
FURTHER_ENTRIES = ("horse", "boat", "bridge", "lamp", "river", "guitar", "bread", "clock", "camel", "violin")
"""Entries of the metadata list that no caption holds, as most of a real list's are rare."""

_POOL_STREAM, _TEST_STREAM = 0, 1
_URL = "https://shapes.invalid/{name}"
"""A name that never resolves (RFC 2606), so that nobody asks for these images on the network."""


@dataclass(frozen=True)
class ShapesPool:
    """A pool that was written.

    Attributes:
        folder: Its folder.
        classes: Class names in the order of their indices.
        frequencies: Pairs of each class, by index.
        head_classes: Indices of the most frequent third of the classes.
        tail_classes: Indices of the rarest third.
        corrupted: Corruption -> pairs.
    """

    folder: Path
    classes: tuple[str, ...]
    frequencies: tuple[int, ...]
    head_classes: tuple[int, ...]
    tail_classes: tuple[int, ...]
    corrupted: dict[str, int]


def class_words(classes: int = len(SILHOUETTES)) -> tuple[str, ...]:
    """The words of the first classes, by index."""
    return tuple(SILHOUETTES)[:classes]


def class_frequencies(pairs: int, classes: int, exponent: float, seed: int) -> tuple[int, ...]:
    """Shares pairs out among classes by Zipf's law, at least one each; which class gets which rank is drawn.

    Returns the pairs of each class by index, which add up to `pairs`.
    """
    shares = 1.0 / np.arange(1, classes + 1) ** exponent
    exact = shares / shares.sum() * (pairs - classes)
    by_rank = np.floor(exact).astype(int)
    largest_rest = np.argsort(-(exact - by_rank), kind="stable")[: pairs - classes - by_rank.sum()]
    by_rank[largest_rest] += 1
    ranks = np.random.default_rng([seed, classes]).permutation(classes)
    return tuple(int(by_rank[rank]) + 1 for rank in ranks)


def make_shapes(folder: Path, config: ShapesConfig) -> ShapesPool:
    """Writes the pool: images, pairs, test shards and metadata list; `pool.json` last, which makes it count.

    Args:
        folder: A part of a pool that a killed run left in it is replaced.
        config: What the pool holds; where the same configuration wrote it before, it is read.

    Raises:
        OutputExistsError: If the folder holds anything else.
    """
    settings = asdict(config)
    if (folder / POOL_FILE).exists():
        return read_shapes(folder, settings)
    unexpected = sorted({path.name for path in folder.glob("[!.]*")} - _OURS)
    if unexpected:
        raise OutputExistsError(f"{folder} holds {unexpected[0]}, which is not part of a pool: give an empty folder")
    for partial in (IMAGES_FOLDER, TEST_FOLDER):
        shutil.rmtree(folder / partial, ignore_errors=True)
    classes = class_words(config.pool_classes)
    frequencies = class_frequencies(config.pool_pairs, config.pool_classes, config.zipf_exponent, config.pool_seed)
    head, tail = head_and_tail(frequencies)
    images = _write_pool(folder, config, classes, frequencies)
    samples = _test_samples(config, classes, images)
    write_test_split(folder / TEST_FOLDER, classes, TEMPLATES, frequencies, samples)
    storage = Storage(str(folder))
    storage.put_json(METADATA_FILE, [*classes, *FURTHER_ENTRIES])
    storage.put_text(PROTECTED_FILE, as_lines((*classes, *GROUND_WORDS)))
    corrupted = pq.read_table(folder / PAIRS_FILE, columns=["corruption"])["corruption"].to_pylist()
    content = {
        "settings": settings,
        "classes": list(classes),
        "frequencies": list(frequencies),
        "head_classes": list(head),
        "tail_classes": list(tail),
        "corrupted": {kind: corrupted.count(kind) for kind in CORRUPTIONS},
    }
    storage.put_json(POOL_FILE, content)
    return read_shapes(folder, settings)


def read_shapes(folder: Path, settings: dict[str, object] | None = None) -> ShapesPool:
    """Opens a pool that was written before, and where settings are given, with these."""
    try:
        content = json.loads((folder / POOL_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise ConfigError(f"{folder} holds no finished shapes pool (no readable {POOL_FILE}): make it first") from None
    if settings is not None:
        check_made_with(content["settings"], settings, folder)
    return ShapesPool(
        folder,
        tuple(content["classes"]),
        tuple(content["frequencies"]),
        tuple(content["head_classes"]),
        tuple(content["tail_classes"]),
        content["corrupted"],
    )


def _instances(
    config: ShapesConfig, frequencies: tuple[int, ...], stream: int
) -> Iterator[tuple[int, np.random.Generator]]:
    """(class index, generator) for each image, in an order that mixes the classes."""
    labels = np.repeat(np.arange(len(frequencies)), frequencies)
    np.random.default_rng([config.pool_seed, stream]).shuffle(labels)
    for number, label in enumerate(labels):
        yield int(label), np.random.default_rng([config.pool_seed, stream, number])


def _drawn(config: ShapesConfig, word: str, generator: np.random.Generator) -> tuple[bytes, str]:
    ground = GROUNDS[generator.integers(len(GROUNDS))]
    buffer = io.BytesIO()
    draw_shape(word, ground, generator, config.picture_pixels).save(buffer, "PNG")
    return buffer.getvalue(), clean_caption(word, ground, generator, config.ground_share)


def _write_pool(
    folder: Path, config: ShapesConfig, classes: tuple[str, ...], frequencies: tuple[int, ...]
) -> frozenset[bytes]:
    """Writes images and pairs; returns the images, from which the test split must differ."""
    corrupted = round(config.corrupted_share * config.pool_pairs)
    is_corrupted = np.zeros(config.pool_pairs, bool)
    is_corrupted[np.random.default_rng([config.pool_seed, 2]).permutation(config.pool_pairs)[:corrupted]] = True
    rows: list[dict[str, object]] = []
    seen = set()
    for number, (label, generator) in enumerate(_instances(config, frequencies, _POOL_STREAM)):
        image, caption = _drawn(config, classes[label], generator)
        kind = CORRUPTIONS[generator.integers(len(CORRUPTIONS))] if is_corrupted[number] else ""
        text = corrupt_caption(caption, kind, generator) if kind else caption
        name = f"{number // 1000:03d}/{number:06d}.png"
        path = folder / IMAGES_FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(image)
        seen.add(image)
        rows.append(
            {
                "image_url": _URL.format(name=name),
                "alt_text": text,
                "image_path": f"{IMAGES_FOLDER}/{name}",
                "class_index": label,
                "corruption": kind,
            }
        )
    Storage(str(folder)).put_table(PAIRS_FILE, pa.Table.from_pylist(rows))
    return frozenset(seen)


def _test_samples(config: ShapesConfig, classes: tuple[str, ...], pool: frozenset[bytes]) -> Iterator[ShardSample]:
    """Draws as many test images of each class, none of which is in the pool."""
    frequencies = (config.test_pictures,) * len(classes)
    for number, (label, generator) in enumerate(_instances(config, frequencies, _TEST_STREAM)):
        image, caption = _drawn(config, classes[label], generator)
        while image in pool:
            image, caption = _drawn(config, classes[label], generator)
        name = pair_id(_URL.format(name=f"test/{number:06d}.png"), caption)
        yield ShardSample(name, image, "png", caption, label)
