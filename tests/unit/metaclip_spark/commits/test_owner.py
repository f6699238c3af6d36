"""Who owns a folder: how it is taken, kept, taken over and left; no clock of any machine is compared with another's."""

import itertools
import logging
import os
import re
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import msgspec
import pytest

from metaclip_spark.commits import owner as owner_module
from metaclip_spark.commits.entries import End, encode, entry_name
from metaclip_spark.commits.log import Log
from metaclip_spark.commits.owner import BEATS, Applicant, check_free, owning, take
from metaclip_spark.commits.process import this_process
from metaclip_spark.commits.run_file import RUN, publish_run_file
from metaclip_spark.errors import ConfigError, OutputExistsError
from metaclip_spark.stores.storage import Storage
from tests.support.fault_server import FaultProxy
from tests.support.runs import archive_summary, opened, take_folder, wave
from tests.support.s3_server import is_moto, new_bucket, s3_server
from tests.support.waiting import wait_until
from udfs.sources import FetchOptions

ME = Applicant("me")


@pytest.fixture
def quick(monkeypatch):
    """A watch of tenths of a second."""
    monkeypatch.setattr(owner_module, "SECONDS_OF_SILENCE", 0.4)
    monkeypatch.setattr(owner_module, "SECONDS_BETWEEN_LOOKS", 0.02)
    monkeypatch.setattr(owner_module, "SECONDS_BETWEEN_BEATS", 0.05)


def log_of(storage) -> Log:
    log = Log(storage)
    log.read_all()
    return log


def is_free(storage, applicant=ME, *, wait=False) -> bool:
    """Tells whether the folder can be taken; a second storage sees what another driver would."""
    other = Storage(str(storage.root))
    try:
        check_free(log_of(other), other, applicant, wait=wait)
    except OutputExistsError as error:
        assert "\n" not in str(error)
        return False
    return True


def commit(owner, number=0):
    return owner.commit(wave(f"{number:05d}-aa", archive_summary(str(number)), owner=owner.nonce))


def test_an_owner_that_lives_keeps_others_out(storage):
    owner = take_folder(storage, "first")
    message = rf"is in use by first \(process {os.getpid()} on .*--resume .* which takes the run over after 120 sec"
    with pytest.raises(OutputExistsError, match=message):
        check_free(log_of(storage), storage, ME, wait=False)
    owner.leave()
    assert is_free(storage)
    assert log_of(storage).state.ended


def test_an_owner_whose_process_is_gone_is_taken_over_at_once(storage):
    code = "import sys; from tests.support.runs import *; take_folder(Storage(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", code, storage.root], check=True)
    assert not log_of(storage).state.ended
    assert is_free(storage)


@pytest.mark.usefixtures("quick")
def test_pid_reuse_and_equal_host_names_prove_nothing(storage):
    here = this_process()
    # A container of the same name: its process number is not of this system.
    storage.put_bytes(entry_name(1), encode(opened(process=msgspec.structs.replace(here, pid_namespace="pid:[1]"))))
    assert not is_free(storage)
    assert is_free(storage, wait=True)
    # The number of a process that has ended is this one's now.
    storage.put_bytes(entry_name(1), encode(opened(process=msgspec.structs.replace(here, started=here.started - 1))))
    assert is_free(storage)


@contextmanager
def repeating(act, seconds=0.05):
    """Acts every few hundredths of a second meanwhile."""
    stop = threading.Event()

    def work():
        for number in itertools.count():
            if stop.wait(seconds):
                return
            act(number)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.usefixtures("quick")
def test_a_silent_owner_elsewhere_is_taken_over_by_who_waits(storage, caplog):
    caplog.set_level(logging.INFO)
    Log(storage).append(opened())
    assert not is_free(storage)
    begun = time.monotonic()
    assert is_free(storage, wait=True)
    assert time.monotonic() - begun >= 0.4
    assert "waiting up to 0 s for a sign of test (process 1 on elsewhere) before taking over" in caplog.text


@pytest.mark.usefixtures("quick")
def test_an_owner_that_beats_or_commits_is_at_work(storage):
    log = Log(storage)
    log.append(opened())
    for act in (
        lambda number: storage.put_once(f"{BEATS}/00000001.json", str(number).encode(), 1.0),
        lambda number: log.append(wave(f"{number:05d}-aa", archive_summary("a"))),
    ):
        with (
            repeating(act),
            pytest.raises(OutputExistsError, match=r"is in use by test .*, which is at work: wait for it$"),
        ):
            check_free(log_of(storage), storage, ME, wait=True)


@pytest.mark.usefixtures("quick")
def test_an_owner_that_leaves_while_it_is_watched_leaves_the_folder_free(storage, monkeypatch):
    monkeypatch.setattr(owner_module, "SECONDS_OF_SILENCE", 60.0)
    log = Log(storage)
    log.append(opened())
    threading.Timer(0.1, log.append, (End(owner="owner"),)).start()
    begun = time.monotonic()
    assert is_free(storage, wait=True)
    assert time.monotonic() - begun < 30


