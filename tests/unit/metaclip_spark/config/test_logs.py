"""The log: standard error of a command, as text or JSON lines; silent and routable in a notebook or a service."""

import json
import logging
import re
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from pyspark.errors import PySparkException
from rich.console import Console
from rich.logging import RichHandler

from metaclip_spark.commands.main import main
from metaclip_spark.config.curation import OutputConfig
from metaclip_spark.config.job import LogConfig, job
from metaclip_spark.config.logs import PACKAGE, logging_to_stderr, terminal
from metaclip_spark.errors import ConfigError, TooManyRejectsError
from metaclip_spark.runs.progress import StepProgress
from tests.support.jobs import call

log = logging.getLogger(f"{PACKAGE}.runs.example")


@job(OutputConfig)
def example(output: OutputConfig) -> None:
    """Log a line of each level."""
    log.debug("looked")
    log.info("wave 3: done", extra={"step": "extract", "wave": 3, "numbers": {"pairs": 5, "share": "größer"}})
    log.warning("%s is slow", output.output)


def logged(capsys, *options: str) -> list[str]:
    assert example(["--output", "out", *options]) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    return shown.err.splitlines()


def test_text_holds_time_level_and_message(capsys):
    first, second = logged(capsys)
    assert first.split(" ", 2)[2] == "INFO wave 3: done"
    assert second.split(" ", 2)[2] == "WARNING out is slow"


def test_json_lines_hold_the_numbers(capsys):
    first, second, last = map(json.loads, logged(capsys, "--log-format", "json"))
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first["time"])
    written = datetime.fromisoformat(first.pop("time"))
    assert abs((datetime.now(UTC) - written).total_seconds()) < 600
    assert first == {
        "level": "info", "run": "out", "event": "log", "message": "wave 3: done", "step": "extract", "wave": 3,
        "numbers": {"pairs": 5, "share": "größer"},
    }  # fmt: skip
    assert (second["level"], second["event"], second["message"]) == ("warning", "warning", "out is slow")
    assert (last["event"], last["level"], last["exit_code"], last["run"]) == ("end", "info", 0, "out")


def test_results_are_objects_too(tmp_path, capsys):
    (tmp_path / "m.txt").write_text("dog\nSt. Louis\n")
    assert call("lint_metadata", tmp_path / "m.txt", "--log-format", "json") == 2
    shown = capsys.readouterr()
    (result,) = map(json.loads, shown.out.splitlines())
    (end,) = map(json.loads, shown.err.splitlines())
    assert (result["event"], result["lines"][-2]) == ("result", "2 entries, 1 with errors")
    assert (end["event"], end["level"], end["exit_code"]) == ("end", "error", 2)


def test_progress_is_an_object_with_its_numbers(capsys):
    progress = StepProgress("extract", "archives", total=8, done_before=2, pairs=5)
    progress.done = 2
    assert progress.line(30.0) == "extract: 2 of 8 archives, 5 pairs so far, 30 s elapsed, about 90 s left"
    with logging_to_stderr(LogConfig(log_format="json"), "runs/first"):
        log.info(progress.line(30.0), extra=progress.as_fields(30.0))
    told = json.loads(capsys.readouterr().err)
    assert (told["run"], told["event"], told["step"]) == ("runs/first", "progress", "extract")
    assert told["progress"] == {
        "done": 2, "total": 8, "unit": "archives", "pairs": 5, "seconds_elapsed": 30.0, "seconds_left": 90.0,
    }  # fmt: skip


def test_progress_of_archives_never_falls_back():
    completed = [[0], [4], [], [1], [6]]
    stages = SimpleNamespace(
        getActiveStageIds=lambda: range(len(completed[0])),
        getStageInfo=lambda stage: SimpleNamespace(numCompletedTasks=completed[0][stage], numTasks=6),
    )
    spark = SimpleNamespace(sparkContext=SimpleNamespace(statusTracker=lambda: stages))
    progress = StepProgress("extract", "archives", total=8, done_before=2)
    seen = []
    while completed:
        progress.look(spark)
        seen.append(progress.done)
        completed.pop(0)
    assert seen == [2, 6, 6, 6, 8]


def test_progress_does_not_count_what_says_nothing():
    assert StepProgress("sample", "partitions", total=1).line(3.0) == "sample: 3 s elapsed"
    assert StepProgress("report", "", total=16).line(3.0) == "report: 3 s elapsed"


@pytest.mark.parametrize(("level", "lines"), [("debug", 3), ("info", 2), ("warning", 1), ("error", 0)])
def test_a_level_leaves_out_what_is_less_severe(capsys, level, lines):
    assert len(logged(capsys, "--log-level", level)) == lines


