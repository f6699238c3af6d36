"""Writes a pool of drawn pictures with captions, for judging curation without any download.

Like a crawl, such a pool has few frequent classes and many rare ones (Zipf), and some captions are corrupted. Unlike a
crawl, the truth is known: a test split with as many pictures of each class, drawn apart from the pool.
"""

import io
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

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
    TEST_FOLDER,
)
from metaclip_spark.clip_benchmark.data.pools.test_split import as_lines, head_and_tail, write_test_split
from metaclip_spark.clip_benchmark.data.shards import ShardSample
from metaclip_spark.clip_benchmark.reading.samples import PROTECTED_FILE
from metaclip_spark.clip_benchmark.settings.data_config import ShapesConfig
from metaclip_spark.config.fields import check_made_with
from metaclip_spark.errors import ConfigError, OutputExistsError
from metaclip_spark.stores.storage import Storage
from udfs.pairs.rules import pair_id

IMAGES_FOLDER = "images"
FURTHER_ENTRIES = ("horse", "boat", "bridge", "lamp", "river", "guitar", "bread", "clock", "camel", "violin")
"""Entries of the metadata list that no caption holds, as most of a real list's are rare."""

_OURS = {PAIRS_FILE, IMAGES_FOLDER, TEST_FOLDER, POOL_FILE, METADATA_FILE, PROTECTED_FILE}
_POOL_STREAM, _TEST_STREAM = 0, 1

Draw = Callable[[int, str, np.random.Generator], tuple[Image.Image, str]]
"""(class index, ground, generator) -> a picture, and the phrase that names what it shows."""


@dataclass(frozen=True)
class DrawnClasses:
    """What a pool of drawn pictures shows.

    Attributes:
        kind: Name of the pool's kind, which stands in its URLs.
        names: Class names, which the test's prompts take.
        words: What a caption may name: entries of the metadata list, and kept by edited captions.
        kept_words: Further words that edited captions must keep.
        frequencies: Pairs of each class in the pool; none of a class that is held out.
        draw: Draws a picture of a class.
        test_pictures: Test pictures of each class.
        corruptions: What may happen to a caption, none of which may make a false one of it.
    """

    kind: str
    names: tuple[str, ...]
    words: tuple[str, ...]
    kept_words: tuple[str, ...]
    frequencies: tuple[int, ...]
    draw: Draw
    test_pictures: int
    corruptions: tuple[str, ...] = CORRUPTIONS


@dataclass(frozen=True)
class DrawnPool:
    """A pool that was written.

    Attributes:
        folder: Its folder.
        classes: Class names in the order of their indices.
        frequencies: Pairs of each class, by index.
        head_classes: Indices of the most frequent third of the classes.
        tail_classes: Indices of the rarest third.
        held_out_classes: Indices of the classes that only the test split has.
        corrupted: Corruption -> pairs.
    """

    folder: Path
    classes: tuple[str, ...]
    frequencies: tuple[int, ...]
    head_classes: tuple[int, ...]
    tail_classes: tuple[int, ...]
    held_out_classes: tuple[int, ...]
    corrupted: dict[str, int]


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


def write_drawn_pool(
    folder: Path, config: ShapesConfig, seed: int, settings: dict[str, Any], drawn: DrawnClasses
) -> DrawnPool:
    """Writes the pool: pictures, pairs, test shards and metadata list; `pool.json` last, which makes it count.

    Args:
        folder: A part of a pool that a killed run left in it is replaced.
        config: How large the pool is, and how its captions are.
        seed: Of the pool and of its test split.
        settings: What the pool is made with; where the same wrote it before, it is read.
        drawn: What its pictures show.

    Raises:
        OutputExistsError: If the folder holds anything else.
    """
    if (folder / POOL_FILE).exists():
        return read_drawn_pool(folder, settings)
    unexpected = sorted({path.name for path in folder.glob("[!.]*")} - _OURS)
    if unexpected:
        raise OutputExistsError(f"{folder} holds {unexpected[0]}, which is not part of a pool: give an empty folder")
    for partial in (IMAGES_FOLDER, TEST_FOLDER):
        shutil.rmtree(folder / partial, ignore_errors=True)
    head, tail = head_and_tail(drawn.frequencies)
    pictures = _write_pairs(folder, config, seed, drawn)
    samples = _test_samples(config, seed, drawn, pictures)
    write_test_split(folder / TEST_FOLDER, drawn.names, TEMPLATES, drawn.frequencies, samples)
    storage = Storage(str(folder))
    storage.put_json(METADATA_FILE, [*drawn.words, *FURTHER_ENTRIES])
    storage.put_text(PROTECTED_FILE, as_lines((*drawn.words, *drawn.kept_words, *GROUND_WORDS)))
    corrupted = pq.read_table(folder / PAIRS_FILE, columns=["corruption"])["corruption"].to_pylist()
    content = {
        "settings": settings,
        "classes": list(drawn.names),
        "frequencies": list(drawn.frequencies),
        "head_classes": list(head),
        "tail_classes": list(tail),
        "held_out_classes": [index for index, pairs in enumerate(drawn.frequencies) if not pairs],
        "corrupted": {kind: corrupted.count(kind) for kind in drawn.corruptions},
    }
    storage.put_json(POOL_FILE, content)
    return read_drawn_pool(folder, settings)


