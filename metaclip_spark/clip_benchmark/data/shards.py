"""Webdataset shards.

A shard is a tar with, for each sample, `<key>.png` (or .jpg, .webp), `<key>.txt` and `<key>.json`; in a test split also
`<key>.cls`. The same samples in the same order give the same bytes.

A sample may be an image with several captions. Its JSON has them as the list `texts`, with the lists `pair_ids` and
`text_probs`, and the first ones once more as the texts `text_0`, `text_1` and so on: open_clip 4 draws one caption
among fields that are texts (--json-text-key 'text_0;text_1;...'), passes over those that are missing, and takes a
weight for each field from the command line (--json-text-key-probs), none from the sample. A field with a list is no
caption to it.

The probabilities are equal. Each of these pairs has been drawn with its keep probability, and an epoch over pairs has
each of them once; to draw among the captions of an image by their keep probabilities would thin the frequent entries a
second time. With equal weights for all of its fields open_clip draws just so, however many captions an image has.
"""

import io
import itertools
import json
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from metaclip_spark.clip_benchmark.reading.samples import IMAGE_EXTENSIONS, INDEX_FILE
from metaclip_spark.clip_benchmark.settings.data_config import SAMPLES_PER_SHARD
from metaclip_spark.errors import InputError
from metaclip_spark.stores.local_store import LocalStore

CAPTION_FIELDS = 8
"""Captions of an image that are fields of their own. As pair_ids are digests, the first ones are as good as any."""


class Caption(NamedTuple):
    """One of several captions of an image, and the pair that it makes with it."""

    pair_id: str
    text: str


@dataclass(frozen=True)
class ShardSample:
    """One sample: a pair, its encoded image (png, jpg or webp), and in a test split its class.

    A matched pair has the keep probability that online curation draws with. Where a sample is an image, `captions` are
    all that it has, of which `pair_id` and `caption` are the first.
    """

    pair_id: str
    image: bytes
    extension: str
    caption: str
    class_index: int | None = None
    keep_probability: float | None = None
    captions: tuple[Caption, ...] = ()


def write_shards(
    folder: Path, samples: Iterator[ShardSample], lost: Mapping[str, int], samples_per_shard: int = SAMPLES_PER_SHARD
) -> int:
    """Writes samples in the order given; `shards.json` last, which makes the shards count.

    `lost` (reason -> pairs that became no sample) is read after the last sample. Returns the number of samples.
    Where samples have several captions, shards.json has their number, too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / INDEX_FILE).unlink(missing_ok=True)
    shards: list[dict[str, Any]] = []
    number = captions = 0
    rest = iter(samples)
    # One sample ahead: no shard is begun without one.
    for first in rest:
        name = f"{len(shards):05d}.tar"
        before = number
        with tarfile.open(folder / name, "w", format=tarfile.USTAR_FORMAT) as tar:
            for sample in itertools.chain([first], itertools.islice(rest, samples_per_shard - 1)):
                _add_sample(tar, f"{number:09d}", sample)
                number += 1
                captions += len(sample.captions)
        shards.append({"name": name, "samples": number - before})
    index = {"samples": number, "shards": shards, "lost": dict(sorted(lost.items()))}
    if captions:
        index["captions"] = captions
    # Not by `Storage`, which knows all stores: training reads shards where neither Spark nor a store's client is.
    LocalStore(folder.absolute()).put(INDEX_FILE, json.dumps(index, indent=1, ensure_ascii=False).encode())
    return number


def read_index(folder: Path) -> dict[str, Any]:
    """What shards.json says: samples, shards and lost."""
    try:
        content: dict[str, Any] = json.loads((folder / INDEX_FILE).read_text(encoding="utf-8"))
        readable = all(
            isinstance(shard["name"], str) and isinstance(shard["samples"], int) for shard in content["shards"]
        )
    except (OSError, ValueError, TypeError, LookupError, RecursionError):
        readable = False
    if not readable:
        raise InputError(
            f"{folder} holds no finished shards (no readable {INDEX_FILE}): run metaclip-spark make-shards"
        )
    return content


def read_samples(folder: Path) -> Iterator[ShardSample]:
    """Reads every sample once, in order: for evaluation, which must leave none out."""
    for shard in read_index(folder)["shards"]:
        path = folder / shard["name"]
        members: dict[str, dict[str, bytes]] = {}
        try:
            with tarfile.open(path, "r:") as tar:
                for member in tar:
                    key, _, extension = member.name.partition(".")
                    content = tar.extractfile(member)
                    members.setdefault(key, {})[extension] = content.read() if content else b""
        except (OSError, tarfile.TarError) as error:
            raise InputError(f"{path} cannot be read ({error}): make the shards again") from None
        if len(members) != shard["samples"]:
            raise InputError(
                f"{path} holds {len(members)} samples where {shard['samples']} were written: make it again"
            )
        for key, parts in members.items():
            yield _sample_of(path, key, parts)


def _sample_of(path: Path, key: str, parts: dict[str, bytes]) -> ShardSample:
    image = next((extension for extension in IMAGE_EXTENSIONS.values() if extension in parts), None)
    missing = [name for name in ("txt", "json") if name not in parts] + ([] if image else ["image"])
    if missing or image is None:
        raise InputError(f"{path}: the sample {key} lacks its member {missing[0]}: make the shards again")
    try:
        class_index = int(parts["cls"]) if "cls" in parts else None
        name = str(json.loads(parts["json"])["pair_id"])
        caption = parts["txt"].decode()
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise InputError(
            f"{path}: the sample {key} has a member that cannot be read ({error!r}): make the shards again"
        ) from None
    return ShardSample(name, parts[image], image, caption, class_index)


def _json_of(sample: ShardSample) -> dict[str, str | float | list[str] | list[float]]:
    """Tells what a sample is beside its image and its caption."""
    if sample.keep_probability is not None:
        return {"pair_id": sample.pair_id, "keep_probability": sample.keep_probability}
    if not sample.captions:
        return {"pair_id": sample.pair_id}
    return {
        "pair_id": sample.pair_id,
        "texts": [caption.text for caption in sample.captions],
        "text_probs": [1 / len(sample.captions)] * len(sample.captions),
        "pair_ids": [caption.pair_id for caption in sample.captions],
        **{f"text_{place}": caption.text for place, caption in enumerate(sample.captions[:CAPTION_FIELDS])},
    }


def _add_sample(tar: tarfile.TarFile, key: str, sample: ShardSample) -> None:
    members = {
        sample.extension: sample.image,
        "txt": sample.caption.encode(),
        "json": json.dumps(_json_of(sample)).encode(),
    }
    if sample.class_index is not None:
        members["cls"] = str(sample.class_index).encode()
    for extension, content in members.items():
        # Owner, mode and time keep their defaults: the same samples give the same bytes.
        member = tarfile.TarInfo(f"{key}.{extension}")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
