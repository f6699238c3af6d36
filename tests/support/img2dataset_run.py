"""A real run of img2dataset against a server on this machine.

`python -m tests.support.img2dataset_run` writes tests/data/img2dataset anew: what a run leaves, but for the images.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.support.image_server import ImageServer, image_server
from tests.support.paths import CHECKOUT

PROGRAM = Path(os.environ.get("METACLIP_IMG2DATASET", CHECKOUT / ".venv-img2dataset/bin/img2dataset"))
RECORDED = CHECKOUT / "tests/data/img2dataset"
SECONDS = 5
"""How long the downloader waits for an answer."""

PATHS = (
    *(f"{kind}/{name}.png" for kind in ("good", "missing", "slow", "opted-out", "page") for name in ("x", "xx")),
    "good/x.png",
)


def pairs_at(server: ImageServer) -> pa.Table:
    """Makes pairs of each kind of image, of a server that refuses, and of one that is not there."""
    urls = [f"{server.url}/{path}" for path in PATHS]
    urls += ["http://127.0.0.1:9/refused.png", "http://no-such-host.invalid/a.png"]
    return pa.table(
        {
            "pair_id": [f"{number:032x}" for number in range(len(urls))],
            "image_url": urls,
            "alt_text": [f"a dog, number {number}" for number in range(len(urls))],
        }
    )


def download(pairs: Path, folder: Path) -> None:
    """Downloads the images of a table of pairs as the README says."""
    command = [PROGRAM, "--url_list", pairs, "--input_format", "parquet", "--url_col", "image_url"]
    command += ["--caption_col", "alt_text", "--save_additional_columns", '["pair_id"]', "--output_format"]
    command += ["webdataset", "--output_folder", folder, "--timeout", SECONDS, "--thread_count", 8, "--image_size", 64]
    # A package that it uses would look on the web for a newer version of itself.
    environment = {**os.environ, "NO_ALBUMENTATIONS_UPDATE": "1"}
    done = subprocess.run(list(map(str, command)), check=False, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch, image_server() as server:
        pq.write_table(pairs_at(server), f"{scratch}/pairs.parquet")
        download(Path(scratch, "pairs.parquet"), Path(scratch, "images"))
        shutil.rmtree(RECORDED, ignore_errors=True)
        RECORDED.mkdir()
        for name in ("00000.parquet", "00000_stats.json"):
            shutil.copy(Path(scratch, "images", name), RECORDED / name)


if __name__ == "__main__":
    sys.exit(main())
