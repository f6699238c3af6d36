"""Runs of layout 1: what their files hold is checked, and their lock is heeded by its own rules."""

import os
import shutil
import socket
import subprocess
import sys
import threading
import time

import msgspec
import pytest

from metaclip_spark.commits.entries import Begin, Drop, Finish, Import, Sample, Table, Wave
from metaclip_spark.errors import InputError, OutputExistsError
from metaclip_spark.runs.layout import LOCK, mark_as_run
from metaclip_spark.runs.layout_1 import delete_layout_1, is_of_layout_1, read_layout_1, take_lock_1
from metaclip_spark.runs.open import read_log
from metaclip_spark.stores.storage import Storage
from tests.support.paths import DATA
from tests.support.runs import archive_summary, put_entry_1, take_folder, wave_folder

STORED = DATA / "stored_run"
ROW = msgspec.structs.asdict(archive_summary("a"))
ENTRY = {"wave": 0, "config": {"input": "archives"}, "files": [], "archives": [ROW]}


@pytest.mark.parametrize(
    ("entry", "wrong"),
    [
        ({}, "missing required field `wave`"),
        ({**ENTRY, "wave": "0"}, "Expected `int`, got `str` - at `$.wave`"),
        ({**ENTRY, "archives": {"a": ROW}}, "at `$.archives`"),
        ({**ENTRY, "archives": [ROW, {}]}, "missing required field `archive` - at `$.archives[1]`"),
        ({**ENTRY, "archives": ["a"]}, "at `$.archives[0]`"),
        ({**ENTRY, "archives": [{**ROW, "archive": 5}]}, "at `$.archives[0].archive`"),
        ({**ENTRY, "archives": [{**ROW, "rejected": []}]}, "at `$.archives[0].rejected`"),
        ({**ENTRY, "files": [1]}, "at `$.files[0]`"),
        ({**ENTRY, "superseded": None}, "at `$.superseded`"),
        ({**ENTRY, "superseded": [{}]}, "missing required field `archive` - at `$.superseded[0]`"),
    ],
)
def test_an_object_that_is_no_ledger_entry_is_refused_by_name(storage, entry, wrong):
    storage.put_json("ledger/00000-aa.json", ENTRY)
    assert list(read_log(storage).state.waves) == [wave_folder("00000-aa")]
    storage.put_json("ledger/00001-bb.json", entry)
    with pytest.raises(InputError) as refused:
        read_log(storage)
    told = str(refused.value)
    assert told.startswith(f"{storage.root}/ledger/00001-bb.json is not a ledger entry (")
    assert wrong in told
    assert "): restore it" in told
    assert "\n" not in told


def test_what_layout_1_held_is_told_as_entries_and_counts_alike_once_it_is_imported(tmp_path):
    storage = Storage(str(shutil.copytree(STORED / "finished", tmp_path / "run")))
    told = read_layout_1(storage)
    assert {type(entry) for entry in told} == {Begin, Wave, Table, Sample, Finish}
    before = read_log(storage).state
    owner = take_folder(storage)
    owner.commit(Import(owner=owner.nonce, entries=read_layout_1(storage, owner.nonce)))
    after = read_log(storage).state
    assert after.waves.keys() == before.waves.keys()
    assert after.tables.keys() == before.tables.keys()
    assert after.counting_folders() == before.counting_folders()
    for name in ("archives", "entry_counts", "curated"):
        assert after.written(name) == before.written(name) != None  # noqa: E711 - a chain of comparisons
    for bucket in range(2):
        assert after.written("matched", bucket) == before.written("matched", bucket)


def test_attempts_at_an_archive_that_had_changed_count_in_no_layout(storage):
    put_entry_1(storage, "00000-aa", archive_summary("a", etag="old"), archive_summary("b"))
    entry = storage.read_json("ledger/00000-aa.json")
    gone = {**entry, "wave": 1, "archives": [], "superseded": [{"archive": "a", "entry": "00000-aa", "etag": "old"}]}
    storage.put_json("ledger/00001-bb.json", gone)
    assert any(isinstance(entry, Drop) for entry in read_layout_1(storage))
    assert read_log(storage).state.dropped == {(wave_folder("00000-aa"), "a")}


def test_nothing_of_layout_1_is_left_and_nothing_of_a_log_is_lost(tmp_path):
    storage = Storage(str(shutil.copytree(STORED / "finished", tmp_path / "run")))
    kept = [
        "curated-00000001-0123abcd/part-0.parquet",
        "pool/bucket=000/00000001-0123abcd/part-0.parquet",
        "report/00000001-0123abcd/report.json",
    ]
    for name in kept:
        storage.put_bytes(name, b"x")
    delete_layout_1(storage)
    assert sorted(storage.files("")) == sorted([*kept, "output.json"])
    assert not is_of_layout_1(storage)


