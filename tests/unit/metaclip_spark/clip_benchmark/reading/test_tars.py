"""A tar that is cut anywhere, or lacks a member, gives what is whole in it; the rest is counted."""

import io
import tarfile
from collections import Counter

import pytest

from metaclip_spark.clip_benchmark.reading import tars
from metaclip_spark.clip_benchmark.reading.listing import Shard
from metaclip_spark.clip_benchmark.reading.random_access import ShardFolder
from metaclip_spark.clip_benchmark.reading.samples import LostSample
from metaclip_spark.clip_benchmark.reading.tars import image_and_caption, read_tar
from metaclip_spark.errors import ConfigError, InputError
from tests.support.clip_benchmark.small_shards import members, write_tar

BLOCK = 512
SAMPLES = 3


def read(path, samples=None):
    lost = Counter()
    found = [image_and_caption(each) for each in read_tar(Shard(str(path), samples), lost)]
    return [text.decode() for _, text in filter(None, found)], found.count(None), lost


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("tar") / "00000.tar"
    write_tar(path, [members(number) for number in range(SAMPLES)])
    return path.read_bytes()


CAPTIONS = [members(number)["txt"].decode() for number in range(SAMPLES)]


def test_a_tar_cut_at_any_block_keeps_what_is_whole(whole, tmp_path):
    path = tmp_path / "00000.tar"
    (end,) = [place for place in range(0, len(whole), BLOCK) if not whole[place:].strip(b"\0")][:1]
    path.write_bytes(whole)
    assert read(path, SAMPLES) == (CAPTIONS, 0, Counter())
    seen = set()
    for size in [*range(0, end + 1, BLOCK), *range(100, end, 3 * BLOCK + 100)]:
        path.write_bytes(whole[:size])
        captions, missing, lost = read(path, SAMPLES)
        assert captions == CAPTIONS[: len(captions)]
        assert (missing, len(captions) + lost.total()) == (0, SAMPLES)
        assert set(lost) <= {"tar.truncated" if captions else "tar.unreadable"}
        # Where nobody knows how many there were, one is counted.
        assert read(path)[2].total() == 1
        seen.add(len(captions))
    assert seen == {0, 1, 2, 3}


def test_random_access_keeps_the_same_of_a_tar_that_is_cut(whole, tmp_path):
    path = tmp_path / "00000.tar"
    (end,) = [place for place in range(0, len(whole), BLOCK) if not whole[place:].strip(b"\0")][:1]
    for size in [*range(0, end + 1, BLOCK), *range(100, end, 3 * BLOCK + 100)]:
        path.write_bytes(whole[:size])
        captions, _, lost = read(path)
        if lost["tar.unreadable"]:
            with pytest.raises((InputError, ConfigError)):
                assert ShardFolder(str(tmp_path)).read(0) == LostSample("tar.truncated")
                raise ConfigError("only lost samples")
            continue
        folder = ShardFolder(str(tmp_path))
        samples = [folder.read(number) for number in range(len(folder))]
        assert samples.pop() == LostSample("tar.truncated")
        assert [sample.caption for sample in samples] == captions


def test_what_a_tar_lacks_or_holds_twice_is_counted(tmp_path):
    path = tmp_path / "00000.tar"
    samples = [members(number) for number in range(4)]
    del samples[1]["png"], samples[2]["txt"]
    write_tar(path, samples)
    assert read(path) == ([CAPTIONS[0], members(3)["txt"].decode()], 2, Counter())
    # Fewer samples than were written, in a tar that has an end.
    assert read(path, 6)[2] == {"member.missing": 2}
    with tarfile.open(path, "a") as tar:
        for name, content in (("000000003.txt", b"again"), ("000000004.png", b"x"), ("000000004.txt", b"last")):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    captions, missing, lost = read(path)
    assert captions == [CAPTIONS[0], members(3)["txt"].decode(), "last"]
    assert (missing, lost) == (2, {"member.duplicate": 1})


def test_a_tar_that_is_gone_is_told_in_one_line(tmp_path):
    with pytest.raises(InputError, match=r"00000\.tar cannot be read \(.*No such file") as refused:
        read(tmp_path / "00000.tar")
    assert "\n" not in str(refused.value)


class Breaking(io.BytesIO):
    """A store that gives up in the middle of a file."""

    def read(self, size=-1, /):
        if self.tell() > 4 * BLOCK:
            raise OSError("the store does not answer")
        return super().read(min(size, BLOCK))


def test_what_a_store_does_not_give_ends_the_run_and_is_no_truncated_tar(whole, monkeypatch):
    monkeypatch.setattr(tars, "opened", lambda _path: Breaking(whole))
    lost = Counter()
    with pytest.raises(InputError, match=r"^s3://bucket/0\.tar cannot be read \(the store does not answer\): check it"):
        list(read_tar(Shard("s3://bucket/0.tar"), lost))
    assert not lost
