"""Trainings that read in sequence, from stores, and with online curation."""

import json
from dataclasses import replace

import numpy as np
import pytest

from metaclip_spark import keeps_in_epoch
from metaclip_spark.clip_benchmark.loading.load import batches_from, open_batches
from metaclip_spark.clip_benchmark.training.train import train
from metaclip_spark.errors import ConfigError, InputError
from tests.support.clip_benchmark.small_shards import members, write_tar
from tests.support.s3_server import new_bucket, s3_server
from udfs.pairs.rules import pair_id

STEPS = 9
PAIRS = 40
IDS = [pair_id(f"u/{number}", "text") for number in range(PAIRS)]
KEEP = np.array([0.5, 0.2, 1.0, 0.7] * (PAIRS // 4))
SEED = 3


@pytest.fixture(scope="module")
def matched(tmp_path_factory):
    """Forty matched pairs in five tars below two folders; one picture is broken."""
    folder = tmp_path_factory.mktemp("matched")
    for first in range(0, PAIRS, 8):
        samples = [members(number) for number in range(first, first + 8)]
        for number, sample in enumerate(samples, start=first):
            row = {"pair_id": IDS[number], "keep_probability": KEEP[number]}
            sample["json"] = json.dumps(row).encode()
        if first == 16:
            samples[2]["png"] = b"broken"
        (folder / f"part-{first % 3}").mkdir(exist_ok=True)
        write_tar(folder / f"part-{first % 3}" / f"{first:05d}.tar", samples, first)
    return folder


@pytest.fixture
def reading(config, matched, tmp_path):
    def make(name, **options):
        given = {"steps": STEPS, "shuffle_buffer": 16, "seed": SEED, "train_shards": str(matched)}
        return replace(config(), output=str(tmp_path / name), **given | options)

    return make


@pytest.mark.parametrize("order", ["sequential", "random"])
@pytest.mark.parametrize("online", [False, True])
def test_a_stopped_training_goes_on_and_workers_change_nothing(reading, order, online):
    options = {"read_order": order, "online_curation": online}
    whole = train(reading("whole", **options))
    assert list(whole.diagnostics["lost"]) == ["image.corrupt"]
    assert ("not_kept" in whole.diagnostics) == online
    for stop in (2, 7):
        train(reading("parts", **options, stop_at_step=stop))
    stopped = train(reading("parts", **options, loader_workers=2))
    assert repr(stopped.losses) == repr(whole.losses)
    assert stopped.diagnostics == whole.diagnostics


def test_a_training_from_s3_is_that_from_the_folder(reading, matched, monkeypatch):
    local = train(reading("local", read_order="sequential"))
    with s3_server() as endpoint:
        monkeypatch.setenv("METACLIP_S3_ENDPOINT", endpoint)
        bucket = new_bucket(endpoint)
        for path in matched.rglob("*.tar"):
            bucket.put(f"a/b/{path.relative_to(matched)}", path.read_bytes())
        for workers in (0, 1):
            config = reading(f"s3-{workers}", train_shards=f"s3://{bucket.name}/a", loader_workers=workers)
            stored = train(config)
            assert repr(stored.losses) == repr(local.losses)
            assert stored.diagnostics == local.diagnostics
        # What goes away meanwhile ends the run with one line, in a worker process, too.
        bucket.client.delete_object(Bucket=bucket.name, Key="a/b/part-0/00000.tar")
        for workers in (0, 1):
            batches, _ = open_batches(replace(config, loader_workers=workers, shuffle_buffer=4), 0, "cpu")
            batches._sequence._shards = (replace(batches._sequence._shards[0], path=f"s3://{bucket.name}/gone.tar"),)
            with pytest.raises(InputError, match=r"s3://metaclip-\w+/gone\.tar cannot be read \(.*NoSuchKey") as told:
                list(batches_from(replace(config, loader_workers=workers), batches, 0, 1))
            assert "\n" not in str(told.value)


def test_the_first_epoch_trains_on_the_curated_set_and_each_later_one_anew(reading):
    config = reading("random", online_curation=True, curation_seed=8, batch_size=2, steps=100)
    order = open_batches(config, 0, "cpu")[0]._order
    place, not_kept = 0, []
    for epoch in range(4):
        kept = keeps_in_epoch(IDS, KEEP, 8, epoch).nonzero()[0].tolist()
        not_kept.append(order.not_kept_at(place))
        assert [order.not_kept_at(each) for each in range(place + 1, place + len(kept))] == [0] * (len(kept) - 1)
        # Samples have the numbers of their tars' order.
        numbers = [order.index_at(each) for each in range(place, place + len(kept))]
        names = [IDS.index(order._samples_of._pair_ids[number]) for number in numbers]
        assert sorted(names) == kept
        assert names != kept
        assert not_kept[-1] == PAIRS - len(kept)
        place += len(kept)
    # Whoever begins later finds the same.
    again = open_batches(config, 0, "cpu")[0]._order
    assert again.index_at(place - 1) == numbers[-1]
    draws = [again.replacement(place - 1, np.random.default_rng(number)) for number in range(200)]
    assert set(draws) == set(numbers)


def test_a_device_that_makes_the_views_trains_on_the_same_epochs(reading):
    config = reading("device", online_curation=True, steps=12)
    by_loader, on_device = (open_batches(replace(config, view_maker=who), 0, "cpu")[0] for who in ("loader", "device"))
    assert type(by_loader) is not type(on_device)
    for step in range(12):
        expected, found = by_loader[step], on_device[step]
        assert found.samples.tolist() == expected.samples.tolist()
        assert (found.lost, found.not_kept) == (expected.lost, expected.not_kept)
    with pytest.raises(ConfigError, match=r"--view-maker is device, which .* is read in sequence"):
        replace(config, view_maker="device", read_order="sequential")


@pytest.mark.parametrize("order", ["sequential", "random"])
@pytest.mark.parametrize(
    "row",
    [
        b"{}",
        b"",
        b"[1]",
        b"no json",
        b'{"pair_id": "x", "keep_probability": 0.5}',
        b'{"pair_id": 5, "keep_probability": 0.5}',
        b'{"pair_id": "00000000000000000000000000000000"}',
        b'{"pair_id": "00000000000000000000000000000000", "keep_probability": 1.5}',
        b'{"pair_id": "00000000000000000000000000000000", "keep_probability": null}',
    ],
)
def test_shards_that_lack_the_keep_probability_are_refused_in_one_line(reading, tmp_path, order, row):
    folder = tmp_path / "curated"
    folder.mkdir()
    write_tar(folder / "00000.tar", [{**members(0), "json": row}])
    for workers in (0, 1) if row == b"{}" else (0,):
        config = reading("refused", train_shards=str(folder), online_curation=True, read_order=order)
        with pytest.raises(ConfigError) as refused:
            train(replace(config, loader_workers=workers))
        told = str(refused.value)
        assert "has no pair_id and keep_probability in its JSON: make the shards from RUN/matched" in told
        assert told.startswith("--online-curation: the sample 0")
        assert "\n" not in told
    assert train(reading("taken", train_shards=str(folder), read_order=order, steps=3)).losses


def test_a_batch_of_broken_pictures_is_an_error(reading, tmp_path):
    folder = tmp_path / "broken"
    folder.mkdir()
    write_tar(folder / "00000.tar", [{"png": b"x", "txt": b"a bar"}] * 8)
    with pytest.raises(InputError, match="all 8 pictures of step 0 are broken"):
        train(reading("broken", train_shards=str(folder), read_order="sequential"))


def test_a_run_is_not_continued_in_another_order(reading):
    from metaclip_spark.errors import OutputExistsError

    train(reading("one", steps=3))
    with pytest.raises(OutputExistsError, match="read_order was None and is now 'sequential'"):
        train(reading("one", steps=3, read_order="sequential"))
