"""Ctrl-C and SIGTERM end a run cleanly, log lines are objects, a page that crashes or hangs the parser costs itself."""

import gzip
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress

import pytest

from metaclip_spark import __version__
from tests.end_to_end.processes import processes_of
from tests.end_to_end.stored import check_whole
from tests.support.jobs import CHECKOUT, SAMPLE, rows, state_of
from tests.support.waiting import wait_until
from udfs.sources.fsspec_stores import filesystem_of

pytestmark = pytest.mark.spark

HOOK = """
import os
try:
    import udfs.pages.parse as module
except ImportError:
    module = None
if module is not None:
    read = module.read_warc_record
    def read_warc_record(record, **options):
        if b"CRASH-THE-PARSER" in record.block:
            os.kill(os.getpid(), 11)
        while b"HANG-THE-PARSER" in record.block:
            pass
        return read(record, **options)
    module.read_warc_record = read_warc_record
"""


def environment(**more):
    python = sys.executable
    given = {"PYSPARK_PYTHON": python, "PYSPARK_DRIVER_PYTHON": python, "SPARK_LOCAL_IP": "127.0.0.1"}
    return {**os.environ, **given, "PYTHONPATH": str(CHECKOUT), **more}


def extract(*options):
    return [sys.executable, str(CHECKOUT / "jobs" / "extract_pool.py"), *map(str, options)]


def page(name: str, text: str) -> bytes:
    html = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>{text}</p><img src=a.jpg alt='{name} dog'>".encode()
    head = (
        f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://example.org/{name}\r\n"
        f"Content-Type: application/http; msgtype=response\r\nContent-Length: {len(html)}\r\n\r\n"
    ).encode()
    return gzip.compress(head + html + b"\r\n\r\n")


@pytest.mark.usefixtures("spark")
@pytest.mark.parametrize(
    ("store", "at_once"),
    # With one wave at once the signal comes while the thread that leaves the run waits for Spark.
    [("local", 2), ("hdfs", 1)],
)
def test_a_sigterm_ends_the_run_and_keeps_the_waves(request, tmp_path, store, at_once):
    archives, output = SAMPLE, tmp_path / "out"
    if store == "hdfs":
        archives, output = (request.getfixturevalue("hdfs").new_folder() for _ in range(2))
        filesystem, below = filesystem_of(archives)
        filesystem.put(f"{SAMPLE}/", f"{below}/", recursive=True)
    waves = ("--archives-per-wave", 1, "--waves-at-once", at_once)
    command = extract("--archives", archives, "--output", output, "--resume", *waves)
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, env=environment(), stdout=log, stderr=log, start_new_session=True)
    deadline = time.monotonic() + 600
    while not state_of(output).waves:
        assert process.poll() is None, (tmp_path / "log").read_text()[-2000:]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    try:
        assert process.wait(timeout=600) == 128 + signal.SIGTERM
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    told = (tmp_path / "log").read_text()
    assert any(line.startswith("stopped") and "SIGTERM" in line for line in told.splitlines())
    assert "Traceback" not in told
    state = check_whole(output)
    assert state.ended
    read = [archive for wave in state.waves.values() for archive in wave.archives]
    assert read
    assert {archive.archive for archive in read} <= {file.name for file in SAMPLE.iterdir()}
    assert {archive.status for archive in read} == {"ok"}


