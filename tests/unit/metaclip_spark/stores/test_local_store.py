"""What is a file system's own: links, full disks, folders that others delete meanwhile."""

import errno
import os
from pathlib import Path

import pytest

from metaclip_spark.stores.local_store import LocalStore
from metaclip_spark.stores.storage import Storage


@pytest.fixture
def store(tmp_path):
    return LocalStore(tmp_path)


def raising(number):
    def call(*_arguments, **_keywords):
        raise OSError(number, os.strerror(number))

    return call


def opened(descriptor):
    """The path of an open file."""
    return Path(f"/proc/self/fd/{descriptor}").readlink()


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_links_is_refused(store, tmp_path, monkeypatch, number):
    monkeypatch.setattr(os, "link", raising(number))
    with pytest.raises(OSError, match=r"cannot create a file once \(no hard links.*give another --output") as refused:
        store.create("commits/1", b"x")
    assert str(tmp_path) in str(refused.value)
    assert store.files("") == {}


def test_a_link_that_fails_otherwise_is_told_as_it_is(store, monkeypatch):
    monkeypatch.setattr(os, "link", raising(errno.ENOSPC))
    with pytest.raises(OSError, match="No space left") as failed:
        store.create("commits/1", b"x")
    assert "hard links" not in str(failed.value)


@pytest.mark.parametrize("method", ["put", "create"])
def test_a_full_disk_leaves_nothing_behind(store, monkeypatch, method):
    store.put("run.json", b"before")
    monkeypatch.setattr(os, "fsync", raising(errno.ENOSPC))
    with pytest.raises(OSError, match="No space left"):
        getattr(store, method)("run.json", b"after")
    assert store.files("") == {"run.json": 6}


def test_a_created_file_and_its_folder_are_on_disk(store, tmp_path, monkeypatch):
    synced = []
    fsync = os.fsync

    def noting(descriptor):
        synced.append(opened(descriptor))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noting)
    assert store.create("commits/1", b"x")
    assert [path.parent for path in synced] == [tmp_path / "commits", tmp_path]
    assert synced[1] == tmp_path / "commits"


def test_a_folder_that_cannot_be_synced_is_no_error(store, monkeypatch):
    fsync = os.fsync

    def only_files(descriptor):
        if opened(descriptor).is_dir():
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", only_files)
    assert store.create("commits/1", b"x")
    assert store.read("commits/1") == b"x"


def test_a_folder_that_may_not_be_read_is_never_taken_for_an_empty_one(store, monkeypatch):
    store.put("pool/a/part", b"x")
    monkeypatch.setattr(os, "scandir", raising(errno.EACCES))
    with pytest.raises(PermissionError):
        store.files("pool")


def test_a_link_to_a_folder_is_deleted_not_what_it_names(store, tmp_path):
    store.put("kept/part", b"x")
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    store.delete("link")
    assert store.files("") == {"kept/part": 1}


def test_one_place_has_many_paths(tmp_path, monkeypatch):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    monkeypatch.chdir(tmp_path)
    paths = ("real/run", f"{tmp_path}/link/run/", f"file://{tmp_path}/real/../link/run")
    assert {Storage(path).place for path in paths} == {str((tmp_path / "real" / "run").resolve())}


def test_a_full_disk_is_told_with_the_folder(tmp_path, monkeypatch):
    def full(_descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left") as refused:
        LocalStore(tmp_path).put("a/b.json", b"{}")
    assert refused.value.filename == str(tmp_path / "a")
    assert not list((tmp_path / "a").iterdir())