@pytest.mark.usefixtures("quick")
def test_a_store_that_is_out_of_reach_stops_nobody(storage, monkeypatch, caplog):
    """A failed look starts the watch anew: an owner whose signs nobody could see is not taken for a silent one."""
    Log(storage).append(opened())
    log = log_of(storage)
    read, until = storage.read_object, time.monotonic() + 0.6

    def out_of_reach(name):
        if time.monotonic() < until:
            raise OSError("no route to host")
        return read(name)

    monkeypatch.setattr(storage, "read_object", out_of_reach)
    check_free(log, storage, ME, wait=True)
    assert time.monotonic() >= until + 0.4
    told = [line for line in caplog.messages if line.endswith("no route to host")]
    who = "test (process 1 on elsewhere)"
    assert told == [f"{storage.root}: no sign of {who} can be read, so the wait begins anew: no route to host"]


@pytest.mark.usefixtures("quick")
def test_clocks_that_are_hours_apart_change_nothing(storage, monkeypatch):
    """Each look at the clock is two hours off the last one, back or forth: nobody is taken over, and nobody spared."""
    clock = itertools.cycle([0.0, 7200.0, -7200.0])
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + next(clock))
    log = Log(storage)
    log.append(opened())
    with (
        repeating(lambda number: storage.put_once(f"{BEATS}/00000001.json", str(number).encode(), 1.0)),
        pytest.raises(OutputExistsError, match="at work"),
    ):
        check_free(log_of(storage), storage, ME, wait=True)
    begun = time.monotonic()
    check_free(log_of(storage), storage, ME, wait=True)
    assert 0.4 <= time.monotonic() - begun < 20
    with owning(log_of(storage), storage, ME, wait=True) as owner:
        commit(owner)
        # The times in the log are for people: whatever they say, the driver stays the owner.
        owner.check()
        assert log_of(storage).state.changed


@pytest.mark.parametrize(
    ("mine", "theirs", "follows"),
    [
        (("app", "2"), ("app", "1"), True),
        (("app", "10"), ("app", "9"), True),
        (("app", "1"), ("app", "1"), False),
        (("app", "1"), ("app", "2"), False),
        (("other", "2"), ("app", "1"), False),
        (("app", None), ("app", "1"), False),
        (("app", "2"), ("app", None), False),
        ((None, None), (None, None), False),
    ],
)
def test_only_a_later_attempt_of_the_same_application_goes_on_at_once(storage, mine, theirs, follows):
    Log(storage).append(opened(application=theirs[0], attempt=theirs[1]))
    applicant = Applicant("me", *mine)
    assert is_free(storage, applicant) == follows
    assert take(log_of(storage), storage, applicant).restarted == follows


def test_of_those_who_take_a_folder_in_the_same_second_one_has_it(storage):
    for _ in range(5):
        barrier = threading.Barrier(8)
        logs = [log_of(Storage(str(storage.root))) for _ in range(8)]
        won, lost = [], []

        def work(log):
            barrier.wait()  # noqa: B023 - the threads end in this turn
            try:
                won.append(take(log, storage, ME))  # noqa: B023
            except OutputExistsError as error:
                lost.append(str(error))  # noqa: B023

        threads = [threading.Thread(target=work, args=(log,)) for log in logs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(won), len(lost)) == (1, 7)
        assert all("was taken by another driver a moment ago: wait for it" in told for told in lost)
        assert log_of(storage).state.owner.owner == won[0].nonce
        commit(won[0])


def test_an_owner_that_was_taken_over_ends_with_one_line_and_counts_nothing(storage):
    first = take_folder(storage)
    commit(first, 0)
    second = take_folder(storage)
    before = storage.files("")
    for late in (1, 2):
        with pytest.raises(OutputExistsError, match="another driver has taken the run over while") as refused:
            commit(first, late)
        assert "\n" not in str(refused.value)
    with pytest.raises(OutputExistsError, match="another driver has taken the run over while"):
        first.leave()
    assert storage.files("") == before
    commit(second, 3)
    assert [each.wave for each in log_of(storage).state.waves.values()] == [0, 3]


def test_the_folder_is_left_when_the_work_fails(storage):
    with pytest.raises(ZeroDivisionError), owning(log_of(storage), storage, ME, wait=False):
        assert 1 / 0
    assert log_of(storage).state.ended


def test_an_end_that_cannot_be_written_is_told_and_no_error(storage, caplog, monkeypatch):
    with owning(log_of(storage), storage, ME, wait=False):
        monkeypatch.setattr(storage, "create_bytes", no_space)
    assert "the end of this driver's work could not be written: [Errno 28] No space left on device" in caplog.text


def no_space(*_arguments):
    raise OSError(28, "No space left on device")


