"""Work in several processes at once: results, errors, the log, and that nothing outlives whoever started it."""

import logging
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from metaclip_spark.clip_benchmark import at_once
from metaclip_spark.clip_benchmark.at_once import Workers
from metaclip_spark.errors import CurationError, InputError
from tests.support.paths import CHECKOUT

log = logging.getLogger("metaclip_spark.tests")


def squared(number):
    log.info("squares %s", number)
    return os.getpid(), number**2


def refused(number):
    if number == 1:
        # As a process does that is stopped while it writes to the log.
        (handler,) = logging.getLogger("metaclip_spark").handlers
        handler.queue._wlock.acquire()
        raise InputError("1 is odd")
    time.sleep(600)


def killed(_number):
    os.kill(os.getpid(), signal.SIGKILL)


def noted(folder, number):
    (folder / str(number)).symlink_to(str(os.getpid()))
    time.sleep(600)


def called(function, items, processes):
    with Workers(processes) as workers:
        return workers.call_each(function, items, "item {}".format)


def is_there(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def waits_until(holds, seconds=60):
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.05)
    return holds()


@pytest.mark.parametrize("processes", [1, 2])
def test_results_have_the_order_of_the_items(processes, caplog):
    with caplog.at_level(logging.INFO, "metaclip_spark"):
        found = called(squared, range(5), processes)
    assert [result for _, result in found] == [0, 1, 4, 9, 16]
    assert len({process for process, _ in found}) <= processes
    assert ({process for process, _ in found} == {os.getpid()}) == (processes == 1)
    before = "" if processes == 1 else "item {}: "
    assert sorted(caplog.messages) == [f"{before.format(number)}squares {number}" for number in range(5)]


def test_a_single_item_needs_no_process():
    assert called(squared, [3], 4) == [(os.getpid(), 9)]
    assert called(squared, [], 4) == []


def test_calls_that_follow_find_the_processes_there_or_say_that_one_was_killed():
    with Workers(2) as workers:
        found = [{process for process, _ in workers.call_each(squared, range(4), str)} for _ in range(3)]
        assert len(set.union(*found)) <= 2
        # In its call, and then before the next ones.
        for function in (killed, squared):
            with pytest.raises(CurationError, match=r"one of 2 .* killed, .* give a lower --cells-at-once"):
                workers.call_each(function, range(2), str)


def test_an_error_comes_through_and_stops_the_others_whatever_they_hold(monkeypatch):
    monkeypatch.setattr(at_once, "_LAST_RECORDS_SECONDS", 0.1)
    begun = time.monotonic()
    with pytest.raises(InputError, match=r"^1 is odd$"):
        called(refused, range(3), 3)
    assert time.monotonic() - begun < 300


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_none_outlives_whoever_started_it(tmp_path, sent):
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
    with subprocess.Popen([sys.executable, __file__, str(tmp_path)], env=environment) as begun:
        assert waits_until(lambda: len(list(tmp_path.iterdir())) == 2)
        workers = [int(path.readlink().name) for path in tmp_path.iterdir()]
        begun.send_signal(sent)
        begun.wait(60)
    assert waits_until(lambda: not any(map(is_there, workers)))


if __name__ == "__main__":
    # What runs in the background is begun with this signal ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    called(partial(noted, Path(sys.argv[1])), range(2), 2)
