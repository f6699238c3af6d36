"""run.json tells of a finished run, never of an older one in place of a later one."""

import json

import pytest

from metaclip_spark.commits.entries import entry_name
from metaclip_spark.commits.run_file import RUN, publish_run_file, retract_run_file


def told(storage):
    content = storage.read_object(RUN)
    return None if content is None else json.loads(content)["commit"]


@pytest.mark.parametrize(("there", "left"), [(None, None), (4, None), (5, 5), (6, 6)])
def test_only_what_tells_of_earlier_work_is_deleted(storage, there, left):
    if there is not None:
        publish_run_file(storage, there, {})
    retract_run_file(storage, 5)
    assert told(storage) == left


@pytest.mark.parametrize(("there", "left"), [(None, 5), (4, 5), (5, 5), (6, 6)])
def test_a_later_one_is_never_replaced_by_an_earlier(storage, there, left):
    if there is not None:
        publish_run_file(storage, there, {"who": "before"})
    publish_run_file(storage, 5, {"who": "now"})
    assert told(storage) == left


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"commit": "x"}', b'{"status": "done"}', b"\xff", b"[" * 10**5]
)
def test_what_no_version_with_a_log_wrote_is_older_than_all(storage, content):
    storage.put_bytes(RUN, content)
    retract_run_file(storage, 1)
    assert storage.read_object(RUN) is None
    storage.put_bytes(RUN, content)
    publish_run_file(storage, 3, {})
    assert told(storage) == 3


def test_two_that_publish_at_once_leave_the_later_one(storage, monkeypatch):
    """The second publishes while the first is between its look and its creation."""
    create = storage.create_bytes
    passed = []

    def interrupted(name, content):
        if not passed:
            passed.append(name)
            publish_run_file(storage, 7, {})
        return create(name, content)

    monkeypatch.setattr(storage, "create_bytes", interrupted)
    publish_run_file(storage, 5, {})
    assert told(storage) == 7


def test_a_driver_that_sleeps_before_it_deletes_leaves_none_of_its_own(storage, monkeypatch):
    """It finds an older run.json; while it sleeps, another driver deletes that, and finishes the run."""
    publish_run_file(storage, 3, {})
    delete = storage.delete
    passed = []

    def interrupted(name):
        delete(name)
        if not passed:
            passed.append(name)
            storage.create_bytes(entry_name(6), b"open")
            publish_run_file(storage, 7, {})
            delete(name)

    monkeypatch.setattr(storage, "delete", interrupted)
    publish_run_file(storage, 5, {})
    assert passed
    assert told(storage) is None
