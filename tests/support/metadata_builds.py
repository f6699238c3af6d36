"""Small dumps from which the tests build metadata, and the call that does it. Used by the tests."""

import bz2
import gzip
import json
from pathlib import Path

from tests.support.jobs import call
from tests.unit.metaclip_spark.metadata_builder.test_wordnet import small_wordnet
from tests.unit.udfs.wikipedia.test_dumps import page

FILES = ("metadata.json", "metadata.parquet", "metadata.run.json")


def write_multistream(folder: Path) -> tuple[Path, Path]:
    """Writes a dump of twelve streams, and its index."""
    name = "xxwiki-20260101-pages-articles-multistream"
    streams = [bz2.compress(b"<mediawiki>")]
    lines = []
    for number in range(12):
        offset = sum(map(len, streams))
        titles = [f"P{number}.{place}" for place in range(3)]
        text = f"alpha beta w{number} Zürich {'gamma delta ' * (number % 3)}"
        streams.append(bz2.compress("".join(page(title, text) for title in titles).encode()))
        lines += [f"{offset}:{place}:{title}\n" for place, title in enumerate(titles)]
    dump = folder / f"{name}.xml.bz2"
    dump.write_bytes(b"".join([*streams, bz2.compress(b"</mediawiki>")]))
    index = folder / f"{name}-index.txt.bz2"
    index.write_bytes(bz2.compress("".join(lines).encode()))
    return dump, index


def write_sources(folder: Path) -> None:
    """Writes a dump of each kind."""
    write_multistream(folder)
    views = ["en Alpha 90 0", "en Gamma_ray 60 0", "en Few 49 0", "de Alpha 99 0", "en Talk:X 900 0", "en - 99 0"]
    for hour in range(2):
        (folder / f"pageviews-20260101-0{hour}0000.gz").write_bytes(gzip.compress("\n".join(views).encode()))
    small_wordnet(folder / "dict")


def build(sources: object, output: object, *options: object) -> int:
    """Builds a list from what `write_sources` wrote to a folder, or from a copy of it below a URL."""
    return call(
        "build_metadata", "--articles", f"{sources}/*multistream*", "--pageviews", f"{sources}/pageviews*",
        "--wordnet", f"{sources}/dict", "--min-unigram-count", 6, "--min-pmi", 2, "--output", output, *options,
    )  # fmt: skip


def described(output: Path) -> dict:
    """Reads what a build says of itself."""
    return json.loads((output / "metadata.run.json").read_text())
