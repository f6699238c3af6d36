"""Batches from images that a device holds: the loader's samples and captions, with the same ones lost."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from metaclip_spark.clip_benchmark.augmentation.batches import Batches
from metaclip_spark.clip_benchmark.augmentation.caption_table import PREPARED_EDITS
from metaclip_spark.clip_benchmark.augmentation.device_batches import DeviceBatches, make_batches
from metaclip_spark.clip_benchmark.augmentation.text import IGNORE_INDEX
from metaclip_spark.clip_benchmark.augmentation.tokenizer import Vocabulary
from metaclip_spark.clip_benchmark.reading.random_access import ShardFolder
from metaclip_spark.errors import ConfigError
from tests.support.clip_benchmark.small_shards import members, png, write_tar


def opened(config, device="cpu", rank=0):
    return make_batches(config, rank, device, ShardFolder(config.train_shards))


@pytest.fixture
def both(config):
    run = config("declip", view_set="paper")
    return opened(run), opened(config("declip", view_set="paper", view_maker="device"))


def test_samples_and_captions_are_the_loaders(both):
    loader, device = both
    assert isinstance(loader, Batches)
    assert isinstance(device, DeviceBatches)
    for step in (0, 11, 12):
        of_loader, of_device = loader[step], device[step]
        assert torch.equal(of_device.samples, of_loader.samples)
        assert torch.equal(of_device.texts["caption"], of_loader.texts["caption"])
        assert [view.shape for view in of_device.images] == [view.shape for view in of_loader.images]
        assert all(view.dtype == torch.uint8 for view in of_device.images)


def test_a_step_is_a_function_of_seed_view_and_step(both, config):
    _, device = both
    again = opened(config("declip", view_set="paper", view_maker="device"))
    # Edits are made when they are asked for, in whatever order.
    later, batch = again[5], device[3]
    assert torch.equal(device[5].texts["edited"], later.texts["edited"])
    for view, same in zip(batch.images, again[3].images, strict=True):
        assert torch.equal(view, same)
    assert not torch.equal(batch.images[0], batch.images[1])
    assert not torch.equal(batch.images[0], device[4].images[0])
    other = opened(config("declip", view_set="paper", view_maker="device", seed=1))
    assert not torch.equal(batch.texts["masked"], other[3].texts["masked"])


def test_processes_share_a_step(config):
    whole = [opened(config("clip", processes=2, batch_size=4, view_maker="device"), rank=rank)[2] for rank in (0, 1)]
    alone = opened(config("clip", batch_size=8))[2]
    assert torch.cat([batch.samples for batch in whole]).tolist() == alone.samples.tolist()
    assert not torch.equal(whole[0].images[0], whole[1].images[0])


def test_texts_are_edited_and_masked_as_in_the_loader(both):
    _, device = both
    vocabulary = Vocabulary(16)
    asked = words = changed = 0
    edits = {}
    for step in range(60):
        batch = device[step]
        captions, masked, labels = batch.texts["caption"], batch.texts["masked"], batch.labels
        chosen = labels != IGNORE_INDEX
        assert torch.equal(torch.where(chosen, labels, captions), captions)
        assert torch.equal(masked[~chosen], captions[~chosen])
        ordinary = captions < vocabulary.special.start
        assert not (chosen & ~ordinary).any()
        asked += int(chosen.sum())
        words += int((captions != 0).sum()) - 2 * len(captions)
        changed += int((masked[chosen] == vocabulary.special.mask).sum())
        for sample, ids in zip(batch.samples.tolist(), batch.texts["edited"].tolist(), strict=True):
            edits.setdefault(sample, Counter())[tuple(ids)] += 1
    assert 0.12 < asked / words < 0.18
    assert 0.7 < changed / asked < 0.9
    assert all(len(found) <= PREPARED_EDITS for found in edits.values())
    assert np.mean([len(found) for found in edits.values()]) > 1.5


def test_lost_samples_are_replaced_and_counted_as_in_the_loader(config, tmp_path):
    samples = [members(number) for number in range(24)]
    samples[3]["png"], samples[7]["txt"] = b"no picture", b" "
    write_tar(tmp_path / "00000.tar", samples)
    runs = [replace(config(view_maker=maker), train_shards=str(tmp_path)) for maker in ("loader", "device")]
    for of_loader, of_device in zip(*([opened(run)[step] for step in range(6)] for run in runs), strict=True):
        assert torch.equal(of_device.samples, of_loader.samples)
        assert of_device.lost == of_loader.lost
        assert torch.equal(of_device.texts["caption"], of_loader.texts["caption"])


def test_images_of_all_sizes_are_held(config, tmp_path):
    sizes = [(20, 12), (12, 20), (90, 30), (200, 200)]
    pictures = [Image.new("RGB", size, (10 * place, 0, 200)) for place, size in enumerate(sizes)]
    write_tar(tmp_path / "00000.tar", [{"png": png(each), "txt": b"a bar"} for each in pictures])
    batches = opened(replace(config(batch_size=4, view_maker="device"), train_shards=str(tmp_path)))
    # No side is longer than two of a view.
    assert batches._images.images.shape == (4, 3, 64, 64)
    assert batches._images.sizes.tolist() == [[20, 12], [12, 20], [64, 21], [64, 64]]
    batch = batches[0]
    for sample, view in zip(batch.samples.tolist(), batch.images[0], strict=True):
        assert (view == torch.tensor([10 * sample, 0, 200])).all()


def test_images_that_do_not_fit_are_left_to_the_loader_or_refused(config, caplog):
    small = {"device_memory_share": 1e-9}
    with pytest.raises(ConfigError, match=r"--view-maker is device, but 96 images of .* of cpu: give loader, or"):
        opened(config(view_maker="device", **small))
    # Were there a GPU, this run would be on it.
    with caplog.at_level("INFO", "metaclip_spark"):
        assert isinstance(opened(config(device="cuda", **small)), Batches)
    assert "more than --device-memory-share 1e-09 of the" in caplog.text
    assert isinstance(opened(config(device="cuda")), DeviceBatches)
    assert isinstance(opened(config()), Batches)
