"""Opening archives: sizes, tags, counting, and what is refused."""

import hashlib
import os
from pathlib import Path

import pytest

from udfs.sources import ArchiveChangedError, open_archive, size_of_archive, stat_archive, tag_like

LONG = bytes(range(256)) * 4_000


def test_a_local_file_is_read_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "a file.warc"
    path.write_bytes(b"0123456789")
    with open_archive(str(path)) as stream:
        assert (stream.size, stream.bytes_read) == (10, 0)
        assert stream.read(4) == b"0123"
        assert stream.seek(8) == stream.tell() == 8
        assert stream.read() == b"89"
        assert stream.bytes_read == 10
        assert stream.etag == stat_archive(str(path)).etag
        assert stream.etag.startswith("a-")
    assert size_of_archive(str(path)) == size_of_archive(path.as_uri()) == 10


def test_a_file_url_names_the_same_file(tmp_path: Path) -> None:
    path = tmp_path / "a file.warc"
    path.write_bytes(b"x")
    assert stat_archive(path.as_uri()) == stat_archive(str(path))
    with open_archive(path.as_uri()) as stream:
        assert stream.read() == b"x"


def test_the_tag_changes_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x")
    before = stat_archive(str(path))
    path.write_bytes(b"xy")
    assert stat_archive(str(path)) != before


def test_a_change_in_the_middle_gives_another_tag_and_a_copy_the_same(tmp_path: Path) -> None:
    path, copy = tmp_path / "a", tmp_path / "copy"
    path.write_bytes(LONG)
    copy.write_bytes(LONG)
    os.utime(copy, ns=(0, 0))
    before = stat_archive(str(path))
    assert stat_archive(str(copy)) == before
    path.write_bytes(LONG[:500_000] + b"?" + LONG[500_001:])
    assert stat_archive(str(path)).size == before.size
    assert stat_archive(str(path)).etag != before.etag


@pytest.mark.parametrize("moves", [[], [(0, 10)], [(900_000, -1)], [(5, 70_000), (0, -1)], [(0, -1), (3, 5)]])
def test_the_tag_is_of_the_whole_file_whatever_was_read_of_it(tmp_path: Path, moves: list[tuple[int, int]]) -> None:
    path = tmp_path / "a"
    path.write_bytes(LONG)
    with open_archive(str(path)) as stream:
        for offset, size in moves:
            stream.seek(offset)
            assert stream.read(size) == (LONG[offset:] if size < 0 else LONG[offset : offset + size])
        assert stream.etag == stream.etag == stat_archive(str(path)).etag


def test_a_file_that_changes_while_it_is_read_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(LONG)
    with open_archive(str(path)) as stream:
        stream.read(10)
        with path.open("r+b") as file:
            file.write(b"other")
        os.utime(path, ns=(0, 0))
        with pytest.raises(ArchiveChangedError, match="a has changed while it was read"):
            stream.read()


def test_a_file_that_cannot_be_read_to_its_end_has_no_tag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_bytes(LONG)
    with open_archive(str(path)) as stream:
        assert stream.read(10) == LONG[:10]

        def fail(_file: object) -> str:
            raise OSError("a bad sector")

        monkeypatch.setattr("udfs.sources.local.LocalFile.tag", fail)
        assert stream.etag == ""


def test_tags_of_earlier_versions_are_compared_by_their_rule(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(LONG)
    ends = LONG[: 1 << 16] + LONG[-(1 << 16) :]
    old = f"{len(LONG):x}-{hashlib.blake2b(ends, digest_size=12).hexdigest()}"
    assert tag_like(old, str(path)) == old
    new = stat_archive(str(path)).etag
    assert tag_like(new, str(path)) == new != old
    path.write_bytes(LONG[:-1])
    assert tag_like(old, str(path)) != old


@pytest.mark.parametrize("path", ["file://otherhost/a"])
def test_unknown_schemes_are_refused_in_one_line(path: str) -> None:
    with pytest.raises(ValueError, match="only local paths") as refusal:
        open_archive(path)
    assert path in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="none"):
        open_archive(str(tmp_path / "none"))


def test_a_local_file_that_shrinks_while_it_is_read_is_noticed(tmp_path):
    path = tmp_path / "a.warc"
    path.write_bytes(bytes(3 << 20))
    with open_archive(str(path)) as stream:
        stream.read(1 << 20)
        os.truncate(path, 1 << 20)
        with pytest.raises(OSError, match="has changed while it was read"):
            stream.read(1 << 20)
        assert stream.etag == ""
