"""The frame of every command: exit codes, signals, errors in one line."""

import errno
import importlib.util
import json
import signal
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from pyspark.errors import PySparkException

from metaclip_spark.commands.main import VERBS
from metaclip_spark.config.job import GOES_ON, REPLACES, RESUMES, STARTS_ANEW, as_typed, root_cause, run_job
from metaclip_spark.errors import ConfigError, RequirementError, SuspectSampleError, TooManyRejectsError


def test_an_interrupted_job_says_how_to_go_on(capsys):
    def job() -> None:
        raise KeyboardInterrupt

    assert run_job(job) == 130
    assert capsys.readouterr().err == (
        "stopped (interrupted): committed waves and finished steps are kept; --resume goes on\n"
    )


@pytest.mark.parametrize(
    ("when_stopped", "told"),
    [
        (GOES_ON, "finished cells and checkpoints are kept; the same command goes on"),
        (STARTS_ANEW, "it is not finished; run it again"),
        (REPLACES, "it is not finished; run it again with --overwrite"),
    ],
)
def test_a_stopped_job_says_what_is_left_of_it(when_stopped, told, capsys):
    def job() -> None:
        raise KeyboardInterrupt

    assert run_job(job, when_stopped=when_stopped) == 130
    assert capsys.readouterr().err == f"stopped (interrupted): {told}\n"


@pytest.mark.parametrize("verb", VERBS)
def test_a_stopped_command_names_no_option_that_it_has_not(verb):
    command = VERBS[verb]
    options = {f"--{field.name}" for config in command.configs for field in fields(config)}
    assert command.when_stopped.option in {"", *options}
    # A check begins anew; it has the options of the run that it checks.
    assert (command.when_stopped is RESUMES) == ("--resume" in options and verb != "check-cluster")


@pytest.mark.parametrize(
    ("error", "code"), [(ConfigError, 2), (TooManyRejectsError, 1), (SuspectSampleError, 1), (None, 0)]
)
def test_exit_codes(error, code, capsys):
    def job() -> None:
        if error:
            raise error("value, limit,\nnext step")

    assert run_job(job) == code
    assert capsys.readouterr().err == ("error: value, limit, next step\n" if error else "")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            OSError(errno.EIO, "Input/output error", "/data/run/pool/part-0.parquet"),
            "error: /data/run/pool/part-0.parquet: Input/output error: mend that, then run again with --resume\n",
        ),
        (PermissionError(errno.EACCES, "Permission denied", "/data/list"), "error: /data/list: Permission denied\n"),
        (OSError("s3://bucket/run: the answer broke off"), "error: s3://bucket/run: the answer broke off: mend that,"),
    ],
)
def test_an_error_of_the_operating_system_begins_with_the_file(error, line, capsys):
    def job() -> None:
        raise error

    assert run_job(job) == (2 if isinstance(error, PermissionError) else 1)
    assert capsys.readouterr().err.startswith(line)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ConfigError("--x is wrong"), [("--x is wrong", True)]),
        (RequirementError("--require a>=2: a is 1"), [("--require a>=2: a is 1", True)]),
        (PermissionError("s3://bucket/run: the AWS credentials have expired"), "may be there the next time"),
        (FileNotFoundError("s3://bucket/run: no such bucket"), "may be there the next time"),
        (ModuleNotFoundError("No module named 'numba'", name="numba"), "may be there the next time"),
        (TooManyRejectsError("half of the records were rejected"), "may be there the next time"),
        (KeyboardInterrupt(), []),
        (None, []),
    ],
)
def test_whether_another_attempt_would_fail_alike(error, told):
    def job() -> None:
        if error:
            raise error

    ends = []
    run_job(job, tell_end=lambda line, final: ends.append((line, final)))
    assert ([final for _, final in ends] == [False]) if isinstance(told, str) else (ends == told)


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_each_check_that_failed_has_its_line(log_format, capsys):
    def job() -> None:
        raise RequirementError("--require a>=2: a is 1\n--require b>=2: b is 1")

    assert run_job(job, log_format=log_format) == 3
    told = capsys.readouterr().err
    if log_format == "text":
        assert told == "error: --require a>=2: a is 1\nerror: --require b>=2: b is 1\n"
    else:
        assert json.loads(told)["message"] == "--require a>=2: a is 1; --require b>=2: b is 1"


def test_a_full_disk_is_named_with_its_remedy(capsys):
    def job() -> None:
        raise PySparkException("Job aborted\nCaused by: java.io.IOException: No space left on device\n")

    assert run_job(job) == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        "error: a Spark job failed: java.io.IOException: No space left on device "
        "(a local disk is full: free it, or name a larger one: yarn.nodemanager.local-dirs on YARN, EMR and Dataproc, "
        "SPARK_LOCAL_DIRS where standalone workers start, else spark.local.dir); --resume goes on"
    )


@pytest.mark.parametrize(("path", "place"), [("/data/run", "in /data/run"), (None, "on a disk of this machine")])
def test_a_full_disk_of_the_output_is_named(path, place, capsys):
    def job() -> None:
        raise OSError(errno.ENOSPC, "No space left on device", path)

    assert run_job(job) == 1
    assert capsys.readouterr().err == (
        f"error: no space left {place}: free some, then run the same command with --resume\n"
    )


@pytest.mark.parametrize(("path", "place"), [("hdfs://namenode/run", "hdfs://namenode/run"), (None, "a file system")])
def test_a_quota_that_is_used_up_is_named(path, place, capsys):
    def job() -> None:
        raise OSError(errno.EDQUOT, "The DiskSpace quota of /run is exceeded", path)

    assert run_job(job) == 1
    assert capsys.readouterr().err == (
        f"error: the quota of {place} is used up: raise it or free some of it, "
        "then run the same command with --resume\n"
    )


