"""Which process is gone for certain: names of machines and numbers of processes prove nothing."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from metaclip_spark.commits import process
from metaclip_spark.commits.process import is_gone, this_process

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only Linux tells when a process started")
CODE = """
import msgspec, sys
from metaclip_spark.commits.process import this_process
print(msgspec.json.encode(this_process()).decode(), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def child():
    """Another process, and how it describes itself."""
    with subprocess.Popen([sys.executable, "-c", CODE], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as started:
        told = msgspec.json.decode(started.stdout.readline(), type=process.Process)
        yield started, told
        started.kill()


def test_a_process_is_gone_once_it_has_ended(child):
    started, told = child
    assert told.pid == started.pid
    assert not is_gone(told)
    started.kill()
    os.waitid(os.P_PID, started.pid, os.WEXITED | os.WNOWAIT)
    # Nobody has waited for it yet: its number is still taken, by a zombie.
    assert is_gone(told)
    started.wait()
    assert is_gone(told)


def test_this_process_is_not_gone():
    assert not is_gone(this_process())


def test_a_number_that_is_used_again_is_another_process():
    here = this_process()
    assert is_gone(msgspec.structs.replace(here, started=here.started - 1))


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"boot_id": "another boot"},
        {"pid_namespace": "pid:[1]"},
        {"boot_id": None},
        {"pid_namespace": None},
        {"started": None},
        {"boot_id": None, "pid_namespace": None, "started": None},
    ],
    ids=str,
)
def test_of_a_process_elsewhere_nobody_can_say(elsewhere):
    """Another container has this one's host name, and a process of that number does not live here."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    here = msgspec.structs.replace(this_process(), pid=gone.pid, started=1)
    assert is_gone(here)
    assert not is_gone(msgspec.structs.replace(here, **elsewhere))


def test_where_the_system_tells_nothing_nobody_is_gone(monkeypatch):
    gone = msgspec.structs.replace(this_process(), pid=2**22 + 1)
    assert is_gone(gone)
    monkeypatch.setattr(process, "_read", lambda _path: None)
    assert not is_gone(gone)
    assert this_process().started is None


def test_a_name_with_brackets_is_no_trap():
    named = f"open('/proc/self/comm', 'w').write('a) Z 1 2')\n{CODE}"
    with subprocess.Popen([sys.executable, "-c", named], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as started:
        told = msgspec.json.decode(started.stdout.readline(), type=process.Process)
        assert "(a) Z 1 2)" in Path(f"/proc/{told.pid}/stat").read_text()
        assert told.started > 10
        assert not is_gone(told)
        started.kill()


def test_a_process_of_which_nothing_can_be_known_is_not_gone(monkeypatch):
    """Another user's process where /proc hides it (hidepid)."""
    here = this_process()
    hidden = msgspec.structs.replace(here, pid=1)
    monkeypatch.setattr(process, "_state", lambda pid: None if pid == 1 else ("R", here.started))
    assert not is_gone(hidden)