def read_drawn_pool(folder: Path, settings: dict[str, Any] | None = None) -> DrawnPool:
    """Opens a pool that was written before, and where settings are given, with these."""
    try:
        content = json.loads((folder / POOL_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise ConfigError(f"{folder} holds no finished pool (no readable {POOL_FILE}): make it first") from None
    if settings is not None:
        check_made_with(content["settings"], settings, folder)
    return DrawnPool(
        folder,
        tuple(content["classes"]),
        tuple(content["frequencies"]),
        tuple(content["head_classes"]),
        tuple(content["tail_classes"]),
        tuple(content["held_out_classes"]),
        content["corrupted"],
    )


def _instances(seed: int, frequencies: Sequence[int], stream: int) -> Iterator[tuple[int, np.random.Generator]]:
    """(class index, generator) for each picture, in an order that mixes the classes."""
    labels = np.repeat(np.arange(len(frequencies)), frequencies)
    np.random.default_rng([seed, stream]).shuffle(labels)
    for number, label in enumerate(labels):
        yield int(label), np.random.default_rng([seed, stream, number])


def _drawn(config: ShapesConfig, drawn: DrawnClasses, label: int, generator: np.random.Generator) -> tuple[bytes, str]:
    ground = GROUNDS[generator.integers(len(GROUNDS))]
    picture, phrase = drawn.draw(label, ground, generator)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue(), clean_caption(phrase, ground, generator, config.ground_share)


def _url(drawn: DrawnClasses, name: str) -> str:
    """A name that never resolves (RFC 2606), so that nobody asks for these pictures on the network."""
    return f"https://{drawn.kind}.invalid/{name}"


def _write_pairs(folder: Path, config: ShapesConfig, seed: int, drawn: DrawnClasses) -> frozenset[bytes]:
    """Writes pictures and pairs; returns the pictures, from which the test split must differ."""
    corrupted = round(config.corrupted_share * config.pool_pairs)
    is_corrupted = np.zeros(config.pool_pairs, bool)
    is_corrupted[np.random.default_rng([seed, 2]).permutation(config.pool_pairs)[:corrupted]] = True
    rows: list[dict[str, object]] = []
    seen = set()
    for number, (label, generator) in enumerate(_instances(seed, drawn.frequencies, _POOL_STREAM)):
        picture, caption = _drawn(config, drawn, label, generator)
        kind = drawn.corruptions[generator.integers(len(drawn.corruptions))] if is_corrupted[number] else ""
        text = corrupt_caption(caption, kind, generator) if kind else caption
        name = f"{number // 1000:03d}/{number:06d}.png"
        path = folder / IMAGES_FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture)
        seen.add(picture)
        rows.append(
            {
                "image_url": _url(drawn, name),
                "alt_text": text,
                "image_path": f"{IMAGES_FOLDER}/{name}",
                "class_index": label,
                "corruption": kind,
            }
        )
    Storage(str(folder)).put_table(PAIRS_FILE, pa.Table.from_pylist(rows))
    return frozenset(seen)


def _test_samples(
    config: ShapesConfig, seed: int, drawn: DrawnClasses, pool: frozenset[bytes]
) -> Iterator[ShardSample]:
    """Draws as many test pictures of each class, none of which is in the pool."""
    frequencies = (drawn.test_pictures,) * len(drawn.names)
    for number, (label, generator) in enumerate(_instances(seed, frequencies, _TEST_STREAM)):
        picture, caption = _drawn(config, drawn, label, generator)
        while picture in pool:
            picture, caption = _drawn(config, drawn, label, generator)
        name = pair_id(_url(drawn, f"test/{number:06d}.png"), caption)
        yield ShardSample(name, picture, "png", caption, label)
