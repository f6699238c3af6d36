"""How a driver leaves a folder, and what it tells where another one has taken that meanwhile."""

import threading

import pytest

from metaclip_spark.commits.entries import End, Open, entry_name
from metaclip_spark.commits.log import Log
from metaclip_spark.commits.owner import Applicant, owning, take
from metaclip_spark.errors import OutputExistsError
from metaclip_spark.runs.open import _tagged
from tests.support.runs import begin


def owned(storage):
    return owning(Log(storage), storage, Applicant("first"), wait=False)


def overtake(storage):
    log = Log(storage)
    log.read_all()
    return take(log, storage, Applicant("second"))


def test_work_that_was_done_while_another_driver_took_the_folder_is_no_success(storage):
    with pytest.raises(OutputExistsError, match="another driver has taken the run over"), owned(storage):
        overtake(storage)


def test_an_error_stays_what_it_was_where_another_driver_has_taken_the_folder(storage):
    with pytest.raises(KeyError, match="mine"), owned(storage):
        overtake(storage)
        raise KeyError("mine")


def test_a_failed_driver_leaves_in_a_thread_of_its_own(storage, monkeypatch):
    threads = []
    append = Log.append

    def note(log, entry):
        threads.append((type(entry), threading.current_thread() is threading.main_thread()))
        return append(log, entry)

    monkeypatch.setattr(Log, "append", note)
    with pytest.raises(KeyError), owned(storage):
        raise KeyError
    assert threads == [(Open, True), (End, False)]
    log = Log(storage)
    assert log.read_all().ended


def test_an_entry_whose_answer_was_lost_is_not_another_drivers(storage):
    with owned(storage) as owner:
        assert not owner.log.is_followed(owner.nonce)
        before = Log(storage)
        before.read_all()
        owner.commit(begin(owner=owner.nonce))
        assert storage.read_object(entry_name(before.state.number + 1))
        assert not before.is_followed(owner.nonce)
        assert before.is_followed("another")


class Session:
    """In place of a session whose jobs nobody cancels."""

    def __init__(self):
        self.sparkContext = self

    def __getattr__(self, name):
        return lambda *_: None


def test_what_is_missed_because_another_driver_deleted_it_is_told_as_its_doing(storage):
    told = pytest.raises(OutputExistsError, match="another driver has taken")
    with told, owned(storage) as owner, _tagged(Session(), owner):
        overtake(storage)
        raise RuntimeError("a file is gone")


def test_an_error_of_the_owner_is_its_own(storage):
    with pytest.raises(RuntimeError, match="mine"), owned(storage) as owner, _tagged(Session(), owner):
        raise RuntimeError("mine")