@pytest.mark.usefixtures("quick")
def test_beats_go_on_whatever_fails(storage, caplog, monkeypatch):
    put, failures = storage.put_once, iter([OSError("no space"), RuntimeError("a bug"), None, ValueError("odd")])

    def put_once(*arguments):
        failure = next(failures, None)
        if failure:
            raise failure
        put(*arguments)

    monkeypatch.setattr(storage, "put_once", put_once)
    with owning(log_of(storage), storage, ME, wait=False) as owner:
        wait_until(lambda: int(storage.read_object(f"{BEATS}/00000001.json") or 0) >= 6)
        assert not owner.lost
    assert re.findall("a sign of life failed: (.*)", caplog.text) == ["no space", "a bug", "odd"]


@pytest.mark.usefixtures("quick")
def test_a_beat_sees_that_another_has_taken_the_folder(storage):
    told = []
    with (
        pytest.raises(OutputExistsError, match="another driver has taken the run over"),
        owning(log_of(storage), storage, ME, wait=False) as owner,
    ):
        owner.when_lost = lambda: told.append(threading.current_thread().name)
        take_folder(storage)
        wait_until(lambda: told)
        assert owner.lost
        with pytest.raises(OutputExistsError, match="another driver has taken the run over"):
            owner.check()
    assert told == ["beat"]
    assert not log_of(storage).state.ended


@pytest.mark.usefixtures("quick")
def test_a_beat_whose_put_hangs_stops_neither_the_owner_nor_who_takes_over(storage, monkeypatch):
    hanging, released = threading.Event(), threading.Event()

    def hang(*_arguments):
        hanging.set()
        released.wait(60)

    monkeypatch.setattr(storage, "put_once", hang)
    told = []
    with (
        pytest.raises(OutputExistsError, match="another driver has taken the run over"),
        owning(log_of(storage), storage, ME, wait=False) as owner,
    ):
        owner.when_lost = lambda: told.append("lost")
        # Elsewhere, so that nobody can tell that it lives.
        rename_process(storage)
        assert hanging.wait(60)
        with repeating(lambda number: commit(owner, number), 0.1):
            assert not is_free(storage, wait=True)
        assert is_free(storage, wait=True)
        second = take_folder(Storage(str(storage.root)))
        with pytest.raises(OutputExistsError, match="another driver has taken the run over while this one was silent"):
            commit(owner, 99)
        released.set()
        wait_until(lambda: told)
        commit(second, 100)
    assert list(log_of(storage).state.waves.values())[-1].wave == 100


def rename_process(storage):
    """Lets the entry of this test's owner tell of a process on another machine."""
    entry = msgspec.json.decode(storage.read_object(entry_name(1)))
    entry["process"] = {"host": "elsewhere", "pid": 1}
    storage.put_bytes(entry_name(1), msgspec.json.encode(entry))


def test_what_tells_of_earlier_work_is_deleted_before_the_first_entry_only(storage):
    publish_run_file(storage, 1, {})
    owner = take_folder(storage)
    take_folder(storage).leave()
    assert storage.read_object(RUN)
    owner = take_folder(storage)
    commit(owner, 0)
    assert storage.read_object(RUN) is None
    publish_run_file(storage, owner.opened + 1, {})
    commit(owner, 1)
    assert storage.read_object(RUN)


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "out").write_text("a file")
    storage = Storage(str(tmp_path / "out"))
    with pytest.raises(OutputExistsError, match=r"^--output .*/out cannot be written to: "):
        take(Log(storage), storage, ME)


def test_a_store_that_creates_a_name_twice_is_refused(storage, monkeypatch):
    def put(name, content):
        storage.put_bytes(name, content)
        return True

    monkeypatch.setattr(storage, "create_bytes", put)
    with pytest.raises(
        ConfigError, match=r"creates a name twice, .* conditional writes .* are ignored there"
    ) as refused:
        take(Log(storage), storage, ME)
    assert "\n" not in str(refused.value)


@pytest.fixture(scope="module")
def bucket():
    with s3_server() as endpoint:
        yield new_bucket(endpoint)


def test_a_server_that_ignores_the_condition_is_refused(bucket):
    if not is_moto():
        pytest.skip("the proxy drops a header that is signed, which a server that checks signatures notices")
    with FaultProxy(bucket.endpoint, unconditional=True) as proxy:
        storage = Storage(f"s3://{bucket.name}/ignores", FetchOptions(s3_endpoint=proxy.url))
        with pytest.raises(ConfigError, match="If-None-Match"):
            take(Log(storage), storage, ME)
    storage = Storage(f"s3://{bucket.name}/heeds", FetchOptions(s3_endpoint=bucket.endpoint))
    assert take(Log(storage), storage, ME).opened == 1


def test_answers_that_are_lost_on_the_way_are_no_other_driver(bucket):
    with FaultProxy(bucket.endpoint, lost_puts=3) as proxy:
        options = FetchOptions(s3_endpoint=proxy.url, first_delay_seconds=0.01, longest_delay_seconds=0.02)
        storage = Storage(f"s3://{bucket.name}/lost", options)
        owner = take(Log(storage), storage, ME)
        assert [commit(owner, number) for number in range(3)] == [2, 3, 4]
        assert proxy.counts["lost"] == 3
        assert log_of(storage).state == owner.state
        assert storage.names("commits") == [f"0000000{number}.json" for number in range(1, 5)]