@pytest.mark.parametrize(
    ("option", "value", "choices"),
    [
        ("--log-level", "loud", "debug, info, warning, error"),
        ("--log-level", "INFO", "debug, info, warning, error"),
        ("--log-format", "xml", "text, json"),
    ],
)
def test_a_level_or_format_that_does_not_exist_is_refused_in_one_line(capsys, option, value, choices):
    expected = f"error: {option} is '{value}': it must be one of {choices} (see --help)\n"
    assert example(["--output", "out", option, value]) == 2
    assert capsys.readouterr().err == expected
    assert call("lint_metadata", "--metadata", "m.json", option, value) == 2
    assert capsys.readouterr().err == expected
    with pytest.raises(ConfigError, match=f"^{option} is '{value}': it must be one of {choices}$"):
        LogConfig(**{option[2:].replace("-", "_"): value})


FAILURES = {
    "config": (ConfigError("--x is 5:\nit must be 6"), 2, "--x is 5: it must be 6"),
    "rejects": (TooManyRejectsError("too many"), 1, "too many"),
    "store": (OSError("gone"), 1, "gone: mend that, then run again with --resume"),
    "stopped": (
        KeyboardInterrupt(),
        130,
        "stopped (interrupted): committed waves and finished steps are kept; --resume goes on",
    ),
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("form", [["--log-format", "json"], ["--log-format=json"], []], ids=["apart", "joined", "text"])
def test_a_failure_is_a_line_of_the_log_in_its_format(capsys, failure, form):
    error, code, message = FAILURES[failure]

    @job(OutputConfig)
    def failing(_output: OutputConfig) -> None:
        """Fail."""
        log.info("begun")
        raise error

    assert failing(["--output", "out", *form]) == code
    first, last = capsys.readouterr().err.splitlines()
    if not form:
        assert last == (message if failure == "stopped" else f"error: {message}")
        return
    assert json.loads(first)["message"] == "begun"
    told = json.loads(last)
    assert told.pop("time")[:2] == "20"
    assert told == {"level": "error", "run": "out", "event": "end", "message": message, "exit_code": code}


def test_the_trace_of_a_failed_spark_job_is_in_the_same_line(capsys):
    @job(OutputConfig)
    def failing(_output: OutputConfig) -> None:
        """Fail."""
        raise PySparkException("Job aborted\n\tat Stage.run\nCaused by: java.io.IOException: broken\n")

    assert failing(["--output", "out", "--log-format", "json"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    told = json.loads(line)
    assert told["message"] == "a Spark job failed: java.io.IOException: broken; --resume goes on"
    assert told["exception"].startswith("Job aborted\n")


def test_what_is_refused_before_the_work_is_told_in_the_format_that_is_asked_for(capsys):
    for command, arguments, message in (
        (example, ["--resume"], "output"),
        (example, ["--output", "out", "--no-such-option"], "no-such-option"),
        (main, ["no-such-verb", "--output", "x"], "metaclip-spark has no verb 'no-such-verb'"),
    ):
        assert command([*arguments, "--log-format", "json"]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        told = json.loads(line)
        assert (told["level"], told["exit_code"]) == ("error", 2)
        assert message in told["message"]
        assert command([*arguments, "--log-format", "json", "--log-format", "text"]) == 2
        assert capsys.readouterr().err.startswith("error: ")


def test_nothing_is_shown_or_left_behind_without_a_command(capsys, caplog):
    logger = logging.getLogger(PACKAGE)
    before = (logger.level, list(logger.handlers))
    logged(capsys)
    assert (logger.level, list(logger.handlers)) == before
    log.info("a library is silent")
    assert capsys.readouterr().err == ""
    with caplog.at_level(logging.INFO, logger=PACKAGE):
        log.info("unless it is asked")
    assert caplog.messages[-1] == "unless it is asked"
    assert capsys.readouterr().err == ""


def test_a_failed_command_leaves_the_logger_as_it_was():
    handlers = list(logging.getLogger(PACKAGE).handlers)
    with pytest.raises(ConfigError), logging_to_stderr(LogConfig()):
        raise ConfigError("x")
    assert logging.getLogger(PACKAGE).handlers == handlers


@pytest.mark.parametrize("level", ["info", "warning"])
def test_a_bar_is_drawn_only_where_the_log_goes_to_a_terminal_with_what_is_no_warning(level, monkeypatch):
    assert terminal() is None
    with logging_to_stderr(LogConfig(log_format="json")):
        assert terminal() is None
    handler = RichHandler(console=Console(force_terminal=True))
    monkeypatch.setattr("metaclip_spark.config.logs._handler", lambda *_: handler)
    with logging_to_stderr(LogConfig(log_level=level)):
        assert terminal() is (handler.console if level == "info" else None)


def test_a_terminal_gets_the_lines_as_they_are(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    with logging_to_stderr(LogConfig()):
        assert terminal() is not None
        log.info("[bold]archive[/bold] %s: 10%% of it", "a[1].warc")
    assert "[bold]archive[/bold] a[1].warc: 10% of it" in capsys.readouterr().err
