"""From pairs and downloaded images to shards: every pair is a sample, or is counted with a reason.

Samples lie in the order of their pair_id, so the same pairs and images give the same bytes. With --one-sample-per-image
every pair is a caption of a sample instead, and samples lie in the order of their first pair_id.
"""

import io
import itertools
import shutil
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from metaclip_spark.clip_benchmark.data.image_index import ImageIndex, index_images
from metaclip_spark.clip_benchmark.data.shards import Caption, ShardSample, write_shards
from metaclip_spark.clip_benchmark.reading.samples import IMAGE_EXTENSIONS, INDEX_FILE
from metaclip_spark.clip_benchmark.settings.data_config import ShardsConfig
from metaclip_spark.errors import ConfigError, InputError, OutputExistsError, counted
from metaclip_spark.reports.explain.curation import read_curation
from metaclip_spark.runs.open import open_run
from metaclip_spark.runs.paths import check_named, files_in_run, find_run
from udfs.pairs.rules import pair_id as pair_id_of

_COLUMNS = (
    "pair_id",
    "image_url",
    "alt_text",
    "keep_probability",
    "entry_ids",
    "language",
    "language_probability",
)

MOST_PIXELS = 2**26
"""Images above it (67 megapixels) are left out: a trainer would decode each of them in every pass."""


@dataclass(frozen=True)
class MadeShards:
    """What came of the pairs: `pairs` = `captions` + the sum of `lost`.

    Attributes:
        pairs: What there was.
        samples: As many as captions, where each pair is a sample.
        captions: Pairs whose caption is in a sample.
        lost: Reason -> the other pairs.
    """

    pairs: int
    samples: int
    captions: int
    lost: dict[str, int]

    def lines(self) -> list[str]:
        """The funnel, as lines for a console."""
        captions = f" with {counted(self.captions, 'caption')}" if self.captions != self.samples else ""
        return [
            f"{counted(self.pairs, 'pair')} -> {counted(self.samples, 'sample')}{captions}",
            *(f"  {number:,} - {reason}" for reason, number in self.lost.items()),
        ]


def make_shards(config: ShardsConfig) -> MadeShards:
    """Writes the shards of the pairs whose images are there.

    Returns:
        The numbers, which are in shards.json, too.

    Raises:
        ConfigError: If no pair has an image.
        InputError: If pairs or images cannot be read.
        OutputExistsError: If the output holds something that may not be replaced.
    """
    output = Path(config.output)
    _check_output(output, config)
    if config.one_sample_per_image:
        _check_drawn(config.pairs)
    pairs = read_image_text_pairs(Path(config.pairs))
    images = index_images(Path(config.images))
    # Only now, when there is something to put in its place.
    shutil.rmtree(output, ignore_errors=True)
    lost: Counter[str] = Counter()
    samples = _samples_of_images if config.one_sample_per_image else _samples
    number = write_shards(output, samples(pairs, images, lost), lost, config.samples_per_shard)
    made = MadeShards(len(pairs), number, len(pairs) - lost.total(), dict(sorted(lost.items())))
    if made.samples == 0:
        raise ConfigError(f"--images {config.images} holds no image of {config.pairs}: {'; '.join(made.lines())}")
    return made


class ImageTextPair(NamedTuple):
    """A pair; the keep probability is that of a matched one whose run has drawn its curated set."""

    pair_id: str
    image_url: str
    alt_text: str
    keep_probability: float | None = None


def read_image_text_pairs(path: Path) -> list[ImageTextPair]:
    """Reads pairs, sorted, from a run, a Parquet file or a folder with files at any depth."""
    stored = files_in_run(str(path), "curated")
    files = _files_below(path) if stored is None else [Path(file) for _, file in stored]
    if not files:
        raise InputError(f"{path} holds no Parquet file: give a run's folder, one of its tables, or files of pairs")
    if stored is None:
        check_named(map(str, files))
    pairs: list[ImageTextPair] = []
    keep = _given_probabilities if stored is None else _probabilities_in_run(str(path))
    for file in files:
        pairs.extend(_pairs_of(file, keep))
    return sorted(pairs, key=lambda pair: pair[:3])


KeepProbabilities = Callable[[pa.Table], NDArray[np.float64] | None]
"""Gives those of a table of pairs; None where it has none."""


def _given_probabilities(table: pa.Table) -> NDArray[np.float64] | None:
    """Takes those that a table names, such as the arm `online`."""
    if "keep_probability" not in table.column_names:
        return None
    given: NDArray[np.float64] = table["keep_probability"].cast(pa.float64()).to_numpy()
    return given


def _probabilities_in_run(path: str) -> KeepProbabilities:
    """Computes those of matched pairs; pairs that were drawn already have none, since no epoch could add to them."""
    found = find_run(path)
    is_matched = found is not None and found.below.partition("/")[0].partition("-")[0] == "matched"
    if found is None or not is_matched or not found.state.samples:
        return lambda _table: None
    run = open_run(str(found.storage.root), name="make-shards", finished=False)
    return read_curation(run).keep_probabilities


