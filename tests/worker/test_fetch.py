"""Opening archives: sizes, tags, counting, and what is refused."""

from pathlib import Path

import pytest

from udfs.fetch import open_archive, stat_archive


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


@pytest.mark.parametrize("path", ["file://otherhost/a"])
def test_unknown_schemes_are_refused_in_one_line(path: str) -> None:
    with pytest.raises(ValueError, match="only local paths") as refusal:
        open_archive(path)
    assert path in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="none"):
        open_archive(str(tmp_path / "none"))
