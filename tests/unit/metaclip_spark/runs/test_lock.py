"""The lock: it keeps a living run out, and is taken from a dead or silent one."""

import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from metaclip_spark.errors import InputError, OutputExistsError
from metaclip_spark.runs.layout import LOCK
from metaclip_spark.runs.lock import locked
from metaclip_spark.stores.storage import Storage


def test_the_lock_keeps_a_living_run_out(storage):
    with locked(storage, "first"), pytest.raises(OutputExistsError, match=f"in use by .* on {socket.gethostname()}"):
        # A living process other than this one holds it.
        storage.put_json(LOCK, {"owner": "first", "host": socket.gethostname(), "pid": os.getppid()})
        with locked(storage, "second"):
            pass
    storage.delete(LOCK)
    with locked(storage, "first"):
        assert storage.read_json(LOCK)["owner"] == "first"
    assert storage.read_json(LOCK) is None


def test_the_lock_of_a_dead_process_is_taken_over(storage):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    storage.put_json(LOCK, {"owner": "gone", "host": socket.gethostname(), "pid": gone.pid})
    with locked(storage, "next"):
        assert storage.read_json(LOCK)["owner"] == "next"


@pytest.mark.parametrize("beats", [True, False])
def test_the_lock_of_another_host_is_taken_over_once_it_is_silent(storage, monkeypatch, beats):
    monkeypatch.setattr("metaclip_spark.runs.lock.HEARTBEAT_SECONDS", 0.2)
    far = {"owner": "far", "host": "elsewhere", "pid": 1, "nonce": "x", "heartbeat": time.time() - 121}
    storage.put_json(LOCK, far)
    # Its clock may only be behind: a heartbeat that moves while we look is a living run's.
    beat = threading.Timer(0.1, storage.put_unguarded, (LOCK, {**far, "heartbeat": far["heartbeat"] + 1}))
    if beats:
        beat.start()
        with pytest.raises(OutputExistsError, match="on elsewhere"), locked(storage, "next"):
            pass
        return
    with locked(storage, "next"):
        assert storage.read_json(LOCK)["owner"] == "next"


def test_the_heartbeat_goes_on_and_a_lost_lock_stops_the_run(storage, monkeypatch):
    monkeypatch.setattr("metaclip_spark.runs.lock.HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setattr("metaclip_spark.runs.lock.SECONDS_BETWEEN_CHECKS", 0.0)
    with locked(storage, "first"):
        begun = storage.read_json(LOCK)["heartbeat"]
        time.sleep(0.3)
        assert storage.read_json(LOCK)["heartbeat"] > begun
        storage.put_json("ledger/00000-aa.json", {})
        # No beat comes between, so that the lock stays the other's.
        monkeypatch.setattr("metaclip_spark.runs.lock.HEARTBEAT_SECONDS", 60.0)
        time.sleep(0.3)
        storage.put_unguarded(LOCK, {"owner": "second", "nonce": "y"})
        with pytest.raises(OutputExistsError, match="another run took the lock over"):
            storage.put_json("ledger/00001-aa.json", {})
    assert storage.names("ledger") == ["00000-aa.json"]
    assert storage.read_json(LOCK)["owner"] == "second"


def test_the_lock_of_another_host_is_not_taken(storage):
    storage.put_json(LOCK, {"owner": "far", "host": "elsewhere", "pid": 1})
    with pytest.raises(OutputExistsError, match="on elsewhere"), locked(storage, "next"):
        pass


def test_the_lock_is_released_when_the_run_fails(storage):
    with pytest.raises(ZeroDivisionError), locked(storage, "first"):
        assert 1 / 0
    assert storage.read_json(LOCK) is None
    assert storage.guard is None


def test_a_lock_that_no_run_wrote_is_named_with_what_to_do(storage):
    storage.put_json(LOCK, {"owner": 5})
    message = r"lock\.json is not what .*: delete it if no run works there"
    with pytest.raises(InputError, match=message), locked(storage, "next"):
        pass


def test_an_output_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputExistsError, match="cannot be written to"), locked(Storage(str(tmp_path / "out")), "me"):
        pass
