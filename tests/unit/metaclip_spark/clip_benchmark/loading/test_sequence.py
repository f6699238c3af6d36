"""Reading in sequence: every sample once an epoch, over all processes; a stopped run goes on with the same samples."""

import json
from dataclasses import replace
from itertools import chain, pairwise

import pytest

from metaclip_spark import keeps_in_epoch
from metaclip_spark.clip_benchmark.loading.sequence import SampleSequence
from metaclip_spark.clip_benchmark.reading.listing import find_shards
from metaclip_spark.clip_benchmark.reading.state import ReadingState
from metaclip_spark.errors import ConfigError, InputError
from tests.support.clip_benchmark.small_shards import members, write_tar
from udfs.pairs.rules import pair_id

SIZES = (7, 5, 9, 6, 8, 5)
TOTAL = sum(SIZES)
SEED = 5


def pair(number):
    return pair_id(f"u/{number}", "text"), (0.3, 0.9, 1.0, 0.05)[number % 4]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Forty samples in six tars, the number of each as its caption."""
    folder = tmp_path_factory.mktemp("tars")
    first = 0
    for place, size in enumerate(SIZES):
        (folder / str(place % 2)).mkdir(exist_ok=True)
        samples = []
        for number in range(first, first + size):
            name, keep = pair(number)
            row = json.dumps({"pair_id": name, "keep_probability": keep})
            samples.append({"png": members(0)["png"], "txt": str(number).encode(), "json": row.encode()})
        write_tar(folder / str(place % 2) / f"{place:05d}.tar", samples, first)
        first += size
    return folder


@pytest.fixture
def sequential(config, folder):
    def make(**options):
        given = {"read_order": "sequential", "shuffle_buffer": 6, "batch_size": 4, "seed": SEED}
        return replace(config(), train_shards=str(folder), **given | options)

    return make


def batches(config, steps, rank=0, first=0, state=None):
    sequence = SampleSequence(find_shards(config.train_shards), config, rank)
    return list(sequence.batches(first, steps, state or ReadingState()))


def numbers(made):
    return [int(sample.caption) for batch in made for sample in batch.samples]


@pytest.mark.parametrize("buffer", [1, 6, 1000])
@pytest.mark.parametrize("processes", [1, 2, 3])
def test_each_epoch_holds_every_sample_once(sequential, processes, buffer):
    config = sequential(processes=processes, shuffle_buffer=buffer)
    by_epoch = {0: [], 1: [], 2: []}
    for rank in range(processes):
        made = batches(config, 40, rank)
        for batch in made:
            for sample in batch.samples:
                # An index names its sample.
                assert sample.index % 2**32 < 9
        sequence = SampleSequence(find_shards(config.train_shards), config, rank)
        for sample, _, state in sequence._samples_from(ReadingState()):
            if state.start.epoch > 2:
                break
            by_epoch[state.start.epoch].append(int(sample.caption))
    assert all(sorted(epoch) == list(range(TOTAL)) for epoch in by_epoch.values())
    assert by_epoch[0] != by_epoch[1] != by_epoch[2]


def test_samples_are_shuffled_within_the_buffer_and_tars_within_the_epoch(sequential):
    whole = numbers(batches(sequential(shuffle_buffer=1000), 10))
    assert whole != sorted(whole)
    unshuffled = numbers(batches(sequential(shuffle_buffer=1), 10))
    # Whole tars follow one another, not all in the order of their names.
    assert 1 < sum(after != before + 1 for before, after in pairwise(unshuffled)) < len(SIZES)
    shuffled = numbers(batches(sequential(shuffle_buffer=6), 10))
    assert shuffled != unshuffled
    for first in range(0, 36, 6):
        assert sorted(shuffled[first : first + 6]) == sorted(unshuffled[first : first + 6])


def test_the_order_is_a_function_of_seed_and_rank(sequential):
    assert batches(sequential(), 12) == batches(sequential(), 12)
    assert numbers(batches(sequential(seed=6), 12)) != numbers(batches(sequential(), 12))
    first, second = (numbers(batches(sequential(processes=2), 4, rank)) for rank in (0, 1))
    assert not set(first) & set(second)


@pytest.mark.parametrize(("buffer", "online"), [(1, False), (4, False), (1000, False), (6, True)])
def test_a_stopped_run_goes_on_with_the_same_samples_and_counts(sequential, buffer, online):
    config = sequential(shuffle_buffer=buffer, online_curation=online)
    whole = batches(config, 24)
    for step in range(1, 24):
        end = min(24, step + 6)
        assert batches(config, end, first=step, state=whole[step - 1].state) == whole[step:end]


def test_losses_are_counted_once_however_often_a_run_is_stopped(sequential, folder, tmp_path):
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    for path in sorted(folder.rglob("*.tar")):
        (damaged / path.name).write_bytes(path.read_bytes())
    cut = damaged / "00001.tar"
    cut.write_bytes(cut.read_bytes()[: 3 * 2048 + 700])
    (damaged / "00003.tar").write_bytes(b"no tar at all")
    bad = [members(number) for number in range(4)]
    del bad[0]["png"]
    bad[2]["txt"] = b" \n"
    write_tar(damaged / "00006.tar", bad)
    config = replace(sequential(), train_shards=str(damaged))
    whole = batches(config, 30)
    lost = sum((batch.lost for batch in whole), start=type(whole[0].lost)())
    epochs = whole[-1].state.start.epoch
    assert epochs >= 2
    for reason in ("tar.truncated", "tar.unreadable", "member.missing", "caption.empty"):
        # The last epoch may not have met it yet.
        assert epochs <= lost[reason] <= epochs + 1
    for step in range(1, 30):
        assert batches(config, 30, first=step, state=whole[step - 1].state) == whole[step:]


def test_online_curation_keeps_the_set_of_the_epoch(sequential):
    config = sequential(online_curation=True, curation_seed=11, shuffle_buffer=1000)
    sequence = SampleSequence(find_shards(config.train_shards), config, 0)
    read, passed_over = {}, []
    for sample, passed, state in sequence._samples_from(ReadingState()):
        if state.start.epoch == 4:
            break
        read.setdefault(state.start.epoch, []).append(int(sample.caption))
        passed_over += [passed.not_kept] if passed else []
    pairs = [pair(number) for number in range(TOTAL)]
    for epoch in range(4):
        kept = keeps_in_epoch([name for name, _ in pairs], [keep for _, keep in pairs], 11, epoch)
        assert sorted(read[epoch]) == kept.nonzero()[0].tolist()
    assert passed_over == [TOTAL - len(read[epoch]) for epoch in range(4)]
    assert len({tuple(sorted(epoch)) for epoch in read.values()}) == 4


def test_fewer_tars_than_processes_are_refused(sequential):
    with pytest.raises(ConfigError, match="holds 6 tars, but each of --processes 7 reads its own"):
        batches(sequential(processes=7), 1)


@pytest.mark.parametrize("online", [False, True])
def test_tars_without_one_usable_sample_are_an_error(sequential, tmp_path, online):
    row = json.dumps({"pair_id": "0" * 32, "keep_probability": 0.0}).encode()
    lacks = [{"txt": b"a text"}] if not online else [{"txt": b"a text", "png": b"x", "json": row}]
    write_tar(tmp_path / "0.tar", lacks * 3)
    config = replace(sequential(online_curation=online), train_shards=str(tmp_path))
    with pytest.raises(InputError, match="no sample of 1 tar can be used"):
        batches(config, 1)


def test_batches_of_other_epochs_follow_without_a_gap(sequential):
    made = batches(sequential(shuffle_buffer=7), 40)
    assert all(len(batch.samples) == 4 for batch in made)
    assert [batch.step for batch in made] == list(range(40))
    assert len(list(chain.from_iterable(batch.samples for batch in made))) == 160
