"""The page from a curated set to a training set, typed as it stands: our programs, and a real img2dataset.

`make test-download` gives img2dataset an environment of its own.
"""

import json
import os
import subprocess
import sysconfig
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import oracle
from tests.support.doc_blocks import DOCS, blocks
from tests.support.downloadable_pool import HOST, NOUNS, TAKEN_DOWN, kind_of, write_archives
from tests.support.image_server import ImageServer, image_server
from tests.support.img2dataset_run import PROGRAM
from tests.support.jobs import folder_of, manifest_of, report_of, rows, state_of
from tests.support.paths import CHECKOUT
from tests.support.unpacked import every_text, samples_of

pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason="img2dataset is not installed: make test-download")

PLANNED, WANTED = 340, 330
"""What the refill is to reach, more than survived at first; and what is drawn of all survivors."""

ERRORS = {"missing": "http_404", "slow": "timeout", "opted-out": "opted_out", "page": "not_an_image"}
"""How an image is answered -> what is told of its download."""

SEED = 0


@dataclass(frozen=True)
class Shell:
    """A shell in a folder that has the tests' data and our programs, and a server for its images."""

    folder: Path
    server: ImageServer

    def run(self, block: str, given: Mapping[str, str] | None = None) -> str:
        """Runs a code block to its end, with texts of it replaced, and gives all that it said."""
        for text, instead in (given or {}).items():
            assert text in block, f"{text!r} is not in the block:\n{block}"
            block = block.replace(text, instead)
        programs = f"{self.folder / 'bin'}:{sysconfig.get_path('scripts')}:{os.environ['PATH']}"
        proxy = {"http_proxy": self.server.url, "no_proxy": ""}
        # A package of img2dataset would look on the web for a newer version of itself.
        environment = {**os.environ, "PATH": programs, "NO_ALBUMENTATIONS_UPDATE": "1", **proxy}
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}"
        return done.stdout


@pytest.fixture
def shell(tmp_path):
    write_archives(tmp_path / "pages")
    (tmp_path / "tests").symlink_to(CHECKOUT / "tests")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "img2dataset").symlink_to(PROGRAM)
    with image_server() as server:
        yield Shell(tmp_path, server)


def ids(pairs):
    return {row["pair_id"] for row in pairs}


def alive(pairs):
    return [row for row in pairs if kind_of(row["image_url"]) not in ERRORS]


def errors_of(pairs):
    return Counter(ERRORS[kind] for row in pairs if (kind := kind_of(row["image_url"])) in ERRORS)


def check_funnel(run):
    for line in report_of(run)["funnel"]:
        assert line["in_number"] == line["out_number"] + sum(line["reasons"].values())


def check_curated(run):
    """Checks the first run, with a row for each image, and gives its curated pairs."""
    check_funnel(run)
    curated = rows(run, "curated")
    assert 300 < len(curated) < len(rows(run, "matched"))
    images = rows(run, "curated_images")
    assert sorted(pair for image in images for pair in image["pair_ids"]) == sorted(ids(curated))
    assert {image["image_url"] for image in images} == {row["image_url"] for row in curated}
    assert TAKEN_DOWN in {image["image_url"] for image in images}
    return curated


def check_balanced(run, attempted, shown, unknown=0):
    """Checks a second run against what was attempted: survivors, why the others are none, the draw; gives its t."""
    check_funnel(run)
    survivors = [{**row, "first_keep_probability": row["keep_probability"]} for row in alive(attempted)]
    first = {row["pair_id"]: row["first_keep_probability"] for row in survivors}
    assert {row["pair_id"]: row["first_keep_probability"] for row in rows(run, "eligible")} == first
    assert Counter(row["reason"] for row in rows(run, "excluded")) == {
        "image.download_failed": len(attempted) - len(survivors)
    }
    numbers = manifest_of(run, "exclude", 0)["numbers"]
    errors = errors_of(attempted)
    assert set(errors) == set(ERRORS.values())
    assert (numbers["download_errors"], numbers["download_unknown"]) == (errors, unknown)
    told = shown.partition("; no image: ")[2].partition(")")[0]
    assert sorted(told.split(", ")) == sorted(f"{number} {error}" for error, number in errors.items())
    counts = sorted(rows(run, "entry_counts"), key=lambda row: row["entry_id"])
    estimates, _ = oracle.estimated_count(survivors, [row["entry_text"] for row in counts])
    assert [row["entry_count"] for row in counts] == estimates
    threshold = manifest_of(run, "sample")["numbers"]["threshold_t"]
    kept = {row["pair_id"]: row["keep_probability"] for row in oracle.keep_again(survivors, estimates, threshold, SEED)}
    assert {row["pair_id"]: row["keep_probability"] for row in rows(run, "curated")} == pytest.approx(kept)
    return threshold