def test_a_lock_whose_driver_lives_keeps_others_out(storage):
    # A living process other than this one holds it.
    storage.put_json(LOCK, {"owner": "first", "host": socket.gethostname(), "pid": os.getppid()})
    with pytest.raises(OutputExistsError, match=f"in use by first .* on {socket.gethostname()}"):
        take_lock_1(storage)


def test_the_lock_of_a_dead_process_is_passed_over(storage):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    storage.put_json(LOCK, {"owner": "gone", "host": socket.gethostname(), "pid": gone.pid})
    take_lock_1(storage)
    # A killed run's number may be this process's own.
    storage.put_json(LOCK, {"owner": "gone", "host": socket.gethostname(), "pid": os.getpid()})
    take_lock_1(storage)


@pytest.mark.parametrize("beats", [True, False])
def test_the_lock_of_another_host_is_passed_over_once_it_is_silent(storage, monkeypatch, beats):
    monkeypatch.setattr("metaclip_spark.runs.layout_1._SECONDS_UNTIL_A_HEARTBEAT", 0.3)
    far = {"owner": "far", "host": "elsewhere", "pid": 1, "nonce": "x", "heartbeat": time.time() - 121}
    storage.put_json(LOCK, far)
    # Its clock may only be behind: a heartbeat that moves while we look is a living run's.
    beat = threading.Timer(0.1, storage.put_json, (LOCK, {**far, "heartbeat": far["heartbeat"] + 1}))
    if beats:
        beat.start()
        with pytest.raises(OutputExistsError, match="on elsewhere"):
            take_lock_1(storage)
        return
    take_lock_1(storage)


def test_the_lock_of_another_host_is_not_taken(storage):
    storage.put_json(LOCK, {"owner": "far", "host": "elsewhere", "pid": 1})
    with pytest.raises(OutputExistsError, match="on elsewhere"):
        take_lock_1(storage)


@pytest.mark.parametrize("content", [{"owner": 5}, {"owner": "far", "host": "elsewhere", "heartbeat": "now"}])
def test_a_lock_that_no_run_wrote_is_named_with_what_to_do(storage, content):
    storage.put_json(LOCK, content)
    with pytest.raises(InputError, match=r"lock\.json is not what .*: delete it if no run works there") as refused:
        take_lock_1(storage)
    assert "\n" not in str(refused.value)


def test_the_lock_that_keeps_layout_1_out_keeps_nobody_else_out(storage):
    mark_as_run(storage)
    take_lock_1(storage)


def version_0_1_0_takes(lock: dict) -> bool:
    """Tells whether version 0.1.0 takes a lock over, as that version decides it (a heartbeat that stands still)."""
    if lock.get("host") == socket.gethostname():
        try:
            os.kill(lock["pid"], 0)
        except ProcessLookupError:
            return True
        return lock["pid"] == os.getpid()
    if "heartbeat" not in lock:
        return False
    return time.time() - lock["heartbeat"] >= 120.0


def version_0_1_0_reads(marker: dict) -> bool:
    """Tells whether version 0.1.0 goes on with a folder of this marker."""
    return marker.get("layout", 1) == 1


def test_versions_without_a_log_neither_take_the_lock_nor_go_on_with_the_folder(storage):
    mark_as_run(storage)
    assert not version_0_1_0_takes(storage.read_json("lock.json"))
    assert not version_0_1_0_reads(storage.read_json("output.json"))
    # What those versions would have taken.
    assert version_0_1_0_takes({"owner": "far", "host": "elsewhere", "pid": 1, "heartbeat": time.time() - 121})
    assert version_0_1_0_reads({"holds": "a metaclip-spark run", "layout": 1})


def test_a_finished_run_is_finished_when_it_is_imported():
    state = read_log(Storage(str(STORED / "finished"))).state
    assert state.finished is not None
    assert (state.finished.sample, state.finished.report) == ("curated", "report")
    assert read_log(Storage(str(STORED / "stopped"))).state.finished is None


def test_what_an_interrupted_overwrite_left_is_known_by_its_records(tmp_path):
    storage = Storage(str(shutil.copytree(STORED / "finished", tmp_path / "run")))
    deleted = []
    storage.delete, delete = deleted.append, storage.delete
    delete_layout_1(storage)
    assert deleted[-2:] == ["manifests", "ledger"]
    for name in deleted:
        delete(name)
    assert not is_of_layout_1(storage)
    assert storage.files("curated") == storage.files("pool") == {}