@pytest.mark.parametrize(
    ("cause", "remedy"),
    [
        ("org.apache.hadoop.hdfs.protocol.DSQuotaExceededException: The quota of /run", "raise the quota"),
        (
            "org.apache.spark.SparkException: Container killed by YARN for exceeding physical memory limits",
            "give a larger --conf spark.executor.memoryOverhead",
        ),
        (
            'java.io.IOException: Cannot run program "./environment/bin/python": error=2, No such file or directory',
            "that Python is missing on a machine",
        ),
        (
            "org.apache.spark.SparkException: EOFException occurred while reading the port number from "
            "pyspark.daemon's stdout and terminated with code: 2.",
            "the executors' Python does not start",
        ),
        (
            "[PYTHON_VERSION_MISMATCH] Python in worker has different version: 3.12 than that in driver: 3.11",
            "executors take PYSPARK_PYTHON or spark.pyspark.python",
        ),
    ],
)
def test_what_the_owner_of_the_cluster_can_mend_is_named_with_its_remedy(cause, remedy, capsys):
    def job() -> None:
        raise PySparkException(f"Job aborted\nCaused by: {cause}\n")

    assert run_job(job) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f"error: a Spark job failed: {cause} ({remedy}")
    assert last.endswith("; --resume goes on")


def test_a_failed_spark_job_shows_no_credentials(capsys):
    def job() -> None:
        raise PySparkException("OSError: https://me:secret@example.org/a.warc.gz?X-Amz-Signature=abcd: refused")

    assert run_job(job) == 1
    shown = capsys.readouterr().err
    assert "https://example.org/a.warc.gz" in shown
    assert "secret" not in shown
    assert "abcd" not in shown


def test_an_exception_without_a_cause_is_named_by_itself():
    trace = (
        "An error occurred while calling o1.addFile.\n: java.nio.file.FileSystemException: /x: No space left on device"
    )
    stack = (
        "\n\tat java.base/java.nio.file.Files.copy(Files.java:1305)\n\tat java.base/java.lang.Thread.run(Thread.java)"
    )
    assert root_cause(trace + stack) == "java.nio.file.FileSystemException: /x: No space left on device"


@pytest.mark.parametrize("path", sorted(Path("jobs").glob("*.py")), ids=lambda path: path.name)
def test_every_job_has_help_and_refuses_in_one_line(path, capsys):
    specification = importlib.util.spec_from_file_location(f"job_{path.stem}", path)
    job = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(job)
    with pytest.raises(SystemExit) as stop:
        job.main(["--help"])
    assert stop.value.code == 0
    capsys.readouterr()
    assert job.main(["--no-such-option", "1"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_job_gives_the_handlers_of_signals_back(number):
    own = signal.default_int_handler
    outer = signal.signal(number, own)
    try:
        during = []
        assert run_job(lambda: during.append(signal.getsignal(number))) == 0
        assert during[0] is not own
        assert signal.getsignal(number) is own
    finally:
        signal.signal(number, outer)


@pytest.mark.parametrize(("number", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_what_a_signal_brings_down_is_told_of_as_the_signal_and_a_second_one_ends_at_once(number, code):
    lines = (
        "import os, signal, sys, time",
        "from metaclip_spark.config.job import run_job",
        "signal.signal(signal.SIGINT, signal.default_int_handler)",
        f"def stop(): os.kill(os.getpid(), signal.{number}); time.sleep(60)",
        "def job():",
        "    try: stop()",
        "    finally: after()",
        "def after():",
        "    if sys.argv[1:]: stop()",
        "    raise RuntimeError('what the signal broke')",
        "sys.exit(run_job(job))",
    )
    for again in ([], ["again"]):
        done = subprocess.run(
            [sys.executable, "-c", "\n".join(lines), *again], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == code
        assert done.stderr.startswith("stopped (")
        assert done.stderr.count("\n") == 1


def test_a_missing_dependency_is_one_line_and_a_module_of_ours_a_bug(capfd):
    def missing(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    assert run_job(lambda: missing("pyspark.sql")) == 2
    told = f"error: pyspark is not installed for {sys.executable}: activate .venv or pip install '.[spark]'\n"
    assert capfd.readouterr().err == told
    with pytest.raises(ModuleNotFoundError):
        run_job(lambda: missing("metaclip_spark.nowhere"))


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["--archives=https://me:secret@h/a?sig=hidden"], "'--archives=https://h/a?...'"),
        (["--archives", "https://h/a?sig=hid den"], "--archives 'https://h/a?...'"),
        (
            ["--archives", '["https://me:secret@h/a", "https://me:hidden@h/b"]'],
            """--archives '["https://h/a", "https://h/b"]'""",
        ),
        (["--output", "s3://bucket/a?b#c"], "--output 's3://bucket/a?b#c'"),
    ],
)
def test_a_command_is_kept_without_the_credentials_in_it(arguments, shown):
    assert as_typed("metaclip-spark curate", arguments) == f"metaclip-spark curate {shown}"


def test_of_a_command_with_thousands_of_names_the_beginning_is_kept():
    kept = as_typed("curate", ["--archives", *["a.warc"] * 1000])
    assert kept.startswith("curate --archives a.warc a.warc ")
    assert kept.endswith(f" ... ({len('--archives') + 7 * 1000 - 2000:,} characters more)")