def in_terminal(command, interrupted, timeout_s=300):
    """Runs a command in a terminal, and types Ctrl-C when a function of what was shown so far says so.

    Returns the exit code, what was shown, and the seconds from the first Ctrl-C to the end.
    """
    pid, terminal = pty.fork()
    if pid == 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.execve(command[0], command, environment(TERM="dumb"))
    shown, typed_at, deadline = b"", None, time.monotonic() + timeout_s
    try:
        while time.monotonic() < deadline:
            if select.select([terminal], [], [], 0.05)[0]:
                try:
                    shown += os.read(terminal, 65536)
                except OSError:
                    # Linux says so of the end.
                    break
            if typed_at is None and interrupted(shown.decode(errors="replace")):
                os.write(terminal, b"\x03")
                typed_at = time.monotonic()
    finally:
        if time.monotonic() >= deadline:
            os.killpg(pid, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os.close(terminal)
    assert typed_at, shown[-2000:]
    return code, shown.decode(), time.monotonic() - typed_at


STOPPED = "stopped (interrupted): committed waves and finished steps are kept; --resume goes on"


def test_ctrl_c_ends_a_run_as_sigterm_does(tmp_path):
    output = tmp_path / "out"
    command = extract("--archives", SAMPLE, "--output", output, "--archives-per-wave", 1)
    code, shown, seconds = in_terminal(command, lambda _: state_of(output).waves)
    assert code == 130
    assert seconds < 30
    assert shown.rstrip().endswith(STOPPED)
    assert "Traceback" not in shown
    for noise in ("ERROR:", "WARN", "log4j", "log level", "Picked up"):
        assert noise not in shown
    lines = " ".join(shown.split())
    assert lines.index(f"metaclip-spark {__version__}: starting Spark (") < lines.index("Spark UI: http://")
    assert check_whole(output).ended


def test_ctrl_c_while_spark_starts_leaves_one_line_and_no_run(tmp_path):
    output = tmp_path / "out"
    command = extract("--archives", SAMPLE, "--output", output)
    started = time.monotonic()
    code, shown, _ = in_terminal(command, lambda _: time.monotonic() - started > 2.5)
    assert code == 130
    assert STOPPED in shown
    assert "Traceback" not in shown
    assert not output.exists()


def test_a_run_that_is_stopped_while_spark_starts_leaves_no_process(tmp_path):
    command = extract("--archives", SAMPLE, "--output", tmp_path / "out")
    # Without a terminal, whose end would end the JVM.
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, env=environment(), stdout=log, stderr=log, start_new_session=True)
    try:
        wait_until(lambda: "SparkSubmit" in str(processes_of(process.pid)))
        process.terminate()
        assert process.wait(timeout=60) == 128 + signal.SIGTERM
        wait_until(lambda: not processes_of(process.pid), seconds=30)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert (tmp_path / "log").read_text().splitlines()[-1].startswith("stopped (")


def test_a_jvm_that_does_not_start_says_why(tmp_path):
    output = tmp_path / "out"
    done = subprocess.run(
        extract("--archives", SAMPLE, "--output", output), capture_output=True, text=True, timeout=120, check=False,
        env=environment(PYSPARK_SUBMIT_ARGS="--no-such pyspark-shell"),
    )  # fmt: skip
    assert done.returncode == 1
    assert "Unrecognized option: --no-such" in done.stderr
    assert "Traceback" not in done.stderr
    assert not output.exists()


def test_a_page_that_crashes_or_hangs_the_parser_costs_itself(tmp_path):
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(HOOK)
    archives = tmp_path / "archives"
    archives.mkdir()
    for name, text in (("a", "CRASH-THE-PARSER"), ("b", "HANG-THE-PARSER")):
        # The compiled loop leaves pages with a relative base to the parsers in Python.
        content = page("before", "x") + page("bad", f"<base href=x/>{text}") + page("after", "x")
        (archives / f"{name}.warc.gz").write_bytes(content)
    output = tmp_path / "out"
    options = ("--archives", archives, "--output", output, "--page-timeout-seconds", 5, "--max-rejects", 1)
    command = extract(*options, "--log-format", "json")
    done = subprocess.run(
        command, env=environment(PYTHONPATH=f"{CHECKOUT}:{tmp_path / 'hook'}"), capture_output=True, text=True,
        timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    reasons = {row["archive"]: dict(row["rejected"]) for row in rows(output, "archives")}
    assert reasons == {"a.warc.gz": {"record.parser_crash": 1}, "b.warc.gz": {"record.parser_timeout": 1}}
    assert sorted(row["alt_text"] for row in rows(output, "pool")) == ["after dog", "before dog"]
    said = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    waves = [line for line in said if "wave" in line]
    assert [line["numbers"]["archives"] for line in waves] == [2]
    assert {line.get("step") for line in said} >= {"extract", "deduplicate"}
    assert all({"time", "level", "message"} <= set(line) for line in said)