def _files_below(path: Path) -> list[Path]:
    hidden = "._"
    files = [path] if path.is_file() else sorted(path.rglob("*.parquet"))
    return [file for file in files if not any(part[0] in hidden for part in file.relative_to(path).parts)]


def check_image(content: bytes) -> tuple[bytes, str] | str:
    """Decodes an image once, so that training cannot fail on it.

    Returns (content, extension), as PNG where a shard does not take the format; or why the image is left out.
    """
    try:
        with warnings.catch_warnings():
            # Some odd but harmless images warn at each decoding; what is too large is decided below.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content)) as image:
                if image.width * image.height > MOST_PIXELS:
                    return "image_too_large"
                image.load()
                if image.format in IMAGE_EXTENSIONS:
                    return content, IMAGE_EXTENSIONS[image.format]
                buffer = io.BytesIO()
                image.convert("RGB").save(buffer, "PNG")
                return buffer.getvalue(), "png"
    except Image.DecompressionBombError:
        return "image_too_large"
    except Exception:
        # Pillow's decoders raise nearly anything on broken bytes.
        return "image_corrupt"


def _check_output(output: Path, config: ShardsConfig) -> None:
    for given in (config.pairs, config.images):
        if output.resolve() == Path(given).resolve() or output.resolve() in Path(given).resolve().parents:
            raise OutputExistsError(f"--output {output} holds the input {given}: give another folder")
    if output.exists() and not output.is_dir():
        raise OutputExistsError(f"--output {output} is a file: give a folder")
    found = sorted(path.name for path in output.iterdir()) if output.exists() else []
    unexpected = [name for name in found if not (name.endswith(".tar") or name.startswith((INDEX_FILE, ".")))]
    if unexpected:
        raise OutputExistsError(f"--output {output} holds {unexpected[0]}, which is not a shard: give another folder")
    if found and not config.overwrite:
        raise OutputExistsError(f"--output {output} holds shards: give --overwrite to replace them")


def _pairs_of(file: Path, keep: KeepProbabilities) -> list[ImageTextPair]:
    try:
        parquet = pq.ParquetFile(file)
        names = set(parquet.schema_arrow.names)
        missing = {"image_url", "alt_text"} - names
        if missing:
            raise InputError(f"{file} lacks the column {min(missing)}: give a table of pairs")
        table = parquet.read(columns=[name for name in _COLUMNS if name in names])
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{file} cannot be read as Parquet: {error}") from None
    urls = [url or "" for url in table["image_url"].to_pylist()]
    texts = [text or "" for text in table["alt_text"].to_pylist()]
    named = table["pair_id"].to_pylist() if "pair_id" in names else map(pair_id_of, urls, texts)
    probabilities = keep(table)
    kept = itertools.repeat(None, len(urls)) if probabilities is None else probabilities.tolist()
    return list(itertools.starmap(ImageTextPair, zip(named, urls, texts, kept, strict=True)))


def _check_drawn(path: str) -> None:
    """Refuses pairs of a run that a draw is still to thin: equal shares of their captions are not balanced."""
    found = find_run(path)
    table = found.below.partition("/")[0] if found else ""
    if table in {"matched", "eligible"}:
        raise ConfigError(
            f"--one-sample-per-image is balanced by the draw of the curated set, and --pairs {path} are {table} pairs: "
            "give the run's folder"
        )


def _captioned(pairs: list[ImageTextPair], lost: Counter[str]) -> Iterator[ImageTextPair]:
    """Yields the pairs that are the first of their pair_id and have a caption."""
    before = ""
    for pair in pairs:
        reason = "duplicate_pair" if pair.pair_id == before else "" if pair.alt_text.strip() else "caption_empty"
        before = pair.pair_id
        if reason:
            lost[reason] += 1
        else:
            yield pair


def _samples(pairs: list[ImageTextPair], images: ImageIndex, lost: Counter[str]) -> Iterator[ShardSample]:
    for pair in _captioned(pairs, lost):
        found = _image_of([pair], images)
        if isinstance(found, str):
            lost[found] += 1
        else:
            yield ShardSample(pair.pair_id, *found, pair.alt_text, keep_probability=pair.keep_probability)


def _samples_of_images(pairs: list[ImageTextPair], images: ImageIndex, lost: Counter[str]) -> Iterator[ShardSample]:
    by_image: dict[str, list[ImageTextPair]] = {}
    for pair in _captioned(pairs, lost):
        by_image.setdefault(pair.image_url, []).append(pair)
    for of_image in by_image.values():
        found = _image_of(of_image, images)
        if isinstance(found, str):
            lost[found] += len(of_image)
        else:
            captions = tuple(Caption(pair.pair_id, pair.alt_text) for pair in of_image)
            yield ShardSample(captions[0].pair_id, *found, captions[0].text, captions=captions)


def _image_of(pairs: list[ImageTextPair], images: ImageIndex) -> tuple[bytes, str] | str:
    """Reads the image that pairs share, and its extension; or why there is none."""
    reason = ""
    for pair in pairs:
        content = images.read(pair.pair_id, pair.image_url)
        if isinstance(content, bytes):
            return check_image(content)
        reason = reason or content
    return reason
