"""The lines that the README and the docs have for a webdataset pipeline are run as they stand."""

import json
import re

import pytest
import webdataset

from metaclip_spark import keeps_in_epoch
from tests.support.clip_benchmark.small_shards import caption, members, write_tar
from tests.support.doc_blocks import blocks
from tests.support.paths import CHECKOUT
from udfs.pairs.rules import pair_id

PAGES = ("README.md", "docs/clip-benchmark/data.md")
NUMBERS = range(12)
IDS = [pair_id(f"u/{number}", caption(number)) for number in NUMBERS]
KEEP = [(0.2, 0.5, 0.8)[number % 3] for number in NUMBERS]


@pytest.mark.parametrize("page", PAGES)
def test_an_epoch_of_the_pipeline_has_the_pairs_that_are_kept(tmp_path, monkeypatch, page):
    (block,) = [block for block in blocks((CHECKOUT / page).read_text(), "python") if "webdataset.WebDataset" in block]
    folder = tmp_path / re.findall(r'"([^"]+)/\{', block)[0]
    folder.mkdir()
    for first in (0, 6):
        samples = [members(number) for number in range(first, first + 6)]
        for number, sample in enumerate(samples, start=first):
            sample["json"] = json.dumps({"pair_id": IDS[number], "keep_probability": KEEP[number]}).encode()
        write_tar(folder / f"{first // 6:05d}.tar", samples, first)
    monkeypatch.chdir(tmp_path)
    assert "00099" in block
    assert "range(32)" in block
    epochs = []
    code = block.replace("00099", "00001").replace("range(32)", "range(5)")
    train = lambda samples: epochs.append([(sample["png"].size, sample["txt"]) for sample in samples])  # noqa: E731
    exec(code, {"webdataset": webdataset, "keeps_in_epoch": keeps_in_epoch, "train": train})
    assert len(epochs) == 5
    for epoch, pairs in enumerate(epochs):
        kept = keeps_in_epoch(IDS, KEEP, 0, epoch)
        wanted = [((32, 32), caption(number)) for number in NUMBERS if kept[number]]
        assert sorted(pairs) == sorted(wanted)