def check_plan(run, curated, shown):
    """Checks what else is to be downloaded, and gives it and the threshold that draws it."""
    plan = manifest_of(run, "sample")["numbers"]["refill"]
    refill = rows(run, "refill")
    assert (plan["target"], plan["pairs"]) == (PLANNED, len(refill))
    assert ids(rows(run, "curated")) == ids(alive(curated))
    assert len(alive(curated)) < PLANNED
    assert refill
    assert not ids(refill) & ids(curated)
    assert f"\nRefill: {folder_of(run, 'refill')}\n{len(refill)} pairs that runs/first draws with t = " in shown
    return refill, plan["threshold_t"]


def check_shards(folder, pairs):
    """Checks that the shards hold each image of the pairs once, with all of its captions."""
    texts = {row["pair_id"]: row["alt_text"] for row in pairs}
    samples = samples_of(folder)
    found = [json.loads(sample["json"]) for sample in samples]
    captions = [caption for meta in found for caption in zip(meta["pair_ids"], meta["texts"], strict=True)]
    assert sorted(captions) == sorted(texts.items())
    assert len(samples) == len({row["image_url"] for row in pairs})
    assert all(sample["jpg"][:2] == b"\xff\xd8" for sample in samples)


def holding(folder, text):
    return [path for path, content in every_text(folder) if text in content]


def test_the_page_leads_to_a_training_set(shell):
    curate, download, balance, plan, refill, shards, takedown, again, purge = blocks(
        (DOCS / "balance-last.md").read_text("utf-8")
    )
    first, second = shell.folder / "runs" / "first", shell.folder / "runs" / "second"

    shell.run(curate, {"tests/data/sample/": "pages/"})
    curated = check_curated(first)

    shell.run(download)
    images = {row["image_url"] for row in curated}
    assert shell.server.requests == Counter(map(kind_of, images))

    shown = shell.run(balance)
    assert check_balanced(second, curated, shown) == 20
    assert len(rows(second, "curated")) < len(alive(curated))
    assert "metaclip-spark make-shards --pairs runs/second" in shown

    new, larger = check_plan(second, curated, shell.run(plan, {"10.1M": str(PLANNED)}))

    shown = shell.run(refill, {"--threshold-t 53": f"--threshold-t {larger}", "10M": str(WANTED)})
    drawn = check_curated(first)
    assert ids(drawn) == ids(curated) | ids(new)
    assert shell.server.requests == Counter(map(kind_of, [*images, *(row["image_url"] for row in new)]))
    check_balanced(second, drawn, shown)
    trained = rows(second, "curated")
    assert len(alive(curated)) < len(trained) < len(alive(drawn))

    shell.run(shards)
    check_shards(shell.folder / "shards", trained)
    assert TAKEN_DOWN in {row["image_url"] for row in trained}

    left = remove(shell, first, drawn, takedown)
    check_balanced(second, left, shell.run(again, {"10M": str(WANTED)}), unknown=1)
    check_shards(shell.folder / "shards", rows(second, "curated"))

    check_purged(first, shell.run(purge))
    assert ids(rows(first, "curated")) == ids(left)
    for run in (first, second):
        assert not holding(run, TAKEN_DOWN.removeprefix("http:"))
        check_funnel(run)


def remove(shell, run, drawn, block):
    """Removes an image, whose scheme the page writes another way, and gives the curated pairs that are left."""
    assert len(holding(run, TAKEN_DOWN)) > 4
    shown = shell.run(block)
    assert "1 value (0 name no pair), 2 curated pairs" in shown
    check_funnel(run)
    left = rows(run, "curated")
    assert left == [row for row in drawn if row["image_url"] != TAKEN_DOWN]
    return left


def check_purged(run, shown):
    """Checks that the purge of the first run asked before, and is answered for."""
    assert "a purge takes 2 raw pairs in 1 wave out of" in shown
    assert "\nnothing was written; to begin: " in shown
    assert "\npurged: 2 raw pairs in 1 wave\n" in shown
    [removal] = state_of(run).removals
    assert f"removed by removal {removal} of " in shown.rpartition("not in the pool")[2]
    assert {"text.purged": 2} in [line["reasons"] for line in report_of(run)["funnel"]]
    # It alone had its entry.
    assert {row["entry_text"] for row in rows(run, "entry_counts") if row["entry_count"]} == set(NOUNS)
    assert holding(folder_of(run, "curated"), HOST.removeprefix("http:"))
